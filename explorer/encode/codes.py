"""What a model makes of prepared images, and the table of it."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explorer.encode.familiarity import Familiarity
from explorer.encode.verdicts import Verdict
from explorer.latent.neighbours import nearest
from explorer.models.bound import Bounds, measure_bounds
from explorer.models.codec import Codec

NEIGHBOURS = 12


@dataclass(frozen=True, eq=False)
class Codes:
    """Images as a model sees them; an AE has neither log_var, KL nor a bound.

    Attributes:
        mean: codes, (N, D).
        log_var: (N, D), or None for an AE.
        reconstruction_nll: (N,) nats: of a VAE the mean over 32 draws from the posterior, as the
            bound has it; of an AE at the code.
        kl: (N,) nats, or None for an AE.
        nearest_class: N names: what most of the 12 nearest held-out codes are; None without labels.
        bound_percentile: how many in a hundred held-out images cost less, (N,); None where the
            checkpoint has no held-out scores.
        familiarity: N words, "familiar", "unusual" or "unlike" the training data; or None.
        familiarity_p: the share of held-out images at least as odd, (N,), or None; what is at most
            0.05 is not familiar.
    """

    mean: NDArray[np.float32]
    log_var: NDArray[np.float32] | None
    reconstruction_nll: NDArray[np.float32]
    kl: NDArray[np.float32] | None
    nearest_class: tuple[str, ...] | None
    bound_percentile: NDArray[np.float32] | None = None
    familiarity: tuple[str, ...] | None = None
    familiarity_p: NDArray[np.float32] | None = None

    @property
    def negative_elbo(self) -> NDArray[np.float32] | None:
        """Reconstruction NLL + KL, (N,) nats; None for an AE."""
        return None if self.kl is None else self.reconstruction_nll + self.kl


def measure_codes(
    codec: Codec,
    images: NDArray[np.float32],
    *,
    references: NDArray[np.floating[Any]] | None = None,
    labels: NDArray[np.int64] | None = None,
    classes: Sequence[str] = (),
    known: Familiarity | None = None,
) -> Codes:
    """Encode images and measure what their codes cost.

    An image's figures do not depend on the images beside it: each gets the same draws.

    Args:
        codec: the model.
        images: (N, C, H, W) in [0, 1].
        references: codes (M, D) among which the nearest are looked for.
        labels: (M,), theirs.
        classes: the names that labels point to.
        known: what the checkpoint's held-out images score.
    """
    bounds = measure_bounds(codec, images)
    names = None
    if references is not None and labels is not None and classes:
        found = nearest_classes(bounds.mean, references, labels)
        names = [classes[label] for label in found]
    verdicts = None if known is None else known.judge(codec, images, bounds)
    return codes_of(bounds, names, verdicts)


def codes_of(
    bounds: Bounds, classes: Sequence[str] | None, verdicts: Sequence[Verdict] | None
) -> Codes:
    """What is known of N images as a table's columns.

    Args:
        bounds: of the images.
        classes: the nearest classes, N names, or None without labels.
        verdicts: N, or None where the checkpoint has no held-out scores.
    """
    words = percentiles = shares = None
    if verdicts is not None:
        words = tuple(verdict.word for verdict in verdicts)
        shares = np.array([verdict.p_value for verdict in verdicts], np.float32)
        percentiles = np.array([verdict.scores[0].percentile for verdict in verdicts], np.float32)
    return Codes(
        bounds.mean,
        bounds.log_var,
        bounds.reconstruction_nll,
        bounds.kl,
        None if classes is None else tuple(classes),
        percentiles,
        words,
        shares,
    )


def without_verdicts(codes: Codes) -> Codes:
    """The same, without a word on whether the pictures are like the training data."""
    return replace(codes, familiarity=None, familiarity_p=None)


def join(parts: Sequence[Codes]) -> Codes | None:
    """Codes of one model, one after the other; None of none."""
    if not parts:
        return None
    joined: dict[str, Any] = {}
    for field in fields(Codes):
        values = [getattr(part, field.name) for part in parts]
        if values[0] is None:
            joined[field.name] = None
        elif isinstance(values[0], tuple):
            joined[field.name] = tuple(name for value in values for name in value)
        else:
            joined[field.name] = np.concatenate(values)
    return Codes(**joined)


def nearest_classes(
    queries: NDArray[np.floating[Any]],
    references: NDArray[np.floating[Any]],
    labels: NDArray[np.int64],
    k: int = NEIGHBOURS,
) -> NDArray[np.int64]:
    """The class that most of the k nearest references have; ties go to the nearest.

    Args:
        queries: codes (Q, D).
        references: codes (M, D).
        labels: (M,).
        k: neighbours; all references where there are fewer.

    Returns:
        (Q,).
    """
    _, index = nearest(queries, references, min(k, len(references)))
    return vote(labels[index])


def vote(votes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The most frequent entry of each row, ties to the first of them: (N,) of (N, K)."""
    agreeing = (votes[:, :, None] == votes[:, None, :]).sum(axis=2)
    return np.take_along_axis(votes, agreeing.argmax(axis=1)[:, None], axis=1)[:, 0]


def _columns(names: Sequence[str], codes: Codes) -> dict[str, NDArray[Any]]:
    """One array a column, (N,), or (N, D) for one column an axis; without what an AE lacks."""
    found: dict[str, NDArray[Any] | None] = {
        "file": np.array(names, dtype=np.str_),
        "mean": codes.mean,
        "log_var": codes.log_var,
        "reconstruction_nll": codes.reconstruction_nll,
        "kl": codes.kl,
        "negative_elbo": codes.negative_elbo,
        "nearest_class": None
        if codes.nearest_class is None
        else np.array(codes.nearest_class, dtype=np.str_),
        "bound_percentile": codes.bound_percentile,
        "familiarity": None
        if codes.familiarity is None
        else np.array(codes.familiarity, dtype=np.str_),
        "familiarity_p": codes.familiarity_p,
    }
    return {name: values for name, values in found.items() if values is not None}


def to_csv(names: Sequence[str], codes: Codes) -> str:
    """The table as text: file, mean_0.., log_var_0.., reconstruction_nll, kl, and so on.

    Numbers have all the digits that a float32 needs to be read back the same.
    """
    header: list[str] = []
    parts: list[list[Any]] = []
    for name, values in _columns(names, codes).items():
        if values.ndim == 1:
            header.append(name)
            parts.append(list(values))
        else:
            header += [f"{name}_{axis}" for axis in range(values.shape[1])]
            parts += [list(column) for column in values.T]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(zip(*parts, strict=True))
    return text.getvalue()


def to_arrays(names: Sequence[str], codes: Codes) -> dict[str, NDArray[Any]]:
    """The table as arrays for an .npz: files (N,), mean (N, D), and so on; no pickle."""
    columns = _columns(names, codes)
    # An array of an .npz cannot be called like an argument of np.savez.
    return {"files": columns.pop("file"), **columns}

"""The measured report of a latent space: measuring it, and keeping it as JSON."""

import json
import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from explorer.errors import CheckpointError, LatentError
from explorer.latent.axes import sample_aggregate_posterior
from explorer.latent.codes import checked_codes
from explorer.regularity.holes import measure_holes
from explorer.regularity.measure import AS_BUILT, SCALE_FAIR, Measure
from explorer.regularity.neighbourhood import measure_knn_accuracy
from explorer.regularity.prior import measure_prior_match
from explorer.regularity.reading import (
    check_examples,
    check_inputs,
    check_names,
    check_whole,
    read_measure,
)
from explorer.regularity.reconstruction import measure_reconstruction
from explorer.storage import open_regular, write_file

if TYPE_CHECKING:
    from explorer.models.checkpoint import Encodings
    from explorer.training.evaluation import Reconstructions

FORMAT = 2
_ENTRIES = {
    1: {"format", "n", "seed", "measures"},
    2: {"format", "n", "seed", "inputs", "measures", "examples"},
}
# More images narrow the intervals by little, and the neighbours' time grows with their square.
MOST_IMAGES = 10_000
# Below it a 95th percentile is beyond the largest value.
FEWEST_IMAGES = 20
_MOST_BYTES = 1_000_000


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What is measured: held-out images as a model encodes and gives them back.

    Attributes:
        mean: posterior means, (N, D); an AE's codes.
        log_var: posterior log variances, (N, D), or None for an AE.
        labels: classes, (N,), or None where there are none.
        reconstruction_nll: -log p(x|z) at the posterior mean code, (N,), nats per image.
        reconstruction_mse: squared error of the decoder's mean image, averaged over pixels, (N,).
        null_nll: mean nats per image when every image is answered with the mean training image.
        null_mse: mean squared error per pixel of the same answer.
    """

    mean: NDArray[np.floating[Any]]
    log_var: NDArray[np.floating[Any]] | None
    labels: NDArray[np.integer[Any]] | None
    reconstruction_nll: NDArray[np.floating[Any]]
    reconstruction_mse: NDArray[np.floating[Any]]
    null_nll: float
    null_mse: float

    @classmethod
    def from_evaluation(
        cls, encodings: "Encodings", reconstructions: "Reconstructions"
    ) -> "HeldOut":
        """What an evaluation of the held-out split gave, side by side."""
        return cls(
            mean=encodings.mean,
            log_var=encodings.log_var,
            labels=encodings.labels,
            reconstruction_nll=reconstructions.nll,
            reconstruction_mse=reconstructions.mse,
            null_nll=reconstructions.null_nll,
            null_mse=reconstructions.null_mse,
        )


@dataclass(frozen=True)
class RegularityReport:
    """The measures of one latent space.

    Attributes:
        measures: in the order in which they are to be shown; key and column together are unique.
        n: images measured.
        seed: of every draw.
        examples: what leads to the pictures behind a measure, by its key: rows of the data set,
            codes, distances. Empty in reports that were measured without images.
        inputs: what the report was made from, in words and hashes; a report of other inputs is
            another one. Empty where nobody asked.
    """

    measures: tuple[Measure, ...]
    n: int
    seed: int
    examples: dict[str, list[Any]] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)

    def measure(self, key: str, column: str) -> Measure | None:
        """The measure of a key and a column, or None where it was not measured."""
        same = (one for one in self.measures if (one.key, one.column) == (key, column))
        return next(same, None)

    def to_json(self) -> str:
        """The report as JSON text, which `from_json` reads back as it was."""
        content = {
            "format": FORMAT,
            "n": self.n,
            "seed": self.seed,
            "inputs": self.inputs,
            "measures": [asdict(measure) for measure in self.measures],
            "examples": {},
        }
        text = _json(content, indent=2)
        # One example a line: with one number a line, codes of 512 axes would be all of the file.
        examples = ",\n".join(
            f"    {_json(key)}: [\n"
            + ",\n".join(f"      {_json(entry)}" for entry in entries)
            + "\n    ]"
            for key, entries in self.examples.items()
        )
        if examples:
            text = text.removesuffix("{}\n}") + "{\n" + examples + "\n  }\n}"
        return text + "\n"

    @classmethod
    def from_json(cls, text: str) -> "RegularityReport":
        """The report that `to_json` wrote, of this format or of format 1; it may come from anyone.

        Raises:
            CheckpointError: no JSON, another format, an entry missing, unexpected, of the wrong
                type or not finite, or a measure given twice.
        """
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise CheckpointError(f"The regularity report is not JSON: {error}.") from error
        found = content.get("format") if isinstance(content, dict) else type(content).__name__
        # A list cannot be looked up, and True is 1 to a dict.
        if type(found) is not int or found not in _ENTRIES:
            raise CheckpointError(
                f"The regularity report must be of format 1 or {FORMAT}; this one is {found!r:.80}."
            )
        what = "The regularity report"
        check_names(what, content, _ENTRIES[found])
        if not isinstance(content["measures"], list):
            raise CheckpointError("The regularity report's 'measures' must be a list.")
        measures = tuple(read_measure(entry, found) for entry in content["measures"])
        seen = [(measure.key, measure.column) for measure in measures]
        for key, column in seen:
            if seen.count((key, column)) > 1:
                raise CheckpointError(f"The regularity report gives {key!r} {column!r} twice.")
        return cls(
            measures,
            check_whole(what, "n", content["n"]),
            check_whole(what, "seed", content["seed"]),
            check_examples(content.get("examples", {})),
            check_inputs(content.get("inputs", {})),
        )


def _json(value: object, indent: int | None = None) -> str:
    return json.dumps(value, indent=indent, allow_nan=False, ensure_ascii=False)


def save_report(path: str | os.PathLike[str], report: RegularityReport) -> None:
    """Write a report as JSON, whole or not at all.

    Raises:
        CheckpointError: the file cannot be written.
    """
    write_file(path, lambda file: file.write(report.to_json().encode()))


def load_report(path: str | os.PathLike[str]) -> RegularityReport:
    """Read what `save_report` wrote; the file may come from anyone.

    Raises:
        CheckpointError: a file that is missing, too large, or no such report (see `from_json`).
    """
    file = Path(path)
    try:
        with open_regular(file) as opened:
            size = os.fstat(opened.fileno()).st_size
            if size > _MOST_BYTES:
                raise CheckpointError(
                    f"{file} has {size:,} bytes; a regularity report has at most {_MOST_BYTES:,}."
                )
            text = opened.read().decode("utf-8")
    except FileNotFoundError as error:
        raise CheckpointError(f"{file} is missing.") from error
    except OSError as error:
        raise CheckpointError(f"{file} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{file} is not UTF-8 text: {error}.") from error
    try:
        return RegularityReport.from_json(text)
    except CheckpointError as error:
        raise CheckpointError(f"{file}: {error}") from error


def measure_regularity(
    held_out: HeldOut,
    *,
    seed: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
) -> RegularityReport:
    """Measure a latent space: reconstruction, neighbours, prior match, holes and escapes.

    Measures that need a prior come in two columns: as built, against N(0, I), and scale-fair,
    against a Gaussian fitted to samples of the aggregate posterior. More than 10,000 images are
    sub-sampled; the report's n says how many were measured. Without labels there is no kNN
    accuracy.

    Args:
        held_out: images that the model was not trained on.
        seed: of every draw; the same seed gives the same report.
        progress: told what is being measured, the steps done and their number.

    Raises:
        LatentError: arrays that disagree or are not finite, or too few images: at least 20, and
            at least two more than there are latent axes.
    """
    data = _sub_sampled(checked_held_out(held_out), seed)
    codes = sample_aggregate_posterior(data.mean, data.log_var, seed=seed).astype(np.float64)
    labels = data.labels
    steps: list[tuple[str, Callable[[], tuple[Measure, ...]]]] = [
        (
            "reconstruction",
            lambda: measure_reconstruction(
                data.reconstruction_nll.astype(np.float64),
                data.reconstruction_mse.astype(np.float64),
                null_nll=float(data.null_nll),
                null_mse=float(data.null_mse),
                seed=seed,
            ),
        ),
        ("prior match", lambda: measure_prior_match(codes, seed=seed)),
        ("holes, as built", lambda: measure_holes(codes, column=AS_BUILT, seed=seed)),
        ("holes, scale-fair", lambda: measure_holes(codes, column=SCALE_FAIR, seed=seed)),
    ]
    if labels is not None:
        means, classes = data.mean.astype(np.float64), labels.astype(np.int64)
        steps.insert(1, ("neighbours", lambda: (measure_knn_accuracy(means, classes, seed=seed),)))
    measures: list[Measure] = []
    for done, (what, measure) in enumerate(steps):
        if progress is not None:
            progress(what, done, len(steps))
        measures.extend(measure())
    if progress is not None:
        progress("measured", len(steps), len(steps))
    return RegularityReport(tuple(measures), n=len(codes), seed=seed)


def checked_held_out(held_out: HeldOut) -> HeldOut:
    """What is to be measured, as it is.

    Raises:
        LatentError: arrays that disagree or are not finite, or too few images: at least 20, and
            at least two more than there are latent axes.
    """
    mean = checked_codes(held_out.mean, name="posterior means")
    n, dim = mean.shape
    needed = max(FEWEST_IMAGES, dim + 2)
    if n < needed:
        raise LatentError(
            f"There are {n} held-out images; measuring {dim} latent axes needs at least {needed}."
        )
    per_image: dict[str, NDArray[Any] | None] = {
        "log_var": held_out.log_var,
        "labels": held_out.labels,
        "reconstruction_nll": held_out.reconstruction_nll,
        "reconstruction_mse": held_out.reconstruction_mse,
    }
    for name, values in per_image.items():
        shape = (n, dim) if name == "log_var" else (n,)
        if values is not None and np.shape(values) != shape:
            raise LatentError(
                f"{name} has shape {np.shape(values)}; {n} images of {dim} latent axes need "
                f"{shape}."
            )
    labels = held_out.labels
    if labels is not None and labels.dtype.kind not in "iu":
        raise LatentError(f"The labels must be whole numbers; they are {labels.dtype}.")
    for name in ("reconstruction_nll", "reconstruction_mse"):
        checked_codes(getattr(held_out, name)[:, None], name=f"values of {name}")
    for name in ("null_nll", "null_mse"):
        if not math.isfinite(getattr(held_out, name)):
            raise LatentError(f"{name} is {getattr(held_out, name)}; it must be finite.")
    return held_out


def _sub_sampled(data: HeldOut, seed: int) -> HeldOut:
    n = len(data.mean)
    if n <= MOST_IMAGES:
        return data
    kept = np.sort(np.random.default_rng([seed, 0]).choice(n, MOST_IMAGES, replace=False))
    return replace(
        data,
        mean=data.mean[kept],
        log_var=None if data.log_var is None else data.log_var[kept],
        labels=None if data.labels is None else data.labels[kept],
        reconstruction_nll=data.reconstruction_nll[kept],
        reconstruction_mse=data.reconstruction_mse[kept],
    )

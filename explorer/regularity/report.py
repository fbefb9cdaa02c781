"""The measured report of a latent space: measuring it, and keeping it as JSON."""

import json
import math
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from explorer.errors import CheckpointError, LatentError
from explorer.latent.axes import sample_aggregate_posterior
from explorer.latent.codes import checked_codes
from explorer.regularity.holes import measure_holes
from explorer.regularity.measure import AS_BUILT, COLUMNS, DIRECTIONS, SCALE_FAIR, Measure
from explorer.regularity.neighbourhood import measure_knn_accuracy
from explorer.regularity.prior import measure_prior_match
from explorer.regularity.reconstruction import measure_reconstruction
from explorer.storage import write_file

if TYPE_CHECKING:
    from explorer.models.checkpoint import Encodings
    from explorer.training.evaluation import Reconstructions

FORMAT = 1
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
    """

    measures: tuple[Measure, ...]
    n: int
    seed: int

    def to_json(self) -> str:
        """The report as JSON text, which `from_json` reads back as it was."""
        content = {
            "format": FORMAT,
            "n": self.n,
            "seed": self.seed,
            "measures": [asdict(measure) for measure in self.measures],
        }
        return json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "RegularityReport":
        """The report that `to_json` wrote; the text may come from anyone.

        Raises:
            CheckpointError: no JSON, another format, an entry missing, unexpected, of the wrong
                type or not finite, or a measure given twice.
        """
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise CheckpointError(f"The regularity report is not JSON: {error}.") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            found = content.get("format") if isinstance(content, dict) else type(content).__name__
            raise CheckpointError(
                f"The regularity report must be of format {FORMAT}; this one is {found!r}."
            )
        _check_names("The regularity report", content, {"format", "n", "seed", "measures"})
        if not isinstance(content["measures"], list):
            raise CheckpointError("The regularity report's 'measures' must be a list.")
        measures = tuple(_read_measure(entry) for entry in content["measures"])
        seen = [(measure.key, measure.column) for measure in measures]
        for key, column in seen:
            if seen.count((key, column)) > 1:
                raise CheckpointError(f"The regularity report gives {key!r} {column!r} twice.")
        return cls(
            measures,
            _whole("The regularity report", "n", content["n"]),
            _whole("The regularity report", "seed", content["seed"]),
        )


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
        size = file.stat().st_size
        if size > _MOST_BYTES:
            raise CheckpointError(
                f"{file} has {size:,} bytes; a regularity report has at most {_MOST_BYTES:,}."
            )
        text = file.read_text(encoding="utf-8")
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
    data = _sub_sampled(_checked(held_out), seed)
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


def _checked(held_out: HeldOut) -> HeldOut:
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


def _read_measure(entry: object) -> Measure:
    if not isinstance(entry, dict):
        raise CheckpointError(f"A measure of the regularity report is {entry!r:.80}, no object.")
    what = f"The measure {entry.get('key')!r:.80}"
    _check_names(what, entry, {field.name for field in fields(Measure)})
    values: dict[str, Any] = {}
    for field in fields(Measure):
        value = entry[field.name]
        if field.type is str:
            if not isinstance(value, str):
                raise CheckpointError(f"{what}: {field.name!r} must be text; it is {value!r:.80}.")
            if value != value.encode("utf-8", "replace").decode():
                raise CheckpointError(f"{what}: {field.name!r} is {value!r:.80}, which is no text.")
            values[field.name] = value
        elif field.type is int:
            values[field.name] = _whole(what, field.name, value)
        else:
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise CheckpointError(
                    f"{what}: {field.name!r} must be a number; it is {value!r:.80}."
                )
            # JSON as Python reads it knows NaN, infinity and whole numbers beyond any float.
            if not abs(value) <= sys.float_info.max:
                raise CheckpointError(f"{what}: {field.name!r} is {value!r:.80}, not finite.")
            values[field.name] = float(value)
    measure = Measure(**values)
    for name, allowed in (("column", COLUMNS), ("better", DIRECTIONS)):
        if values[name] not in allowed:
            raise CheckpointError(f"{what}: {name!r} is {values[name]!r:.80}, none of {allowed}.")
    if not measure.low <= measure.value <= measure.high:
        raise CheckpointError(
            f"{what}: its value {measure.value} lies outside its interval {measure.low} to "
            f"{measure.high}."
        )
    return measure


def _check_names(what: str, entry: dict[str, Any], expected: set[str]) -> None:
    if missing := sorted(expected - set(entry)):
        raise CheckpointError(f"{what} lacks {', '.join(map(repr, missing))}.")
    if foreign := sorted(set(entry) - expected):
        raise CheckpointError(f"{what} holds {foreign[0]!r:.80}, which is not part of it.")


def _whole(what: str, name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**53:
        raise CheckpointError(f"{what}: {name!r} must be a whole number; it is {value!r:.80}.")
    return value

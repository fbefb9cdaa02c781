"""The measured report of a latent space: numbers, kept as JSON."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from explorer.errors import CheckpointError
from explorer.regularity.estimate import Estimate
from explorer.regularity.reading import (
    check_examples,
    check_inputs,
    check_names,
    check_whole,
    read_estimate,
)
from explorer.storage import open_regular, write_file

FORMAT = 3
_ENTRIES = {
    1: {"format", "n", "seed", "measures"},
    2: {"format", "n", "seed", "inputs", "measures", "examples"},
    3: {"format", "n", "seed", "inputs", "estimates", "examples"},
}
_MOST_BYTES = 1_000_000


@dataclass(frozen=True)
class RegularityReport:
    """The estimates of one latent space.

    Attributes:
        estimates: in the order in which they are to be shown; key and column together are unique.
        n: images measured.
        seed: of every draw.
        examples: what leads to the pictures behind a metric, by its key: rows of the data set,
            codes, distances. Empty in reports that were measured without images.
        inputs: what the report was made from, in words and hashes; a report of other inputs is
            another one. Empty where nobody asked.
    """

    estimates: tuple[Estimate, ...]
    n: int
    seed: int
    examples: dict[str, list[Any]] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)

    def estimate(self, key: str, column: str) -> Estimate | None:
        """The estimate of a key and a column, or None where it was not measured."""
        same = (one for one in self.estimates if (one.key, one.column) == (key, column))
        return next(same, None)

    def to_json(self) -> str:
        """The report as JSON text, which `from_json` reads back as it was."""
        content = {
            "format": FORMAT,
            "n": self.n,
            "seed": self.seed,
            "inputs": self.inputs,
        }
        parts = [_json(content, indent=2).removesuffix("\n}")]
        # One estimate and one example a line: with one number a line, resamples and codes would be
        # all of the file.
        estimates = ",\n".join(f"    {_json(asdict(one))}" for one in self.estimates)
        parts.append(f'  "estimates": [\n{estimates}\n  ]')
        examples = ",\n".join(
            f"    {_json(key)}: [\n"
            + ",\n".join(f"      {_json(entry)}" for entry in entries)
            + "\n    ]"
            for key, entries in self.examples.items()
        )
        parts.append(f'  "examples": {{\n{examples}\n  }}')
        return ",\n".join(parts) + "\n}\n"

    @classmethod
    def from_json(cls, text: str) -> "RegularityReport":
        """The report that `to_json` wrote, now or in an earlier format; it may come from anyone.

        Raises:
            CheckpointError: no JSON, another format, an entry missing, unexpected, of the wrong
                type or not finite, or an estimate given twice.
        """
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise CheckpointError(f"The regularity report is not JSON: {error}.") from error
        found = content.get("format") if isinstance(content, dict) else type(content).__name__
        # A list cannot be looked up, and True is 1 to a dict.
        if type(found) is not int or found not in _ENTRIES:
            raise CheckpointError(
                f"The regularity report must be of format 1 to {FORMAT}; this one is {found!r:.80}."
            )
        what = "The regularity report"
        check_names(what, content, _ENTRIES[found])
        name = "estimates" if found == FORMAT else "measures"
        if not isinstance(content[name], list):
            raise CheckpointError(f"The regularity report's {name!r} must be a list.")
        estimates = tuple(read_estimate(entry, found) for entry in content[name])
        seen = [(one.key, one.column) for one in estimates]
        for key, column in seen:
            if seen.count((key, column)) > 1:
                raise CheckpointError(f"The regularity report gives {key!r} {column!r} twice.")
        return cls(
            estimates,
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

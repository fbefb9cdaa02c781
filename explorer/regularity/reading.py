"""Reading a report that may come from anyone: each entry is held against what it may be."""

import math
import sys
from dataclasses import fields
from typing import Any

from explorer.errors import CheckpointError
from explorer.regularity.definitions import COLUMNS, DEFINITIONS
from explorer.regularity.estimate import Estimate

# The fields of formats 1 and 2, which kept the words of each metric beside its numbers.
_FORMAT_1 = {
    "key", "column", "title", "value", "low", "high", "null", "unit", "better", "n", "seed",
    "student", "researcher", "source",
}  # fmt: skip
_FORMAT_2 = _FORMAT_1 | {"group", "headline", "note"}
# What they called the null was the chance level of some metrics, the ideal value of others, and
# of the rest neither.
_NULL_IS_CHANCE = {
    "reconstruction_nll", "reconstruction_mse", "knn_accuracy", "coverage_ratio",
    "midpoint_realism", "class_kept", "kl", "mutual_information", "cycle_error", "linear_probe",
    "mig", "sap", "disentanglement", "completeness", "informativeness", "factor_vae_score",
}  # fmt: skip
_NULL_IS_IDEAL = {
    "total_correlation", "precision", "recall", "density", "coverage", "frechet_distance",
}  # fmt: skip
_MAY_BE_MISSING = ("low", "high", "chance", "ideal")
_MOST_RESAMPLES = 1000
_DEEPEST = 4
_LONGEST_LIST = 2000
_LONGEST_TEXT = 2000


def read_estimate(entry: object, file_format: int) -> Estimate:
    """One estimate, as JSON gives it.

    Args:
        entry: an object with the fields of `Estimate`, or of formats 1 and 2.
        file_format: 1, 2 or 3.

    Raises:
        CheckpointError: saying which entry is missing, unexpected or wrong.
    """
    if not isinstance(entry, dict):
        raise CheckpointError(f"An estimate of the regularity report is {entry!r:.80}, no object.")
    what = f"The estimate {entry.get('key')!r:.80}"
    if file_format < 3:
        check_names(what, entry, _FORMAT_1 if file_format == 1 else _FORMAT_2)
        entry = _from_format_2(entry)
    check_names(what, entry, {field.name for field in fields(Estimate)})
    key = check_text(what, "key", entry["key"])
    column = check_text(what, "column", entry["column"])
    if key not in DEFINITIONS:
        raise CheckpointError(f"{what}: there is no such metric.")
    if column not in DEFINITIONS[key].columns:
        raise CheckpointError(f"{what}: 'column' is {column!r:.80}, none of {COLUMNS}.")
    numbers = {
        name: None
        if entry[name] is None and name in _MAY_BE_MISSING
        else _number(what, name, entry[name])
        for name in ("value", "low", "high", "chance", "ideal")
    }
    value = numbers["value"]
    assert value is not None
    estimate = Estimate(
        key=key,
        column=column,
        value=value,
        low=numbers["low"],
        high=numbers["high"],
        chance=numbers["chance"],
        ideal=numbers["ideal"],
        n=check_whole(what, "n", entry["n"]),
        seed=check_whole(what, "seed", entry["seed"]),
        note=check_text(what, "note", entry["note"]),
        resamples=_resamples(what, entry["resamples"]),
    )
    _check_interval(what, estimate)
    return estimate


def _from_format_2(entry: dict[str, Any]) -> dict[str, Any]:
    """The numbers of an entry of format 1 or 2; its words are in the definitions by now."""
    key, note = entry["key"], entry.get("note", "")
    definition = DEFINITIONS.get(key) if isinstance(key, str) else None
    if key == "prior_match" and entry["column"] == "as built":
        note = " ".join(
            filter(None, [note, "Not corrected for its bias at this number of images."])
        )
    return {
        **{name: entry[name] for name in ("key", "column", "value", "low", "high", "n", "seed")},
        "chance": entry["null"] if key in _NULL_IS_CHANCE else None,
        "ideal": entry["null"]
        if key in _NULL_IS_IDEAL
        else definition.ideal
        if definition is not None
        else None,
        "note": note,
        "resamples": [],
    }


def _resamples(what: str, values: object) -> tuple[float, ...]:
    if not isinstance(values, list | tuple) or len(values) > _MOST_RESAMPLES:
        raise CheckpointError(
            f"{what}: 'resamples' must be a list of at most {_MOST_RESAMPLES:,} numbers."
        )
    return tuple(_number(what, "resamples", value) for value in values)


def _check_interval(what: str, estimate: Estimate) -> None:
    low, high = estimate.low, estimate.high
    if (low is None) != (high is None):
        raise CheckpointError(f"{what}: its interval has one end; it needs both or none.")
    if low is not None and high is not None and not low <= estimate.value <= high:
        raise CheckpointError(
            f"{what}: its value {estimate.value} lies outside its interval {low} to {high}."
        )
    if low is None and not estimate.note:
        raise CheckpointError(f"{what}: it has no interval, and 'note' does not say why.")


def _number(what: str, name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CheckpointError(f"{what}: {name!r} must be a number; it is {value!r:.80}.")
    # JSON as Python reads it knows NaN, infinity and whole numbers beyond any float.
    if not abs(value) <= sys.float_info.max:
        raise CheckpointError(f"{what}: {name!r} is {value!r:.80}, not finite.")
    return float(value)


def check_names(what: str, entry: dict[str, Any], expected: set[str]) -> None:
    """Raise CheckpointError unless an object has just these entries."""
    if missing := sorted(expected - set(entry)):
        raise CheckpointError(f"{what} lacks {', '.join(map(repr, missing))}.")
    if foreign := sorted(set(entry) - expected):
        raise CheckpointError(f"{what} holds {foreign[0]!r:.80}, which is not part of it.")


def check_text(what: str, name: str, value: object) -> str:
    """The value, which must be text that a file can hold.

    Raises:
        CheckpointError: it is none.
    """
    if not isinstance(value, str):
        raise CheckpointError(f"{what}: {name!r} must be text; it is {value!r:.80}.")
    if value != value.encode("utf-8", "replace").decode():
        raise CheckpointError(f"{what}: {name!r} is {value!r:.80}, which is no text.")
    return value


def check_whole(what: str, name: str, value: object) -> int:
    """The value, which must be a whole number from 0.

    Raises:
        CheckpointError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**53:
        raise CheckpointError(f"{what}: {name!r} must be a whole number; it is {value!r:.80}.")
    return value


def check_examples(examples: object) -> dict[str, list[Any]]:
    """The examples of a report: lists of small plain values, by the key of a metric.

    Raises:
        CheckpointError: they are something else.
    """
    if not isinstance(examples, dict):
        raise CheckpointError("The regularity report's 'examples' must be an object.")
    for key, entries in examples.items():
        if not isinstance(entries, list):
            raise CheckpointError(f"The examples of {key!r:.80} must be a list.")
        _check_plain(f"The examples of {key!r:.80}", entries, 0)
    return examples


def check_inputs(inputs: object) -> dict[str, str]:
    """What a report was made from: texts by name.

    Raises:
        CheckpointError: it is something else.
    """
    if not isinstance(inputs, dict):
        raise CheckpointError("The regularity report's 'inputs' must be an object.")
    return {key: check_text("The inputs", key, value) for key, value in inputs.items()}


def _check_plain(what: str, value: object, depth: int) -> None:
    if depth > _DEEPEST:
        raise CheckpointError(f"{what} are nested deeper than {_DEEPEST} levels.")
    if isinstance(value, list | dict):
        if len(value) > _LONGEST_LIST:
            raise CheckpointError(
                f"{what} hold {len(value):,} entries; {_LONGEST_LIST:,} are allowed."
            )
        for name in value if isinstance(value, dict) else ():
            _check_plain(what, name, depth + 1)
        for part in value.values() if isinstance(value, dict) else value:
            _check_plain(what, part, depth + 1)
    elif isinstance(value, str):
        if len(value) > _LONGEST_TEXT:
            raise CheckpointError(f"{what} hold a text of {len(value):,} characters.")
        check_text(what, "text", value)
    elif isinstance(value, float) and not math.isfinite(value):
        raise CheckpointError(f"{what} hold {value!r:.80}, which is not finite.")
    elif isinstance(value, int) and abs(value) >= 2**53:
        raise CheckpointError(f"{what} hold {value!r:.80}, which is beyond 2**53.")

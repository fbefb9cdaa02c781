"""Reading a report that may come from anyone: each entry is held against what it may be."""

import math
import sys
from dataclasses import fields
from typing import Any

from explorer.errors import CheckpointError
from explorer.regularity.measure import COLUMNS, DIRECTIONS, GROUPS, HEADLINE, Measure

# What format 2 added; all measures of format 1 are among the headline ones.
_SINCE_FORMAT_2 = {"group": HEADLINE, "headline": True, "note": ""}
_MAY_BE_MISSING = ("low", "high", "null")
_DEEPEST = 4
_LONGEST_LIST = 2000
_LONGEST_TEXT = 2000


def read_measure(entry: object, file_format: int) -> Measure:
    """One measure, as JSON gives it.

    Args:
        entry: an object with the fields of `Measure`.
        file_format: 1 or 2.

    Raises:
        CheckpointError: saying which entry is missing, unexpected or wrong.
    """
    if not isinstance(entry, dict):
        raise CheckpointError(f"A measure of the regularity report is {entry!r:.80}, no object.")
    what = f"The measure {entry.get('key')!r:.80}"
    expected = {field.name for field in fields(Measure)}
    if file_format == 1:
        check_names(what, entry, expected - set(_SINCE_FORMAT_2))
        entry = {**entry, **_SINCE_FORMAT_2}
    else:
        check_names(what, entry, expected)
    values: dict[str, Any] = {
        field.name: _value(what, field.name, field.type, entry) for field in fields(Measure)
    }
    measure = Measure(**values)
    for name, allowed in (("column", COLUMNS), ("better", DIRECTIONS), ("group", GROUPS)):
        if values[name] not in allowed:
            raise CheckpointError(f"{what}: {name!r} is {values[name]!r:.80}, none of {allowed}.")
    _check_interval(what, measure)
    return measure


def _check_interval(what: str, measure: Measure) -> None:
    if (measure.low is None) != (measure.high is None):
        raise CheckpointError(f"{what}: its interval has one end; it needs both or none.")
    low, high = measure.low, measure.high
    if low is not None and high is not None and not low <= measure.value <= high:
        raise CheckpointError(
            f"{what}: its value {measure.value} lies outside its interval {low} to {high}."
        )
    if None in (measure.low, measure.null) and not measure.note:
        raise CheckpointError(f"{what}: a value is missing, and 'note' does not say why.")


def _value(what: str, name: str, kind: object, entry: dict[str, Any]) -> object:
    value = entry[name]
    if kind is str:
        return check_text(what, name, value)
    if kind is int:
        return check_whole(what, name, value)
    if kind is bool:
        if not isinstance(value, bool):
            raise CheckpointError(f"{what}: {name!r} must be true or false; it is {value!r:.80}.")
        return value
    if value is None and name in _MAY_BE_MISSING:
        return None
    return _number(what, name, value)


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
    """The examples of a report: lists of small plain values, by the key of a measure.

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

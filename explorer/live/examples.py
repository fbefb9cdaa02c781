"""What the examples of a report lead to; it may come from anyone, and must fit the model."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explorer.live.model import OpenedModel

Examples = Sequence[Mapping[str, Any]]


def read_code(value: object, model: OpenedModel) -> NDArray[np.float32] | None:
    """A code out of a report, if it fits the model."""
    if not isinstance(value, list) or len(value) != model.latent_dim:
        return None
    if not all(isinstance(one, int | float) and not isinstance(one, bool) for one in value):
        return None
    with np.errstate(over="ignore"):  # beyond float32 it is not finite
        code = np.array(value, np.float64).astype(np.float32)
    return code if np.isfinite(code).all() else None


def read_row(value: object, model: OpenedModel) -> int | None:
    """The row of an encoding out of a report, if there is one."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value < len(model.encodings.mean) else None


def read_rows(examples: Examples, model: OpenedModel) -> NDArray[np.int64]:
    """The rows of encodings that examples point at; those that are not there are left out."""
    found = [row for one in examples if (row := read_row(one.get("row"), model)) is not None]
    return np.array(found, np.int64)


def read_change(example: Mapping[str, Any], model: OpenedModel) -> str:
    """The classes seen before and after, as a report gives them; "" where it does not."""
    classes = model.config.data.classes
    seen = [example.get("before"), example.get("after")]
    names = [
        classes[one]
        for one in seen
        if isinstance(one, int) and not isinstance(one, bool) and 0 <= one < len(classes)
    ]
    return f"{names[0]} → {names[1]}" if len(names) == len(seen) else ""


def read_pair(example: Mapping[str, Any], model: OpenedModel) -> tuple[int, int] | None:
    """Two rows out of a report, of the pointers `first` and `second`."""
    ends = [example.get(name) for name in ("first", "second")]
    first, second = (
        read_row(end.get("row"), model) if isinstance(end, dict) else None for end in ends
    )
    return None if first is None or second is None else (first, second)

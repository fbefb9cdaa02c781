"""Codes as files to take away."""

import csv
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explorer.errors import LatentError


def codes_to_csv(columns: Mapping[str, NDArray[Any]]) -> bytes:
    """Columns as UTF-8 text with a heading; numbers have all their digits.

    Args:
        columns: arrays by name, each (N,), or (N, D) for the columns name_0, name_1, and so on.

    Raises:
        LatentError: columns of different lengths, or none.
    """
    _check(columns)
    header: list[str] = []
    parts: list[list[Any]] = []
    for name, values in columns.items():
        if values.ndim == 1:
            header.append(name)
            parts.append(values.tolist() if values.dtype.kind != "f" else list(values))
        else:
            header += [f"{name}_{axis}" for axis in range(values.shape[1])]
            parts += [list(column) for column in values.T]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(zip(*parts, strict=True))
    return text.getvalue().encode()


def codes_to_npz(columns: Mapping[str, NDArray[Any]]) -> bytes:
    """Columns as a compressed .npz, which `numpy.load` opens without pickle.

    Args:
        columns: arrays by name, each (N,) or (N, D).

    Raises:
        LatentError: columns of different lengths, none, or of Python objects.
    """
    _check(columns)
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **dict(columns))
    return file.getvalue()


def _check(columns: Mapping[str, NDArray[Any]]) -> None:
    lengths = {len(values) for values in columns.values() if values.ndim in (1, 2)}
    if len(lengths) != 1 or any(values.ndim not in (1, 2) for values in columns.values()):
        shapes = ", ".join(f"{name} {values.shape}" for name, values in columns.items()) or "none"
        raise LatentError(f"The columns must be (N,) or (N, D) with one N; they are {shapes}.")
    objects = [name for name, values in columns.items() if values.dtype.hasobject]
    if objects:
        raise LatentError(f"The column {objects[0]} holds Python objects, which no file takes.")

"""Sets that are drawn here, from factors that are known: no download, and the truth beside them.

Every factor of an image is drawn independently and uniformly, from the image's number alone, so a
smaller set is the beginning of a larger one. Drawing takes a while, so it is done once and kept as
<data folder>/<name>/v<version>-<count>.npy: a plain .npy file of the images, read as a memory map,
followed by their fingerprint.
"""

import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from explorer.errors import CheckpointError, DataError, DataNotAtHandError
from explorer.images.dataset import Factor, ImageSet, split_images
from explorer.storage import open_regular, read_array_header, write_file

HELD_OUT_SHARE = 0.1
DEFAULT_COUNT = 20_000
MIN_COUNT = 1_000
MAX_COUNT = 200_000
QUICK_COUNT = 20_000  # images that take under half a minute, which the app draws by itself
CREDIT = "Latent Explorer's own drawing"
LICENCE = "CC0 1.0"

SIDE = 64

_CHUNK = 250
_FINGERPRINT_BYTES = len("blake2b:") + 32


@dataclass(frozen=True)
class FactorSpec:
    """What one factor may be.

    Attributes:
        name: in words, e.g. "hair style".
        low, high: bounds of a continuous factor, both included.
        choices: names of a discrete factor's values, which are their indices; () if continuous.
        unit: of a continuous factor, e.g. "px"; "" for a plain number.
    """

    name: str
    low: float = 0.0
    high: float = 1.0
    choices: tuple[str, ...] = ()
    unit: str = ""

    def from_uniform(self, share: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Values (N,) for draws (N,) from [0, 1)."""
        span = self.high - self.low
        values = np.floor(share * len(self.choices)) if self.choices else self.low + share * span
        rounded: NDArray[np.float32] = values.astype(np.float32)
        return rounded

    def read(self, value: float | str) -> float:
        """A value given by hand: a number within the bounds, or the name or index of a choice.

        Raises:
            ValueError: anything else.
        """
        if isinstance(value, str):
            if value not in self.choices:
                raise ValueError(f"{self.name} is {value!r}; it must be one of {self.choices}")
            return float(self.choices.index(value))
        high = len(self.choices) - 1 if self.choices else self.high
        low = 0 if self.choices else self.low
        if not low <= value <= high or (self.choices and value != int(value)):
            raise ValueError(f"{self.name} is {value}; it must lie from {low:g} to {high:g}")
        return float(value)

    @property
    def middle(self) -> float:
        """The value of a factor that nobody asked for: half-way, or the first choice."""
        return 0.0 if self.choices else (self.low + self.high) / 2


@dataclass(frozen=True)
class Scheme:
    """A set that can be drawn.

    Attributes:
        name: its spec, and the name of its folder.
        title: its name in messages.
        version: a new number for drawings that differ by a single pixel: old files are then not
            read any more.
        seed: of the factors' draws.
        factors: what varies, in the order of the draws.
        label: the discrete factor that serves as the images' class.
        channels: 1 or 3.
        draw: one value a factor, in the order of `factors` -> (channels, SIDE, SIDE).
    """

    name: str
    title: str
    version: int
    seed: int
    factors: tuple[FactorSpec, ...]
    label: str
    channels: int
    draw: Callable[[NDArray[np.float32]], NDArray[np.uint8]]

    def factor_values(self, count: int) -> NDArray[np.float32]:
        """The factors of the first `count` images, (count, K); a row depends on its place alone."""
        columns = len(self.factors)
        # Raw bits are the one thing of numpy.random that never changes between its versions, and
        # Philox turns a counter into them. The upper 53 are a double in [0, 1).
        bits = np.random.Philox(key=self.seed).random_raw(count * columns)
        shares = ((bits >> np.uint64(11)) * 2.0**-53).reshape(count, columns)
        values = np.empty((count, columns), np.float32)
        for column, factor in enumerate(self.factors):
            values[:, column] = factor.from_uniform(shares[:, column])
        return values

    def row(self, given: Mapping[str, float | str]) -> NDArray[np.float32]:
        """One row of factor values: those given, and the middle of the others.

        Args:
            given: factor name, with _ for a space or without -> its value, or a choice's name.

        Raises:
            ValueError: no such factor, or a value out of bounds.
        """
        left = {name.replace("_", " "): value for name, value in given.items()}
        values = [
            factor.read(left.pop(factor.name)) if factor.name in left else factor.middle
            for factor in self.factors
        ]
        if left:
            names = ", ".join(factor.name for factor in self.factors)
            raise ValueError(f"{self.name} have no factor {next(iter(left))!r}; there are {names}")
        return np.array(values, np.float32)


def parse_count(scheme: Scheme, spec: str) -> int:
    """How many images a spec of this scheme asks for: "sprites" or "sprites:50000".

    Raises:
        DataError: what follows the colon is no number, or one out of bounds.
    """
    _, colon, suffix = spec.partition(":")
    if not colon:
        return DEFAULT_COUNT
    if not re.fullmatch(r"[0-9]{1,9}", suffix) or not MIN_COUNT <= int(suffix) <= MAX_COUNT:
        raise DataError(
            f"{spec!r:.80} asks for {suffix!r:.40} images, but the number must lie from "
            f"{MIN_COUNT:,} to {MAX_COUNT:,} and be written in digits alone: give e.g. "
            f"{scheme.name}:50000, or {scheme.name} for {DEFAULT_COUNT:,}."
        )
    return int(suffix)


def load_generated(
    scheme: Scheme,
    count: int,
    folder: Path,
    *,
    allow_drawing: bool = True,
    progress: Callable[[str, int, int], None] | None = None,
) -> ImageSet:
    """The first `count` images of a scheme: from the file in `folder`, or drawn and kept there.

    A file that is damaged is drawn again. Where none can be kept the images are in memory alone.

    Args:
        scheme: what to draw.
        count: how many.
        folder: holds the files; it need not exist.
        allow_drawing: False raises instead, unless there are at most QUICK_COUNT.
        progress: called with the number of images drawn.

    Raises:
        DataNotAtHandError: the images are not there, they are many, and must not be drawn.
    """
    path = folder / f"v{scheme.version}-{count}.npy"
    shape = (count, scheme.channels, SIDE, SIDE)
    found = _read_images(path, shape)
    if found is not None:
        mapped = _describe(scheme, found[0])
        if mapped.fingerprint == found[1]:
            return mapped
    if not allow_drawing and count > QUICK_COUNT:
        spec = _spec(scheme, count)
        raise DataNotAtHandError(
            f"The {count:,} images of {spec} are not drawn on this machine yet: {path} is missing "
            f"or damaged; train on them once (--data {spec}), which draws them first."
        )
    drawn = _describe(scheme, _draw_images(scheme, count, progress))
    _keep_images(path, drawn)
    found = _read_images(path, shape)
    if found is None or found[1] != drawn.fingerprint:
        return drawn
    # The file's pages can be dropped when memory is short, the array's cannot.
    mapped = replace(drawn, images=found[0])
    mapped.trust_fingerprint(drawn.fingerprint)
    return mapped


def _spec(scheme: Scheme, count: int) -> str:
    return scheme.name if count == DEFAULT_COUNT else f"{scheme.name}:{count}"


def _describe(scheme: Scheme, images: NDArray[np.uint8]) -> ImageSet:
    """The set of the first images of a scheme, with all that is known of them."""
    count = len(images)
    values = scheme.factor_values(count)
    factors = tuple(
        Factor(factor.name, np.ascontiguousarray(values[:, column]), factor.choices)
        for column, factor in enumerate(scheme.factors)
    )
    label = next(factor for factor in factors if factor.name == scheme.label)
    train_index, held_out_index = split_images(count, HELD_OUT_SHARE)
    return ImageSet(
        name=_spec(scheme, count),
        images=images,
        labels=label.values.astype(np.int64),
        classes=label.choices,
        train_index=train_index,
        held_out_index=held_out_index,
        credit=CREDIT,
        licence=LICENCE,
        factors=factors,
    )


def _draw_images(
    scheme: Scheme,
    count: int,
    progress: Callable[[str, int, int], None] | None,
) -> NDArray[np.uint8]:
    """The first images of a scheme, (count, C, SIDE, SIDE)."""
    values = scheme.factor_values(count)
    images = np.empty((count, scheme.channels, SIDE, SIDE), np.uint8)
    for row in range(count):
        images[row] = scheme.draw(values[row])
        if progress is not None and (row % _CHUNK == _CHUNK - 1 or row + 1 == count):
            progress(f"Drawing {scheme.title}", row + 1, count)
    return images


def _keep_images(path: Path, image_set: ImageSet) -> None:
    """Write the file, or leave it: it spares time, nothing depends on it."""

    def write(file: BinaryIO) -> None:
        npy.write_array(file, image_set.images, version=(1, 0), allow_pickle=False)
        file.write(image_set.fingerprint.encode())

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, write)
    except (OSError, CheckpointError):
        return


def _read_images(
    path: Path, shape: tuple[int, int, int, int]
) -> tuple[NDArray[np.uint8], str] | None:
    """The images of a file as a read-only memory map, and the fingerprint that they should have.

    Returns:
        None if there is no such file, or it is not one of images of this shape.
    """
    try:
        with open_regular(path) as file:
            found, fortran, dtype = read_array_header(file)
            start = file.tell()
            end = start + math.prod(shape)
            if found != shape or fortran or dtype != np.uint8:
                return None
            if file.seek(0, os.SEEK_END) != end + _FINGERPRINT_BYTES:
                return None
            file.seek(end)
            fingerprint = file.read().decode("ascii", errors="replace")
        return np.memmap(path, np.uint8, mode="r", offset=start, shape=shape), fingerprint
    except (OSError, ValueError):
        return None

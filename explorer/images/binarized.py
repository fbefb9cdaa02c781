"""MNIST in black and white: the fixed binarisation that likelihoods are compared on.

Every pixel was drawn once, with its grey as the probability of white (Salakhutdinov and Murray
2008), and published as text by Larochelle and Murray (2011). Kept here with eight pixels a byte.
"""

import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from explorer.errors import CheckpointError, DataError, DataNotAtHandError
from explorer.images.dataset import ImageSet
from explorer.images.download import UnpublishedError, fetch_file
from explorer.storage import load_arrays, open_regular, save_arrays

SIDE = 28

_PIXELS = SIDE * SIDE
_FILE = "binarized_mnist_packed.npz"
_CHUNK = 2**22


@dataclass(frozen=True)
class BinarizedPart:
    """One of the three parts.

    Attributes:
        count: images.
        md5: of the packed pixels, (count, 98) bytes.
    """

    count: int
    md5: str


@dataclass(frozen=True)
class BinarizedSource:
    """Where the set comes from.

    Attributes:
        name: its spec.
        title: its name in messages.
        parts: train, valid and test, in this order.
        mirrors: addresses that end in "/", tried in order.
    """

    name: str
    title: str
    parts: dict[str, BinarizedPart]
    mirrors: tuple[str, ...]
    credit: str
    licence: str


BINARIZED_MNIST = BinarizedSource(
    name="binarized-mnist",
    title="Binarized MNIST",
    parts={
        "train": BinarizedPart(50_000, "309a57a5f57edf7dfa1a0d2118daedf9"),
        "valid": BinarizedPart(10_000, "98627b12c08410820c516e41a0e07017"),
        "test": BinarizedPart(10_000, "50aa7f0ccbdaba86f6a8aeabd1fecfed"),
    },
    mirrors=("http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/",),
    credit=(
        "MNIST, Y. LeCun, C. Cortes and C. J. C. Burges; binarised by H. Larochelle and I. Murray"
    ),
    licence="CC BY-SA 3.0",
)


def load_binarized(
    folder: Path,
    *,
    source: BinarizedSource = BINARIZED_MNIST,
    allow_download: bool = True,
    progress: Callable[[str, int, int], None] | None = None,
) -> ImageSet:
    """Load the set, 70,000 unlabelled images of 0 and 255, (N, 1, 28, 28); the official split.

    The official validation part is held out; the test part is in `test_index`.

    Args:
        folder: holds the packed file, or gets it.
        source: what to load.
        allow_download: False raises instead.
        progress: called with the file, bytes done and bytes in all (0: the mirror does not say).

    Raises:
        DataNotAtHandError: it is not there and must not be downloaded.
        DataError: no mirror has it, or the packed file is not what was published.
    """
    path = folder / _FILE
    if path.is_file():
        packed = _read_packed(path, source)
    elif allow_download:
        packed = _download(source, folder, progress)
    else:
        raise DataNotAtHandError(
            f"{source.title} is not on this machine: {path} is missing; allow the download, or put "
            "the file there."
        )
    ends = np.cumsum([0, *(part.count for part in source.parts.values())])
    images = np.empty((int(ends[-1]), 1, SIDE, SIDE), np.uint8)
    for (start, end), bits in zip(itertools.pairwise(ends), packed.values(), strict=True):
        rows = images[start:end].reshape(-1, _PIXELS)
        np.multiply(np.unpackbits(bits, axis=1), np.uint8(255), out=rows)
    train_index, held_out_index, test_index = (
        np.arange(start, end, dtype=np.int64) for start, end in itertools.pairwise(ends)
    )
    return ImageSet(
        name=source.name,
        images=images,
        labels=None,
        classes=(),
        train_index=train_index,
        held_out_index=held_out_index,
        credit=source.credit,
        licence=source.licence,
        test_index=test_index,
    )


def _read_packed(path: Path, source: BinarizedSource) -> dict[str, NDArray[np.uint8]]:
    """The packed parts, found to be the published ones."""
    remedy = "delete it, and it is downloaded again"
    sizes = {name: (part.count, _PIXELS // 8) for name, part in source.parts.items()}
    try:
        arrays = load_arrays(
            path,
            required=tuple(sizes),
            max_bytes=sum(count * width for count, width in sizes.values()),
        )
    except CheckpointError as error:
        raise DataError(f"{str(error).removesuffix('.')}: {remedy}.") from error
    for name, part in source.parts.items():
        found = arrays[name]
        if found.dtype != np.uint8 or found.shape != sizes[name]:
            raise DataError(
                f"{name} in {path} is {found.dtype} of shape {found.shape}, but should be uint8 of "
                f"shape {sizes[name]}: {remedy}."
            )
        if (md5 := _md5(found)) != part.md5:
            raise DataError(
                f"{name} in {path} is not what was published: its MD5 is {md5}, but should be "
                f"{part.md5}; {remedy}."
            )
    return {name: arrays[name] for name in source.parts}


def _download(
    source: BinarizedSource, folder: Path, progress: Callable[[str, int, int], None] | None
) -> dict[str, NDArray[np.uint8]]:
    """The packed parts, saved for the next time."""
    packed = {}
    for name, part in source.parts.items():

        def read(path: Path, part: BinarizedPart = part) -> NDArray[np.uint8]:
            found = _pack_text(path, part.count)
            if (md5 := _md5(found)) != part.md5:
                raise UnpublishedError(
                    f"sent a file whose packed pixels have the MD5 {md5}, not {part.md5}"
                )
            return found

        packed[name] = fetch_file(
            source.title,
            f"binarized_mnist_{name}.amat",
            source.mirrors,
            folder,
            read,
            # A digit and what parts it from the next, and some room for the end of a line.
            max_bytes=2 * part.count * (_PIXELS + 8),
            keep=False,
            wanted=_FILE,
            progress=progress,
        )
    try:
        save_arrays(folder / _FILE, packed)
    except CheckpointError as error:
        raise DataError(
            f"{str(error).removesuffix('.')}: make room, or set EXPLORER_DATA to a folder that can "
            "be written."
        ) from error
    return packed


def _pack_text(path: Path, count: int) -> NDArray[np.uint8]:
    """(count, 98) of a text of 0 and 1, 784 a line.

    Raises:
        UnpublishedError: it holds anything else, or another number of them.
    """
    bits = np.empty(count * _PIXELS, np.uint8)
    done = 0
    with open_regular(path) as file:
        while chunk := file.read(_CHUNK):
            characters = np.frombuffer(chunk, np.uint8)
            digits = characters[(characters == ord("0")) | (characters == ord("1"))]
            if len(digits) + sum(map(chunk.count, (b" ", b"\n", b"\r"))) != len(chunk):
                raise UnpublishedError("sent a file that holds more than 0 and 1")
            if done + len(digits) > len(bits):
                raise UnpublishedError(f"sent a file of more than {count} images")
            bits[done : done + len(digits)] = digits - ord("0")
            done += len(digits)
    if done != len(bits):
        raise UnpublishedError(f"sent a file of {done} pixels, not {len(bits)}")
    return np.packbits(bits.reshape(count, _PIXELS), axis=1)


def _md5(packed: NDArray[np.uint8]) -> str:
    return hashlib.md5(np.ascontiguousarray(packed).data, usedforsecurity=False).hexdigest()

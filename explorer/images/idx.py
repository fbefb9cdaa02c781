"""The MNIST family: IDX files, fetched from mirrors once and verified at every load.

The checksums are of the uncompressed bytes: mirrors and tools recompress the files.
"""

import gzip
import hashlib
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from explorer.errors import DataError, DataNotAtHandError
from explorer.images.dataset import ImageSet
from explorer.images.download import UnpublishedError, fetch_file
from explorer.storage import open_regular

# The largest file of the family is 47 MB; a file that unpacks to more is not one of them.
_MAX_UNPACKED = 64 * 2**20


@dataclass(frozen=True)
class IdxSource:
    """Where a set of the MNIST family comes from.

    Attributes:
        name: its spec, and the name of its folder.
        title: its name in messages.
        md5: file name without .gz -> MD5 of the uncompressed bytes, in the order training
            images, training labels, test images, test labels.
        mirrors: addresses that end in "/", tried in order.
    """

    name: str
    title: str
    classes: tuple[str, ...]
    md5: dict[str, str]
    mirrors: tuple[str, ...]
    credit: str
    licence: str


MNIST = IdxSource(
    name="mnist",
    title="MNIST",
    classes=tuple("0123456789"),
    md5={
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    credit="MNIST, Y. LeCun, C. Cortes and C. J. C. Burges",
    licence="CC BY-SA 3.0",
)

FASHION_MNIST = IdxSource(
    name="fashion-mnist",
    title="Fashion-MNIST",
    classes=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    md5={
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    },
    mirrors=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
    credit="Fashion-MNIST, H. Xiao, K. Rasul and R. Vollgraf, Zalando SE",
    licence="MIT",
)


def load_idx(
    source: IdxSource,
    folder: Path,
    *,
    allow_download: bool = True,
    progress: Callable[[str, int, int], None] | None = None,
) -> ImageSet:
    """Load a set from `folder`, where missing files are downloaded to; the official split.

    Args:
        source: what to load, with its mirrors and checksums.
        folder: holds the .gz files.
        allow_download: False raises instead.
        progress: called with the file, bytes done and bytes in all (0: the mirror does not say).

    Raises:
        DataNotAtHandError: files are missing and must not be downloaded.
        DataError: no mirror has them, or a file is not the published one.
    """
    missing = [name for name in source.md5 if not (folder / f"{name}.gz").is_file()]
    if missing and not allow_download:
        raise DataNotAtHandError(
            f"{source.title} is not on this machine: {folder / missing[0]}.gz is missing; allow "
            f"the download, or put the files into {folder}."
        )
    contents = {
        name: _download(source, name, folder, progress)
        if name in missing
        else _read_verified(folder / f"{name}.gz", source.md5[name])
        for name in source.md5
    }
    arrays = [_parse_idx(contents.pop(name), folder / f"{name}.gz") for name in source.md5]
    train_images, train_labels, test_images, test_labels = arrays
    images = np.concatenate([train_images, test_images])[:, None]
    labels = np.concatenate([train_labels, test_labels]).astype(np.int64)
    return ImageSet(
        name=source.name,
        images=images,
        labels=labels,
        classes=source.classes,
        train_index=np.arange(len(train_images)),
        held_out_index=np.arange(len(train_images), len(images)),
        credit=source.credit,
        licence=source.licence,
    )


def _read_verified(path: Path, md5: str) -> bytes:
    """The uncompressed bytes of a file, found to be the published ones."""
    try:
        content = _unpack(path)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path} cannot be unpacked ({error}): delete it, and it is downloaded again."
        ) from error
    found = _md5(content)
    if found != md5:
        raise DataError(
            f"{path} is not the published file: the MD5 of its uncompressed bytes is {found}, "
            f"but should be {md5}; delete it, and it is downloaded again."
        )
    return content


def _unpack(path: Path) -> bytes:
    """At most one byte more than any file of the family has, so a bomb fails its checksum."""
    with open_regular(path) as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        # Some servers unpack .gz files on the way.
        if not packed:
            return raw.read(_MAX_UNPACKED + 1)
        with gzip.open(raw) as stream:
            return stream.read(_MAX_UNPACKED + 1)


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _download(
    source: IdxSource,
    name: str,
    folder: Path,
    progress: Callable[[str, int, int], None] | None,
) -> bytes:
    """Fetch one file from the first mirror that has it; its uncompressed bytes."""

    def read(path: Path) -> bytes:
        content = _unpack(path)
        found = _md5(content)
        if found != source.md5[name]:
            raise UnpublishedError(
                f"sent a file whose uncompressed MD5 is {found}, not {source.md5[name]}"
            )
        return content

    return fetch_file(
        source.title,
        f"{name}.gz",
        source.mirrors,
        folder,
        read,
        max_bytes=_MAX_UNPACKED,
        progress=progress,
    )


def _parse_idx(content: bytes, path: Path) -> NDArray[np.uint8]:
    """The array of an IDX file of unsigned bytes: (N, H, W) or (N,)."""
    axes = content[3] if len(content) >= 4 else 0
    header = 4 + 4 * axes
    if content[:3] != b"\x00\x00\x08" or not 1 <= axes <= 3 or len(content) < header:
        raise DataError(
            f"{path} is not an IDX file of bytes: delete it, and it is downloaded again."
        )
    shape = tuple(int.from_bytes(content[at : at + 4], "big") for at in range(4, header, 4))
    if len(content) - header != math.prod(shape):
        raise DataError(
            f"{path} declares {shape} bytes but holds {len(content) - header}: delete it, and it "
            "is downloaded again."
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)

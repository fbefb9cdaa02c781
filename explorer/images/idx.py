"""The MNIST family: IDX files, fetched from mirrors once and verified at every load.

The checksums are of the uncompressed bytes: mirrors and tools recompress the files.
"""

import gzip
import hashlib
import math
import os
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from explorer.errors import DataError, DataNotAtHandError
from explorer.images.dataset import ImageSet

# The largest file of the family is 47 MB; a file that unpacks to more is not one of them.
_MAX_UNPACKED = 64 * 2**20
_TIMEOUT_S = 30
_DOWNLOAD_CHUNK = 2**16


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
    with path.open("rb") as raw:
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
    """Fetch one file from the first mirror that has it; its uncompressed bytes.

    It takes its final name only when it is whole and verified.
    """
    # Importing pooch and requests takes time that a set at hand need not spend.
    import pooch

    final = folder / f"{name}.gz"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, part_name = tempfile.mkstemp(prefix=f".{name}.", suffix=".part", dir=folder)
    except OSError as error:
        raise DataError(
            f"{source.title} cannot be saved in {folder} ({error.strerror}): set EXPLORER_DATA to "
            "a folder that can be written."
        ) from error
    os.close(handle)
    part = Path(part_name)
    failures = []
    try:
        for mirror in source.mirrors:
            report = _ByteCount(f"{source.title}: {final.name}", progress)
            fetch = pooch.HTTPDownloader(
                progressbar=report, timeout=_TIMEOUT_S, chunk_size=_DOWNLOAD_CHUNK
            )
            try:
                fetch(f"{mirror}{final.name}", str(part), None)
                content = _unpack(part)
            except (OSError, EOFError, zlib.error) as error:
                # requests' errors are OSErrors too.
                failures.append(f"{mirror} failed ({error})")
                continue
            found = _md5(content)
            if found == source.md5[name]:
                part.replace(final)
                return content
            failures.append(
                f"{mirror} sent a file whose uncompressed MD5 is {found}, not {source.md5[name]}"
            )
    finally:
        part.unlink(missing_ok=True)
    raise DataError(
        f"{source.title}: {final.name} could not be downloaded: {'; '.join(failures)}; check the "
        f"connection and try again, or put the file into {folder}."
    )


@dataclass
class _ByteCount:
    """What pooch takes for a progress bar: bytes done to the callback."""

    what: str
    progress: Callable[[str, int, int], None] | None
    total: int = field(default=0, init=False)
    done: int = field(default=0, init=False)

    def update(self, count: int) -> None:
        # pooch counts whole chunks, also for the last one.
        done = self.done + count
        self.done = min(done, self.total) if self.total else done
        if self.progress is not None:
            self.progress(self.what, self.done, self.total)

    def reset(self) -> None:
        self.done = 0 if self.total else self.done

    def close(self) -> None:
        """Nothing is held."""


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

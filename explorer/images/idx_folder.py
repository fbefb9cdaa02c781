"""A folder of IDX files as MNIST and its kin come: KMNIST, EMNIST and whoever keeps their layout.

Nothing about these files is known before: what their headers declare is checked before memory is
taken for it, and held against what the files hold.
"""

import gzip
import io
import math
import os
import re
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from explorer.errors import DataError
from explorer.images.dataset import ImageSet, check_bytes, check_count, check_sides, split_images
from explorer.images.names import escape_name
from explorer.storage import open_regular

HELD_OUT_SHARE = 0.1

_FILE = re.compile(
    r"(?:(?P<stem>[^.].*)-)?(?P<part>train|t10k|test)-(?P<what>images[-.]idx3|labels[-.]idx1)-ubyte"
    r"(?:\.gz)?"
)
_REMEDY = "unpack it again, or get it again from where it came"
_UNPACK_ERRORS = (OSError, EOFError, zlib.error)
_MAX_MAPPING = 2**16
_CHUNK = 1024

_Stream = io.BufferedIOBase
# What a byte of a .gz can unpack to at most, by the format.
_MAX_RATIO = 1032


@dataclass
class _IdxFiles:
    """The files of one set; those of labels and of test images may be missing."""

    train_images: Path | None = None
    train_labels: Path | None = None
    test_images: Path | None = None
    test_labels: Path | None = None


def is_idx_path(path: Path) -> bool:
    """Whether a path is a folder with IDX files, or the beginning that the names of some share."""
    try:
        return bool(_find_sets(path)) if path.is_dir() else path.name in _find_sets(path.parent)
    except (OSError, ValueError):
        return False


def load_idx_folder(
    path: Path, *, progress: Callable[[str, int, int], None] | None = None
) -> ImageSet:
    """Load a set of IDX files, .gz or not; its test images are held out, else a tenth.

    The files are named as MNIST's, with the set's own name in front where there are several:
    [name-]train-images-idx3-ubyte, [name-]train-labels-idx1-ubyte, and t10k- or test- for the
    rest. Labels may be missing. Files that start with emnist- hold each image transposed, as the
    EMNIST that is published does, and are turned upright; emnist-*-mapping.txt names the classes.

    Args:
        path: the folder, or folder/name.
        progress: called with the number of images done.

    Raises:
        DataError: no set, or several to choose from; files that are damaged or do not belong
            together; images too few, too many or of a size that is not allowed.
    """
    path = path.resolve()
    folder = path if path.is_dir() else path.parent
    try:
        sets = _find_sets(folder)
    except OSError as error:
        raise DataError(
            f"The folder {folder} cannot be read ({error.strerror}): check it."
        ) from error
    if path == folder and len(sets) > 1:
        raise DataError(
            f"The folder {folder} holds {len(sets)} sets of IDX files "
            f"({', '.join(name or 'one without a name' for name in sorted(sets))}): give one of "
            f"them, e.g. {folder / max(sets)}, or move it into a folder of its own."
        )
    name = next(iter(sets), "") if path == folder else path.name
    if name not in sets:
        raise DataError(
            f"The folder {folder} holds no IDX files whose names start with {name!r}: put "
            "train-images-idx3-ubyte, with or without .gz, into it."
        )
    files = sets[name]
    images, train_count = _load_images(folder / name, files, progress)
    labels, classes = _load_labels(folder / name, files, train_count, len(images))
    if name and labels is not None:
        classes = _name_classes(classes, folder / f"{name}-mapping.txt")
    if train_count < len(images):
        train_index = np.arange(train_count)
        held_out_index = np.arange(train_count, len(images))
    else:
        train_index, held_out_index = split_images(len(images), HELD_OUT_SHARE)
    return ImageSet(
        # With its name, so that it is found again when another set joins the folder.
        name=escape_name(str(folder / name)),
        images=images,
        labels=labels,
        classes=classes,
        train_index=train_index,
        held_out_index=held_out_index,
        credit="",
        licence="",
    )


def _find_sets(folder: Path) -> dict[str, _IdxFiles]:
    """The sets of a folder by name, "" for the one that has none."""
    sets: dict[str, _IdxFiles] = {}
    # A folder of images may have a million names, so most are not even held.
    with os.scandir(folder) as entries:
        matches = [found for entry in entries if (found := _FILE.fullmatch(entry.name))]
    # A file that is there unpacked too comes before its .gz, and is taken.
    for found in sorted(matches, key=lambda found: found[0]):
        files = sets.setdefault(found["stem"] or "", _IdxFiles())
        part = "train" if found["part"] == "train" else "test"
        slot = f"{part}_{found['what'][:6]}"
        if getattr(files, slot) is None:
            setattr(files, slot, folder / found[0])
    return sets


def _load_images(
    where: Path, files: _IdxFiles, progress: Callable[[str, int, int], None] | None
) -> tuple[NDArray[np.uint8], int]:
    """(N, 1, H, W), training images first, and how many of them there are."""
    if files.train_images is None:
        raise DataError(
            f"{where} has no training images: add a file whose name ends in "
            "train-images-idx3-ubyte, with or without .gz."
        )
    paths = [files.train_images] + ([files.test_images] if files.test_images else [])
    with ExitStack() as stack:
        streams = [stack.enter_context(_open(path)) for path in paths]
        shapes = [
            _read_header(stream, path, 3) for stream, path in zip(streams, paths, strict=True)
        ]
        for path, shape in zip(paths, shapes, strict=True):
            if shape[0] == 0:
                raise DataError(f"{path} holds no images: {_REMEDY}, or remove it.")
        # EMNIST was written column by column.
        transposed = [path.name.startswith("emnist-") for path in paths]
        sides = [
            (width, height) if turned else (height, width)
            for (_, height, width), turned in zip(shapes, transposed, strict=True)
        ]
        if len(set(sides)) > 1:
            raise DataError(
                f"The images of {paths[0]} are {sides[0][0]} x {sides[0][1]} pixels (height x "
                f"width), but those of {paths[1]} are {sides[1][0]} x {sides[1][1]}: give files "
                "that belong together."
            )
        count, (height, width) = sum(shape[0] for shape in shapes), sides[0]
        check_count(count, str(where))
        check_sides(height, width, f"An image of {where}", "resize the images first")
        check_bytes(count, height, width, 1, str(where))
        images = np.empty((count, 1, height, width), np.uint8)
        row = 0
        for stream, path, shape, turned in zip(streams, paths, shapes, transposed, strict=True):
            end = row + shape[0]
            for start in range(row, end, _CHUNK):
                rows = slice(start, min(start + _CHUNK, end))
                declared = (rows.stop - rows.start, *shape[1:])
                pixels = _read(stream, path, math.prod(declared)).reshape(declared)
                images[rows, 0] = pixels.transpose(0, 2, 1) if turned else pixels
                if progress is not None:
                    progress(f"Reading {where.name}", rows.stop, count)
            _check_end(stream, path)
            row = end
    return images, shapes[0][0]


def _load_labels(
    where: Path, files: _IdxFiles, train_count: int, count: int
) -> tuple[NDArray[np.int64] | None, tuple[str, ...]]:
    """Indices (N,) into the names of the classes that occur; None and () without labels."""
    wanted = [(files.train_labels, files.train_images, train_count)]
    if files.test_images is not None:
        wanted.append((files.test_labels, files.test_images, count - train_count))
    if all(path is None for path, _, _ in wanted):
        return None, ()
    parts = []
    for path, images, expected in wanted:
        if path is None:
            raise DataError(
                f"{images} has no file of labels beside it, but other images of {where} have one: "
                "add it, or remove all files of labels."
            )
        with _open(path) as stream:
            (found,) = _read_header(stream, path, 1)
            if found != expected:
                raise DataError(
                    f"{path} declares {found} labels, but {images} holds {expected} images: give "
                    "files that belong together."
                )
            parts.append(_read(stream, path, found))
            _check_end(stream, path)
    values, labels = np.unique(np.concatenate(parts), return_inverse=True)
    return labels.astype(np.int64), tuple(map(str, values.tolist()))


def _name_classes(labels: tuple[str, ...], path: Path) -> tuple[str, ...]:
    """The characters that labels stand for, where a file of EMNIST's form names them."""
    try:
        with open_regular(path) as file:
            lines = file.read(_MAX_MAPPING).decode("ascii").splitlines()
        rows = [[int(word) for word in line.split()] for line in lines if line.strip()]
        names = {str(label): "".join(map(chr, codes)) for label, *codes in rows if codes}
        if odd := [label for label, name in names.items() if not name.isprintable()]:
            raise ValueError(f"the codes of label {odd[0]} are no characters")
    except FileNotFoundError:
        return labels
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): check or remove it.") from error
    except (ValueError, OverflowError) as error:
        raise DataError(
            f"{path} should hold a label and the codes of its characters in each line, e.g. "
            f"'1 65 97', but does not ({error}): {_REMEDY}, or remove it."
        ) from error
    return tuple(names.get(label, label) for label in labels)


def _open(path: Path) -> _Stream:
    """A stream of the unpacked bytes."""
    try:
        with open_regular(path) as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        return gzip.GzipFile(path) if packed else open_regular(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): check it.") from error


def _read_header(stream: _Stream, path: Path, axes: int) -> tuple[int, ...]:
    """The shape that a file declares, which is no more than it can hold."""
    try:
        head = stream.read(4 + 4 * axes)
    except _UNPACK_ERRORS as error:
        raise _damaged(path, error) from error
    if len(head) < 4 + 4 * axes or head[:4] != bytes([0, 0, 8, axes]):
        raise DataError(
            f"{path} is not an IDX file of bytes with {axes} {'axis' if axes == 1 else 'axes'}: "
            f"{_REMEDY}."
        )
    shape = tuple(int.from_bytes(head[at : at + 4], "big") for at in range(4, len(head), 4))
    most = path.stat().st_size * (_MAX_RATIO if isinstance(stream, gzip.GzipFile) else 1)
    if math.prod(shape) > most:
        raise DataError(
            f"{path} declares {shape} bytes but can hold {most} at most: it is cut off or damaged, "
            f"{_REMEDY}."
        )
    return shape


def _read(stream: _Stream, path: Path, size: int) -> NDArray[np.uint8]:
    try:
        content = stream.read(size)
    except _UNPACK_ERRORS as error:
        raise _damaged(path, error) from error
    if len(content) != size:
        raise DataError(f"{path} ends before all that it declares: it is cut off, {_REMEDY}.")
    return np.frombuffer(content, np.uint8)


def _check_end(stream: _Stream, path: Path) -> None:
    try:
        more = stream.read(1)
    except _UNPACK_ERRORS as error:
        raise _damaged(path, error) from error
    if more:
        raise DataError(f"{path} holds more than it declares: it is damaged, {_REMEDY}.")


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"{path} cannot be unpacked ({error}): {_REMEDY}.")

"""An .npz file with `images` and, if there are any, `labels`.

The headers inside are read and checked before numpy takes memory for what they declare.
"""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from explorer.errors import DataError
from explorer.images.dataset import MAX_BYTES, ImageSet, check_count, check_sides, split_images
from explorer.images.names import escape_name
from explorer.storage import read_array_header

HELD_OUT_SHARE = 0.1

_LAYOUTS = "(N, H, W), (N, H, W, 3) or (N, C, H, W) with C 1 or 3"
_CHUNK = 1024


def load_archive(path: Path) -> ImageSet:
    """Load an .npz: images uint8 or floats in [0, 1], labels (N,) integers or strings.

    Raises:
        DataError: anything about the file that is not so.
    """
    path = path.resolve()
    try:
        with zipfile.ZipFile(path) as archive:
            names = [
                name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")
            ]
            if "images" not in names:
                found = ", ".join(sorted(names)) or "nothing"
                raise DataError(
                    f"{path} has no array called images (it has: {found}): save it with "
                    "np.savez_compressed(path, images=..., labels=...)."
                )
            images = _to_channels_first(_read_array(archive, "images", path), path)
            labels = _read_array(archive, "labels", path) if "labels" in names else None
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise DataError(
            f"{path} is damaged, cut off or not an .npz file ({error}): save it again with "
            "np.savez_compressed."
        ) from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): check it.") from error

    pixels = _to_bytes(images, path)
    indices, classes = (None, ()) if labels is None else _to_classes(labels, len(pixels), path)
    train_index, held_out_index = split_images(len(pixels), HELD_OUT_SHARE)
    return ImageSet(
        name=escape_name(str(path)),
        images=pixels,
        labels=indices,
        classes=classes,
        train_index=train_index,
        held_out_index=held_out_index,
        credit="",
        licence="",
    )


def _read_array(archive: zipfile.ZipFile, name: str, path: Path) -> NDArray[Any]:
    """One array, after its header was found to be sane."""
    member = f"{name}.npy"
    try:
        with archive.open(member) as stream:
            shape, _, dtype = read_array_header(stream)
            header_bytes = stream.tell()
    except ValueError as error:
        raise DataError(
            f"The header of {name} in {path} cannot be read ({error}): save it again with "
            "np.savez_compressed."
        ) from error
    if dtype.hasobject:
        raise DataError(
            f"{name} in {path} is an array of Python objects, which only a pickle can hold and "
            "pickles are not opened: save plain numbers or strings."
        )
    declared = dtype.itemsize
    for length in shape:
        declared *= int(length)
    if declared > MAX_BYTES:
        raise DataError(
            f"{name} in {path} declares {declared / 2**30:.1f} GiB {tuple(shape)}, the limit is "
            f"{MAX_BYTES // 2**30} GiB: use fewer or smaller images, or uint8."
        )
    stored = archive.getinfo(member).file_size - header_bytes
    if stored < declared:
        raise DataError(
            f"{name} in {path} declares {declared} bytes but holds {stored}: the file is damaged "
            "or cut off, save it again."
        )
    try:
        with archive.open(member) as stream:
            array: NDArray[Any] = npy.read_array(stream, allow_pickle=False)
    except ValueError as error:
        raise DataError(
            f"{name} in {path} cannot be read ({error}): the file is damaged, save it again."
        ) from error
    return array


def _to_channels_first(images: NDArray[Any], path: Path) -> NDArray[Any]:
    """(N, C, H, W) of any layout that can be told apart."""
    shape = images.shape
    if len(shape) == 3:
        images = images[:, None]
    elif len(shape) == 4:
        first, last = shape[1] in (1, 3), shape[3] in (1, 3)
        if first and last:
            raise DataError(
                f"images in {path} have shape {shape}, where the channels could be the second or "
                f"the last axis: save them as {_LAYOUTS}, each side 8 to 128 pixels."
            )
        if not first and not last:
            raise DataError(
                f"images in {path} have shape {shape} without an axis of 1 or 3 channels: save "
                f"them as {_LAYOUTS}."
            )
        if last:
            images = images.transpose(0, 3, 1, 2)
    else:
        raise DataError(f"images in {path} have shape {shape}: save them as {_LAYOUTS}.")
    check_count(len(images), str(path))
    height, width = images.shape[2:]
    check_sides(height, width, f"An image of {path}", "resize the images before you save them")
    return images


def _to_bytes(images: NDArray[Any], path: Path) -> NDArray[np.uint8]:
    """uint8 of uint8 or of floats in [0, 1], a chunk at a time to spare memory."""
    if images.dtype == np.uint8:
        return np.ascontiguousarray(images)
    if images.dtype.kind != "f":
        raise DataError(
            f"images in {path} are {images.dtype}, but must be uint8 (0 to 255) or floats in "
            "[0, 1]: convert them, e.g. images.astype(np.uint8)."
        )
    pixels = np.empty(images.shape, np.uint8)
    for start in range(0, len(images), _CHUNK):
        chunk = images[start : start + _CHUNK]
        if not np.isfinite(chunk).all():
            row = start + int(np.argmin(np.isfinite(chunk).all(axis=(1, 2, 3))))
            raise DataError(
                f"images in {path} have a value that is not finite (image {row}): replace NaN and "
                "infinity before you save them."
            )
        lowest, highest = float(chunk.min()), float(chunk.max())
        if lowest < 0 or highest > 1:
            raise DataError(
                f"images in {path} are floats from {lowest:g} to {highest:g}, but must lie in "
                "[0, 1]: scale them, or save 0 to 255 as uint8."
            )
        pixels[start : start + _CHUNK] = np.rint(chunk.astype(np.float32) * 255)
    return pixels


def _to_classes(
    labels: NDArray[Any], count: int, path: Path
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Indices (N,) and the sorted names that they point to."""
    if labels.shape != (count,):
        raise DataError(
            f"labels in {path} have shape {labels.shape}, but there are {count} images: save one "
            f"label an image, shape ({count},)."
        )
    if labels.dtype.kind not in "iuUS":
        raise DataError(
            f"labels in {path} are {labels.dtype}, but must be integers or strings: convert them, "
            "e.g. labels.astype(np.int64)."
        )
    if labels.dtype.kind == "S":
        try:
            labels = np.char.decode(labels, "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(
                f"labels in {path} are bytes that are not UTF-8 ({error.reason}): save strings."
            ) from error
    names, indices = np.unique(labels, return_inverse=True)
    return indices.astype(np.int64), tuple(escape_name(str(name)) for name in names)

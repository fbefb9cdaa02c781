"""An .npz file with `images` and, if there are any, `labels`.

The headers inside are read and checked before numpy takes memory for what they declare.
"""

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from explorer.errors import DataError
from explorer.images.dataset import MAX_BYTES, ImageSet, check_count, check_sides, split_images
from explorer.images.decoding import white_value
from explorer.images.names import escape_name
from explorer.storage import open_regular, read_array_header

HELD_OUT_SHARE = 0.1

_LAYOUTS = "(N, H, W), (N, H, W, 3) or (N, C, H, W) with C 1 or 3"
_CHUNK = 1024
_DARKEST_WHITE = 64  # of values up to 255: a set without a brighter pixel has another white
_OVERSHOOT = 1.5  # how far resizing may throw floats of [0, 1] beyond
_NEARLY = 0.9  # of [-1, 1], how far it is used at least


def load_archive(path: Path) -> ImageSet:
    """Load an .npz: images uint8, or numbers whose range is plain; labels (N,) integers or strings.

    Plain are bool, floats in [0, 1], [-1, 1] or up to 255, integers up to 255, and uint16, whose
    white is found as that of a 16-bit picture. How they were read stands in the set's notes.

    Raises:
        DataError: anything about the file that is not so.
    """
    path = path.resolve()
    try:
        with open_regular(path) as raw, zipfile.ZipFile(raw) as archive:
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

    pixels, notes = _to_bytes(images, path)
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
        notes=notes,
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


@dataclass(frozen=True)
class _Scale:
    """Which values are black and white, and a sentence where that had to be found out."""

    black: float
    white: float
    note: str = ""


def _to_bytes(images: NDArray[Any], path: Path) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """uint8 of numbers whose range is plain, a chunk at a time to spare memory; and notes."""
    kind = images.dtype.kind
    if kind not in "biuf":
        raise DataError(
            f"images in {path} are {images.dtype}, but must be numbers: uint8 (0 to 255), floats "
            "in [0, 1] or bool, e.g. images=np.abs(images)."
        )
    if kind == "b":
        note = "The images are bool: False is read as black, True as white."
        return images.astype(np.uint8) * np.uint8(255), (note,)
    scale = _find_scale(images, path)
    if images.dtype == np.uint8:
        return np.ascontiguousarray(images), ()
    pixels = np.empty(images.shape, np.uint8)
    for start in range(0, len(images), _CHUNK):
        wide = np.float64 if kind != "f" else np.float32
        chunk: NDArray[np.floating[Any]] = images[start : start + _CHUNK].astype(wide)
        shares = (chunk - scale.black) / (scale.white - scale.black)
        pixels[start : start + _CHUNK] = np.rint(shares * 255)
    return pixels, (scale.note,) if scale.note else ()


def _find_scale(images: NDArray[Any], path: Path) -> _Scale:
    """What black and white are, by type and range, where that is plain.

    Raises:
        DataError: it is not, and what to save instead.
    """
    lowest, highest = _find_range(images, path)
    dtype, whole = images.dtype, images.dtype.kind != "f"
    found = f"The images are {dtype} from {lowest:g} to {highest:g}"
    wrong = f"images in {path} are {dtype} from {lowest:g} to {highest:g}"
    if whole and lowest >= 0:
        if highest <= 1:
            raise DataError(
                f"{wrong}, which would be black pictures, since 255 is white: save a mask as bool, "
                "e.g. images=images.astype(bool)."
            )
        if dtype == np.uint8:
            return _Scale(0, 255)
        if _DARKEST_WHITE <= highest <= 255:
            return _Scale(0, 255, f"{found}: 255 is read as white.")
        if dtype == np.uint16 and highest > 255:
            white = white_value("I", highest)
            return _Scale(0, white, f"{found}: {white:g} is read as white.")
    elif not whole and lowest >= 0:
        if highest <= 1:
            return _Scale(0, 1)
        if highest <= _OVERSHOOT:
            raise DataError(
                f"{wrong}, but must lie in [0, 1]: cut off what lies beyond, "
                "e.g. images=np.clip(images, 0, 1)."
            )
        if _DARKEST_WHITE <= highest <= 255:
            return _Scale(0, 255, f"{found}: 255 is read as white.")
    elif not whole and -1 <= lowest <= -_NEARLY and _NEARLY <= highest <= 1:
        return _Scale(-1, 1, f"{found}: -1 is read as black, 1 as white.")
    if lowest == highest:
        raise DataError(f"{wrong}: all their pixels are alike, so there is nothing to learn.")
    if lowest >= 0:
        raise DataError(
            f"{wrong}, so that it is not plain which value is white (1, 255 or {highest:g}): "
            f"divide by it, e.g. images=images / {highest:.9g}."
        )
    raise DataError(
        f"{wrong}, but must be uint8 (0 to 255) or floats in [0, 1]: bring them there, "
        "e.g. images=(images.astype(float) - images.min()) / (float(images.max()) - images.min())."
    )


def _find_range(images: NDArray[Any], path: Path) -> tuple[float, float]:
    lowest, highest = np.inf, -np.inf
    for start in range(0, len(images), _CHUNK):
        chunk = images[start : start + _CHUNK]
        if images.dtype.kind == "f" and not np.isfinite(chunk).all():
            row = start + int(np.argmin(np.isfinite(chunk).all(axis=(1, 2, 3))))
            raise DataError(
                f"images in {path} have a value that is not finite (image {row}): replace NaN and "
                "infinity before you save them, "
                "e.g. images=np.nan_to_num(images, nan=0, posinf=1, neginf=0)."
            )
        lowest, highest = min(lowest, float(chunk.min())), max(highest, float(chunk.max()))
    return lowest, highest


def _to_classes(
    labels: NDArray[Any], count: int, path: Path
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Indices (N,) and the sorted names that they point to."""
    if labels.shape != (count,):
        raise DataError(
            f"labels in {path} have shape {labels.shape}, but there are {count} images: save one "
            f"label an image, shape ({count},)."
        )
    if labels.dtype.kind not in "biuUS":
        raise DataError(
            f"labels in {path} are {labels.dtype}, but must be integers or strings: convert them, "
            "e.g. labels=labels.astype(np.int64)."
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

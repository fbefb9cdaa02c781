"""A folder of image files, one subfolder a class."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from explorer.errors import DataError
from explorer.images.dataset import ImageSet, check_bytes, check_count, check_sides, split_images
from explorer.images.decoding import (
    FORMATS_IN_WORDS,
    UnreadableImageError,
    decode_image,
    find_turn,
    is_deep,
    is_grey,
    largest_value,
    open_image,
    over,
    to_array,
    to_plain,
    white_value,
)

HELD_OUT_SHARE = 0.1

_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"}


def load_folder(
    folder: Path,
    *,
    size: tuple[int, int] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> ImageSet:
    """Load every image of a folder; grey if all of them are grey, else RGB.

    Transparent images are laid over white. 16-bit images share one scale, so that their
    brightness stays comparable.

    Args:
        folder: images in its subfolders (one a class, whatever lies below), or in itself
            (unlabelled). Hidden files and files without an image's suffix are ignored.
        size: (H, W) to crop (centre) and resize to; without it all must have one size.
        progress: called with the number of files done.

    Raises:
        DataError: no images, too few, a mixture of both layouts, a broken file, sizes that
            differ or are not allowed.
    """
    folder = folder.resolve()
    files, labels, classes = _list_images(folder)
    check_count(len(files), f"The folder {folder}")
    if size is not None:
        check_sides(*size, "The size asked for", "choose another --size")
    channels, whites = _survey(folder, files, progress)

    images: NDArray[np.uint8] | None = None
    for row, file in enumerate(files):
        picture = _read_picture(folder, file, whites, channels, size)
        height, width = picture.shape[:2]
        if images is None:
            check_sides(height, width, str(file), "give --size HxW, e.g. --size 64x64")
            check_bytes(len(files), height, width, channels, f"The folder {folder}")
            images = np.empty((len(files), channels, height, width), np.uint8)
        elif (height, width) != images.shape[2:]:
            raise DataError(
                f"{file} is {height} x {width} pixels (height x width), but {files[0]} is "
                f"{images.shape[2]} x {images.shape[3]}: give --size HxW to bring all images of "
                f"{folder} to one size."
            )
        images[row] = picture if channels == 1 else picture.transpose(2, 0, 1)
        if progress is not None:
            progress(f"Reading {folder.name}", row + 1, len(files))

    if images is None:
        raise DataError(f"The folder {folder} holds no images.")
    train_index, held_out_index = split_images(len(files), HELD_OUT_SHARE)
    return ImageSet(
        name=str(folder),
        images=images,
        labels=labels,
        classes=classes,
        train_index=train_index,
        held_out_index=held_out_index,
        credit="",
        licence="",
    )


def _list_images(
    folder: Path,
) -> tuple[list[Path], NDArray[np.int64] | None, tuple[str, ...]]:
    """Paths relative to the folder in a fixed order, labels (N,) or None, classes."""
    direct = []
    by_class: dict[str, list[Path]] = {}
    try:
        for parent, subfolders, names in os.walk(folder, onerror=_raise):
            subfolders[:] = [name for name in subfolders if not name.startswith(".")]
            for name in names:
                path = (Path(parent) / name).relative_to(folder)
                if name.startswith(".") or path.suffix.lower() not in _SUFFIXES:
                    continue
                if len(path.parts) == 1:
                    direct.append(path)
                else:
                    by_class.setdefault(path.parts[0], []).append(path)
    except OSError as error:
        raise DataError(
            f"The folder {error.filename} cannot be read ({error.strerror}): check its permissions."
        ) from error
    if direct and by_class:
        raise DataError(
            f"The folder {folder} has images both in itself ({min(direct)}) and in subfolders "
            f"({min(by_class)}): put all of them into subfolders, one a class, or all into the "
            "folder."
        )
    if not direct and not by_class:
        raise DataError(
            f"The folder {folder} holds no images: put {FORMATS_IN_WORDS} files into it, or into "
            "one subfolder a class."
        )
    if direct:
        return sorted(direct, key=Path.as_posix), None, ()
    classes = tuple(sorted(by_class))
    files = [path for name in classes for path in sorted(by_class[name], key=Path.as_posix)]
    labels = np.repeat(np.arange(len(classes)), [len(by_class[name]) for name in classes])
    return files, labels.astype(np.int64), classes


def _raise(error: OSError) -> None:
    # os.walk skips what it cannot read, and would quietly lose a class.
    raise error


def _survey(
    folder: Path, files: list[Path], progress: Callable[[str, int, int], None] | None
) -> tuple[int, dict[str, float]]:
    """Channels of the whole set, and the value of white for each deep mode in it."""
    all_grey = True
    largest: dict[str, float] = {}
    for row, file in enumerate(files):
        try:
            with (folder / file).open("rb") as source, open_image(source) as image:
                all_grey = all_grey and is_grey(image)
                if is_deep(image):
                    decode_image(image)
                    largest[image.mode] = max(largest.get(image.mode, 0), largest_value(image))
        except (UnreadableImageError, OSError) as error:
            raise _broken(folder / file, error) from error
        if progress is not None:
            progress(f"Checking {folder.name}", row + 1, len(files))
    whites = {mode: white_value(mode, value) for mode, value in largest.items()}
    return 1 if all_grey else 3, whites


def _read_picture(
    folder: Path,
    file: Path,
    whites: dict[str, float],
    channels: int,
    size: tuple[int, int] | None,
) -> NDArray[np.uint8]:
    """(H, W) or (H, W, 3)."""
    try:
        with (folder / file).open("rb") as source, open_image(source) as image:
            if size is not None:
                # A JPEG decodes at a fraction of its size in a fraction of the time.
                image.draft(None, (2 * max(size), 2 * max(size)))
            decode_image(image)
            picture = to_plain(image, whites.get(image.mode))
            turn = find_turn(image)
    except (UnreadableImageError, OSError) as error:
        raise _broken(folder / file, error) from error
    if turn is not None:
        picture = picture.transpose(turn[0])
    picture = over(picture, 255).convert("L" if channels == 1 else "RGB")
    if size is not None:
        picture = fit_picture(picture, *size)
    return to_array(picture)


def fit_picture(picture: Image.Image, height: int, width: int) -> Image.Image:
    """Crop the centre to the aspect of the size, then resize, anti-aliased."""
    if picture.size == (width, height):
        return picture
    return ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS)


def _broken(path: Path, error: Exception) -> DataError:
    if isinstance(error, OSError):
        return DataError(f"{path} cannot be read ({error.strerror}): check it or remove it.")
    return DataError(f"{path} cannot be used: {error}, or remove it.")

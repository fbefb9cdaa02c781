"""A folder of image files, one subfolder a class."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from explorer.errors import DataError
from explorer.images.cache import (
    CacheError,
    find_cached,
    look_at_folder,
    write_cached,
)
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
from explorer.images.names import escape_name

HELD_OUT_SHARE = 0.1

_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")

_Progress = Callable[[str, int, int], None]


def load_folder(
    folder: Path,
    *,
    size: tuple[int, int] | None = None,
    cache: Path | None = None,
    progress: _Progress | None = None,
) -> ImageSet:
    """Load every image of a folder; grey if all of them are grey, else RGB.

    Transparent images are laid over white. 16-bit images share one scale, so that their
    brightness stays comparable.

    With a cache the images are decoded one by one into a file that is mapped: they may take more
    than the memory, and the next time none is decoded. What stays in memory are the names of the
    files and the labels: for a million files the process grew by 120 MB at the peak.

    Args:
        folder: images in its subfolders (one a class, whatever lies below), or in itself
            (unlabelled). Hidden files and files without an image's suffix are ignored.
        size: (H, W) to crop (centre) and resize to; without it all must have one size.
        cache: the folder of decoded images; without it, or where nothing can be written to it,
            the images are held in memory.
        progress: called with the number of files done.

    Raises:
        DataError: no images, too few, a mixture of both layouts, a broken file, sizes that
            differ or are not allowed, or no room for the images.
    """
    folder = folder.resolve()
    files, labels, classes = _list_images(folder)
    check_count(len(files), f"The folder {folder}")
    if size is not None:
        check_sides(*size, "The size asked for", "choose another --size")
    fingerprint = None
    if cache is None:
        images = _to_memory(_Decoder(folder, files, size, progress), "")
    else:
        images, fingerprint = _to_cache(folder, files, labels, size, cache, progress)
    train_index, held_out_index = split_images(len(files), HELD_OUT_SHARE)
    image_set = ImageSet(
        name=escape_name(str(folder)),
        images=images,
        labels=labels,
        classes=classes,
        train_index=train_index,
        held_out_index=held_out_index,
        credit="",
        licence="",
    )
    if fingerprint is not None:
        image_set.trust_fingerprint(fingerprint)
    return image_set


def _list_images(folder: Path) -> tuple[list[str], NDArray[np.int64] | None, tuple[str, ...]]:
    """Paths relative to the folder in a fixed order, labels (N,) or None, classes."""
    # Strings: a million Path objects take several times as much.
    direct: list[str] = []
    by_class: dict[str, list[str]] = {}
    try:
        for parent, subfolders, names in os.walk(folder, onerror=_raise):
            subfolders[:] = [name for name in subfolders if not name.startswith(".")]
            below = Path(parent).relative_to(folder)
            prefix = f"{below.as_posix()}/" if below.parts else ""
            found = [
                prefix + name
                for name in names
                if not name.startswith(".") and name.lower().endswith(_SUFFIXES)
            ]
            if not below.parts:
                direct = found
            elif found:
                by_class.setdefault(below.parts[0], []).extend(found)
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
        return sorted(direct), None, ()
    classes = tuple(sorted(by_class))
    files = [path for name in classes for path in sorted(by_class[name])]
    labels = np.repeat(np.arange(len(classes)), [len(by_class[name]) for name in classes])
    return files, labels.astype(np.int64), tuple(map(escape_name, classes))


def _raise(error: OSError) -> None:
    # os.walk skips what it cannot read, and would quietly lose a class.
    raise error


class _Decoder:
    """Reads the files of one folder to images of one shape.

    Args:
        folder: resolved.
        files: relative paths.
        size: (H, W) of the images, or None for that of the first.
        progress: called with the number of files done.

    Attributes:
        shape: (N, C, H, W).
    """

    def __init__(
        self,
        folder: Path,
        files: list[str],
        size: tuple[int, int] | None,
        progress: _Progress | None,
    ) -> None:
        self.folder = folder
        self._files = files
        self._size = size
        self._progress = progress
        self._channels, self._whites = _survey(folder, files, progress)
        height, width = self._read(files[0]).shape[:2]
        check_sides(height, width, files[0], "give --size HxW, e.g. --size 64x64")
        self.shape = (len(files), self._channels, height, width)

    def pictures(self) -> Iterator[NDArray[np.uint8]]:
        """Images (C, H, W), in the order of the files."""
        count, channels, height, width = self.shape
        for row, file in enumerate(self._files):
            picture = self._read(file)
            if picture.shape[:2] != (height, width):
                raise DataError(
                    f"{file} is {picture.shape[0]} x {picture.shape[1]} pixels (height x width), "
                    f"but {self._files[0]} is {height} x {width}: give --size HxW to bring all "
                    f"images of {self.folder} to one size."
                )
            yield picture[None] if channels == 1 else picture.transpose(2, 0, 1)
            if self._progress is not None:
                self._progress(f"Reading {self.folder.name}", row + 1, count)

    def _read(self, file: str) -> NDArray[np.uint8]:
        return _read_picture(self.folder, file, self._whites, self._channels, self._size)


def _to_memory(decoder: _Decoder, no_disk: str) -> NDArray[np.uint8]:
    """(N, C, H, W), where it may be held."""
    count, channels, height, width = decoder.shape
    check_bytes(count, height, width, channels, f"The folder {decoder.folder}", no_disk)
    images = np.empty(decoder.shape, np.uint8)
    for row, picture in enumerate(decoder.pictures()):
        images[row] = picture
    return images


def _to_cache(
    folder: Path,
    files: list[str],
    labels: NDArray[np.int64] | None,
    size: tuple[int, int] | None,
    cache: Path,
    progress: _Progress | None,
) -> tuple[NDArray[np.uint8], str | None]:
    """The images from the cache, written to it first if need be, and their fingerprint.

    Without the latter where the cache cannot be used: the images are in memory then.
    """
    try:
        state = look_at_folder(folder, files)
    except OSError as error:
        raise _broken(Path(error.filename), error) from error
    cached = find_cached(cache, state, size, len(files))
    if cached is not None:
        if progress is not None:
            progress(f"Reading {folder.name}", len(files), len(files))
        return cached.images, cached.fingerprint
    decoder = _Decoder(folder, files, size, progress)

    def pictures() -> Iterator[NDArray[np.uint8]]:
        yield from decoder.pictures()
        try:
            changed = look_at_folder(folder, files) != state
        except OSError:
            changed = True
        if changed:
            # Kept, such a mixture would be taken for what the folder held before.
            raise DataError(
                f"Images of the folder {folder} were changed while they were read: load it again "
                "once nothing writes to it."
            )

    try:
        cached = write_cached(cache, state, size, decoder.shape, labels, pictures())
    except CacheError as error:
        return _to_memory(decoder, str(error)), None
    return cached.images, cached.fingerprint


def _survey(
    folder: Path, files: list[str], progress: _Progress | None
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
    file: str,
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

"""A folder of image files, one subfolder a class."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from explorer.errors import DataError
from explorer.images.cache import (
    CacheError,
    FolderState,
    find_cached,
    load_bad,
    look_at_folder,
    save_bad,
    write_cached,
)
from explorer.images.dataset import ImageSet, check_bytes, check_count, check_sides, split_images
from explorer.images.decoding import (
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
from explorer.images.listing import HELD_OUT, TEST, TRAIN, Listing, list_images, name_some
from explorer.images.names import escape_name
from explorer.storage import open_regular

HELD_OUT_SHARE = 0.1

_MOST_TOLD = 10

_Progress = Callable[[str, int, int], None]


def load_folder(
    folder: Path,
    *,
    size: tuple[int, int] | None = None,
    cache: Path | None = None,
    skip_bad: bool = False,
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
            (unlabelled), or in train, val and test, each with the same classes. Hidden files are
            ignored; what else is passed over stands in the set's notes.
        size: (H, W) to crop (centre) and resize to; without it all must have one size.
        cache: the folder of decoded images; without it, or where nothing can be written to it,
            the images are held in memory.
        skip_bad: whether files that cannot be decoded are left out, instead of refusing all.
        progress: called with the number of files done.

    Raises:
        DataError: no images, too few, a mixture of both layouts, broken files, sizes that
            differ or are not allowed, or no room for the images.
    """
    folder = folder.resolve()
    if size is not None:
        check_sides(*size, "The size asked for", "choose another --size")
    listing = list_images(folder)
    check_count(len(listing.files), f"The folder {folder}")
    state = _look(folder, listing.files) if skip_bad and cache is not None else None
    bad = load_bad(cache, state) if cache is not None and state is not None else {}
    try:
        return _load(folder, listing, bad, size, cache, progress)
    except BadFilesError as error:
        if not skip_bad:
            raise
        bad = {**bad, **error.found}
    if cache is not None and state is not None:
        save_bad(cache, state, bad)
    return _load(folder, listing, bad, size, cache, progress)


class BadFilesError(DataError):
    """Files of a folder that cannot be decoded.

    Args:
        folder: that they lie in.
        found: what is wrong, in words, by each file's path.

    Attributes:
        found: the same.
    """

    def __init__(self, folder: Path, found: dict[str, str]) -> None:
        self.found = found
        if len(found) == 1:
            ((file, reason),) = found.items()
            verb = "cannot be read" if reason.startswith("(") else "cannot be used:"
            super().__init__(
                f"{folder / file} {verb} {reason}, or remove it, or leave "
                "such files out with --skip-bad."
            )
            return
        told = "; ".join(f"{file}: {reason}" for file, reason in list(found.items())[:_MOST_TOLD])
        more = len(found) - _MOST_TOLD
        super().__init__(
            f"{len(found):,} files of {folder} cannot be used: {told}"
            f"{f'; and {more:,} more' if more > 0 else ''}. Mend or remove them, or leave them out "
            "with --skip-bad."
        )


def _look(folder: Path, files: list[str]) -> FolderState | None:
    """The state of a folder's files, or None where one of them is gone."""
    try:
        return look_at_folder(folder, files)
    except OSError:
        return None


def _load(
    folder: Path,
    listing: Listing,
    bad: dict[str, str],
    size: tuple[int, int] | None,
    cache: Path | None,
    progress: _Progress | None,
) -> ImageSet:
    """The images of a folder without those that are known to be bad."""
    notes = listing.notes
    if bad:
        count = len(listing.files)
        listing = listing.without(bad)
        notes = (
            *listing.notes,
            f"Left out, since they cannot be decoded: {len(bad):,} of {count:,} files "
            f"({name_some(sorted(bad))}).",
        )
        check_count(len(listing.files), f"Without its bad files the folder {folder}")
    files, labels, classes = listing.files, listing.labels, listing.classes
    fingerprint = None
    if cache is None:
        images = _to_memory(_Decoder(folder, files, size, progress), "")
    else:
        images, fingerprint = _to_cache(folder, files, labels, size, cache, progress)
    train_index, held_out_index, test_index = _split(folder, listing)
    image_set = ImageSet(
        name=escape_name(str(folder)),
        images=images,
        labels=labels,
        classes=classes,
        train_index=train_index,
        held_out_index=held_out_index,
        credit="",
        licence="",
        test_index=test_index,
        notes=notes,
    )
    if fingerprint is not None:
        image_set.trust_fingerprint(fingerprint)
    return image_set


def _split(
    folder: Path, listing: Listing
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Rows to train on, held out, and for the final evaluation: the folder's own, or a tenth."""
    if listing.roles is None:
        train, held_out = split_images(len(listing.files), HELD_OUT_SHARE)
        return train, held_out, np.empty(0, np.int64)
    train, held_out, test = (
        np.flatnonzero(listing.roles == role).astype(np.int64) for role in (TRAIN, HELD_OUT, TEST)
    )
    if not len(train) or not len(held_out):
        raise DataError(
            f"The folder {folder} is split into train, val and test, but no image is left in one "
            "of them: add some, or put the classes into the folder itself."
        )
    return train, held_out, test


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
        self._channels, self._whites, bad = _survey(folder, files, progress)
        if bad:
            # All at once, and not one a run: the others may be cut off.
            raise BadFilesError(folder, self._find_bad(bad))
        try:
            height, width = self._read(files[0]).shape[:2]
        except _FileError as error:
            raise BadFilesError(folder, self._find_bad({files[0]: str(error)})) from error
        check_sides(height, width, files[0], "give --size HxW, e.g. --size 64x64")
        self.shape = (len(files), self._channels, height, width)

    def pictures(self) -> Iterator[NDArray[np.uint8]]:
        """Images (C, H, W), in the order of the files."""
        count, channels, height, width = self.shape
        for row, file in enumerate(self._files):
            try:
                picture = self._read(file)
            except _FileError as error:
                known = {file: str(error)}
                raise BadFilesError(self.folder, self._find_bad(known, row + 1)) from error
            if picture.shape[:2] != (height, width):
                raise DataError(
                    f"{file} is {picture.shape[0]} x {picture.shape[1]} pixels (height x width), "
                    f"but {self._files[0]} is {height} x {width}: give --size HxW to bring all "
                    f"images of {self.folder} to one size."
                )
            yield picture[None] if channels == 1 else picture.transpose(2, 0, 1)
            if self._progress is not None:
                self._progress(f"Reading {self.folder.name}", row + 1, count)

    def _find_bad(self, known: dict[str, str], start: int = 0) -> dict[str, str]:
        """The bad files among those from `start` on, with those that are known already."""
        found = dict(known)
        for row, file in enumerate(self._files[start:], start):
            if file not in known:
                try:
                    self._read(file)
                except _FileError as error:
                    found[file] = str(error)
            if self._progress is not None:
                self._progress(f"Checking all of {self.folder.name}", row + 1, len(self._files))
        return {file: found[file] for file in self._files if file in found}

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
    state = _look(folder, files)
    if state is None:
        # One is gone, so there is nothing to keep; reading them tells which, and what else is.
        return _to_memory(_Decoder(folder, files, size, progress), ""), None
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
) -> tuple[int, dict[str, float], dict[str, str]]:
    """Channels of the whole set, the value of white for each deep mode in it, and bad files."""
    bad: dict[str, str] = {}
    all_grey = True
    largest: dict[str, float] = {}
    for row, file in enumerate(files):
        try:
            with open_regular(folder / file) as source, open_image(source) as image:
                all_grey = all_grey and is_grey(image)
                if is_deep(image):
                    decode_image(image)
                    largest[image.mode] = max(largest.get(image.mode, 0), largest_value(image))
        except (UnreadableImageError, OSError) as error:
            bad[file] = _reason(error)
        if progress is not None:
            progress(f"Checking {folder.name}", row + 1, len(files))
    whites = {mode: white_value(mode, value) for mode, value in largest.items()}
    return 1 if all_grey else 3, whites, bad


def _read_picture(
    folder: Path,
    file: str,
    whites: dict[str, float],
    channels: int,
    size: tuple[int, int] | None,
) -> NDArray[np.uint8]:
    """(H, W) or (H, W, 3)."""
    try:
        with open_regular(folder / file) as source, open_image(source) as image:
            if size is not None:
                # A JPEG decodes at a fraction of its size in a fraction of the time.
                image.draft(None, (2 * max(size), 2 * max(size)))
            decode_image(image)
            picture = to_plain(image, whites.get(image.mode))
            turn = find_turn(image)
    except (UnreadableImageError, OSError) as error:
        raise _FileError(_reason(error)) from error
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


class _FileError(Exception):
    """Why one file cannot be decoded."""


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"({error.strerror or error}): check it"
    return str(error)

"""Decoded folders of images, kept as files that are mapped into memory instead of loaded.

<cache>/<key>/ holds `images.npy`, (N, C, H, W) uint8, and `about.json`. The key stands for the
folder, the names, sizes and times of its files, and the size that was asked for, so a folder that
has changed is decoded again. All of it may be deleted at any time.
"""

import errno
import hashlib
import json
import math
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from explorer.errors import CheckpointError
from explorer.images.dataset import FingerprintHash
from explorer.storage import (
    open_regular,
    read_array_header,
    read_regular,
    write_file,
    write_folder,
)

# To be raised when the same files would be decoded to other pixels.
SCHEME = 2

_ABANDONED_S = 24 * 3600
_MAX_ABOUT = 2**16
_MAX_BAD = 2**26
_BAD = ".bad.json"


class CacheError(Exception):
    """Why images cannot be kept; who wanted to keep them decides what to do instead."""


@dataclass(frozen=True)
class FolderState:
    """What a folder's images were when it was looked at.

    Attributes:
        folder: resolved path.
        listing: hash of the path and of every file's relative path, size and time of change.
    """

    folder: str
    listing: str

    def key(self, size: tuple[int, int] | None) -> str:
        """Name of the cache of these files at (H, W), or at their own size."""
        wanted = "as they are" if size is None else f"{size[0]}x{size[1]}"
        return _hash(f"{SCHEME}\n{self.listing}\n{wanted}\n".encode())


@dataclass(frozen=True, eq=False)
class CachedImages:
    """Images that were decoded before.

    Attributes:
        images: (N, C, H, W) uint8; what is written to it stays in memory or is refused.
    """

    images: NDArray[np.uint8]
    fingerprint: str


def look_at_folder(folder: Path, files: Iterable[str]) -> FolderState:
    """The state of a folder's files, given as relative paths in a fixed order.

    Raises:
        OSError: a file is gone or hidden from us; `filename` tells which.
    """
    listing = hashlib.blake2b(digest_size=16)
    listing.update(_to_bytes(str(folder)))
    for file in files:
        found = (folder / file).stat()
        # No file's name holds a NUL, so no two listings look alike.
        listing.update(b"\0%b\0%d %d" % (_to_bytes(file), found.st_size, found.st_mtime_ns))
    return FolderState(str(folder), listing.hexdigest())


def find_cached(
    cache: Path, state: FolderState, size: tuple[int, int] | None, count: int
) -> CachedImages | None:
    """Map the images of a folder in this state, or None if they are not there or damaged."""
    cached = _open(cache / state.key(size), count)
    if cached is None and size is not None:
        # Images whose own size is the one asked for are decoded to the same pixels.
        cached = _open(cache / state.key(None), count)
        if cached is not None and cached.images.shape[2:] != size:
            return None
    return cached


def load_bad(cache: Path, state: FolderState) -> dict[str, str]:
    """Files of a folder in this state that could not be decoded, and why."""
    plain = _read_bad(_bad_file(cache, state))
    found = plain.get("bad") if plain.get("scheme") == SCHEME else None
    if not isinstance(found, dict) or not all(isinstance(one, str) for one in found.values()):
        return {}
    return found


def save_bad(cache: Path, state: FolderState, bad: dict[str, str]) -> None:
    """Keep which files could not be decoded, or leave it: it spares time, nothing depends on it."""
    text = json.dumps({"scheme": SCHEME, "folder": state.folder, "bad": bad})
    with suppress(OSError, CheckpointError):
        cache.mkdir(parents=True, exist_ok=True)
        for former in cache.glob(f"*{_BAD}"):
            if _read_bad(former).get("folder") == state.folder:
                former.unlink(missing_ok=True)
        write_file(_bad_file(cache, state), lambda file: file.write(text.encode()))


def _bad_file(cache: Path, state: FolderState) -> Path:
    return cache / f"{state.key(None)}{_BAD}"


def _read_bad(path: Path) -> dict[str, Any]:
    try:
        with open_regular(path) as file:
            plain = json.loads(file.read(_MAX_BAD))
    except (OSError, ValueError, RecursionError):
        return {}
    return plain if isinstance(plain, dict) else {}


def write_cached(
    cache: Path,
    state: FolderState,
    size: tuple[int, int] | None,
    shape: tuple[int, int, int, int],
    labels: NDArray[np.int64] | None,
    pictures: Iterator[NDArray[np.uint8]],
) -> CachedImages:
    """Write images as they come and map them; at no time is more than one of them in memory.

    Caches of earlier states of the same folder are removed first.

    Args:
        cache: holds the caches of all folders; made if it is not there.
        state: the folder's.
        size: that was asked for.
        shape: (N, C, H, W).
        labels: (N,), part of the fingerprint.
        pictures: N images (C, H, W).

    Raises:
        CacheError: too little room, or the files cannot be written; nothing is left behind.
    """
    _remove_old(cache, state)
    needed, free = math.prod(shape), _free_bytes(cache)
    if needed > free:
        raise CacheError(f"{cache} has only {free / 2**30:.1f} GiB free")
    target = cache / state.key(size)
    written: list[CachedImages] = []

    def fill(folder: Path) -> None:
        # Who may not read the images may not read their copy either.
        folder.chmod(0o700)
        hashing = FingerprintHash(shape, labelled=labels is not None)
        path = folder / "images.npy"
        # Not through a memory map: a full disk would end the process instead of raising an error.
        with path.open("wb") as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            npy.write_array_header_1_0(file, header)
            for picture in pictures:
                plain = np.ascontiguousarray(picture)
                hashing.add(plain)
                file.write(plain.data)
        about = {
            "scheme": SCHEME,
            "folder": state.folder,
            "listing": state.listing,
            "shape": shape,
            "changed_ns": path.stat().st_mtime_ns,
            "fingerprint": hashing.finish(labels),
        }
        (folder / "about.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
        mapped = _open(folder, shape[0])
        if mapped is not None:
            written.append(mapped)

    try:
        write_folder(target, fill)
    except CheckpointError as error:
        # Another process that did the same work may have been faster.
        if (cached := _open(target, shape[0])) is not None:
            return cached
        reason = error.__cause__ if isinstance(error.__cause__, OSError) else error
        raise CacheError(
            f"{cache} cannot be written to ({getattr(reason, 'strerror', None) or reason})"
        ) from error
    cached = _open(target, shape[0])
    if cached is None and written:
        # In the moment in which another process puts its own result there, ours is as good.
        return written[0]
    if cached is None:
        raise CacheError(f"what was written to {cache} cannot be read back")
    return cached


def _open(folder: Path, count: int) -> CachedImages | None:
    about = _read_about(folder)
    path = folder / "images.npy"
    try:
        with open_regular(path) as file:
            shape, fortran, dtype = read_array_header(file)
            start = file.tell()
        found = path.stat()
        if (
            about.get("scheme") != SCHEME
            or dtype != np.uint8
            or fortran
            or len(shape) != 4
            or list(shape) != about.get("shape")
            or shape[0] != count
            or found.st_size != start + math.prod(shape)
            # Reading every pixel would find any damage, and take as long as not keeping them.
            or found.st_mtime_ns != about.get("changed_ns")
            or not isinstance(about.get("fingerprint"), str)
        ):
            return None
        return CachedImages(_map(path), about["fingerprint"])
    except (OSError, ValueError):
        return None


def _map(path: Path) -> NDArray[np.uint8]:
    """Map an .npy file so that writing into the array does not change the file."""
    try:
        return npy.open_memmap(path, mode="c")
    except OSError as error:
        if error.errno != errno.ENOMEM:
            raise
        # Linux counts all of a writable private map as memory that may be needed, and refuses one
        # larger than the machine's; a read-only one costs nothing.
        return npy.open_memmap(path, mode="r")


def _read_about(folder: Path) -> dict[str, Any]:
    try:
        about = json.loads(read_regular(folder / "about.json", _MAX_ABOUT))
    except (OSError, ValueError):
        return {}
    return about if isinstance(about, dict) else {}


def _remove_old(cache: Path, state: FolderState) -> None:
    """Remove caches of the folder's earlier states, and what killed processes left."""
    try:
        found = list(cache.iterdir())
    except OSError:
        return
    for folder in found:
        if folder.name.startswith("."):
            old = _is_abandoned(folder)
        else:
            about = _read_about(folder)
            now = (SCHEME, state.listing)
            old = (
                about.get("folder") == state.folder
                and (about.get("scheme"), about.get("listing")) != now
            )
        if old:
            # Whoever has it mapped keeps it until they are done.
            shutil.rmtree(folder, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    try:
        last = max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
    except OSError:
        return False
    return time.time() - last > _ABANDONED_S


def _free_bytes(folder: Path) -> int:
    """Room on the disk of a folder that need not exist yet."""
    for place in (folder, *folder.absolute().parents):
        try:
            return shutil.disk_usage(place).free
        except OSError:
            continue
    return 0


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _to_bytes(name: str) -> bytes:
    # Names of files need not be valid Unicode.
    return name.encode("utf-8", "surrogateescape")

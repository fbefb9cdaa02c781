"""Files on disk: written whole or not at all, read without trust."""

import errno
import logging
import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Mapping
from functools import cache
from io import BufferedReader
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import numpy as np
import platformdirs
from numpy.lib import format as npy
from numpy.typing import NDArray

from explorer.errors import CheckpointError, ConfigError


class NotRegularFileError(OSError):
    """What lies at a path is a pipe, a folder, a device: reading it might never end."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(errno.EINVAL, "it is not a regular file", os.fspath(path))


def open_regular(path: str | os.PathLike[str]) -> BufferedReader:
    """Open a regular file for reading; of anything else it neither reads nor waits.

    Every file that somebody else may have put there is opened here: a named pipe in its place
    would hold its reader up for good.

    Raises:
        NotRegularFileError: a pipe, a folder, a socket or a device.
        OSError: missing, or not to be read.
    """
    # Without O_NONBLOCK, opening a pipe waits for its writer; a regular file knows no difference.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        handle = os.open(path, flags | getattr(os, "O_CLOEXEC", 0))
    except OSError as error:
        # A socket cannot be opened, Windows opens no folder.
        if error.errno in (errno.ENXIO, errno.EACCES) and _is_special(path):
            raise NotRegularFileError(path) from error
        raise
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise NotRegularFileError(path)
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def _is_special(path: str | os.PathLike[str]) -> bool:
    try:
        return not stat.S_ISREG(Path(path).stat().st_mode)
    except OSError:
        return False


def read_regular(path: str | os.PathLike[str], max_bytes: int | None = None) -> bytes:
    """All of a regular file, or its first bytes.

    Args:
        path: the file.
        max_bytes: the most that is read; None for all.

    Raises:
        NotRegularFileError: see `open_regular`.
        OSError: missing, or not to be read.
    """
    with open_regular(path) as file:
        return file.read(-1 if max_bytes is None else max_bytes)


def _sync(path: Path) -> None:
    flags = os.O_RDONLY
    try:
        handle = os.open(path, flags)
    except PermissionError:  # Windows cannot open a folder for fsync
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_file(path: str | os.PathLike[str], write: Callable[[BinaryIO], object]) -> None:
    """Write a file beside its place and move it there when it is complete and on the disk.

    Whoever reads the path meanwhile sees the old file; after a failure it is still there.

    Args:
        path: the file; its folder must exist.
        write: puts the content into the open file that it is given.

    Raises:
        CheckpointError: the file cannot be written.
    """
    target = Path(path)
    scratch: Path | None = None
    try:
        with tempfile.NamedTemporaryFile(
            dir=target.parent, prefix=f".{target.name}.", delete=False
        ) as file:
            scratch = Path(file.name)
            write(cast(BinaryIO, file))
            file.flush()
            os.fsync(file.fileno())
        # Temporary files are the owner's alone; a checkpoint is to be read by whoever reads others.
        scratch.chmod(0o644)
        scratch.replace(target)
    except OSError as error:
        raise CheckpointError(f"{target} cannot be written: {error.strerror or error}.") from error
    finally:
        if scratch is not None:
            scratch.unlink(missing_ok=True)
    _sync(target.parent)


def check_writable(folder: Path) -> None:
    """Make a folder, if it is not there, and see that files can be written into it.

    Raises:
        ConfigError: if not.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".probe-"):
            pass
    except OSError as error:
        raise ConfigError(
            f"Nothing can be written into {folder} ({error.strerror or error}); give another one."
        ) from error


def write_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Fill a temporary folder beside `folder` and move it into place.

    Args:
        folder: the final name; a folder that stands there is replaced.
        fill: writes files, no subfolders, into the folder it is given.

    Raises:
        CheckpointError: if the folder cannot be written; what stood there is still there.
    """
    try:
        _replace_folder(folder, fill)
    except OSError as error:
        raise CheckpointError(
            f"{folder} cannot be written: {error.strerror or error}; make room or give another "
            "folder."
        ) from error


def _replace_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.new-"))
    temporary.chmod(0o755)  # mkdtemp makes it private, a checkpoint is not
    replaced: Path | None = None
    try:
        fill(temporary)
        for file in temporary.iterdir():
            _sync(file)
        _sync(temporary)
        if folder.exists():
            replaced = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.old-"))
            folder.rename(replaced / folder.name)
        try:
            temporary.rename(folder)
        except BaseException:  # an impatient Ctrl-C too must leave the old one where it was
            if replaced is not None:
                (replaced / folder.name).rename(folder)
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if replaced is not None:
            shutil.rmtree(replaced, ignore_errors=True)
    _sync(folder.parent)


def save_arrays(path: str | os.PathLike[str], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays as an .npz, whole or not at all: the same arrays give the same bytes.

    Raises:
        CheckpointError: the file cannot be written.
    """
    write_file(path, lambda file: np.savez_compressed(file, allow_pickle=False, **dict(arrays)))


def load_arrays(
    path: str | os.PathLike[str],
    *,
    required: Collection[str],
    optional: Collection[str] = (),
    max_bytes: int,
) -> dict[str, NDArray[Any]]:
    """Read the named arrays of an .npz, and refuse a file that holds anything else.

    Sizes are read from the headers and checked before memory is taken: a few hundred bytes can
    claim to be, or unpack to, terabytes.

    Args:
        path: the file.
        required: names that must be there.
        optional: names that may be there.
        max_bytes: the most that all arrays together may take in memory.

    Raises:
        CheckpointError: missing, damaged or foreign file, a name missing or unexpected, an array
            that needs pickle, or arrays too large.
    """
    file = Path(path)
    try:
        with open_regular(file) as raw, zipfile.ZipFile(raw) as archive:
            members = _members(archive, file)
            if missing := sorted(set(required) - set(members)):
                raise CheckpointError(f"{file} lacks the array {_quoted(missing)}.")
            if foreign := sorted(set(members) - set(required) - set(optional)):
                raise CheckpointError(
                    f"{file} holds {_quoted(foreign)}, which is not part of such a file "
                    f"({_quoted(sorted({*required, *optional}))})."
                )
            left = max_bytes
            arrays = {}
            for name, member in members.items():
                arrays[name] = _read_member(archive, member, file, name, left)
                left -= arrays[name].nbytes
            return arrays
    except FileNotFoundError as error:
        raise CheckpointError(f"{file} is missing.") from error
    except OSError as error:
        raise CheckpointError(f"{file} cannot be read: {error.strerror or error}.") from error
    # What zipfile raises on archives that it cannot follow: damage, encryption, odd compression.
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise CheckpointError(f"{file} is damaged or is no .npz file: {error}.") from error


def _members(archive: zipfile.ZipFile, file: Path) -> dict[str, zipfile.ZipInfo]:
    members: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        if name in members:
            raise CheckpointError(f"{file} holds {name!r} twice.")
        members[name] = info
    return members


def read_array_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """What an .npy file claims to hold; nothing else of it is read.

    Args:
        stream: at the file's start; afterwards at its data.

    Returns:
        Shape, whether it is in Fortran's order, and type.

    Raises:
        ValueError: if the header is damaged, of an unknown version, or claims the impossible.
    """
    version = npy.read_magic(stream)
    if version == (1, 0):
        shape, fortran, dtype = npy.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, fortran, dtype = npy.read_array_header_2_0(stream)
    else:
        raise ValueError(f"version {version} of numpy's format; 1.0 and 2.0 are read")
    if not all(type(length) is int and length >= 0 for length in shape):
        raise ValueError(f"the impossible shape {shape}")
    if not dtype.itemsize:
        raise ValueError(f"values of no size ({dtype})")
    return shape, fortran, dtype


def _read_member(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, file: Path, name: str, max_bytes: int
) -> NDArray[Any]:
    with archive.open(member) as stream:
        try:
            shape, fortran, dtype = read_array_header(stream)
        except ValueError as error:
            raise CheckpointError(f"{file}: array {name!r} is damaged: {error}.") from error
        if dtype.hasobject:
            raise CheckpointError(
                f"{file}: array {name!r} holds Python objects, which would need pickle and could "
                "run code; it is not read."
            )
        # Python's integers: numpy's would wrap at a claimed 2**40 x 2**40.
        size = dtype.itemsize
        for length in shape:
            size *= length
        if size > max_bytes:
            raise CheckpointError(
                f"{file}: array {name!r} of shape {shape} takes {size:,} bytes; {max_bytes:,} are "
                "left for it."
            )
        data = stream.read(size)
        if len(data) != size or stream.read(1):
            raise CheckpointError(
                f"{file}: array {name!r} is cut short or too long for its shape {shape}."
            )
    flat: NDArray[Any] = np.frombuffer(data, dtype=dtype)
    # A copy, since what lies over bytes cannot be written to.
    return flat.reshape(shape, order="F" if fortran else "C").copy()


# What makes a spreadsheet take a cell for a formula, and what it strips before it looks.
_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def table_cell(value: object) -> object:
    """A cell of a table for other programs: text that would be a formula gets an apostrophe.

    Names of files, classes and checkpoints come from anywhere. Numbers, and text that is one, stay.
    """
    if not isinstance(value, str) or not value.startswith(_FORMULA_SIGNS):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    # float() takes 1_000 and fullwidth digits too, and ignores blanks around them.
    return value if value.isascii() and value.isprintable() and "_" not in value else f"'{value}"


def _quoted(names: Collection[str]) -> str:
    return ", ".join(repr(name) for name in names)


def is_writable(folder: Path) -> bool:
    """Whether files can be written into a folder, or into one of that name once it is made."""
    for place in (folder, *folder.absolute().parents):
        try:
            if place.exists():
                return place.is_dir() and os.access(place, os.W_OK | os.X_OK)
        except OSError:
            return False
    return False


def cache_folder() -> Path:
    """The folder of what can be made again: EXPLORER_CACHE, else the user's cache folder.

    A user without a home that can be written, as of a container or a service, gets a folder of
    their own among the temporary files, which is said once.
    """
    setting = os.environ.get("EXPLORER_CACHE")
    if setting:
        return Path(setting).expanduser()
    folder = platformdirs.user_cache_path("latent-explorer", appauthor=False)
    return folder if is_writable(folder) else temporary_cache(folder)


@cache
def temporary_cache(unwritable: Path) -> Path:
    """A folder among the temporary files that is this user's alone, in place of another one."""
    user = os.getuid() if hasattr(os, "getuid") else os.getpid()
    folder = Path(tempfile.gettempdir()) / f"latent-explorer-{user}"
    # Compiled code is read from here: a folder that somebody else laid out must not be used.
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        own = stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o022
        own = own and (not hasattr(os, "getuid") or found.st_uid == user)
    except OSError:
        own = False
    if not own:
        folder = Path(tempfile.mkdtemp(prefix="latent-explorer-"))
    logging.getLogger(__name__).warning(
        "The cache folder %s cannot be written; %s is used instead. Set EXPLORER_CACHE and "
        "EXPLORER_DATA to folders that are to be kept.",
        unwritable,
        folder,
    )
    return folder

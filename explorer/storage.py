"""Files on disk: written whole or not at all, read without trust."""

import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explorer.errors import ExplorerError


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


def write_file(path: Path, write: Callable[[Path], None]) -> None:
    """Fill a temporary file beside `path` and move it into place.

    Args:
        path: the final name; what stands there is replaced in one step.
        write: fills the file whose path it is given.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        _sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync(path.parent)


def write_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Fill a temporary folder beside `folder` and move it into place.

    Args:
        folder: the final name; a folder that stands there is replaced.
        fill: writes files, no subfolders, into the folder it is given.
    """
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
        except OSError:
            if replaced is not None:
                (replaced / folder.name).rename(folder)
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if replaced is not None:
            shutil.rmtree(replaced, ignore_errors=True)
    _sync(folder.parent)


def read_arrays(
    path: Path, *, limit_bytes: int, error: type[ExplorerError]
) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file, without pickle and within a size known beforehand.

    Args:
        path: the .npz file.
        limit_bytes: the most that its arrays may take in memory, bytes.
        error: the kind of error to raise.

    Returns:
        Each array by its name.

    Raises:
        ExplorerError: of the kind asked for, if the file is missing, no .npz, truncated, holds
            Python objects, or expands beyond the limit.
    """
    if not path.is_file():
        raise error(f"{path} is not there; check the path, or make the file again.")
    arrays: dict[str, NDArray[Any]] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            expanded = sum(entry.file_size for entry in archive.infolist())
        if expanded > limit_bytes:
            raise error(
                f"{path.name} expands to {expanded:,} bytes; at most {limit_bytes:,} are allowed."
            )
        with np.load(path, allow_pickle=False) as stored:
            for name in stored.files:
                arrays[name] = stored[name]
    except (zipfile.BadZipFile, ValueError, EOFError, OSError, MemoryError, KeyError) as cause:
        raise error(
            f"{path.name} is no readable .npz file of plain arrays ({cause}); "
            "it may be truncated: make it again."
        ) from cause
    return arrays

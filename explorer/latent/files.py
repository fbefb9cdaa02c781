"""Files that are written whole or not at all."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

from explorer.errors import CheckpointError


def write_whole(path: str | os.PathLike[str], write: Callable[[BinaryIO], object]) -> None:
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

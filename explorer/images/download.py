"""Published files, fetched from mirrors once and taken only when they are the published ones."""

import os
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from explorer.errors import DataError

_TIMEOUT_S = 30
_DOWNLOAD_CHUNK = 2**16

_Content = TypeVar("_Content")


class UnpublishedError(Exception):
    """A mirror's file is not the published one; the text says what the mirror did, "sent ..."."""


def fetch_file(
    title: str,
    name: str,
    mirrors: tuple[str, ...],
    folder: Path,
    read: Callable[[Path], _Content],
    *,
    max_bytes: int,
    keep: bool = True,
    wanted: str = "the file",
    progress: Callable[[str, int, int], None] | None = None,
) -> _Content:
    """Fetch one file from the first mirror that has it.

    It takes its final name only when it is whole and verified.

    Args:
        title: the data set's name in messages.
        name: of the file, at the mirrors and in the folder.
        mirrors: addresses that end in "/", tried in order.
        folder: where it is saved; made if it is not there.
        read: gives the content of a downloaded file, or raises UnpublishedError.
        max_bytes: a mirror that sends more is given up.
        keep: whether the file stays in the folder, or was only to be read.
        wanted: what to put into the folder where no mirror can be reached.
        progress: called with the file, bytes done and bytes in all (0: the mirror does not say).

    Raises:
        DataError: no mirror has it, or the folder cannot be written to.
    """
    # Importing pooch and requests takes time that a set at hand need not spend.
    import pooch

    final = folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, part_name = tempfile.mkstemp(prefix=f".{name}.", suffix=".part", dir=folder)
    except OSError as error:
        raise DataError(
            f"{title} cannot be saved in {folder} ({error.strerror}): set EXPLORER_DATA to a "
            "folder that can be written."
        ) from error
    os.close(handle)
    part = Path(part_name)
    failures = []
    try:
        for mirror in mirrors:
            report = _ByteCount(f"{title}: {name}", progress, part, max_bytes)
            fetch = pooch.HTTPDownloader(
                progressbar=report, timeout=_TIMEOUT_S, chunk_size=_DOWNLOAD_CHUNK
            )
            try:
                fetch(f"{mirror}{name}", str(part), None)
                content = read(part)
            except (OSError, EOFError, zlib.error) as error:
                # requests' errors are OSErrors too.
                failures.append(f"{mirror} failed ({error})")
                continue
            except UnpublishedError as error:
                failures.append(f"{mirror} {error}")
                continue
            if keep:
                part.replace(final)
            return content
    finally:
        part.unlink(missing_ok=True)
    raise DataError(
        f"{title}: {name} could not be downloaded: {'; '.join(failures)}; check the connection "
        f"and try again, or put {wanted} into {folder}."
    )


@dataclass
class _ByteCount:
    """What pooch takes for a progress bar: bytes done to the callback."""

    what: str
    progress: Callable[[str, int, int], None] | None
    part: Path
    max_bytes: int
    total: int = field(default=0, init=False)
    done: int = field(default=0, init=False)

    def update(self, count: int) -> None:
        # pooch counts whole chunks, also where a mirror sends smaller ones.
        if self.part.stat().st_size > self.max_bytes:
            raise OSError(f"it sends more than {self.max_bytes:,} bytes")
        done = self.done + count
        self.done = min(done, self.total) if self.total else done
        if self.progress is not None:
            self.progress(self.what, self.done, self.total)

    def reset(self) -> None:
        self.done = 0 if self.total else self.done

    def close(self) -> None:
        """Nothing is held."""

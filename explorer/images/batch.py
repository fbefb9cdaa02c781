"""Many uploads at once, and ZIP archives of them: one bad file never loses the others.

An archive's own numbers are not believed: its list is measured before it is read, and a picture is
unpacked only as far as the limits allow, whatever size it declares.
"""

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from explorer.errors import UploadError
from explorer.images.fitting import ModelInput
from explorer.images.intake import MAX_BYTES, PreparedImage, prepare_upload, shorten
from explorer.images.preparation import Preparation

MAX_ARCHIVE_BYTES = 200 * 2**20
MAX_ENTRIES = 500
MAX_EXPANDED_BYTES = 200 * 2**20

# An entry of the list takes 46 bytes and its name; zipfile makes an object of each, so that a list
# of 20 MB would become hundreds.
_MAX_LIST_BYTES = MAX_ENTRIES * 2048
_PIECE = 2**16

_ZIP = re.compile(rb"PK(\x03\x04|\x05\x06)")
_END = struct.Struct("<4s4H2LH")
_LOCATOR_BYTES = 20
_ENCRYPTED = 0x1
_NOTES = re.compile(r"(\A|/)(__MACOSX/|\._[^/]*\Z|\.DS_Store\Z|Thumbs\.db\Z|desktop\.ini\Z)")


@dataclass(frozen=True)
class Refused:
    """A file that was not prepared.

    Attributes:
        name: the file's, shortened; of an archive's entry, with the archive's before it.
        reason: a sentence without the name.
        skipped: True for what nobody meant as a picture, such as a system's own notes.
        path: the file's name as it was given; of an archive's entry, with its path inside.
    """

    name: str
    reason: str
    skipped: bool = False
    path: str = ""


@dataclass(frozen=True, eq=False)
class Upload:
    """A file to be prepared, on its own or out of an archive; its bytes are not looked at yet.

    Attributes:
        name: the file's, shortened; of an archive's entry, with the archive's before it.
        data: its bytes.
        path: the file's name as it was given; of an archive's entry, with its path inside.
    """

    name: str
    data: bytes
    path: str


class _ArchiveError(Exception):
    """Why an archive, or one entry of it, is not read."""


def read_batch(
    files: Iterable[tuple[str, bytes]],
    target: ModelInput,
    preparation: Preparation = Preparation(),  # noqa: B008 (frozen)
) -> Iterator[PreparedImage | Refused]:
    """Prepare many files, pictures or ZIP archives of pictures, one after the other.

    Args:
        files: names and bytes, taken one at a time.
        target: what the model takes.
        preparation: what is chosen for all of them.

    Yields:
        for each picture in order: it, or why it was refused.
    """
    for upload in unpack_uploads(files):
        if isinstance(upload, Refused):
            yield upload
            continue
        try:
            yield prepare_upload(upload.data, upload.name, target, preparation)
        except UploadError as error:
            reason = str(error).removeprefix(f"{shorten(upload.name)}: ")
            yield Refused(upload.name, reason, path=upload.path)


def unpack_uploads(files: Iterable[tuple[str, bytes]]) -> Iterator[Upload | Refused]:
    """The single files of a batch; those of ZIP archives are unpacked in memory, one at a time.

    What a file is, is told from its bytes and not from its name.
    """
    for name, data in files:
        if _ZIP.match(data):
            yield from _unpack(name, data)
        else:
            yield Upload(shorten(name), data, name)


def _unpack(name: str, data: bytes) -> Iterator[Upload | Refused]:
    shown = shorten(name)
    try:
        archive = _open_archive(data)
    except _ArchiveError as error:
        yield Refused(shown, f"{error}.", path=name)
        return
    with archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        notes = [entry for entry in entries if _NOTES.search(entry.filename)]
        if notes:
            yield Refused(
                f"{shown} › {shorten(notes[0].filename)}",
                f"{len(notes):,} of the archive's files are notes of a system, no pictures.",
                skipped=True,
                path=f"{name}/{notes[0].filename}",
            )
        pictures = [entry for entry in entries if not _NOTES.search(entry.filename)]
        if len(pictures) > MAX_ENTRIES:
            yield Refused(
                shown,
                f"the archive holds {len(pictures):,} files, the limit is {MAX_ENTRIES}: split it.",
                path=name,
            )
            return
        if not pictures:
            yield Refused(shown, "the archive holds no files: put pictures into it.", path=name)
            return
        left = MAX_EXPANDED_BYTES
        for entry in pictures:
            place, path = f"{shown} › {shorten(entry.filename)}", f"{name}/{entry.filename}"
            try:
                content = _read_entry(archive, entry, left)
            except _ArchiveError as error:
                yield Refused(place, f"{error}.", path=path)
                continue
            left -= len(content)
            yield Upload(place, content, path)


def _open_archive(data: bytes) -> zipfile.ZipFile:
    """The archive with its list read, after the list was found to be short enough."""
    if len(data) > MAX_ARCHIVE_BYTES:
        raise _ArchiveError(
            f"the archive has {len(data) / 2**20:.1f} MiB, the limit is "
            f"{MAX_ARCHIVE_BYTES // 2**20} MiB: split it"
        )
    damaged = "the archive is damaged or cut off: make or send it again"
    # zipfile takes the end without a comment first, then the last one that may have a comment.
    start = len(data) - _END.size
    if start < 0 or data[start : start + 4] != b"PK\x05\x06" or data[-2:] != b"\0\0":
        start = data.rfind(b"PK\x05\x06", max(0, len(data) - _END.size - 2**16))
    if start < 0 or start + _END.size > len(data):
        raise _ArchiveError(damaged)
    size = _END.unpack_from(data, start)[5]
    locator = data[max(0, start - _LOCATOR_BYTES) : start]
    if locator.startswith(b"PK\x06\x07") or size > _MAX_LIST_BYTES:
        raise _ArchiveError(
            f"the archive's list of files has {size / 1024:,.0f} KiB or is one of ZIP64, the limit "
            f"is {_MAX_LIST_BYTES // 1024:,} KiB for {MAX_ENTRIES} files: split it"
        )
    try:
        return zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, LookupError, struct.error, OSError) as error:
        raise _ArchiveError(damaged) from error


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, left: int) -> bytes:
    """The bytes of an entry, unpacked no further than is allowed.

    Raises:
        _ArchiveError: encrypted, of another compression, too large, damaged, another archive.
    """
    if entry.flag_bits & _ENCRYPTED:
        raise _ArchiveError("it is encrypted: save the archive without a password")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # The others are unpacked without a bound.
        raise _ArchiveError(
            f"it is compressed in a way (number {entry.compress_type}) that is not read: save the "
            "archive as an ordinary ZIP"
        )
    if entry.file_size > MAX_BYTES:
        raise _too_large(entry.file_size)
    content = bytearray()
    try:
        with archive.open(entry) as stream:
            while piece := stream.read(_PIECE):
                content += piece
                if len(content) > MAX_BYTES:
                    raise _too_large(len(content))
                if len(content) > left:
                    raise _ArchiveError(
                        f"with it the archive's files have over {MAX_EXPANDED_BYTES // 2**20} MiB "
                        "when unpacked, which is the limit: split it"
                    )
                if len(content) == len(piece) and _ZIP.match(content):
                    raise _ArchiveError("it is an archive in an archive, which is not opened")
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        RuntimeError,
        NotImplementedError,
        ValueError,
        LookupError,
        OSError,
        struct.error,
    ) as error:
        raise _ArchiveError(
            "it is damaged in the archive: make or send the archive again"
        ) from error
    return bytes(content)


def _too_large(size: int) -> _ArchiveError:
    return _ArchiveError(
        f"it has {size / 2**20:.1f} MiB or more when unpacked, the limit is "
        f"{MAX_BYTES // 2**20} MiB: save it smaller"
    )

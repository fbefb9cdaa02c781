"""Files and archives of pictures encoded by a checkpoint, whatever some of them are."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from explorer.encode.codes import (
    Codes,
    join,
    measure_codes,
    to_arrays,
    to_csv,
    without_verdicts,
)
from explorer.encode.familiarity import open_familiarity
from explorer.errors import ConfigError, UploadError
from explorer.images.batch import MAX_ARCHIVE_BYTES, Refused, unpack_uploads
from explorer.images.intake import ModelInput, prepare_upload, shorten
from explorer.images.preparation import Preparation
from explorer.models.checkpoint import load_config, load_encodings
from explorer.models.codec import Codec
from explorer.models.library import find_checkpoint
from explorer.regularity.health import Fault, diagnose, severe_fault
from explorer.storage import save_arrays, write_file

SUFFIXES = (".csv", ".npz")
_TOGETHER = 64  # images encoded at once


@dataclass(frozen=True, eq=False)
class EncodedFiles:
    """What became of some files.

    Attributes:
        names: of those encoded, N paths; a picture out of an archive has the archive's before its
            own.
        codes: theirs, or None if there are none.
        refused: the others, and why.
        faults: what is the matter with the model; beside a severe one the codes have no word on
            whether the pictures are like the training data.
    """

    names: tuple[str, ...]
    codes: Codes | None
    refused: tuple[Refused, ...]
    faults: tuple[Fault, ...] = ()

    def save(self, path: Path) -> None:
        """Write the table, as .csv or .npz.

        Raises:
            ConfigError: another suffix, or nothing was encoded.
            CheckpointError: the file cannot be written.
        """
        check_suffix(path)
        if self.codes is None:
            raise ConfigError(f"No file was encoded, so there is nothing to write to {path}.")
        if path.suffix == ".npz":
            save_arrays(path, to_arrays(self.names, self.codes))
        else:
            content = to_csv(self.names, self.codes).encode("utf-8", "backslashreplace")
            write_file(path, lambda file: file.write(content))


def check_suffix(path: Path) -> None:
    """See that the name of a table says what it is to be.

    Raises:
        ConfigError: if not.
    """
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"{path} must end in {' or '.join(SUFFIXES)}: give another --out.")


def encode_files(
    checkpoint: str | Path,
    files: Iterable[str | Path],
    *,
    preparation: Preparation = Preparation(),  # noqa: B008 (frozen)
    progress: Callable[[int], None] = lambda _count: None,
    refuse: Callable[[Refused], None] = lambda _refused: None,
) -> EncodedFiles:
    """Encode picture files, and ZIP archives of them, as the app's page does.

    A file that cannot be used is refused with the reason, and the others are encoded. No more than
    one file and 64 prepared images are held at once.

    Args:
        checkpoint: its name, as the app lists it, or its folder.
        files: paths of pictures and archives.
        preparation: what is chosen for all of them; by default each is guessed.
        progress: told how many of the files are done, after each.
        refuse: told of each file that is refused, at once.

    Raises:
        CheckpointError: the checkpoint cannot be used.

    Example:
        found = encode_files("mnist-vae-16", ["seven.jpg", "scans.zip"])
        found.codes.mean                       # (N, 16)
        found.save(Path("codes.csv"))
    """
    folder = find_checkpoint(str(checkpoint))
    config = load_config(folder)
    codec = Codec.from_folder(folder)
    encodings = load_encodings(folder, config)
    known = open_familiarity(folder, config, encodings)
    target = ModelInput(config.data.image_shape, config.data.background)

    names: list[str] = []
    refused: list[Refused] = []
    waiting: list[NDArray[np.float32]] = []
    parts: list[Codes] = []

    def encode_waiting() -> None:
        if waiting:
            parts.append(
                measure_codes(
                    codec,
                    np.stack(waiting),
                    references=encodings.mean,
                    labels=encodings.labels,
                    classes=config.data.classes,
                    known=known,
                )
            )
            waiting.clear()

    def turn_away(one: Refused) -> None:
        refused.append(one)
        refuse(one)

    for done, path in enumerate(files, start=1):
        for upload in unpack_uploads(_read(str(path), turn_away)):
            if isinstance(upload, Refused):
                turn_away(upload)
                continue
            try:
                prepared = prepare_upload(upload.data, upload.name, target, preparation)
            except UploadError as error:
                reason = str(error).removeprefix(f"{shorten(upload.name)}: ")
                turn_away(Refused(upload.name, reason, path=upload.path))
                continue
            names.append(upload.path)
            waiting.append(prepared.image)
            if len(waiting) == _TOGETHER:
                encode_waiting()
        progress(done)
    encode_waiting()
    codes, faults = join(parts), diagnose(folder, codec)
    if codes is not None and severe_fault(faults) is not None:
        codes = without_verdicts(codes)
    return EncodedFiles(tuple(names), codes, tuple(refused), faults)


def _read(path: str, refuse: Callable[[Refused], None]) -> Iterator[tuple[str, bytes]]:
    """The file's name and bytes; nothing if it is refused."""
    reason = ""
    try:
        place = Path(path)
        if place.is_dir():
            reason = "this is a folder: give the files in it."
        elif place.exists() and not place.is_file():
            reason = "this is no file that ends: give a picture or a ZIP archive."
        elif (size := place.stat().st_size) > MAX_ARCHIVE_BYTES:
            reason = (
                f"the file has {size / 2**20:.1f} MiB, the limit is "
                f"{MAX_ARCHIVE_BYTES // 2**20} MiB: split it or save it smaller."
            )
        else:
            yield path, place.read_bytes()
    except (OSError, ValueError) as error:
        told = error.strerror if isinstance(error, OSError) else str(error)
        reason = f"it cannot be read ({told}): check the path."
    if reason:
        refuse(Refused(shorten(path), reason, path=path))

"""The images of a folder: their files, classes and split, and what is passed over."""

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from explorer.errors import DataError
from explorer.images.decoding import FORMATS_IN_WORDS, HEAD_BYTES, looks_like_image
from explorer.images.names import escape_name
from explorer.storage import open_regular

SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff",
    ".avif", ".ppm", ".pgm", ".pbm", ".pnm",
)  # fmt: skip
TRAIN, HELD_OUT, TEST = 0, 1, 2
_ROLES = {
    "train": TRAIN, "training": TRAIN, "val": HELD_OUT, "valid": HELD_OUT,
    "validation": HELD_OUT, "test": TEST, "testing": TEST,
}  # fmt: skip
_MOST_NAMED = 10


class NoImagesError(DataError):
    """A folder without a single image."""


@dataclass(frozen=True, eq=False)
class Listing:
    """What a folder holds.

    Attributes:
        files: paths relative to the folder, in a fixed order.
        labels: (N,) indices into `classes`, or None.
        classes: names of the classes' folders; () when unlabelled.
        roles: (N,), TRAIN, HELD_OUT or TEST, where the folder is split; else None.
        notes: sentences about what is not plain to see.
    """

    files: list[str]
    labels: NDArray[np.int64] | None
    classes: tuple[str, ...]
    roles: NDArray[np.int64] | None = None
    notes: tuple[str, ...] = ()

    def without(self, dropped: Iterable[str]) -> "Listing":
        """The same without some files; a class that has none left is not there any more."""
        gone = set(dropped)
        kept = np.array([file not in gone for file in self.files], bool)
        files = [file for file in self.files if file not in gone]
        roles = None if self.roles is None else self.roles[kept]
        if self.labels is None:
            return Listing(files, None, (), roles, self.notes)
        present, labels = np.unique(self.labels[kept], return_inverse=True)
        lost = [name for row, name in enumerate(self.classes) if row not in set(present.tolist())]
        notes = self.notes
        if lost:
            notes += (f"No image is left of {name_some(lost)}, so there is no such class.",)
        classes = tuple(self.classes[row] for row in present)
        return Listing(files, labels.astype(np.int64), classes, roles, notes)


@dataclass
class _Found:
    """What was met on the way through a folder."""

    images: dict[str, list[str]] = field(default_factory=dict)  # by subfolder, "" for the folder's
    passed: dict[str, Counter[str]] = field(default_factory=dict)  # by subfolder, then suffix
    links: list[str] = field(default_factory=list)


def list_images(folder: Path) -> Listing:
    """Every image of a folder and its subfolders, links to folders included.

    What is an image is told by the suffix, and where that says nothing by the file's first bytes.
    Folders named train, val and test with the same classes in them are a split; other subfolders
    are classes, whatever lies below them.

    Raises:
        DataError: no images, both layouts at once, or a folder that cannot be read.
    """
    try:
        found = _walk(folder)
    except OSError as error:
        raise DataError(
            f"The folder {error.filename} cannot be read ({error.strerror}): check its permissions."
        ) from error
    groups = dict(found.images)
    direct = groups.pop("", [])
    if direct and groups:
        raise DataError(
            f"The folder {folder} has images both in itself ({min(direct)}) and in subfolders "
            f"({min(groups)}): put all of them into subfolders, one a class, or all into the "
            "folder."
        )
    passed: Counter[str] = sum(found.passed.values(), Counter())
    if not direct and not groups:
        raise NoImagesError(
            f"The folder {folder} holds no images{_count(passed, ' (it holds {})')}: put "
            f"{FORMATS_IN_WORDS} files into it, or into one subfolder a class."
        )
    notes = []
    if passed:
        notes.append(f"Passed over, as no image of a format that is read: {_count(passed)}.")
    if empty := sorted(set(found.passed) - set(found.images) - {""}):
        told = [f"{name}{_count(found.passed[name], ' ({})') or ' (no files)'}" for name in empty]
        notes.append(f"Subfolders without an image, which make no class: {name_some(told)}.")
    if found.links:
        notes.append(
            "Links passed over, which lead nowhere or to what is read already: "
            f"{name_some(sorted(found.links))}."
        )
    if direct:
        return Listing(sorted(direct), None, (), notes=tuple(notes))
    split = _find_split(groups, notes)
    if split is not None:
        return split
    classes = tuple(sorted(groups))
    files = [path for name in classes for path in sorted(groups[name])]
    labels = np.repeat(np.arange(len(classes)), [len(groups[name]) for name in classes])
    return Listing(
        files, labels.astype(np.int64), tuple(map(escape_name, classes)), notes=tuple(notes)
    )


def name_some(names: list[str]) -> str:
    """The first ten names, and how many more there are."""
    told = ", ".join(escape_name(name) for name in names[:_MOST_NAMED])
    more = len(names) - _MOST_NAMED
    return f"{told} and {more:,} more" if more > 0 else told


def _count(passed: Counter[str], around: str = "{}") -> str:
    """As "12 .heic, 3 .txt"; "" for none."""
    ordered = sorted(passed.items(), key=lambda item: (-item[1], not item[0], item[0]))
    told = [f"{number:,} {escape_name(suffix) or 'without a suffix'}" for suffix, number in ordered]
    return around.format(name_some(told)) if told else ""


def _walk(folder: Path) -> _Found:
    """Files by the subfolder of `folder` that they lie in or below."""
    found = _Found()
    seen = {_identity(str(folder))}
    # Real folders before links to them: of two ways to one folder the plain one counts.
    ways: list[str] = [""]
    links: list[str] = []
    while ways:
        prefix = ways.pop()
        with os.scandir(folder / prefix) as entries:
            ordered = sorted(entries, key=lambda entry: entry.name)
        top = prefix.partition("/")[0]
        if top:
            found.passed.setdefault(top, Counter())
        for entry in ordered:
            name = prefix + entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                if entry.is_symlink():
                    links.append(f"{name}/")
                elif (identity := _identity(entry.path)) in seen:
                    found.links.append(name)
                else:
                    seen.add(identity)
                    ways.append(f"{name}/")
            elif _is_image(entry):
                found.images.setdefault(top, []).append(name)
            elif entry.is_symlink() and not entry.is_file():
                found.links.append(name)
            else:
                found.passed.setdefault(top, Counter())[Path(entry.name).suffix.lower()] += 1
        while links and not ways:
            name = links.pop(0)
            identity = _identity(str(folder / name))
            if identity in seen:
                found.links.append(name.rstrip("/"))
            else:
                seen.add(identity)
                ways.append(name)
    return found


def _identity(path: str) -> tuple[int, int]:
    status = os.stat(path)  # noqa: PTH116 (a million Path objects take several times as much)
    return status.st_dev, status.st_ino


def _is_image(entry: os.DirEntry[str]) -> bool:
    suffixed = entry.name.lower().endswith(SUFFIXES)
    if not entry.is_file():
        # A link that leads nowhere is told of, what is no file at all would block its reader.
        return suffixed and entry.is_symlink()
    if suffixed:
        return True
    try:
        with open_regular(Path(entry.path)) as file:
            return looks_like_image(file.read(HEAD_BYTES))
    except OSError:
        return False


def _find_split(groups: dict[str, list[str]], notes: list[str]) -> Listing | None:
    """The folder read as train, val and test, or None if that is not what its subfolders are."""
    roles = {name: _ROLES.get(name.lower(), -1) for name in groups}
    if -1 in roles.values() or TRAIN not in roles.values() or set(roles.values()) == {TRAIN}:
        return None
    files = {name: sorted(paths) for name, paths in groups.items()}
    classes = {
        name: {path.split("/")[1] for path in paths if path.count("/") > 1}
        for name, paths in files.items()
    }
    known = set().union(*(classes[name] for name in files if roles[name] == TRAIN))
    plain = {name for name, paths in files.items() if any(path.count("/") == 1 for path in paths)}
    if any(classes[name] and (name in plain or not classes[name] & known) for name in files):
        notes.append(
            f"The subfolders {name_some(sorted(groups))} are read as classes, since they do not "
            "hold the same classes each."
        )
        return None
    left_out = sorted(plain) if known else []
    for name in left_out:
        notes.append(f"{name} is passed over: its images lie in no folder of a class.")
    used = sorted((name for name in files if name not in left_out), key=lambda name: roles[name])
    present = {roles[name] for name in used}
    # Without val, it is test that is held out.
    held_out = HELD_OUT if HELD_OUT in present else TEST
    words = {TRAIN: "to train on", TEST: "for the final evaluation", held_out: "held out"}
    told = ", ".join(f"{escape_name(name)} {words[roles[name]]}" for name in used)
    notes.append(f"Read as a split: {told}.")
    names = tuple(sorted(set().union(*(classes[name] for name in used))))
    row = {name: number for number, name in enumerate(names)}
    listed = [path for name in used for path in files[name]]
    labels = np.array([row[path.split("/")[1]] for path in listed], np.int64) if names else None
    parts = [HELD_OUT if roles[name] == held_out else roles[name] for name in used]
    split = np.repeat(np.array(parts, np.int64), [len(files[name]) for name in used])
    return Listing(
        listed,
        labels,
        tuple(map(escape_name, names)),
        None if present == {TRAIN} else split,
        tuple(notes),
    )

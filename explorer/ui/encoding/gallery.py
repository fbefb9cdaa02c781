"""The pictures of one session: kept in its memory alone, and gone with it.

Whatever way a picture came in, it is its bytes, its name and how it is to be prepared. What a model
makes of it is worked out anew where it is needed.
"""

import secrets
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from explorer.errors import UploadError
from explorer.images.batch import Refused, Upload, unpack_uploads
from explorer.images.fitting import ModelInput
from explorer.images.intake import MAX_BYTES, PreparedImage, prepare_upload, shorten
from explorer.images.preparation import Preparation
from explorer.ui.encoding.files import to_data_url

MOST_PICTURES = 500  # and as many that were removed and may come back
MOST_BYTES = 256 * 2**20  # of the files, those that were removed among them
MOST_UNDONE = 20
MOST_REFUSED = 1000  # told of at once
MOST_PREPARED = 8  # with every step; of the others the model's input alone is kept
THUMB = 64  # pixels a side
DRAWING = "Drawing"

_KEY = "explorer.gallery"


@dataclass(frozen=True, eq=False)
class SessionPicture:
    """A picture that the user brought.

    Attributes:
        id: never given twice in a session.
        name: of its file, shortened, or what it is.
        data: the file's bytes.
        version: of the data, never given twice in a session.
        preparation: what was chosen about it.
    """

    id: int
    name: str
    data: bytes
    version: int
    preparation: Preparation = Preparation()  # noqa: RUF009 (frozen)

    @property
    def state(self) -> tuple[int, int, Preparation]:
        """What changes whenever its model input may."""
        return self.id, self.version, self.preparation

    @property
    def look(self) -> tuple[int, int, str]:
        """What changes whenever its thumbnail may."""
        return self.id, self.version, self.preparation.turn


class Gallery:
    """The session's pictures, the one that is looked at, and what was refused.

    Attributes:
        pictures: in the order in which they came.
        refused: files that could not be used, until the user has read of them.
        chosen_id: of the picture that is looked at; None for none.
        session: an id that no other session's gallery has.
    """

    def __init__(self) -> None:
        self.pictures: list[SessionPicture] = []
        self.refused: list[Refused] = []
        self.chosen_id: int | None = None
        self.session = secrets.token_hex(8)
        self._removed: list[list[tuple[int, SessionPicture]]] = []
        self._next = 1
        self._version = 0
        self._incoming: deque[tuple[Iterator[Upload | Refused], int]] = deque()
        self._first = True
        self._prepared: OrderedDict[object, PreparedImage] = OrderedDict()
        self._inputs: dict[object, NDArray[np.float32]] = {}
        self._thumbs: dict[tuple[int, int, str], str] = {}

    @property
    def chosen(self) -> SessionPicture | None:
        """The picture that is looked at."""
        return self.find(self.chosen_id)

    def find(self, number: int | None) -> SessionPicture | None:
        """The picture of this id, or None."""
        return next((one for one in self.pictures if one.id == number), None)

    def number(self, picture: SessionPicture) -> int:
        """Its place in the gallery, from 1."""
        return self.pictures.index(picture) + 1

    # -- what comes in --

    def bring(self, files: Iterable[tuple[str, bytes]]) -> None:
        """Queue files, pictures or ZIP archives of them, for `take_next`.

        What would make the queue larger than a session's pictures may be is refused.
        """
        held = sum(size for _, size in self._incoming)
        taken: list[tuple[str, bytes]] = []
        size = 0
        for name, data in files:
            if held + size + len(data) <= MOST_BYTES:
                taken.append((name, data))
                size += len(data)
                continue
            reason = (
                f"with it over {MOST_BYTES // 2**20} MiB would wait to be prepared, which is the "
                "limit: bring fewer at once."
            )
            self.refuse(Refused(shorten(name), reason, path=name))
        self._incoming.append((unpack_uploads(taken), size))
        self._first = True

    def take_next(self, target: ModelInput) -> str | None:
        """Take in the next picture that was brought; the first good one is looked at.

        One at a time, so that a page that is left in the midst goes on where it was.

        Args:
            target: of the model that is shown; a picture that cannot be given to it is refused.

        Returns:
            The picture's name, or None if none waits.
        """
        while self._incoming:
            upload = next(self._incoming[0][0], None)
            if upload is None:
                self._incoming.popleft()
                continue
            found = upload if isinstance(upload, Refused) else self._take(upload, target)
            if isinstance(found, Refused):
                self.refuse(found)
            elif self._first:
                self._first = False
                self.chosen_id = found.id
            return found.name
        return None

    def _take(self, upload: Upload, target: ModelInput) -> SessionPicture | Refused:
        if len(self.pictures) >= MOST_PICTURES:
            return Refused(upload.name, too_many(), path=upload.path)
        if weigh(self.pictures) + len(upload.data) > MOST_BYTES:
            reason = (
                f"with it the session's pictures would have over {MOST_BYTES // 2**20} MiB, which "
                "is the limit: remove some."
            )
            return Refused(upload.name, reason, path=upload.path)
        picture = SessionPicture(self._next, upload.name, upload.data, self._new_version())
        try:
            self.prepare(picture, target)
        except UploadError as error:
            reason = str(error).removeprefix(f"{shorten(upload.name)}: ")
            return Refused(upload.name, reason, path=upload.path)
        self._next += 1
        self.pictures.append(picture)
        self._bound_removed()
        return picture

    def refuse(self, refused: Refused) -> None:
        """Tell of a file that cannot be used."""
        self.refused = [*self.refused, refused][-MOST_REFUSED:]

    def new_id(self) -> int:
        """An id for a picture that is to be drawn."""
        self._next += 1
        return self._next - 1

    def _new_version(self) -> int:
        self._version += 1
        return self._version

    def put_drawing(self, number: int, data: bytes) -> None:
        """Make this the drawing of that id, a new picture or the same one drawn further."""
        if len(data) > MAX_BYTES:
            return  # no canvas of ours makes such a file
        picture = self.find(number)
        if picture is None:
            if len(self.pictures) >= MOST_PICTURES:
                self.refuse(Refused(DRAWING, too_many()))
                return
            drawn = sum(one.name.startswith(DRAWING) for one in self.pictures)
            name = DRAWING if not drawn else f"{DRAWING} {drawn + 1}"
            # Drawn again after it was removed: what was removed is not to come back beside it.
            self._removed = [
                [entry for entry in group if entry[1].id != number] for group in self._removed
            ]
            self._removed = [group for group in self._removed if group]
            self.pictures.append(SessionPicture(number, name, data, self._new_version()))
        else:
            self._swap(picture, replace(picture, data=data, version=self._new_version()))
        self._bound_removed()
        self.chosen_id = number

    # -- what becomes of them --

    def choose(self, number: int) -> None:
        """Look at the picture of this id."""
        if self.find(number) is not None:
            self.chosen_id = number

    def remove(self, numbers: Iterable[int]) -> None:
        """Take pictures away; `undo` brings them back."""
        gone = set(numbers)
        group = [(at, one) for at, one in enumerate(self.pictures) if one.id in gone]
        if not group:
            return
        self._removed.append(group)
        self.pictures = [one for one in self.pictures if one.id not in gone]
        self._bound_removed()
        if self.chosen_id in gone:
            at = min(group[0][0], len(self.pictures) - 1)
            self.chosen_id = self.pictures[at].id if self.pictures else None
        self._forget()

    @property
    def removed(self) -> str:
        """What `undo` would bring back, in words; "" for nothing."""
        if not self._removed:
            return ""
        group = self._removed[-1]
        return group[0][1].name if len(group) == 1 else f"{len(group)} pictures"

    def undo(self) -> None:
        """Bring back what was removed last, as many pictures as there is room for."""
        if not self._removed:
            return
        group = self._removed.pop()
        room = MOST_PICTURES - len(self.pictures)
        back, left = group[:room], group[room:]
        for at, picture in back:
            self.pictures.insert(min(at, len(self.pictures)), picture)
        if back:
            self.chosen_id = back[0][1].id
        if left:
            self._removed.append(left)
            self.refuse(Refused(self.removed, too_many()))

    def _bound_removed(self) -> None:
        """Let go of what was removed longest ago, where it is too much together."""
        held = weigh(self.pictures)
        kept: list[list[tuple[int, SessionPicture]]] = []
        count = 0
        for group in reversed(self._removed[-MOST_UNDONE:]):
            held += weigh(one for _, one in group)
            count += len(group)
            if held > MOST_BYTES or count > MOST_PICTURES:
                break
            kept.insert(0, group)
        if len(kept) < len(self._removed):
            self._removed = kept
            self._forget()

    def prepare_otherwise(self, number: int, preparation: Preparation) -> None:
        """Choose how the picture of this id is prepared."""
        picture = self.find(number)
        if picture is not None:
            self._swap(picture, replace(picture, preparation=preparation))

    def prepare_all(self, preparation: Preparation) -> None:
        """Choose the same for all; what is cropped by hand stays each picture's own."""
        for picture in list(self.pictures):
            self.prepare_otherwise(picture.id, replace(preparation, crop=picture.preparation.crop))

    def _swap(self, picture: SessionPicture, other: SessionPicture) -> None:
        self.pictures[self.pictures.index(picture)] = other
        self._forget()

    # -- what is made of them --

    def prepare(self, picture: SessionPicture, target: ModelInput) -> PreparedImage:
        """The picture made into a model's input, with every step.

        Raises:
            UploadError: if it cannot be used.
        """
        key = (picture.state, target.image_shape, target.background)
        found = self._prepared.get(key)
        if found is None:
            found = prepare_upload(picture.data, picture.name, target, picture.preparation)
            self._prepared[key] = found
            while len(self._prepared) > MOST_PREPARED:
                self._prepared.popitem(last=False)
        self._prepared.move_to_end(key)
        self._inputs[key] = found.image
        if picture.look not in self._thumbs:
            self._thumbs[picture.look] = thumbnail(found)
        return found

    def input(self, picture: SessionPicture, target: ModelInput) -> NDArray[np.float32]:
        """The picture as a model's input, (C, H, W) in [0, 1].

        Raises:
            UploadError: if it cannot be used.
        """
        found = self._inputs.get((picture.state, target.image_shape, target.background))
        return self.prepare(picture, target).image if found is None else found

    def thumb(self, picture: SessionPicture, target: ModelInput) -> str:
        """A small picture of it, as a data URL."""
        if picture.look not in self._thumbs:
            self.prepare(picture, target)
        return self._thumbs[picture.look]

    def _forget(self) -> None:
        """Let go of what was worked out for pictures as they are no longer."""
        kept = [*self.pictures, *(one for group in self._removed for _, one in group)]
        states = {one.state for one in self.pictures}
        thumbs = {one.look for one in kept}
        self._inputs = {key: one for key, one in self._inputs.items() if _state(key) in states}
        self._thumbs = {key: one for key, one in self._thumbs.items() if key in thumbs}
        for key in [key for key in self._prepared if _state(key) not in states]:
            del self._prepared[key]


def _state(key: object) -> object:
    assert isinstance(key, tuple)
    return key[0]


def weigh(pictures: Iterable[SessionPicture]) -> int:
    """The bytes of their files."""
    return sum(len(one.data) for one in pictures)


def too_many() -> str:
    """Why there is no room for a picture."""
    return f"there are {MOST_PICTURES} pictures, which is the limit: remove some."


def thumbnail(prepared: PreparedImage) -> str:
    """What was uploaded, upright as the model's input has it, small, as a data URL."""
    upright = [step for step in prepared.steps if step.whole][-1]
    image = Image.fromarray(upright.picture)
    image.thumbnail((THUMB, THUMB), Image.Resampling.LANCZOS)
    return to_data_url(np.asarray(image))


def session_gallery() -> Gallery:
    """This session's own; no other session's is ever reached."""
    if _KEY not in st.session_state:
        st.session_state[_KEY] = Gallery()
    gallery: Gallery = st.session_state[_KEY]
    return gallery

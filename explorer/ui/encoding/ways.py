"""The ways to bring pictures in: files, the clipboard, a canvas, the camera; and all that came."""

import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from explorer.images.batch import MAX_ARCHIVE_BYTES, Refused
from explorer.images.decoding import FORMATS_IN_WORDS
from explorer.images.fitting import ModelInput
from explorer.images.intake import MAX_BYTES, over_limit, shorten
from explorer.images.sheet import to_picture
from explorer.live.model import OpenedModel
from explorer.models.library import Listing
from explorer.models.pictures import held_out_pictures, known_at_hand
from explorer.ui import cached
from explorer.ui.addresses import live_base
from explorer.ui.camera import show_camera
from explorer.ui.draw import DrawRequest, drawn, show_draw
from explorer.ui.encoding.files import to_png
from explorer.ui.encoding.gallery import Gallery, session_gallery
from explorer.ui.tray import TrayItem, TrayRequest, show_tray, tray_event
from explorer.ui.words import plain

UPLOAD, DRAW, CAMERA = "Upload", "Draw", "Camera"
ICONS = {UPLOAD: ":material/upload:", DRAW: ":material/draw:", CAMERA: ":material/photo_camera:"}
MOST_ROWS = 4  # of refused files; more of them scroll
TOLD_AFTER = 3  # pictures; fewer are there at once

_CAME, _CANVAS, _EXAMPLES = "explorer.came", "explorer.canvas", "explorer.examples"
_DRAW, _TRAY = "encode-draw", "encode-tray"


@dataclass
class Canvas:
    """What stands on the canvas.

    Attributes:
        drawing: the id of its picture.
        strokes: for the way back from another page.
    """

    drawing: int
    strokes: list[Any] = field(default_factory=list)


def show_ways(listing: Listing, model: OpenedModel, target: ModelInput) -> None:
    """One way in at a time, all that came below it, and what was refused."""
    way = st.segmented_control(
        "How to bring a picture",
        list(ICONS),
        default=UPLOAD,
        format_func=lambda name: f"{ICONS[name]} {name}",
        key="encode-way",
        required=True,
        label_visibility="collapsed",
    )
    gallery = session_gallery()
    if way == DRAW:
        show_canvas(listing, model, gallery)
    elif way == CAMERA:
        key = field_key("camera")
        show_camera(key=key, on_change=take_files, args=(key,))
    else:
        show_uploader()
        show_example(model)
    take_in(gallery, target)
    show_all(gallery, target)
    show_refused(gallery)


def show_uploader() -> None:
    """Many files at once; what came is in the gallery, and the field is empty again."""
    key = field_key("uploads")
    st.file_uploader(
        "Images to encode",
        # No list of suffixes: Streamlit would drop a file without a word, ours says why.
        type=None,
        accept_multiple_files=True,
        key=key,
        label_visibility="collapsed",
        on_change=take_files,
        args=(key,),
        # For archives; a picture of over 20 MB is refused when it is read, with its size.
        max_upload_size=MAX_ARCHIVE_BYTES // 2**20,
    )
    st.caption(
        f"{FORMATS_IN_WORDS}, up to {MAX_BYTES // 2**20} MiB each, or a ZIP of them. They stay in "
        "this session's memory and are never written to disk."
    )


def show_example(model: OpenedModel) -> None:
    """A held-out image for those who have no picture, or want to compare theirs with one."""
    if known_at_hand(model.config.data) is False:
        return
    st.button(
        "or take a held-out image",
        key="example",
        type="tertiary",
        help="One that the model did not learn from, another one at each click.",
        on_click=take_example,
        args=(model,),
    )


def take_example(model: OpenedModel) -> None:
    """Queue a held-out image as if it had been uploaded."""
    taken = int(st.session_state.get(_EXAMPLES, 0))
    st.session_state[_EXAMPLES] = taken + 1
    rows = np.random.default_rng(taken).integers(len(model.encodings.index), size=1)
    index = model.encodings.index[rows]
    data = model.config.data
    found = held_out_pictures(data, index)
    if found is None:
        st.toast(f"The images of {plain(Path(data.name).name)} are not at hand.")
        return
    name = f"{Path(data.name).name} {index[0]}"
    session_gallery().bring([(name, to_png(to_picture(found[0])))])


def field_key(name: str) -> str:
    """The key of an input, a new one after every use: it is empty then."""
    used = int(st.session_state.get(_CAME, 0))
    return f"{name}-{used}" if used else name


def take_files(key: str) -> None:
    """Queue what an input of Streamlit's own holds."""
    found = st.session_state.get(key)
    if not found:
        return
    files = found if isinstance(found, list) else [found]
    named = [
        (file.name if key.startswith("uploads") else "Photograph.jpg", file.getvalue())
        for file in files
    ]
    session_gallery().bring(named)
    st.session_state[_CAME] = int(st.session_state.get(_CAME, 0)) + 1


def take_in(gallery: Gallery, target: ModelInput) -> None:
    """Prepare what was brought, and say how far it is where that takes a while."""
    place = st.empty()
    done = 0
    while (name := gallery.take_next(target)) is not None:
        done += 1
        if done > TOLD_AFTER:
            place.caption(f"{done} prepared: {plain(name)}")
    place.empty()


def show_canvas(listing: Listing, model: OpenedModel, gallery: Gallery) -> None:
    """A canvas whose drawing is encoded while one draws."""
    canvas = session_canvas(gallery)
    channels, height, width = model.config.data.image_shape
    show_draw(
        DrawRequest(
            base=live_base(),
            token=cached.live_token(),
            name=listing.name,
            tag=model.tag,
            latent_dim=model.latent_dim,
            shape=(height, width, channels),
            ground=model.config.data.background,
            classes=model.config.data.classes,
            usual=cached.held_out_reconstruction(listing),
            drawing=canvas.drawing,
            strokes=canvas.strokes,
        ),
        key=_DRAW,
        on_drawn=take_drawing,
    )


def session_canvas(gallery: Gallery) -> Canvas:
    """This session's canvas."""
    if _CANVAS not in st.session_state:
        st.session_state[_CANVAS] = Canvas(gallery.new_id())
    canvas: Canvas = st.session_state[_CANVAS]
    return canvas


def take_drawing() -> None:
    """Make what stands on the canvas a picture; an empty canvas takes it away."""
    gallery, found = session_gallery(), drawn(_DRAW)
    canvas = session_canvas(gallery)
    if found is None or found.drawing != canvas.drawing:
        return
    canvas.strokes = found.strokes
    if found.data:
        gallery.put_drawing(canvas.drawing, found.data)
    else:
        gallery.remove([canvas.drawing])
    if found.another:
        st.session_state[_CANVAS] = Canvas(gallery.new_id())


def show_all(gallery: Gallery, target: ModelInput) -> None:
    """The session's pictures; one of them is looked at."""
    items = [TrayItem(one.id, one.name, gallery.thumb(one, target)) for one in gallery.pictures]
    request = TrayRequest(
        items, gallery.chosen_id, gallery.removed, MAX_BYTES, gallery.session, server_id()
    )
    show_tray(request, key=_TRAY, on_event=follow_tray)


@st.cache_resource
def server_id() -> str:
    """An id of this process of the server: the pictures of another one are gone."""
    return secrets.token_hex(8)


def follow_tray() -> None:
    """Do what was asked for in the row of pictures."""
    gallery, event = session_gallery(), tray_event(_TRAY)
    if event is None:
        return
    if event.kind == "choose":
        gallery.choose(event.id)
    elif event.kind == "remove":
        gallery.remove([event.id])
    elif event.kind == "clear":
        gallery.remove([one.id for one in gallery.pictures])
    elif event.kind == "undo":
        gallery.undo()
    elif event.kind == "paste":
        gallery.bring(event.pasted)
        for name, size in event.large:
            gallery.refuse(Refused(shorten(name), f"{over_limit(size)}."))
    canvas: Canvas | None = st.session_state.get(_CANVAS)
    if canvas is not None and canvas.strokes and gallery.find(canvas.drawing) is None:
        # Its picture is gone: what is drawn next is another one.
        st.session_state[_CANVAS] = Canvas(gallery.new_id())


def show_refused(gallery: Gallery) -> None:
    """A table of the files that could not be used, until it has been read."""
    if not gallery.refused:
        return
    count = len(gallery.refused)
    words, action = st.columns([4, 1], vertical_alignment="center")
    words.markdown(f"**{count} file{'s' if count > 1 else ''} could not be used**")
    if action.button("Close", key="refused-read", width="stretch"):
        gallery.refused = []
        st.rerun()
    st.table(
        {
            "File": [plain(one.name) for one in gallery.refused],
            "Why": [plain(one.reason) for one in gallery.refused],
        },
        border="horizontal",
        height=300 if count > MOST_ROWS else "content",
    )

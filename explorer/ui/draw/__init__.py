"""The browser component to draw on: what is drawn is encoded live, and sent when the hand rests."""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import streamlit as st

from explorer.ui.sources import LIVE_SCRIPTS, source

LARGEST_STROKES = 2**20  # characters of JSON that are kept


_component = st.components.v2.component(
    "latent_explorer.draw",
    html=source("draw/draw.html"),
    css=source("draw/draw.css"),
    js=source(*LIVE_SCRIPTS, "draw/link.js", "draw/draw.js"),
    isolate_styles=False,
)


@dataclass(frozen=True)
class DrawRequest:
    """What the component shows.

    Attributes:
        base: path of the live route.
        token: what the browser session may use the route with.
        name, tag: the checkpoint, and its number on the live route.
        latent_dim: D.
        shape: of its images, [H, W, C].
        ground: brightness of its images' ground, 0 to 1.
        classes: of its images.
        usual: what held-out images cost at the mean code, nats; None where unknown.
        drawing: the id of the drawing on the canvas.
        strokes: what it begins with, as it was told before.
        largest: characters of JSON that the strokes it tells may have.
    """

    base: str
    token: str
    name: str
    tag: int
    latent_dim: int
    shape: tuple[int, int, int]
    ground: float
    classes: Sequence[str]
    usual: float | None
    drawing: int
    strokes: Sequence[Any]
    largest: int = LARGEST_STROKES


@dataclass(frozen=True)
class Drawn:
    """A drawing at which the hand came to rest.

    Attributes:
        drawing: its id.
        data: a PNG file; b"" for a canvas with nothing on it.
        strokes: for `DrawRequest.strokes`.
        another: whether the next stroke is to begin another drawing.
    """

    drawing: int
    data: bytes
    strokes: list[Any]
    another: bool


def show_draw(request: DrawRequest, *, key: str, on_drawn: Any) -> None:  # noqa: ANN401
    """Show the canvas; `on_drawn` is called before the script runs again, and asks `drawn`."""
    _component(key=key, data=asdict(request), on_drawn_change=on_drawn)


def drawn(key: str) -> Drawn | None:
    """What was drawn under this key, in this run."""
    return read_drawn(getattr(st.session_state.get(key), "drawn", None))


def read_drawn(value: object) -> Drawn | None:
    """What a component told of its drawing; None for anything else.

    Where its strokes cannot be kept, the next one begins another drawing: on an empty canvas under
    the same id it would take the place of all that was drawn.
    """
    if not isinstance(value, dict):
        return None
    try:
        data = base64.b64decode(value.get("png") or "", validate=True)
    except (binascii.Error, TypeError, ValueError):
        return None
    strokes, another = value.get("strokes"), bool(value.get("another"))
    # Without spaces, as a browser counts.
    if (
        not isinstance(strokes, list)
        or len(json.dumps(strokes, separators=(",", ":"))) > LARGEST_STROKES
    ):
        strokes, another = [], True
    return Drawn(int(value.get("drawing") or 0), data, strokes, another)

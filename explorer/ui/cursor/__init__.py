"""The browser component with one cursor that drives the decoders of several models at once."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import streamlit as st

from explorer.ui.sources import LIVE_SCRIPTS, source

_component = st.components.v2.component(
    "latent_explorer.cursor",
    html=source("cursor/cursor.html"),
    css=source("cursor/cursor.css"),
    js=source(*LIVE_SCRIPTS, "cursor/cursor.js"),
    isolate_styles=False,
)


@dataclass(frozen=True)
class CursorModel:
    """One of the models that the cursor drives.

    Attributes:
        name, tag: the checkpoint, and its number on the live route.
        title: what stands above its picture.
        shape: of the picture, [H, W, C].
        latent_dim: D.
        mean, root: z = mean + root eps is N(m, S) of its own codes: (D,) and (D, D).
        classes: of its images.
    """

    name: str
    tag: int
    title: str
    shape: tuple[int, int, int]
    latent_dim: int
    mean: Sequence[float]
    root: Sequence[Sequence[float]]
    classes: Sequence[str]


@dataclass(frozen=True)
class CursorRequest:
    """What the component shows.

    Attributes:
        base: path of the live route.
        token: what the browser session may use the route with.
        models: two to four.
        fair: whether the noise is brought to each model's own scale.
    """

    base: str
    token: str
    models: Sequence[CursorModel]
    fair: bool


def show_cursor(request: CursorRequest, *, key: str) -> None:
    """Show the pad and the models' pictures."""
    _component(key=key, data=asdict(request))

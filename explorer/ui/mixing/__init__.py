"""The browser component that mixes codes live: along a path, on a plane, or along a direction."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import streamlit as st

from explorer.ui.sources import LIVE_SCRIPTS, source

PATH, PLANE, LINE = "path", "plane", "line"


_component = st.components.v2.component(
    "latent_explorer.mixing",
    html=source("mixing/mixing.html"),
    css=source("mixing/mixing.css"),
    js=source(*LIVE_SCRIPTS, "mixing/mixtures.js", "mixing/mixing.js"),
    isolate_styles=False,
)


@dataclass(frozen=True, eq=False)
class MixingCorner:
    """One code that is mixed.

    Attributes:
        title: for the user.
        source: its picture as a data URL.
        code: (D,).
    """

    title: str
    source: str
    code: Sequence[float]


@dataclass(frozen=True, eq=False)
class MixingRequest:
    """What the component shows.

    Attributes:
        base: path of the live route.
        token: what the browser session may use the route with.
        name, tag: the checkpoint, and its number on the live route.
        shape: of the picture, [H, W, C].
        classes: of its images.
        mode: "path" (through the corners in order), "plane" (between them all) or "line" (from the
            one corner along `direction`).
        arc: whether mixtures move along arcs about the origin (slerp) or straight (lerp).
        closed: whether a path returns to its first corner.
        corners: two to five; one for a line.
        direction: of a line, for one step of its slider, (D,).
        reach: of a line, steps to either side.
        forth: where the slider of a line leads to, as "towards more ink".
        back: and the other way, as "towards less ink".
        note: what a step of it is, in a sentence.
        fault: why it is not said that a mixture lies among the codes; "" where it may be.
    """

    base: str
    token: str
    name: str
    tag: int
    shape: tuple[int, int, int]
    classes: Sequence[str]
    mode: str
    corners: Sequence[MixingCorner]
    arc: bool = False
    closed: bool = False
    direction: Sequence[float] = ()
    reach: float = 3.0
    forth: str = ""
    back: str = ""
    note: str = ""
    fault: str = ""


def show_mixing(request: MixingRequest, *, key: str) -> tuple[float, ...] | None:
    """Show the component.

    Returns:
        The code (D,) that the user just sent to the sliders, or None.
    """
    found = _component(key=key, data=asdict(request), on_sent_change=lambda: None)
    value = getattr(found, "sent", None)
    if not isinstance(value, list | tuple) or len(value) != len(request.corners[0].code):
        return None
    return tuple(float(number) for number in value)

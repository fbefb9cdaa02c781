"""The browser component with one plane of a latent space: pictures on it, and ends to drag."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import streamlit as st

from explorer.ui.sources import LIVE_SCRIPTS, source

_component = st.components.v2.component(
    "latent_explorer.plane",
    html='<div class="plane"></div>',
    css=source("plane/plane.css"),
    js=source(*LIVE_SCRIPTS, "plane/plane.js"),
    isolate_styles=False,
)


@dataclass(frozen=True)
class PlaneRequest:
    """What the component shows.

    Attributes:
        base, plotly: paths of the live route and of plotly.min.js.
        token: what the browser session may use the route with.
        name, tag: the checkpoint, and its number on the live route.
        figure: Plotly's data and layout.
        extent: left, right, low, high of the whole.
        centre, basis, pin: spots become codes by centre + what `pin` has across the plane +
            spot @ basis: (D,), (2, D) and (D,).
        manifold: whether pictures fade in when one zooms.
        ends: two places that can be dragged, or none.
        ways: lines between them, a list of places each; all but the first are dotted.
    """

    base: str
    plotly: str
    token: str
    name: str
    tag: int
    figure: dict[str, Any]
    extent: Sequence[float]
    centre: Sequence[float]
    basis: Sequence[Sequence[float]]
    pin: Sequence[float]
    manifold: bool = False
    ends: Sequence[Sequence[float]] = ()
    ways: Sequence[Sequence[Sequence[float]]] = ()


@dataclass(frozen=True)
class MovedEnd:
    """An end of a path that was put down somewhere.

    Attributes:
        end: 0 or 1.
        x, y: where, on the plane.
    """

    end: int
    x: float
    y: float


def show_plane(
    request: PlaneRequest, *, key: str, on_move: Callable[[MovedEnd], None] | None = None
) -> None:
    """Show the plane.

    Args:
        request: what it shows.
        key: of the component.
        on_move: told of an end that was moved, before the script runs again.
    """

    def told() -> None:
        moved = getattr(st.session_state.get(key), "moved", None)
        if moved and on_move is not None:
            on_move(MovedEnd(int(bool(moved["end"])), float(moved["x"]), float(moved["y"])))

    _component(key=key, data=asdict(request), on_moved_change=told)

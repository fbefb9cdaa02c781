"""The browser component: map, sliders and decoded picture as one live surface.

Python hands it one model and gets back settled codes; all that moves between two of them stays in
the browser and on the live route.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import streamlit as st

from explorer.ui.sources import LIVE_SCRIPTS, source

SCRIPTS = (
    *LIVE_SCRIPTS, "lab/points.js", "lab/trail.js", "lab/solid.js", "lab/map.js", "lab/colours.js",
    "lab/sliders.js", "lab/panels.js", "lab/truth.js", "lab/dressing.js", "lab/lab.js",
)  # fmt: skip

# Not isolated: a shadow root breaks Plotly's mode bar.
_component = st.components.v2.component(
    "latent_explorer.lab",
    html=source("lab/lab.html"),
    # With the page's style: Streamlit draws its own copy later, and the map would change its size.
    css=source("page.css", "lab/lab.css"),
    js=source(*SCRIPTS),
    isolate_styles=False,
)


@dataclass(frozen=True)
class LabAxis:
    """One slider.

    Attributes:
        index: the latent axis, from 0.
        information: KL in nats, or variance for an AE.
        active: whether the encoder uses it.
        typical: where a reset goes.
        low, high: the range that holds 99 % of the codes; the slider goes 1.5 times as far.
    """

    index: int
    information: float
    active: bool
    typical: float
    low: float
    high: float


@dataclass(frozen=True)
class LabRequest:
    """What the component shows.

    Attributes:
        name, tag: the checkpoint, and its number on the live route.
        fingerprint: of its data and weights' state, which bookmarks are kept by.
        base: path of the live route.
        plotly: path of plotly.min.js.
        token: what the browser session may use the route with.
        shape: of the picture, [H, W, C].
        axes: the sliders, most informative first.
        unit: of their information.
        names: those the user gave to axes, by the axis's number.
        naming: why axes cannot be named here; "" where they can.
        classes, colours: of the map's points.
        palette: colours of choices that are no classes.
        method: of the checkpoint's own map.
        exact: whether that map is the latent plane itself.
        solid: whether the checkpoint has a map in three dimensions.
        density: whether there are codes enough for a local density.
        kl: whether the posterior has a variance.
        background: brightness of the images' ground, 0 to 1.
        note: one sentence under the map.
        hint: one sentence under the sliders.
        start: the code that the sliders begin with.
        run: number of the script's run, for tests.
        push: a code that another page sends, with an id of its own.
        decoded: the answer to a settled code while there is no live connection.
    """

    name: str
    tag: int
    fingerprint: str
    base: str
    plotly: str
    token: str
    shape: tuple[int, int, int]
    axes: Sequence[LabAxis]
    unit: str
    names: Mapping[str, str]
    naming: str
    classes: Sequence[str]
    colours: Sequence[str]
    palette: Sequence[str]
    method: str
    exact: bool
    solid: bool
    density: bool
    kl: bool
    background: float
    note: str
    hint: str
    start: Sequence[float]
    run: int
    push: dict[str, Any] | None = None
    decoded: dict[str, Any] | None = None


@dataclass(frozen=True)
class SettledCode:
    """A code that the user came to rest on.

    Attributes:
        id: of this settling.
        name, tag: the checkpoint it is of.
        latents: D values.
        offline: whether the browser has no live connection and waits for the picture.
    """

    id: str
    name: str
    tag: int
    latents: tuple[float, ...]
    offline: bool


def show_lab(request: LabRequest, *, key: str) -> None:
    """Show the lab; the settled code is read by `settled_code` under the same key."""
    _component(
        key=key,
        data=asdict(request),
        on_settled_change=lambda: None,
    )


def settled_code(key: str) -> SettledCode | None:
    """The code settled last under this key; None before the first."""
    value = getattr(st.session_state.get(key), "settled", None)
    if not value:
        return None
    return SettledCode(
        id=str(value["id"]),
        name=str(value["name"]),
        tag=int(value["tag"]),
        latents=tuple(float(number) for number in value["latents"]),
        offline=bool(value["offline"]),
    )

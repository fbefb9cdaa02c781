"""Compare's planes: where codes lie and the prior expects them, and what the decoder does there."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st
from numpy.typing import NDArray

from explorer.errors import ExplorerError
from explorer.live.hub import Stamp
from explorer.live.model import OpenedModel
from explorer.live.route import plotly_path
from explorer.live.spaces import PRINCIPAL, Space, look_at_space, manifold_sheet, measure_stretch
from explorer.regularity.sentences import percent
from explorer.ui import cached
from explorer.ui.addresses import base_path, live_base
from explorer.ui.comparing.comparison import Comparison, key_of, show_sheet
from explorer.ui.plane import PlaneRequest, show_plane
from explorer.ui.words import plain

if TYPE_CHECKING:
    import plotly.graph_objects as go

DENSITY, STRETCH = "Density", "Magnification"
SAMPLES, ELLIPSES, PICTURES = "Prior samples", "Posteriors", "Pictures"
SHEET_SIDE = 16
PLANE_WORDS = (
    "Shaded: how many encodings lie there, projected onto the plane. Dots: samples of the prior, "
    "projected too; red: the sample lies in a hole of the whole latent space (its fifth nearest "
    "encoding is farther than for 95 % of the encodings themselves), which the plane by itself "
    "cannot show. Dotted: 1, 2 and 3 standard deviations of the prior. Grey ellipses: some "
    "posteriors, 1 standard deviation at true scale; an AE has none. Each plane has its own scale."
)
PRINCIPAL_WORDS, AXES_WORDS = "Principal axes", "Two axes"


def show_planes(comparison: Comparison) -> None:
    """One plane of each model."""
    left, middle, right = st.columns([3, 2, 3], gap="medium", vertical_alignment="bottom")
    with left:
        which = pick_plane(comparison.models, "compare-plane")
    shade = middle.segmented_control(
        "Shade", [DENSITY, STRETCH], default=DENSITY, key="compare-shade", required=True,
        label_visibility="collapsed",
        help="Density: how many encodings lie there, projected onto the plane. Magnification: how "
        "much the decoder stretches area there, log10 of sqrt(det(JᵀJ)).",
    )  # fmt: skip
    layers = right.pills(
        "Show", [SAMPLES, ELLIPSES, PICTURES], default=[SAMPLES, ELLIPSES, PICTURES],
        selection_mode="multi", key="compare-layers", label_visibility="collapsed",
    )  # fmt: skip
    spaces: list[Space | None] = []
    for place, side in enumerate(st.columns(len(comparison.models), gap="medium")):
        with side:
            st.markdown(f"**{plain(comparison.names[place])}**")
            spaces.append(show_one(comparison, place, which, str(shade), layers or []))
    st.caption(PLANE_WORDS)
    if st.toggle("The manifold, spread by the prior (Kingma's figure)", key="compare-manifold"):
        for place, side in enumerate(st.columns(len(comparison.models), gap="medium")):
            space, model = spaces[place], comparison.models[place]
            if space is None:
                continue
            with side:
                sheet = cached_manifold(model, space, *key_of(model), which, comparison.column)
                show_sheet(
                    sheet.transpose(0, 3, 1, 2),
                    SHEET_SIDE,
                    f"{plain(comparison.names[place])}: spots that cut the prior of this plane "
                    "into equal shares (inverse normal CDF), all else at the mean code",
                )


def pick_plane(models: Sequence[OpenedModel], key: str) -> str:
    """Which plane to look at, by its name in `live.spaces`."""
    dim = min(model.latent_dim for model in models)
    if dim <= 2:
        return PRINCIPAL
    row = st.container(horizontal=True, gap="small", vertical_alignment="bottom")
    chosen = row.segmented_control(
        "Plane", [PRINCIPAL_WORDS, AXES_WORDS], default=PRINCIPAL_WORDS, key=key, required=True,
        label_visibility="collapsed",
        help="Principal axes: the plane along which each model's own codes spread the most.",
    )  # fmt: skip
    if chosen != AXES_WORDS:
        return PRINCIPAL

    def name(axis: int) -> str:
        return f"z{axis + 1}"

    axes = list(range(dim))
    i = row.selectbox(
        "x", axes, format_func=name, key=f"{key}-x", label_visibility="collapsed", width=84
    )
    others = [axis for axis in axes if axis != i]
    j = row.selectbox(
        "y", others, format_func=name, key=f"{key}-y", label_visibility="collapsed", width=84
    )
    return f"axes:{i},{j}"


def show_one(
    comparison: Comparison, place: int, which: str, shade: str, layers: Sequence[str]
) -> Space | None:
    """The plane of one model; None where it has none."""
    from explorer.plots.spaces import plot_space

    model, name = comparison.models[place], comparison.names[place]
    if model.latent_dim == 1:
        st.info("One latent axis is no plane; Axes shows it.")
        return None
    try:
        space = cached_space(model, *key_of(model), which, comparison.column)
        stretch = None
        if shade == STRETCH:
            stretch = cached_stretch(model, space, *key_of(model), which, comparison.column)
    except ExplorerError as error:
        st.info(plain(str(error)))
        return None
    figure = plot_space(
        space.places,
        space.extent,
        names=space.plane.names,
        colour=comparison.colours[place],
        circle=space.circle,
        samples=space.samples if SAMPLES in layers else None,
        in_hole=space.in_hole,
        ellipses=space.ellipses if ELLIPSES in layers else (),
        magnification=stretch,
    )
    show_plane(
        plane_request(model, name, space, figure, manifold=PICTURES in layers),
        key=f"compare-plane-{place}",
    )
    if SAMPLES in layers:
        st.markdown(plain(hole_words(space)))
    return space


def hole_words(space: Space) -> str:
    """How many of the plane's prior samples are in a hole."""
    share = space.hole_share
    if share is None:
        return "There are too few encodings to say which prior samples lie in a hole."
    return (
        f"Prior holes: {percent(share)} of {len(space.samples):,} prior samples lie in a hole "
        "(5 % expected)."
    )


def plane_request(
    model: OpenedModel,
    name: str,
    space: Space,
    figure: "go.Figure",
    *,
    manifold: bool = False,
    ends: Sequence[Sequence[float]] = (),
    ways: Sequence[Sequence[Sequence[float]]] = (),
) -> PlaneRequest:
    """What the component is told of one model's plane."""
    return PlaneRequest(
        base=live_base(),
        plotly=base_path() + plotly_path(),
        token=cached.live_token(),
        name=name,
        tag=model.tag,
        figure=json.loads(figure.to_json()),
        extent=space.extent,
        centre=space.plane.centre.tolist(),
        basis=space.plane.basis.tolist(),
        pin=space.pin.tolist(),
        manifold=manifold,
        ends=ends,
        ways=ways,
    )


@st.cache_resource(max_entries=32, show_spinner="Looking at the plane…")
def cached_space(_model: OpenedModel, folder: str, stamp: Stamp, which: str, column: str) -> Space:
    """`look_at_space`, kept; all but the model are the cache's key."""
    return look_at_space(_model, which, column)


@st.cache_resource(max_entries=32, show_spinner="Measuring how the decoder stretches the plane…")
def cached_stretch(
    _model: OpenedModel, _space: Space, folder: str, stamp: Stamp, which: str, column: str
) -> NDArray[Any]:
    """`measure_stretch`, kept; the model and the space follow from the other arguments."""
    return measure_stretch(_model, _space)


@st.cache_resource(max_entries=16, show_spinner="Decoding the manifold…")
def cached_manifold(
    _model: OpenedModel, _space: Space, folder: str, stamp: Stamp, which: str, column: str
) -> NDArray[Any]:
    """`manifold_sheet`, kept; the model and the space follow from the other arguments."""
    return manifold_sheet(_model, _space, column, SHEET_SIDE)

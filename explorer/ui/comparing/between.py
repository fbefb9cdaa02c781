"""Compare's interpolation: the way between the same two images in each model."""

from collections.abc import Mapping, Sequence
from functools import reduce

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from explorer.live.model import OpenedModel
from explorer.live.spaces import PATHS, Space, Way, find_way
from explorer.models.pictures import held_out_pictures
from explorer.ui.comparing.comparison import Comparison, key_of, show_sheet
from explorer.ui.comparing.planes import cached_space, pick_plane, plane_request
from explorer.ui.plane import MovedEnd, show_plane
from explorer.ui.words import plain

STEPS = 11
ENDS = ("compare-from", "compare-to")
SEED = "compare-ends"


def show_interpolation(comparison: Comparison) -> None:
    """The way between the same two held-out images in all."""
    models = comparison.models
    if len({model.config.data.fingerprint for model in models}) > 1:
        st.info("The models were trained on different images: there is no pair of images to join.")
        return
    shared = shared_images(models)
    if len(shared) < 2:
        st.info("The models share fewer than two held-out images.")
        return
    left, shown, first, last, action = st.columns(
        [4, 1.3, 2, 2, 2], gap="small", vertical_alignment="bottom"
    )
    with left:
        which = pick_plane(models, "compare-way-plane")
    if action.button("New pair", icon=":material/shuffle:", key="two-others", width="stretch"):
        st.session_state[SEED] = int(st.session_state.get(SEED, 0)) + 1
        keep_ends(pick_ends(models, shared, st.session_state[SEED]))
    if not all(st.session_state.get(key) in set(shared.tolist()) for key in ENDS):
        keep_ends(pick_ends(models, shared, int(st.session_state.get(SEED, 0))))
    index = []
    for side, key, letter in zip((first, last), ENDS, "AB", strict=True):
        index.append(
            side.number_input(
                f"Image {letter}", int(shared.min()), int(shared.max()), step=1, key=key,
                help="The number of a held-out image in the data set; a click or a drag on a "
                "plane sets it too.",
            )
        )  # fmt: skip
    missing = [number for number in index if number not in set(shared.tolist())]
    if missing:
        st.info(f"Image {missing[0]} is not among the {len(shared):,} held-out ones.")
        return
    with shown:
        show_ends(models[0], index)
    for place, side in enumerate(st.columns(len(models), gap="medium")):
        with side:
            show_one(comparison, place, which, index, shared)
    st.caption(
        "Drag A or B, or click: the nearest held-out image becomes the end, in all models. Under "
        "each strip, how densely encodings lie along the path in the whole latent space, as a "
        "percentile of the encodings' own; in the red it leads through a hole. slerp is drawn "
        "dotted on the plane."
    )


def show_ends(model: OpenedModel, index: Sequence[int]) -> None:
    """The two images themselves, where they are available."""
    images = held_out_pictures(model.config.data, np.array(index))
    if images is not None:
        show_sheet(images, 2, "A and B")


def show_one(
    comparison: Comparison,
    place: int,
    which: str,
    index: Sequence[int],
    shared: NDArray[np.int64],
) -> None:
    """The plane, the strips and the densities of one model."""
    from explorer.plots.spaces import plot_density_path

    model, name = comparison.models[place], comparison.names[place]
    rows = rows_of(model, index)
    ways = {path: find_way(model, rows, path) for path in PATHS}
    st.markdown(f"**{plain(name)}** · |Δz| = {ways['lerp'].length:.2f}")
    if model.latent_dim > 1:
        space = cached_space(model, *key_of(model), which, comparison.column)
        show_way(comparison, place, which, space, ways, shared, rows)
    for path, way in ways.items():
        lowest = float(np.nanmin(way.density)) if np.isfinite(way.density).any() else np.nan
        show_sheet(
            way.pictures(model, STEPS).transpose(0, 3, 1, 2),
            STEPS,
            f"{path}; lowest density: percentile {lowest:.0f} of the encoded images",
        )
        st.plotly_chart(
            plot_density_path([way.density], [path], [comparison.colours[place]], height=96),
            key=f"compare-density-{path}-{place}",
            config={"displayModeBar": False},
        )


def show_way(
    comparison: Comparison,
    place: int,
    which: str,
    space: Space,
    ways: Mapping[str, Way],
    shared: NDArray[np.int64],
    rows: tuple[int, int],
) -> None:
    """The ways on the plane, with ends that can be dragged."""
    from explorer.plots.maps import plot_map

    model, name = comparison.models[place], comparison.names[place]
    means = space.plane.places(model.encodings.mean)
    figure = plot_map(
        means, model.encodings.labels, model.config.data.classes, exact=True, legend=False
    )
    figure.update_layout(showlegend=False)
    left, right, low, high = space.extent
    figure.update_xaxes(title=space.plane.names[0], range=[left, right], constrain="domain")
    figure.update_yaxes(title=space.plane.names[1], range=[low, high])

    def move(moved: MovedEnd) -> None:
        usable = np.flatnonzero(np.isin(model.encodings.index, shared))
        away = np.hypot(means[usable, 0] - moved.x, means[usable, 1] - moved.y)
        other = int(st.session_state[ENDS[1 - moved.end]])
        away[model.encodings.index[usable] == other] = np.inf
        row = usable[int(np.argmin(away))]
        st.session_state[ENDS[moved.end]] = int(model.encodings.index[row])

    show_plane(
        plane_request(
            model,
            name,
            space,
            figure,
            ends=means[list(rows)].tolist(),
            ways=[space.plane.places(way.codes).tolist() for way in ways.values()],
        ),
        key=f"compare-way-{place}",
        on_move=move,
    )


def shared_images(models: Sequence[OpenedModel]) -> NDArray[np.int64]:
    """The images that every model held out, as numbers in the data set, ascending."""
    return reduce(np.intersect1d, (model.encodings.index for model in models))


def rows_of(model: OpenedModel, index: Sequence[int]) -> tuple[int, int]:
    """The encodings of two images."""
    first, last = (int(np.flatnonzero(model.encodings.index == one)[0]) for one in index)
    return first, last


def keep_ends(ends: NDArray[np.int64]) -> None:
    """Make two images the ends."""
    for key, end in zip(ENDS, ends.tolist(), strict=True):
        st.session_state[key] = end


def pick_ends(
    models: Sequence[OpenedModel], shared: NDArray[np.int64], seed: int
) -> NDArray[np.int64]:
    """Two images that every model held out, of different classes where there are any.

    Returns:
        Their places in the data set, (2,).
    """
    generator = np.random.default_rng(seed)
    first = generator.choice(shared)
    others = shared[shared != first]
    encodings = models[0].encodings
    if encodings.labels is not None:
        # In the order of `index`, whatever that order is.
        classes = dict(zip(encodings.index.tolist(), encodings.labels.tolist(), strict=True))
        unlike = [other for other in others.tolist() if classes[other] != classes[int(first)]]
        others = np.array(unlike or others.tolist())
    return np.array([first, generator.choice(others)])

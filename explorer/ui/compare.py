"""Compare: two checkpoints side by side, the same z in both, and what was measured."""

from functools import reduce

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from explorer.images.sheet import tile
from explorer.latent.axes import sample_aggregate_posterior
from explorer.latent.interpolation import lerp, slerp
from explorer.live.model import OpenedModel
from explorer.models.config import KIND_NAMES
from explorer.models.library import Listing, differences, find_pair
from explorer.models.pictures import held_out_pictures
from explorer.regularity.measure import AS_BUILT, SCALE_FAIR
from explorer.regularity.prior import fit_noise
from explorer.ui import cached
from explorer.ui.measures import show_measures
from explorer.ui.words import plain

GRID_COLUMNS, GRID_ROWS = 8, 4
STEPS = 9
COLUMN_WORDS = {AS_BUILT: "As built: z ~ N(0, I)", SCALE_FAIR: "Scale-fair: z ~ N(m, S)"}


def show_compare(listing: Listing, listings: list[Listing], /) -> None:
    """The page.

    Raises:
        CheckpointError: if one of the two models cannot be used.
    """
    left, right = st.columns([3, 2], gap="medium", vertical_alignment="bottom")
    with left:
        other = pick_other(listing, listings)
    if other is None:
        st.info(
            "There is no second checkpoint to compare with. Train this one's pair: the same "
            "command with the other --kind and another --name (CARD.md of the checkpoint has it)."
        )
        return
    pair = [listing, other]
    models = [cached.ready_model(one) for one in pair]
    names = [one.name for one in pair]
    column = right.segmented_control(
        "Prior",
        [AS_BUILT, SCALE_FAIR],
        default=AS_BUILT,
        format_func=COLUMN_WORDS.__getitem__,
        key="compare-column",
        required=True,
        help="An AE's scale is arbitrary. As built draws from the VAE's prior N(0, I) in both. "
        "Scale-fair draws from the Gaussian N(m, S) fitted to each model's own codes.",
    )
    show_fairness(models)
    show_samples(models, names, column)
    show_measures(pair, names, column)
    show_interpolation(models, names)
    show_maps(models, names)


def pick_other(listing: Listing, listings: list[Listing]) -> Listing | None:
    """The second picker: this checkpoint's pair first."""
    usable = [one for one in listings if one.config is not None and one.name != listing.name]
    if not usable:
        return None
    pair = find_pair(listing, usable)
    by_name = {one.name: one for one in usable}
    default = pair.name if pair is not None else usable[0].name
    chosen = st.selectbox(
        "Compare with",
        list(by_name),
        index=list(by_name).index(default),
        format_func=lambda name: name + (" · its pair" if pair and name == pair.name else ""),
        # A key a model: the choice made for one is not carried over to another.
        key=f"compare-with-{listing.name}",
    )
    return by_name[chosen]


def show_fairness(models: list[OpenedModel]) -> None:
    """Whether the two differ in kind alone."""
    one, other = (model.config for model in models)
    found = differences(one, other)
    if found:
        st.error(
            "**Not a fair pair.** Besides the kind these differ, so differences below may come "
            "from them:\n" + "\n".join(f"- {plain(line)}" for line in found)
        )
    elif one.kind == other.kind:
        st.info("Both are of one kind, with the same data, network and settings.")
    else:
        weights = {model.config.training.get("beta") for model in models} - {1.0, None}
        weighed = "" if not weights else f" The VAE was trained with beta = {weights.pop():g}."
        st.caption(
            f"A fair pair, {KIND_NAMES[one.kind]} and {KIND_NAMES[other.kind]}: the same data, "
            f"network, epochs, batches and seed; the kind alone differs.{weighed}"
        )


def show_maps(models: list[OpenedModel], names: list[str]) -> None:
    """Both maps."""
    from explorer.plots.maps import plot_map

    st.subheader("Where held-out images lie")
    for side, model, name in zip(st.columns(2), models, names, strict=True):
        with side:
            st.markdown(f"**{plain(name)}**")
            figure = plot_map(
                model.projection.coordinates,
                model.encodings.labels,
                model.config.data.classes,
                exact=model.placement.exact,
                prior=model.placement.exact,
                height=400,
            )
            st.plotly_chart(
                figure,
                key=f"compare-map-{name}",
                config={"displaylogo": False, "scrollZoom": True},
            )
    if all(model.placement.exact for model in models):
        st.caption(
            "The latent planes themselves, each at its own scale; the dotted circles are 1, 2 and "
            "3 standard deviations of the prior N(0, I)."
        )
    else:
        st.caption(
            "UMAP keeps neighbours, not distances or empty space: how regular a latent space is "
            "cannot be read off these two maps. The measures above are taken in the latent space."
        )


def codes_of(model: OpenedModel) -> NDArray[np.float32]:
    """One draw an image from the aggregate posterior, (N, D)."""
    return sample_aggregate_posterior(model.encodings.mean, model.encodings.log_var, seed=0)


def draw_prior(
    models: list[OpenedModel], column: str, count: int, seed: int
) -> list[NDArray[np.float32]]:
    """The same noise for each model, on the scale that the column asks for.

    Args:
        models: the checkpoints.
        column: "as built" or "scale-fair".
        count: draws.
        seed: of the noise.

    Returns:
        (count, D) for each model.
    """
    most = max(model.latent_dim for model in models)
    noise = np.random.default_rng(seed).standard_normal((count, most))
    drawn = []
    for model in models:
        mine = noise[:, : model.latent_dim]
        if column == SCALE_FAIR:
            mine = fit_noise(mine, codes_of(model).astype(np.float64))
        drawn.append(mine.astype(np.float32))
    return drawn


def show_sheet(images: NDArray[np.float32] | NDArray[np.uint8], columns: int, alt: str) -> None:
    """Images in a grid, as wide as there is room."""
    scale = max(1, 640 // (columns * images.shape[-1]))
    st.image(tile(images, columns, scale=scale, gap=2), width="stretch", caption=alt)


def show_samples(models: list[OpenedModel], names: list[str], column: str) -> None:
    """Prior samples of both from the same z."""
    heading, action = st.columns([4, 1], vertical_alignment="bottom")
    heading.subheader("Samples from the same z")
    seed = int(st.session_state.get("compare-seed", 0))
    if action.button("Draw again", icon=":material/casino:", key="draw-again", width="stretch"):
        seed += 1
        st.session_state["compare-seed"] = seed
    drawn = draw_prior(models, column, GRID_COLUMNS * GRID_ROWS, seed)
    for side, model, name, latents in zip(st.columns(2), models, names, drawn, strict=True):
        with side:
            st.markdown(f"**{plain(name)}**")
            show_sheet(
                model.codec.decode(latents),
                GRID_COLUMNS,
                f"{COLUMN_WORDS[column].split(': ')[1]}, the same noise on both sides",
            )


def show_interpolation(models: list[OpenedModel], names: list[str]) -> None:
    """The way between the same two held-out images in both."""
    heading, kind, action = st.columns([3, 1, 1], vertical_alignment="bottom")
    heading.subheader("Between the same two images")
    if models[0].config.data.fingerprint != models[1].config.data.fingerprint:
        st.info("The two models were made for different images: there is no common pair of ends.")
        return
    path = kind.segmented_control(
        "Path", ["lerp", "slerp"], default="lerp", key="path", required=True,
        label_visibility="collapsed",
        help="lerp: the straight line between the codes. slerp: along the sphere.",
    )  # fmt: skip
    seed = int(st.session_state.get("compare-ends", 0))
    if action.button("Two others", icon=":material/shuffle:", key="two-others", width="stretch"):
        seed += 1
        st.session_state["compare-ends"] = seed
    ends = pick_ends(models, seed)
    if ends is None:
        st.info("The two models share fewer than two held-out images.")
        return
    images = held_out_pictures(models[0].config.data, ends)
    steps = {"lerp": lerp, "slerp": slerp}[path]
    for side, model, name in zip(st.columns(2), models, names, strict=True):
        rows = [int(np.flatnonzero(model.encodings.index == end)[0]) for end in ends]
        codes = model.encodings.mean[rows]
        with side:
            st.markdown(f"**{plain(name)}**")
            show_sheet(
                model.codec.decode(steps(codes[0], codes[1], STEPS)),
                STEPS,
                f"{path} between the mean codes, |Δz| = {np.linalg.norm(codes[1] - codes[0]):.2f}",
            )
    if images is not None:
        with st.container(width=220):
            show_sheet(images, 2, "The two held-out images themselves")


def pick_ends(models: list[OpenedModel], seed: int) -> NDArray[np.int64] | None:
    """Two images that every model held out, of different classes where there are any.

    Returns:
        Their places in the data set, (2,); None if there are no two.
    """
    shared = reduce(np.intersect1d, (model.encodings.index for model in models))
    if len(shared) < 2:
        return None
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

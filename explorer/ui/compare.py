"""Compare: two checkpoints side by side, the same z in both, and what was measured."""

from functools import reduce

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from explorer.images.sheet import tile
from explorer.latent.axes import sample_aggregate_posterior
from explorer.latent.interpolation import lerp, slerp
from explorer.live.hub import shared_hub
from explorer.live.model import OpenedModel
from explorer.live.route import PREFIX
from explorer.models.config import KIND_NAMES
from explorer.models.library import Listing, differences, find_pair
from explorer.models.pictures import held_out_pictures
from explorer.regularity.measure import AS_BUILT, SCALE_FAIR
from explorer.regularity.prior import fit_noise
from explorer.regularity.verdict import standings, write_verdict
from explorer.ui import cached
from explorer.ui.cursor import CursorModel, CursorRequest, show_cursor
from explorer.ui.measures import read_reports, show_definitions
from explorer.ui.standing import show_table, show_verdict
from explorer.ui.words import plain

GRID_COLUMNS, GRID_ROWS = 8, 4
STEPS = 9
MOST_MODELS = 4
COLUMN_WORDS = {AS_BUILT: "As built: z ~ N(0, I)", SCALE_FAIR: "Scale-fair: z ~ N(m, S)"}


def show_compare(listing: Listing, listings: list[Listing], /) -> None:
    """The page.

    Raises:
        CheckpointError: if one of the models cannot be used.
    """
    left, right = st.columns([3, 2], gap="medium", vertical_alignment="bottom")
    with left:
        others = pick_others(listing, listings)
    if others is None:
        st.info(
            "There is no second checkpoint to compare with. Train this one's pair: the same "
            "command with the other --kind and another --name (CARD.md of the checkpoint has it)."
        )
        return
    if not others:
        st.info("Pick one to three checkpoints to compare with.")
        return
    group = [listing, *others]
    models = [cached.ready_model(one) for one in group]
    names = [one.name for one in group]
    column = right.segmented_control(
        "Prior",
        [AS_BUILT, SCALE_FAIR],
        default=AS_BUILT,
        format_func=COLUMN_WORDS.__getitem__,
        key="compare-column",
        required=True,
        help="An AE's scale is arbitrary. As built draws from the VAE's prior N(0, I) in all. "
        "Scale-fair draws from the Gaussian N(m, S) fitted to each model's own codes.",
    )
    show_fairness(models)
    cursor, answer = st.columns([5, 6], gap="medium")
    with cursor:
        show_shared_cursor(models, names, column)
    with answer:
        show_standing(group, names, column)
    closer = st.segmented_control(
        "Look closer",
        list(CLOSER),
        default="Samples",
        key="compare-closer",
        required=True,
        label_visibility="collapsed",
    )
    CLOSER[closer](models, names, column, group)


def pick_others(listing: Listing, listings: list[Listing]) -> list[Listing] | None:
    """The second picker: this checkpoint's pair first; None where there is nothing to pick."""
    usable = [one for one in listings if one.config is not None and one.name != listing.name]
    if not usable:
        return None
    pair = find_pair(listing, usable)
    by_name = {one.name: one for one in usable}
    default = pair.name if pair is not None else usable[0].name
    chosen = st.multiselect(
        "Compare with",
        list(by_name),
        default=[default],
        max_selections=MOST_MODELS - 1,
        format_func=lambda name: name + (" · its pair" if pair and name == pair.name else ""),
        # A key a model: the choice made for one is not carried over to another.
        key=f"compare-with-{listing.name}",
    )
    return [by_name[name] for name in chosen]


def show_shared_cursor(models: list[OpenedModel], names: list[str], column: str) -> None:
    """The same z decoded live in every model while the pointer moves."""
    for model, name in zip(models, names, strict=True):
        shared_hub().allow(cached.live_token(), name, model.folder, model.stamp)
    path = str(st.get_option("server.baseUrlPath") or "").strip("/")
    contestants = []
    for model, name in zip(models, names, strict=True):
        channels, height, width = model.config.data.image_shape
        mean, root = cached.own_scale(model, model.tag, name)
        contestants.append(
            CursorModel(
                name=name,
                tag=model.tag,
                title=name,
                shape=(height, width, channels),
                latent_dim=model.latent_dim,
                mean=mean.tolist(),
                root=root.tolist(),
                classes=model.config.data.classes,
            )
        )
    show_cursor(
        CursorRequest(
            base=(f"/{path}" if path else "") + PREFIX,
            token=cached.live_token(),
            models=contestants,
            fair=column == SCALE_FAIR,
        ),
        key="compare-cursor",
    )


def show_standing(group: list[Listing], names: list[str], column: str) -> None:
    """Which is more regular, in words, and the table it rests on."""
    reports = read_reports(group)
    if reports is None:
        return
    found = standings([report.measures for report in reports], column)
    show_verdict(write_verdict(names, found))
    show_table(names, found)
    st.caption(
        "✓ marks a model whose interval lies apart from every other's; overlapping intervals are "
        "a tie. The dashed line is the null value: what no structure at all would give. Hole and "
        "escape rate are read together: a wide cloud that swallows the prior has no holes."
    )


def show_fairness(models: list[OpenedModel]) -> None:
    """Whether the models differ in kind alone."""
    one, other = models[0].config, models[1].config
    unfair = {model.config.name: differences(one, model.config) for model in models[1:]}
    if any(unfair.values()):
        lines = [
            f"- {plain(name)}: {'; '.join(plain(line) for line in found)}"
            for name, found in unfair.items()
            if found
        ]
        st.error(
            f"**Not a fair pair.** Besides the kind these differ from {plain(one.name)}, so "
            "differences below may come from that:\n" + "\n".join(lines)
        )
    elif len(models) > 2:
        st.caption("The same data, network, epochs, batches and seed; the kind alone differs.")
    elif one.kind == other.kind:
        st.info("Both are of one kind, with the same data, network and settings.")
    else:
        weights = {model.config.training.get("beta") for model in models} - {1.0, None}
        weighed = "" if not weights else f" The VAE was trained with beta = {weights.pop():g}."
        st.caption(
            f"A fair pair, {KIND_NAMES[one.kind]} and {KIND_NAMES[other.kind]}: the same data, "
            f"network, epochs, batches and seed; the kind alone differs.{weighed}"
        )


def show_maps(
    models: list[OpenedModel], names: list[str], _column: str, _group: list[Listing]
) -> None:
    """Both maps."""
    from explorer.plots.maps import plot_map

    st.subheader("Where held-out images lie")
    for side, model, name in zip(st.columns(len(models)), models, names, strict=True):
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


def show_samples(
    models: list[OpenedModel], names: list[str], column: str, _group: list[Listing]
) -> None:
    """Prior samples of both from the same z."""
    heading, action = st.columns([4, 1], vertical_alignment="bottom")
    heading.subheader("Samples from the same z")
    seed = int(st.session_state.get("compare-seed", 0))
    if action.button("Draw again", icon=":material/casino:", key="draw-again", width="stretch"):
        seed += 1
        st.session_state["compare-seed"] = seed
    drawn = draw_prior(models, column, GRID_COLUMNS * GRID_ROWS, seed)
    for side, model, name, latents in zip(
        st.columns(len(models)), models, names, drawn, strict=True
    ):
        with side:
            st.markdown(f"**{plain(name)}**")
            show_sheet(
                model.codec.decode(latents),
                GRID_COLUMNS,
                f"{COLUMN_WORDS[column].split(': ')[1]}, the same noise on both sides",
            )


def show_interpolation(
    models: list[OpenedModel], names: list[str], _column: str, _group: list[Listing]
) -> None:
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
    for side, model, name in zip(st.columns(len(models)), models, names, strict=True):
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


CLOSER = {
    "Samples": show_samples,
    "Interpolation": show_interpolation,
    "Maps": show_maps,
    "Definitions": show_definitions,
}

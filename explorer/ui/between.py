"""Compare's interpolation: the way between the same two images in each model."""

from collections.abc import Sequence
from functools import reduce

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from explorer.latent.interpolation import lerp, slerp
from explorer.live.model import OpenedModel
from explorer.models.pictures import held_out_pictures
from explorer.ui.comparison import Comparison, show_sheet
from explorer.ui.words import plain

STEPS = 9


def show_interpolation(comparison: Comparison) -> None:
    """The way between the same two held-out images in all."""
    models, names = comparison.models, comparison.names
    heading, kind, action = st.columns([3, 1, 1], vertical_alignment="bottom")
    heading.markdown("Between the same two images")
    if len({model.config.data.fingerprint for model in models}) > 1:
        st.info("The models were made for different images: there is no common pair of ends.")
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
        st.info("The models share fewer than two held-out images.")
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


def pick_ends(models: Sequence[OpenedModel], seed: int) -> NDArray[np.int64] | None:
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

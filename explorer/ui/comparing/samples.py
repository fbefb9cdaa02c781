"""Compare's samples: what the same z becomes in each model."""

import streamlit as st

from explorer.live.evidence import draw_codes
from explorer.regularity.comparability import DATA, find_obstacles
from explorer.regularity.published import AGREES, DIFFERS, hold_against_published
from explorer.ui.comparing.comparison import COLUMN_DRAWS, Comparison, show_sheet
from explorer.ui.words import plain

GRID_COLUMNS, GRID_ROWS = 8, 4
SEED = "compare-seed"
SIGNS = {AGREES: "✓", DIFFERS: "≠"}


def show_samples(comparison: Comparison) -> None:
    """Prior samples of all from the same noise."""
    words, action = st.columns([4, 1], vertical_alignment="center")
    words.markdown("The same noise in each model, decoded.")
    seed = int(st.session_state.get(SEED, 0))
    if action.button("Draw again", icon=":material/casino:", key="draw-again", width="stretch"):
        seed += 1
        st.session_state[SEED] = seed
    sides = st.columns(len(comparison.models), gap="medium")
    for side, model, name in zip(sides, comparison.models, comparison.names, strict=True):
        with side:
            st.markdown(f"**{plain(name)}**")
            latents = draw_codes(model, comparison.column, GRID_COLUMNS * GRID_ROWS, seed)
            show_sheet(
                model.codec.decode(latents),
                GRID_COLUMNS,
                f"{COLUMN_DRAWS[comparison.column]}; the same noise in all models",
            )
    show_published(comparison)


def show_published(comparison: Comparison) -> None:
    """The pattern that is published of such a pair, beside this pair's figures."""
    by_kind = {model.config.kind: place for place, model in enumerate(comparison.models)}
    if comparison.reports is None or len(comparison.models) != 2 or set(by_kind) != {"ae", "vae"}:
        return
    # The paper's pairs were trained on the same images, and none of them had collapsed.
    unlike = DATA in find_obstacles([model.config for model in comparison.models])
    if unlike or any(one.severe for one in comparison.compared):
        return
    claims = hold_against_published(
        comparison.reports[by_kind["ae"]].estimates, comparison.reports[by_kind["vae"]].estimates
    )
    if not claims:
        return
    st.markdown(
        "**What is published of such pairs** (Ghosh et al. 2020, table 1, "
        "[arXiv:1903.12436](https://arxiv.org/abs/1903.12436)), and this pair"
    )
    st.table(
        {
            "Published": [claim.published for claim in claims],
            "Here": [claim.here for claim in claims],
            "So": [f"{SIGNS.get(claim.verdict, '~')} {claim.verdict}" for claim in claims],
        },
        border="horizontal",
    )
    st.caption(
        "Fréchet distances in our classifiers' features: they are no FIDs, so only the order "
        "compares. Where the 95 % interval of the difference holds 0 it is a tie."
    )

"""Compare's samples: what the same z becomes in each model."""

import streamlit as st

from explorer.live.evidence import draw_codes
from explorer.ui.comparison import COLUMN_WORDS, Comparison, show_sheet
from explorer.ui.words import plain

GRID_COLUMNS, GRID_ROWS = 8, 4
SEED = "compare-seed"


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
                f"{COLUMN_WORDS[comparison.column].split(': ')[1]}, the same noise in all models",
            )

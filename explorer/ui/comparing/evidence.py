"""Compare's examples: the pictures behind one row of the table."""

from collections.abc import Mapping

import numpy as np
import streamlit as st

from explorer.errors import ExplorerError
from explorer.live.evidence import Exhibit, axis_distance, codes_of, find_exhibit, has_exhibit
from explorer.live.hub import Stamp
from explorer.live.model import OpenedModel
from explorer.regularity.definitions import NO_PRIOR
from explorer.regularity.verdict import Standing
from explorer.ui.comparing.comparison import Comparison, exhibit_sheet, key_of, show_picture
from explorer.ui.words import plain

ROW = "compare-row"
FIRST = "hole_rate"
PRIOR_MATCH = "prior_match"
MOST_AXES = 6


def is_openable(key: str) -> bool:
    """Whether there is something to show behind the measure of this key."""
    return has_exhibit(key) or key == PRIOR_MATCH


def opened_row(found: Mapping[str, Standing]) -> str | None:
    """The row whose evidence is chosen; None where no row has any."""
    rows = [key for key in found if is_openable(key)]
    chosen = st.session_state.get(ROW)
    if chosen in rows:
        return str(chosen)
    return FIRST if FIRST in rows else next(iter(rows), None)


def show_evidence(comparison: Comparison) -> None:
    """What is behind one measure, of each model."""
    row = opened_row(comparison.found)
    if row is None:
        st.info("There is no metric to show examples of: see above.")
        return
    st.session_state[ROW] = row
    rows = [key for key in comparison.found if is_openable(key)]
    with st.container(key=f"evidence-{row}"):
        picker, words = st.columns([2, 5], gap="medium", vertical_alignment="center")
        row = picker.selectbox(
            "Pictures behind",
            rows,
            format_func=lambda key: comparison.found[key].measures[0].definition.title,
            key=ROW,
            label_visibility="collapsed",
        )
        measure = comparison.found[row].measures[0]
        words.markdown(plain(measure.definition.plain_words))
        if row == PRIOR_MATCH:
            show_farthest_axes(comparison)
            return
        for place, side in enumerate(st.columns(len(comparison.models), gap="medium")):
            with side:
                show_one(comparison, place, row)
        definition = measure.definition
        st.caption(
            f"{plain(definition.definition_in(measure.column))} Source: {plain(definition.source)}."
        )


def show_one(comparison: Comparison, place: int, row: str) -> None:
    """The exhibit of one model, under its name and figure."""
    model, name = comparison.models[place], comparison.names[place]
    measure = comparison.found[row].measures[place]
    st.markdown(f"**{plain(name)}** · {measure.value:.3g} {plain(measure.unit)}")
    column = comparison.column if measure.column != NO_PRIOR else NO_PRIOR
    try:
        exhibit = cached_exhibit(
            model, *key_of(model), row, column, examples_of(comparison, place, row)
        )
    except ExplorerError as error:
        st.info(plain(str(error)))
        return
    show_picture(exhibit_sheet(exhibit), exhibit.caption)


def examples_of(comparison: Comparison, place: int, row: str) -> list[dict[str, object]]:
    """What the report of a model holds that leads to the pictures of a row."""
    reports = comparison.reports
    examples = () if reports is None else reports[place].examples.get(row, ())
    return [one for one in examples if isinstance(one, dict)]


@st.cache_resource(max_entries=64, show_spinner="Looking for the pictures…")
def cached_exhibit(
    _model: OpenedModel,
    folder: str,
    stamp: Stamp,
    row: str,
    column: str,
    examples: list[dict[str, object]],
) -> Exhibit:
    """`find_exhibit`, kept; all but the model are the cache's key."""
    return find_exhibit(_model, row, column, examples)


def show_farthest_axes(comparison: Comparison) -> None:
    """The axes on which codes and prior agree least."""
    from explorer.plots.spaces import plot_marginals

    samples = [codes_of(model).astype(np.float64) for model in comparison.models]
    dim = min(codes.shape[1] for codes in samples)
    distance = np.max([axis_distance(codes)[:dim] for codes in samples], axis=0)
    axes = np.sort(np.argsort(-distance, kind="stable")[:MOST_AXES])
    for place, side in enumerate(st.columns(min(3, len(axes)) or 1)):
        with side:
            for axis in axes[place::3]:
                st.plotly_chart(
                    plot_marginals(
                        [codes[:, axis] for codes in samples],
                        comparison.names,
                        comparison.colours,
                        int(axis),
                    ),
                    key=f"evidence-marginal-{axis}",
                    config={"displayModeBar": False},
                )
    st.caption(
        "The dimensions on which some model's encodings are farthest from N(0, 1), the dotted "
        "curve. The fitted Gaussian is fitted to the encodings, so there nothing of this is left."
    )

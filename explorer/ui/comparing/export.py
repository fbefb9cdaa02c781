"""Compare's export: the comparison as one page to keep, and its figures for other programs."""

from dataclasses import dataclass

import streamlit as st

from explorer.plots.page import Part, write_page
from explorer.ui.comparing.between import ENDS
from explorer.ui.comparing.comparison import Comparison, key_of
from explorer.ui.comparing.figures_file import write_csv, write_json
from explorer.ui.comparing.page_parts import SECTIONS
from explorer.ui.comparing.samples import SEED
from explorer.ui.table import STYLE

PAGE = "compare-page"


@dataclass(frozen=True, eq=False)
class Written:
    """A page that was written.

    Attributes:
        inputs: what it was written from.
        html: the page.
    """

    inputs: object
    html: bytes


def show_export(comparison: Comparison) -> None:
    """Buttons for the page, the CSV and the JSON."""
    name = "-".join(comparison.names)[:100]
    page, figures = st.columns(2, gap="medium")
    with page:
        st.markdown(
            "**The whole comparison as one HTML file**: verdict, table, pictures, planes and axes "
            "of the prior chosen above. The plots stay interactive; it opens offline."
        )
        inputs = inputs_of(comparison)
        written = st.session_state.get(PAGE)
        if not isinstance(written, Written) or written.inputs != inputs:
            written = None
        if written is None and st.button(
            "Write the page", icon=":material/description:", key="write-page"
        ):
            written = Written(inputs, write_with_progress(comparison))
            st.session_state[PAGE] = written
        if written is not None:
            st.download_button(
                f"Download the page ({len(written.html) / 1e6:.1f} MB)",
                written.html,
                f"{name}.html",
                "text/html",
                key="download-page",
                on_click="ignore",
                type="primary",
                icon=":material/download:",
            )
    with figures:
        st.markdown(
            "**Every measured figure** with interval, chance level, ideal value, "
            "unit, n and source."
        )
        if comparison.reports is None:
            st.info("There is no report to write out.")
            return
        with st.container(horizontal=True):
            st.download_button(
                "CSV", write_csv(comparison), f"{name}.csv", "text/csv",
                key="download-csv", on_click="ignore", icon=":material/download:",
            )  # fmt: skip
            st.download_button(
                "JSON", write_json(comparison), f"{name}.json", "application/json",
                key="download-json", on_click="ignore", icon=":material/download:",
            )  # fmt: skip


def inputs_of(comparison: Comparison) -> object:
    """All that the page depends on."""
    return (
        tuple(key_of(model) for model in comparison.models),
        tuple(comparison.names),
        comparison.column,
        tuple(report.to_json() for report in comparison.reports or ()),
        tuple(tuple(seeds) for seeds in comparison.seeds),
        int(st.session_state.get(SEED, 0)),
        tuple(st.session_state.get(key) for key in ENDS),
    )


def write_with_progress(comparison: Comparison) -> bytes:
    """The page, part after part; leaving it, or Streamlit's Stop, ends the work."""
    bar = st.progress(0.0, "Writing…")
    parts: list[Part] = []
    for done, (words, write) in enumerate(SECTIONS):
        bar.progress(done / len(SECTIONS), f"Writing: {words}…")
        parts += write(comparison)
    bar.progress(1.0, "Putting it together…")
    title = f"{' and '.join(comparison.names)}, compared"
    html = write_page(title, parts, style=STYLE).encode()
    bar.empty()
    return html

"""The browser component with the table of measures: a click on a row opens what is behind it."""

from collections.abc import Callable

import streamlit as st

from explorer.ui.sources import source

STYLE = source("table/table.css")

_component = st.components.v2.component(
    "latent_explorer.table",
    html='<div class="standing-table"></div>',
    css=STYLE,
    js=source("table/table.js"),
    isolate_styles=False,
)


def show_rows(html: str, *, opened: str | None, on_open: Callable[[str], None], key: str) -> None:
    """Show a table whose rows can be opened.

    Args:
        html: the table; what comes from files in it is escaped.
        opened: the row whose pictures are on the page, by its data-row; None for none.
        on_open: told which row was asked for, before the script runs again.
        key: of the component.
    """

    def told() -> None:
        row = getattr(st.session_state.get(key), "row", None)
        if isinstance(row, str):
            on_open(row)

    _component(key=key, data={"html": html, "opened": opened}, on_row_change=told)

"""Compare's "Measure now": reports that lack figures are measured, with progress, at will."""

from collections.abc import Sequence

import streamlit as st

from explorer.live.measuring import Measuring, lacks_pictures
from explorer.models.library import Listing
from explorer.ui import cached, state
from explorer.ui.words import plain

LOOK_EVERY = 0.5  # seconds
_SAID = "compare-measured"


class Desk:
    """The one measurement that this server may be at."""

    def __init__(self) -> None:
        self.running: Measuring | None = None


@st.cache_resource(show_spinner=False)
def measuring_desk() -> Desk:
    """The server's own."""
    return Desk()


def offer_measuring(group: Sequence[Listing]) -> None:
    """Offer to measure what was not, or show how far that is; nothing where all is there."""
    desk = measuring_desk()
    if desk.running is not None:
        show_progress()
        return
    names_told, told = st.session_state.get(_SAID, ((), ""))
    if any(one.name in names_told for one in group):
        st.warning(plain(told))
    # A former model's folder holds another one by now.
    lacking = [
        one
        for one in group
        if state.former_model(one.name) is None and lacks_pictures(cached.report_if_any(one))
    ]
    if not lacking:
        return
    *all_but_last, last = [plain(one.name) for one in lacking]
    names = f"{', '.join(all_but_last)} and {last}" if all_but_last else last
    words, action = st.columns([4, 1.3], gap="small", vertical_alignment="center")
    words.caption(
        f"{names}: not measured with pictures yet. Coverage, midpoints, classes under noise and "
        "all details are missing; a minute or more for each."
    )
    if action.button("Measure now", icon=":material/straighten:", key="measure-now"):
        st.session_state.pop(_SAID, None)
        # Two may have pressed it at once.
        if desk.running is None:
            desk.running = Measuring({one.name: one.folder for one in lacking})
        st.rerun()


@st.fragment(run_every=LOOK_EVERY)
def show_progress() -> None:
    """How far the measurement is; when it is over, the page runs again."""
    desk = measuring_desk()
    running = desk.running
    if running is None:
        st.rerun()
    progress = running.progress
    if progress.done:
        desk.running = None
        if progress.error is not None:
            st.session_state[_SAID] = (running.names, progress.error)
        st.rerun()
    bar, action = st.columns([4, 1.3], gap="small", vertical_alignment="center")
    bar.progress(progress.share, f"Measuring {plain(progress.name)}: {progress.words}…")
    if action.button("Cancel", key="cancel-measuring"):
        running.cancel()
        running.wait()

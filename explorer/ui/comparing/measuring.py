"""Compare's "Measure now": reports that lack figures are measured, with progress, at will."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import streamlit as st

from explorer.live.measuring import Measuring, lacks_pictures
from explorer.live.readonly import is_read_only, refusal
from explorer.models.library import Listing
from explorer.ui import cached, state
from explorer.ui.words import plain

LOOK_EVERY = 0.5  # seconds
_WATCHED, _CANCELLED = "compare-measured", "compare-cancelled"


class Desk:
    """The one measurement that this server may be at."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.running: Measuring | None = None

    def start(self, folders: Mapping[str, Path]) -> None:
        """Start one, if none is running: two may have asked for it at once."""
        with self._lock:
            if self.running is None:
                self.running = Measuring(folders)

    def end(self, over: Measuring) -> None:
        """Make room for the next one; everybody who watched this one may say so."""
        with self._lock:
            if self.running is over:
                self.running = None


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
    # A former model's folder holds another one by now.
    lacking = [
        one
        for one in group
        if state.former_model(one.name) is None and lacks_pictures(cached.report_if_any(one))
    ]
    if not lacking:
        return
    show_end(group)
    *all_but_last, last = [plain(one.name) for one in lacking]
    names = f"{', '.join(all_but_last)} and {last}" if all_but_last else last
    if is_read_only():
        refused = plain(refusal("Nothing is measured here"))
        st.caption(f"{names}: not measured with pictures yet. {refused}")
        return
    words, action = st.columns([4, 1.3], gap="small", vertical_alignment="center")
    words.caption(
        f"{names}: not measured with pictures yet. Coverage, midpoints, classes under noise and "
        "all details are missing; a minute or more for each."
    )
    if action.button("Measure now", icon=":material/straighten:", key="measure-now"):
        st.session_state.pop(_WATCHED, None)
        desk.start({one.name: one.folder for one in lacking})
        st.rerun()


def show_end(group: Sequence[Listing]) -> None:
    """Say why the measurement that this session watched ended without a report, if it did."""
    watched: Measuring | None = st.session_state.get(_WATCHED)
    if watched is None or not any(one.name in watched.names for one in group):
        return
    over = watched.progress
    if over.error is not None:
        st.warning(plain(over.error))
    elif over.cancelled and st.session_state.get(_CANCELLED) is not watched:
        st.warning(f"Measuring {plain(over.name)} was cancelled in another session.")


@st.fragment(run_every=LOOK_EVERY)
def show_progress() -> None:
    """How far the measurement is; when it is over, the page runs again."""
    desk = measuring_desk()
    running = desk.running
    if running is None:
        st.rerun()
    # Each session keeps what it watches: the first to see its end does not end it for the others.
    st.session_state[_WATCHED] = running
    progress = running.progress
    if progress.done:
        desk.end(running)
        st.rerun()
    bar, action = st.columns([4, 1.3], gap="small", vertical_alignment="center")
    bar.progress(progress.share, f"Measuring {plain(progress.name)}: {progress.words}…")
    if action.button("Cancel", key="cancel-measuring"):
        st.session_state[_CANCELLED] = running
        running.cancel()
        running.wait()

"""What one browser session remembers between runs and pages."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from explorer.live.hub import Stamp
from explorer.live.model import OpenedModel
from explorer.models.library import Listing
from explorer.regularity.report import RegularityReport

_PAGES, _RUN, _PUSHED = "explorer.pages", "explorer.run", "explorer.pushed"
_WANTED, _STAND_IN = "explorer.wanted", "explorer.stand_in"
_NAMES, _LABEL, _UNKNOWN = "explorer.names", "explorer.label", "explorer.unknown"
_FORMER = "explorer.former"
_SHOWN, _COMPLETED, _REPLACED = "explorer.shown", "explorer.completed", "explorer.replaced"
_SETTLED, _LAST_SETTLED = "explorer.settled", "explorer.last_settled"


@dataclass(frozen=True)
class PushedCode:
    """A code that a page sends to the sliders.

    Attributes:
        id: of this sending.
        name: the checkpoint it is of.
        latents: D values.
    """

    id: int
    name: str
    latents: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Shown:
    """A checkpoint that a page shows, as it was when it was opened.

    Attributes:
        listing: its state on the disk then.
        model: what was read of it.
        report: its measures then; None where it had none that could be used.
        run: the last run of the script that showed it.
    """

    listing: Listing
    model: OpenedModel
    report: RegularityReport | None
    run: int


def count_run() -> int:
    """Number of this run of the script in its session, from 1."""
    st.session_state[_RUN] = st.session_state.get(_RUN, 0) + 1
    return int(st.session_state[_RUN])


def current_run() -> int:
    """Number of the run under way."""
    return int(st.session_state.get(_RUN, 0))


def complete_run() -> None:
    """Note that the run under way showed all that it had to show: it was not cut off."""
    st.session_state[_COMPLETED] = current_run()


def remember_shown(shown: Shown) -> None:
    """Keep what a page shows, whatever becomes of its files."""
    st.session_state.setdefault(_SHOWN, {})[shown.listing.name] = shown


def shown_models() -> dict[str, Shown]:
    """What was on the page when it was last whole, or since, by name; the rest is let go."""
    completed = int(st.session_state.get(_COMPLETED, 0))
    shown: dict[str, Shown] = st.session_state.get(_SHOWN, {})
    still = {name: one for name, one in shown.items() if one.run >= completed}
    st.session_state[_SHOWN] = still
    return dict(still)


def note_former(names: Iterable[str]) -> None:
    """Keep which of the shown checkpoints are others on the disk by now."""
    st.session_state[_FORMER] = set(names)


def former_model(name: str) -> Shown | None:
    """What is shown under this name, if it is another on the disk by now."""
    former: set[str] = st.session_state.get(_FORMER, set())
    return shown_models().get(name) if name in former else None


def models_of_this_run() -> set[str]:
    """Names of the checkpoints that the run under way has opened."""
    shown: dict[str, Shown] = st.session_state.get(_SHOWN, {})
    return {name for name, one in shown.items() if one.run == current_run()}


def forget_shown(names: Iterable[str]) -> None:
    """Let go of what is shown: the next run opens what is on the disk."""
    for name in names:
        st.session_state.get(_SHOWN, {}).pop(name, None)


def note_replaced(name: str, stamp: Stamp) -> None:
    """Note that a checkpoint in this state took the place of a shown one that could not be kept."""
    st.session_state.setdefault(_REPLACED, {})[name] = stamp


def was_replaced(name: str, stamp: Stamp) -> bool:
    """Whether that was noted of this state of the checkpoint."""
    return bool(st.session_state.get(_REPLACED, {}).get(name) == stamp)


def forget_replaced() -> None:
    """The user has read it."""
    st.session_state.pop(_REPLACED, None)


def new_names(names: Iterable[str]) -> set[str]:
    """The checkpoints that were not there in the session's run before; none in its first."""
    present = set(names)
    before: set[str] = st.session_state.get(_NAMES, present)
    st.session_state[_NAMES] = present
    return present - before


def has_new_label(name: str, label: str) -> bool:
    """Whether the option of this name, which is picked, read differently in the run before."""
    before = st.session_state.get(_LABEL)
    st.session_state[_LABEL] = (name, label)
    return before is not None and before[0] == name and before[1] != label


def note_unknown(name: str | None, shown: str = "") -> None:
    """Keep a name that the address asked for in vain, and what is shown instead; None: no more."""
    st.session_state[_UNKNOWN] = None if name is None else (name, shown)


def unknown_model() -> tuple[str, str] | None:
    """The name that the address asked for in vain, and the checkpoint shown instead."""
    found: tuple[str, str] | None = st.session_state.get(_UNKNOWN)
    return found


def want_model(name: str, stand_in: str | None = None) -> None:
    """Keep which checkpoint the user picked, and which one is shown in its place, if one is."""
    st.session_state[_WANTED] = name
    st.session_state[_STAND_IN] = stand_in


def wanted_model() -> str | None:
    """The checkpoint that the user picked last."""
    name: str | None = st.session_state.get(_WANTED)
    return name


def stand_in() -> str | None:
    """The checkpoint shown in the place of one that is gone."""
    name: str | None = st.session_state.get(_STAND_IN)
    return name


def push_code(name: str, latents: NDArray[np.float32]) -> None:
    """Send a code to the sliders of a checkpoint."""
    st.session_state[_PUSHED] = PushedCode(
        id=current_run(), name=name, latents=tuple(float(value) for value in latents)
    )


def pushed_code(name: str) -> PushedCode | None:
    """The code last sent to the sliders of this checkpoint, until another is settled there."""
    pushed = st.session_state.get(_PUSHED)
    return pushed if pushed is not None and pushed.name == name else None


def remember_settled(settled_id: str, name: str, tag: int, latents: tuple[float, ...]) -> None:
    """Keep a model's settled code, for the way back from another page.

    Each settling counts once: the browser component repeats its last one in every run.
    """
    if st.session_state.get(_LAST_SETTLED) == settled_id:
        return
    st.session_state[_LAST_SETTLED] = settled_id
    st.session_state.setdefault(_SETTLED, {})[(name, tag)] = latents
    if pushed_code(name) is not None:
        del st.session_state[_PUSHED]


def remembered_code(name: str, tag: int) -> tuple[float, ...] | None:
    """The code last settled for this model, or None."""
    found: tuple[float, ...] | None = st.session_state.get(_SETTLED, {}).get((name, tag))
    return found


def current_code(name: str, tag: int) -> tuple[float, ...] | None:
    """The code that the sliders of this model stand at, or None before the first."""
    pushed = pushed_code(name)
    return remembered_code(name, tag) if pushed is None else pushed.latents


def remember_pages(pages: dict[str, st.Page]) -> None:
    """Keep the app's pages, by name, for links from one to another."""
    st.session_state[_PAGES] = pages


def go_to(name: str) -> None:
    """Leave this page for another one of the app."""
    st.switch_page(st.session_state[_PAGES][name])

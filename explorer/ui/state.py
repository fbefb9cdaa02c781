"""What one browser session remembers between runs and pages."""

from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

_PAGES, _RUN, _PUSHED = "explorer.pages", "explorer.run", "explorer.pushed"
_WANTED, _STAND_IN = "explorer.wanted", "explorer.stand_in"
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


def count_run() -> int:
    """Number of this run of the script in its session, from 1."""
    st.session_state[_RUN] = st.session_state.get(_RUN, 0) + 1
    return int(st.session_state[_RUN])


def current_run() -> int:
    """Number of the run under way."""
    return int(st.session_state.get(_RUN, 0))


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

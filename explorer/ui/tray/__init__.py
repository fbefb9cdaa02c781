"""The browser component with the session's pictures in a row, which also takes what is pasted."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import streamlit as st

from explorer.ui.sources import source

_component = st.components.v2.component(
    "latent_explorer.tray",
    html=source("tray/tray.html"),
    css=source("tray/tray.css"),
    js=source("tray/tray.js"),
    isolate_styles=False,
)


@dataclass(frozen=True)
class TrayItem:
    """One picture of the row.

    Attributes:
        id: what events call it.
        name: of its file.
        thumb: a small picture as a data URL.
    """

    id: int
    name: str
    thumb: str


@dataclass(frozen=True)
class TrayRequest:
    """What the component shows.

    Attributes:
        items: the pictures, in order.
        chosen: the id of the one that is looked at; None for none.
        removed: what can be brought back, in words; "" for nothing.
        limit: bytes of a pasted picture.
        session: another one for every session, whose pictures go with it.
        server: another one for every process of the server.
    """

    items: Sequence[TrayItem]
    chosen: int | None
    removed: str
    limit: int
    session: str
    server: str


@dataclass(frozen=True)
class TrayEvent:
    """What the user did there.

    Attributes:
        kind: "choose", "remove", "clear", "undo" or "paste".
        id: of the picture chosen or removed.
        pasted: names and bytes.
        large: names and sizes in bytes of what was pasted and is over the limit.
    """

    kind: str
    id: int = 0
    pasted: tuple[tuple[str, bytes], ...] = ()
    large: tuple[tuple[str, int], ...] = ()


def show_tray(request: TrayRequest, *, key: str, on_event: Any) -> None:  # noqa: ANN401
    """Show the row; `on_event` is called before the script runs again, and asks `tray_event`."""
    _component(key=key, data=asdict(request), on_event_change=on_event)


def tray_event(key: str) -> TrayEvent | None:
    """What was done in the row under this key, in this run."""
    return read_event(getattr(st.session_state.get(key), "event", None))


def read_event(value: object) -> TrayEvent | None:
    """What the browser says was done; None for nothing."""
    if not isinstance(value, dict):
        return None
    pasted = []
    for entry in value.get("pasted", ()):
        try:
            data = base64.b64decode(entry["data"], validate=True)
        except (binascii.Error, KeyError, TypeError, ValueError):
            continue
        pasted.append((str(entry.get("name") or "pasted"), data))
    large = [
        (str(entry.get("name") or "pasted"), int(entry.get("size") or 0))
        for entry in value.get("large", ())
    ]
    return TrayEvent(str(value.get("kind")), int(value.get("id") or 0), tuple(pasted), tuple(large))

"""The component that has a page run again when checkpoints come, go or change; it shows nothing."""

import streamlit as st

from explorer.live.protocol import SUBPROTOCOL
from explorer.live.watch import PATH
from explorer.ui.addresses import live_base
from explorer.ui.sources import source

KEY = "checkpoint-watch"
# The element takes no room: an empty one would leave a gap between its neighbours.
STYLE = f".st-key-{KEY}{{display:none}}"

_component = st.components.v2.component(
    "latent_explorer.watch",
    html='<span class="checkpoint-watch" hidden></span>',
    js=source("watch/watch.js"),
    isolate_styles=False,
)


def show_watch(digest: str, token: str, run: int) -> None:
    """Listen for changes, in the browser.

    Args:
        digest: of the checkpoints that this run lists (see `live.watch.digest_of`).
        token: what the browser session may use the live routes with.
        run: number of the script's run, for tests.
    """
    _component(
        key=KEY,
        data={
            "path": live_base() + PATH,
            "subprotocol": SUBPROTOCOL,
            "token": token,
            "digest": digest,
            "run": run,
        },
        # The run that it starts lists the checkpoints anew; there is nothing else to do.
        on_changed_change=lambda: None,
    )

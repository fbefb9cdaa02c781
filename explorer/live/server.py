"""What the server does at its start: warm the heavy imports, and answer without delay."""

import asyncio
import gc
import socket
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from explorer.live.route import warm_plotly

SWITCH_INTERVAL = 5e-4  # seconds; the default of 5 ms lets a busy page hold the decoder up


def _warm() -> None:
    warm_plotly()
    import torch

    import explorer.models.codec  # noqa: F401 - imported for its own sake, ahead of the first use

    torch.set_num_threads(1)
    # Streamlit collects garbage after every run of the script, holding the interpreter for 100 ms
    # with torch's objects; frozen ones are not visited.
    gc.collect()
    gc.freeze()


def _answer_at_once() -> None:
    """Set TCP_NODELAY on the listening sockets, which accepted ones inherit.

    Streamlit binds its socket without naming the protocol, so asyncio does not take it for TCP
    and leaves Nagle's algorithm on: 44 ms for an answer that takes 0.5.
    """
    for found in gc.get_objects():
        if not isinstance(found, socket.socket) or found.fileno() < 0:
            continue
        try:
            if found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            continue  # not a TCP socket


@asynccontextmanager
async def live_lifespan(_app: object) -> AsyncIterator[None]:
    """The server's life: warmed in the background, so that the first page is not held up."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    _answer_at_once()
    asyncio.get_running_loop().call_later(
        1.0, threading.Thread(target=_warm, name="warm-up", daemon=True).start
    )
    yield

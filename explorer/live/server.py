"""What the server does at its start: warm heavy imports, answer at once, keep uploads in memory."""

import asyncio
import gc
import logging
import socket
import sys
import threading
import webbrowser
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.formparsers import MultiPartParser
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from threadpoolctl import threadpool_limits

from explorer.images.batch import MAX_ARCHIVE_BYTES
from explorer.live.route import warm_plotly

INTERNET = (socket.AF_INET, socket.AF_INET6)
SWEEP_EVERY = 10.0  # seconds
WARM_AFTER = 1.0  # seconds
OPEN_AFTER = 0.2  # seconds: by then the server answers
UPLOAD_IN_MEMORY = MAX_ARCHIVE_BYTES + 2**20  # bytes: the largest upload with what frames it
SWITCH_INTERVAL = 5e-4  # seconds; the default of 5 ms lets a busy page hold the decoder up


def _warm() -> None:
    # With its usual threads numpy's linear algebra spends, on the small products that place a code,
    # half of the processor's time on waiting for itself: 1,300 against 550 microseconds a picture.
    threadpool_limits(1, user_api="blas")
    warm_plotly()
    import torch

    import explorer.models.codec  # noqa: F401 - imported for its own sake, ahead of the first use

    torch.set_num_threads(1)
    # Streamlit collects garbage after every run of the script, holding the interpreter for 100 ms
    # with torch's objects; frozen ones are not visited.
    gc.collect()
    gc.freeze()


def _listening_sockets() -> list[socket.socket]:
    """The server's own, which it binds before its life begins and tells nobody."""
    found = []
    for candidate in gc.get_objects():
        if isinstance(candidate, socket.socket) and candidate.fileno() >= 0:
            try:
                if candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    found.append(candidate)
            except OSError:
                continue  # not one that can listen
    return found


def _answer_at_once(listening: list[socket.socket]) -> None:
    """Set TCP_NODELAY on the listening sockets, which accepted ones inherit.

    Streamlit binds its socket without naming the protocol, so asyncio does not take it for TCP
    and leaves Nagle's algorithm on: 44 ms for an answer that takes 0.5.
    """
    for found in listening:
        if found.family in INTERNET:
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def keep_uploads_in_memory() -> None:
    """Have no upload written to disk, where Starlette would put what is larger than 1 MB."""
    MultiPartParser.spool_max_size = UPLOAD_IN_MEMORY


# Relative to the page, as the page's own files are: a proxy may strip or add a prefix.
SERVER_OF_A_PAGE = (
    "<script>window.__streamlit = { ...window.__streamlit, "
    'BACKEND_BASE_URL: new URL(".", location.href).href };</script>'
)


def page_routes(
    index: Path, *, base_path: str, default: str, others: Sequence[str]
) -> list[BaseRoute]:
    """The routes of the pages' own addresses, which tell Streamlit's page where its server is.

    It would look below the page's address first and meet two 404s there, at every reload.

    Args:
        index: Streamlit's own page.
        base_path: Streamlit's server.baseUrlPath.
        default: the page without an address of its own; its name leads to it.
        others: names of the other pages, as they stand in addresses.
    """
    prefix = f"/{base_path.strip('/')}" if base_path.strip("/") else ""

    async def give_page(_request: Request) -> Response:
        page = await run_in_threadpool(index.read_text, encoding="utf-8")
        found = page.replace("<head>", f"<head>{SERVER_OF_A_PAGE}", 1)
        return HTMLResponse(found, headers={"Cache-Control": "no-cache"})

    async def lead_to_default(request: Request) -> Response:
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"./{query}", headers={"Cache-Control": "no-cache"})

    return [
        *(Route(f"{prefix}/{name}", give_page) for name in others),
        Route(f"{prefix}/{default}", lead_to_default),
    ]


async def _sweep_on(sweep: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(SWEEP_EVERY)
        try:
            sweep()
        except Exception:
            logging.getLogger(__name__).exception("sweeping failed")


def live_lifespan(
    *, base_path: str, open_browser: bool, sweep: Callable[[], None] | None = None
) -> Callable[[object], AbstractAsyncContextManager[None]]:
    """The server's life, for st.App.

    Args:
        base_path: Streamlit's server.baseUrlPath.
        open_browser: open the page in the user's browser, which Streamlit does not do for an app
            with routes of its own.
        sweep: gives back what nobody uses any more; called now and then, on the server's loop.

    Returns:
        What st.App takes as its lifespan.
    """

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        sys.setswitchinterval(SWITCH_INTERVAL)
        keep_uploads_in_memory()
        listening = _listening_sockets()
        _answer_at_once(listening)
        loop = asyncio.get_running_loop()
        # In the background and a little later, so that the first page is not held up.
        loop.call_later(WARM_AFTER, threading.Thread(target=_warm, daemon=True).start)
        ports = [found.getsockname()[1] for found in listening if found.family in INTERNET]
        if open_browser and ports:
            page = f"http://localhost:{ports[0]}/{base_path.strip('/')}"
            opener = threading.Thread(target=webbrowser.open, args=(page,), daemon=True)
            loop.call_later(OPEN_AFTER, opener.start)
        sweeping = None if sweep is None else asyncio.create_task(_sweep_on(sweep))
        yield
        if sweeping is not None:
            sweeping.cancel()

    return lifespan

"""The live route on Streamlit's own server: the sockets, plain requests, and Plotly itself."""

import asyncio
import gzip
from functools import cache, partial
from importlib.metadata import version
from importlib.resources import files

from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

from explorer.errors import ExplorerError
from explorer.live.answers import AS_THEY_ARE, answer_routes
from explorer.live.budget import TOO_MANY_WORDS
from explorer.live.connection import Connection
from explorer.live.fits import fit_routes
from explorer.live.guard import (
    BROKEN_MODEL,
    NO_GRANT,
    TOO_MANY,
    Access,
    Guard,
    accept_page,
    close_socket,
    log_once,
)
from explorer.live.hub import Hub, shared_hub
from explorer.live.likelihood import likelihood_routes
from explorer.live.protocol import SUBPROTOCOL
from explorer.live.watch import watch_routes
from explorer.models.pictures import images_at_hand

PREFIX = "/explorer-live"
PICTURES_AFTER = 2.0  # seconds
SAME_ORIGIN = Access()
UNHEARD = (
    "The server would open a live connection to this page, but none arrived: a proxy in between "
    f"must pass WebSockets on (the headers Upgrade and Connection) for all paths under {PREFIX}."
)


def live_routes(base_path: str = "", access: Access = SAME_ORIGIN) -> list[BaseRoute]:
    """The routes to add to the server, behind their guard.

    Args:
        base_path: Streamlit's server.baseUrlPath, which user routes do not get by themselves.
        access: who is answered; without it, pages of the very address that they ask.
    """
    prefix = f"/{base_path.strip('/')}{PREFIX}" if base_path.strip("/") else PREFIX
    routes = [
        WebSocketRoute("/decode/{name}", serve_decoder),
        Route("/access", partial(explain_access, access), methods=["POST"]),
        *answer_routes(""),
        *fit_routes(""),
        *likelihood_routes(""),
        *watch_routes(""),
        Route("/plotly-{version}.min.js", serve_plotly),
    ]
    return [Mount(prefix, routes=routes, middleware=[Middleware(Guard, access=access)])]


async def explain_access(access: Access, request: HttpRequest) -> Response:
    """Why the page that asks gets no live connection, which its browser does not tell it.

    Asked by POST, with which a browser sends the page's origin as it does with a WebSocket.
    """
    headers = request.headers
    words = await access.refuse_origin(headers.get("host"), headers.get("origin"))
    if words is None:
        words = UNHEARD
    log_once(words)
    return JSONResponse({"words": words}, headers=AS_THEY_ARE)


def plotly_path() -> str:
    """The path of plotly.min.js below the server's base path; new versions get a new one."""
    return f"{PREFIX}/plotly-{version('plotly')}.min.js"


@cache
def _plotly_source() -> bytes:
    source = files("plotly").joinpath("package_data", "plotly.min.js").read_bytes()
    return gzip.compress(source, compresslevel=6)


def warm_plotly() -> None:
    """Read and compress plotly.min.js ahead of the first browser."""
    _plotly_source()


async def serve_plotly(_request: HttpRequest) -> Response:
    """The plotly.min.js inside the plotly package: no CDN, compressed once, cached for a year."""
    body = await run_in_threadpool(_plotly_source)
    return Response(
        body,
        media_type="text/javascript",
        headers={
            "Content-Encoding": "gzip",
            "Cache-Control": "public, max-age=31536000, immutable",
        },
    )


async def serve_decoder(websocket: WebSocket) -> None:
    """Decode what one browser sends until it leaves.

    The token comes as the second subprotocol, so that it stands in no address and no log.
    """
    token = await accept_page(websocket, SUBPROTOCOL)
    if token is None:
        return
    hub = shared_hub()
    if not hub.enter(token):
        await close_socket(websocket, TOO_MANY, TOO_MANY_WORDS)
        return
    try:
        await _serve_session(websocket, hub, token)
    finally:
        hub.leave(token)


async def _serve_session(websocket: WebSocket, hub: Hub, token: str) -> None:
    granted = hub.granted(token, websocket.path_params["name"])
    if granted is None:
        await close_socket(websocket, NO_GRANT, "This page may not drive this model: reload it.")
        return
    try:
        model = await run_in_threadpool(hub.open, *granted)
    except ExplorerError as error:
        await close_socket(websocket, BROKEN_MODEL, str(error))
        return
    # Reading the images takes a second or two: ahead of the first hover, after the first paint.
    asyncio.get_running_loop().call_later(
        PICTURES_AFTER,
        partial(
            hub.pictures.submit,
            model.config.data.fingerprint,
            partial(images_at_hand, model.config.data),
        ),
    )
    await Connection(websocket, hub, model, token).serve()

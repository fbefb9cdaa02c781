"""The live route on Streamlit's own server: a WebSocket, the points of a map, and Plotly itself."""

import asyncio
import gzip
import time
from functools import cache, partial
from importlib.metadata import version
from importlib.resources import files
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HttpRequest
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from explorer.errors import ExplorerError, ProtocolError
from explorer.live.engine import Decoded
from explorer.live.hub import Hub, shared_hub
from explorer.live.model import OpenedModel
from explorer.live.protocol import (
    DECODE,
    PICTURE,
    SUBPROTOCOL,
    Request,
    read_request,
    write_answer,
)
from explorer.models.pictures import images_at_hand

PREFIX = "/explorer-live"
TOKEN_HEADER = "x-explorer-token"  # noqa: S105 - a header's name
MESSAGES_A_SECOND = 1000
# Close codes: 1008 breaks the protocol; 4000 to 4999 are an application's own.
BAD_FRAME, NO_GRANT, BROKEN_MODEL = 1008, 4401, 4422
PICTURES_AFTER = 2.0  # seconds
LONGEST_REASON = 120  # bytes: a close frame takes 123


def live_routes(base_path: str = "") -> list[BaseRoute]:
    """The routes to add to the server.

    Args:
        base_path: Streamlit's server.baseUrlPath, which user routes do not get by themselves.
    """
    prefix = f"/{base_path.strip('/')}{PREFIX}" if base_path.strip("/") else PREFIX
    return [
        WebSocketRoute(f"{prefix}/decode/{{name}}", serve_decoder),
        Route(f"{prefix}/points/{{name}}", serve_points),
        Route(f"{prefix}/plotly-{{version}}.min.js", serve_plotly),
    ]


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


async def serve_points(request: HttpRequest) -> Response:
    """The map's points, codes and labels as binary arrays (see OpenedModel.points)."""
    hub = shared_hub()
    granted = hub.granted(request.headers.get(TOKEN_HEADER, ""), request.path_params["name"])
    if granted is None:
        return PlainTextResponse("This page's session has ended: reload it.", status_code=403)
    try:
        model = await run_in_threadpool(hub.open, *granted)
    except ExplorerError as error:
        return PlainTextResponse(str(error), status_code=422)
    return Response(
        model.points,
        media_type="application/octet-stream",
        headers={"Cache-Control": "no-store", "Content-Encoding": "identity"},
    )


def is_same_origin(websocket: WebSocket) -> bool:
    """Whether the page that connects came from this very server.

    Browsers always send Origin with a WebSocket; a request without one is no page of ours.
    """
    origin, host = websocket.headers.get("origin"), websocket.headers.get("host")
    if not origin or not host:
        return False
    try:
        return urlsplit(origin).netloc == host
    except ValueError:  # no address at all
        return False


async def serve_decoder(websocket: WebSocket) -> None:
    """Decode what one browser sends until it leaves.

    The token comes as the second subprotocol, so that it stands in no address and no log.
    """
    if not is_same_origin(websocket):
        await websocket.close(BAD_FRAME)
        return
    hub = shared_hub()
    offered = websocket.scope.get("subprotocols", [])
    await websocket.accept(subprotocol=SUBPROTOCOL if SUBPROTOCOL in offered else None)
    token = next((word for word in offered if word != SUBPROTOCOL), "")
    granted = hub.granted(token, websocket.path_params["name"])
    if granted is None:
        await _close(websocket, NO_GRANT, "This page may not drive this model: reload it.")
        return
    try:
        model = await run_in_threadpool(hub.open, *granted)
    except ExplorerError as error:
        await _close(websocket, BROKEN_MODEL, str(error))
        return
    # Reading the images takes a second or two: ahead of the first hover, after the first paint.
    asyncio.get_running_loop().call_later(
        PICTURES_AFTER, hub.pictures.submit, images_at_hand, model.config.data
    )
    await _Connection(websocket, hub, model, token).serve()


async def _close(websocket: WebSocket, code: int, reason: str) -> None:
    if websocket.application_state is WebSocketState.DISCONNECTED:
        return
    short = reason.encode()[:LONGEST_REASON].decode(errors="ignore")
    await websocket.close(code, short)


class _Connection:
    """One browser's socket: reads requests, sends the newest answer of each kind."""

    def __init__(self, websocket: WebSocket, hub: Hub, model: OpenedModel, token: str) -> None:
        self._websocket = websocket
        self._hub = hub
        self._model = model
        self._token = token
        self._loop = asyncio.get_running_loop()
        # A browser that reads slowly gets the newest answer, not a growing queue of old ones.
        self._answers: dict[int, bytes | ExplorerError] = {}
        self._ready = asyncio.Event()
        self._allowance = float(MESSAGES_A_SECOND)
        self._refilled = time.monotonic()

    async def serve(self) -> None:
        sender = asyncio.create_task(self._send())
        try:
            await self._receive()
        except ProtocolError as error:
            await _close(self._websocket, BAD_FRAME, str(error))
        except (WebSocketDisconnect, RuntimeError):
            pass  # the browser left
        finally:
            self._hub.engine.withdraw(self)
            sender.cancel()

    async def _receive(self) -> None:
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            data = message.get("bytes")
            if data is None:
                raise ProtocolError("A text frame came; requests are binary.")
            self._spend_allowance()
            if not self._hub.is_issued(self._token):
                await _close(self._websocket, NO_GRANT, "The session has ended: reload the page.")
                return
            request = read_request(
                data,
                tag=self._model.tag,
                latent_dim=self._model.latent_dim,
                rows=len(self._model.encodings.mean),
            )
            if request.kind == DECODE and request.latents is not None:
                self._hub.engine.submit(
                    self, self._model, request.latents, partial(self._on_decoded, request)
                )
            else:
                self._hub.pictures.submit(self._find_picture, request)

    def _spend_allowance(self) -> None:
        now = time.monotonic()
        self._allowance = min(
            MESSAGES_A_SECOND,
            self._allowance + (now - self._refilled) * MESSAGES_A_SECOND,
        )
        self._refilled = now
        if self._allowance < 1:
            raise ProtocolError(f"More than {MESSAGES_A_SECOND} frames a second came.")
        self._allowance -= 1

    def _find_picture(self, request: Request) -> None:
        try:
            pixels, real = self._model.picture(request.row)
        except (ExplorerError, OSError) as error:
            self._hand_over(PICTURE, ProtocolError(f"The picture cannot be had: {error}"))
            return
        place = self._model.projection.coordinates[request.row]
        self._hand_over(
            PICTURE,
            write_answer(request, tag=self._model.tag, place=place, pixels=pixels, real=real),
        )

    def _on_decoded(self, request: Request, answer: Decoded | ExplorerError) -> None:
        if isinstance(answer, ExplorerError):
            self._hand_over(DECODE, answer)
            return
        self._hand_over(
            DECODE,
            write_answer(
                request,
                tag=self._model.tag,
                place=answer.place,
                pixels=answer.pixels,
                real=False,
            ),
        )

    def _hand_over(self, kind: int, answer: bytes | ExplorerError) -> None:
        def put() -> None:
            self._answers[kind] = answer
            self._ready.set()

        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(put)

    async def _send(self) -> None:
        while True:
            await self._ready.wait()
            self._ready.clear()
            answers, self._answers = self._answers, {}
            for answer in answers.values():
                if isinstance(answer, ExplorerError):
                    await _close(self._websocket, BROKEN_MODEL, str(answer))
                    return
                try:
                    await self._websocket.send_bytes(answer)
                except (WebSocketDisconnect, RuntimeError):
                    return

"""Maps fitted in the app: a request that answers line by line while the fit goes on."""

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from explorer.errors import ExplorerError, ProtocolError
from explorer.latent.projection import MapRequest
from explorer.live.answers import (
    AS_THEY_ARE,
    LARGEST_JSON,
    TooLargeError,
    answer_or_error,
    open_granted,
    path,
    read_body,
    read_json,
    session_of,
)
from explorer.live.hub import shared_hub
from explorer.live.model import OpenedModel
from explorer.live.views import FIT

if TYPE_CHECKING:
    from explorer.latent.fitting import Fit, FitEvent, MapFits


def fit_routes(prefix: str) -> list[BaseRoute]:
    """The route of fits.

    Args:
        prefix: the path that the live routes stand under.
    """
    return [Route(path(prefix, "fits"), serve_fit, methods=["POST"])]


async def serve_fit(request: Request) -> Response:
    """Fit a map of a model's codes, or join who fits the same one, and tell how it goes.

    The body is JSON of MapRequest's fields. Lines of JSON come back: {"key"}, then {"words",
    "share"} as it goes on, and at last {"view"} or {"error"}. Who leaves, leaves the fit.
    """
    hub = shared_hub()
    opened = await open_granted(request, hub)
    if isinstance(opened, Response):
        return opened
    try:
        wanted = read_map_request(await read_body(request, LARGEST_JSON))
    except TooLargeError as error:
        return PlainTextResponse(str(error), status_code=413)
    except ProtocolError as error:
        return PlainTextResponse(str(error), status_code=400)
    codes, onto = opened.encodings.mean, opened.projection.coordinates

    def find_key() -> tuple["MapFits", str]:
        return hub.fits, hub.fits.key(codes, onto, wanted)

    found = await answer_or_error(hub.quick, request, find_key)
    if isinstance(found, Response):
        return found
    fits, key = found
    return StreamingResponse(
        _tell(opened, fits, wanted, key, session_of(request)),
        media_type="application/x-ndjson",
        headers=AS_THEY_ARE,
    )


def read_map_request(body: bytes) -> MapRequest:
    """The settings of a map, from JSON.

    Raises:
        ProtocolError: an entry that is not known or out of its bounds.
    """
    try:
        return MapRequest.from_fields(read_json(body))
    except ExplorerError as error:
        raise ProtocolError(str(error)) from error


async def _tell(
    model: OpenedModel, fits: "MapFits", wanted: MapRequest, key: str, session: str
) -> AsyncIterator[bytes]:
    yield _line({"key": key})
    hub = shared_hub()
    codes, onto = model.encodings.mean, model.projection.coordinates
    done = {"view": f"{FIT}{key}"}
    try:
        if await hub.quick.answer(session, partial(fits.stored, key)) is not None:
            yield _line(done)
            return
        fit = await hub.quick.answer(session, partial(fits.start, codes, onto, wanted))
    except ExplorerError as error:
        yield _line({"error": str(error)})
        return
    except Exception as error:
        logging.getLogger(__name__).exception("a fit failed")
        yield _line({"error": f"The map could not be fitted: {error}"})
        return
    try:
        async for event in _events(fit):
            if event.error is not None:
                yield _line({"error": event.error})
                return
            if event.done:
                yield _line(done)
                return
            yield _line({"words": event.words, "share": event.share})
        yield _line({"error": "The fit was cancelled."})
    finally:
        fit.leave()


async def _events(fit: "Fit") -> AsyncIterator["FitEvent"]:
    """What a fit tells; it tells by blocking, so a thread listens."""
    loop = asyncio.get_running_loop()
    told: asyncio.Queue[FitEvent | None] = asyncio.Queue()

    def put(event: "FitEvent | None") -> None:
        with suppress(RuntimeError):  # the server has ended
            loop.call_soon_threadsafe(told.put_nowait, event)

    def listen() -> None:
        try:
            for event in fit.listen():
                put(event)
        finally:
            put(None)

    # None of a pool's: it listens for as long as the fit takes.
    threading.Thread(target=listen, name="listen-to-fit", daemon=True).start()
    while (event := await told.get()) is not None:
        yield event


def _line(content: dict[str, Any]) -> bytes:
    return json.dumps(content, allow_nan=False).encode() + b"\n"

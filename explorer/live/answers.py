"""What the live route answers to plain requests: arrays of a map, sheets, lists and files.

Each wants the header X-Explorer-Token with a token that may drive the checkpoint named in the path.
Errors are text: 400 a request that is wrong in itself, 403 no such grant, 413 a body too large, 422
what this checkpoint does not have or what is broken.

"Framed" answers hold the length of a JSON header (uint32), the header padded with spaces to four
bytes, and arrays, little-endian.
"""

import asyncio
import json
import logging
import re
import struct
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from explorer.errors import ExplorerError, ProtocolError
from explorer.images.registry import known_factors
from explorer.latent.selection import summarise_selection
from explorer.live.budget import LONGEST_DEBT
from explorer.live.desk import BusyError, Desk
from explorer.live.exports import write_codes, write_projector
from explorer.live.hub import Hub, shared_hub
from explorer.live.model import OpenedModel
from explorer.live.protocol import LARGEST_LATENT, check_view_name
from explorer.live.sheets import MOST_PICTURES, pictures_of_rows, shrink
from explorer.live.views import MAP, damaged_views, fitted_views
from explorer.models.checkpoint import check_axis_names
from explorer.models.pictures import known_at_hand

TOKEN_HEADER = "x-explorer-token"  # noqa: S105 - a header's name
# Streamlit's server would compress them, which takes longer than sending them.
AS_THEY_ARE = {"Cache-Control": "no-store", "Content-Encoding": "identity"}
MOST_NEIGHBOURS = 400
REFUSED_AFTER = 1.0  # seconds: who is refused would else ask again at once
SHEET_COST = MOST_PICTURES / 16  # messages: of pictures in passes of 16
LARGEST_SIDE = 128
LARGEST_JSON = 1 << 16  # bytes of a request
ENDED = "This page's session has ended: reload it."

Work = Callable[[OpenedModel, Request, bytes], Response]
Limit = Callable[[OpenedModel], int]
Answered = TypeVar("Answered")


class TooLargeError(Exception):
    """A body beyond its limit."""


def answer_routes(prefix: str) -> list[BaseRoute]:
    """The routes of all plain requests but those of a fit.

    Args:
        prefix: the path that the live routes stand under.
    """
    get, post = ["GET"], ["POST"]
    json_limit: Limit = lambda _model: LARGEST_JSON  # noqa: E731 - beside those that depend
    return [
        Route(path(prefix, "points"), guarded(give_points), methods=get),
        Route(path(prefix, "values", "/{what}"), guarded(give_values, slow=True), methods=get),
        Route(path(prefix, "facts"), guarded(give_facts), methods=get),
        Route(
            path(prefix, "pictures"),
            guarded(
                give_pictures,
                limit=lambda model: 4 * MOST_PICTURES * model.latent_dim,
                cost=SHEET_COST,
            ),
            methods=post,
        ),
        Route(
            path(prefix, "sheet"),
            guarded(give_sheet, limit=lambda _model: 4 * MOST_PICTURES, cost=SHEET_COST),
            methods=post,
        ),
        Route(
            path(prefix, "neighbours"),
            guarded(give_neighbours, limit=lambda model: 4 * model.latent_dim),
            methods=post,
        ),
        Route(
            path(prefix, "selection"),
            guarded(give_selection, limit=lambda model: 4 * len(model.encodings.mean)),
            methods=post,
        ),
        Route(path(prefix, "names"), guarded(take_names, limit=json_limit), methods=post),
        Route(path(prefix, "export", "/codes.csv"), guarded(export_codes, slow=True), methods=get),
        Route(
            path(prefix, "export", "/projector.zip"),
            guarded(export_projector, slow=True),
            methods=get,
        ),
    ]


def path(prefix: str, what: str, rest: str = "") -> str:
    """Where something of one checkpoint is found."""
    return f"{prefix}/{what}/{{name}}{rest}"


# -- guards ---------------------------------------------------------------------------------------


def guarded(
    work: Work, *, slow: bool = False, limit: Limit | None = None, cost: float = 1
) -> Callable[[Request], Awaitable[Response]]:
    """A route around what answers: the grant, the body within its limit, errors in words.

    Args:
        work: makes the answer, on a thread of a pool.
        slow: whether it may take long; such ones wait for each other and for nothing else.
        limit: the most bytes of the body; None takes no body.
        cost: of the longest request, in messages of the session's budget; shorter ones cost less.
    """

    async def serve(request: Request) -> Response:
        hub = shared_hub()
        opened = await open_granted(request, hub)
        if isinstance(opened, Response):
            return opened
        try:
            body = await read_body(request, limit(opened)) if limit is not None else b""
        except TooLargeError as error:
            return PlainTextResponse(str(error), status_code=413)
        share = len(body) / limit(opened) if limit is not None else 1
        refused = await pay(hub, session_of(request), max(1.0, cost * share))
        if refused is not None:
            return refused
        desk = hub.slow if slow else hub.quick
        return await answer_or_error(desk, request, partial(work, opened, request, body))

    return serve


async def pay(hub: Hub, token: str, cost: float) -> Response | None:
    """Wait until a session has paid for a request; the refusal where that would take too long."""
    seconds = hub.spend(token, cost)
    if seconds > LONGEST_DEBT:
        hub.give_back(token, cost)
        words = (
            f"This page asked for so much that this would wait {seconds:.0f} seconds, and "
            f"{LONGEST_DEBT:.0f} is the most: ask again later."
        )
        await asyncio.sleep(REFUSED_AFTER)
        return PlainTextResponse(words, status_code=429)
    if seconds > 0:
        await asyncio.sleep(seconds)
    return None


def session_of(request: Request) -> str:
    """The token that a request bears; "" for none."""
    return request.headers.get(TOKEN_HEADER, "")


async def open_granted(request: Request, hub: Hub) -> OpenedModel | Response:
    """The model that a request is about, or why it is not given."""
    granted = hub.granted(session_of(request), request.path_params["name"])
    if granted is None:
        return PlainTextResponse(ENDED, status_code=403)
    return await answer_or_error(hub.quick, request, partial(hub.open, *granted))


async def answer_or_error(
    desk: Desk, request: Request, work: Callable[[], Answered]
) -> Answered | Response:
    """Work at a desk, in turn with other sessions; what goes wrong in it as text."""
    try:
        return await desk.answer(session_of(request), work)
    except ProtocolError as error:
        return PlainTextResponse(str(error), status_code=400)
    except BusyError as error:
        return PlainTextResponse(str(error), status_code=429)
    except ExplorerError as error:
        return PlainTextResponse(str(error), status_code=422)
    except Exception as error:
        logging.getLogger(__name__).exception("an answer failed")
        return PlainTextResponse(f"The server could not answer: {error}", status_code=500)


async def read_body(request: Request, most: int) -> bytes:
    """A request's body, of which no more than is allowed is ever held.

    Raises:
        TooLargeError: if it is larger.
    """
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most:
            raise TooLargeError(f"The request has over {most:,} bytes, which is the most.")
    return bytes(body)


def read_json(body: bytes) -> dict[str, Any]:
    """A body that is a JSON object.

    Raises:
        ProtocolError: if it is none.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"The request is no JSON ({error}).") from error
    if not isinstance(content, dict):
        raise ProtocolError("The request is no JSON object.")
    return content


def read_codes(body: bytes, latent_dim: int) -> NDArray[np.float32]:
    """Codes, (k, D), from a body of float32.

    Raises:
        ProtocolError: none, a part of one, or numbers that no code has.
    """
    if not body or len(body) % (4 * latent_dim):
        raise ProtocolError(
            f"The request has {len(body)} bytes; each code of {latent_dim} latents takes "
            f"{4 * latent_dim}, and at least 1 is needed."
        )
    codes = np.frombuffer(body, "<f4").astype(np.float32).reshape(-1, latent_dim)
    if not np.abs(codes).max() <= LARGEST_LATENT:  # NaN is not below anything
        raise ProtocolError(
            f"The codes hold values that are not finite or beyond {LARGEST_LATENT:,.0f}."
        )
    return codes


def read_rows(body: bytes, count: int) -> NDArray[np.int64]:
    """Rows of encodings, (k,), from a body of uint32.

    Raises:
        ProtocolError: none, a part of one, or one that is not there.
    """
    if not body or len(body) % 4:
        raise ProtocolError(
            f"The request has {len(body)} bytes; each row takes 4, and at least 1 is needed."
        )
    rows = np.frombuffer(body, "<u4").astype(np.int64)
    if rows.max() >= count:
        raise ProtocolError(f"There is no encoding {rows.max()}; the model has {count}.")
    return rows


def read_number(request: Request, name: str, default: int, low: int, high: int) -> int:
    """A whole number of a request's query.

    Raises:
        ProtocolError: if it is none, or out of bounds.
    """
    text = request.query_params.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
        raise ProtocolError(f"{name} is {text[:40]!r}; it must be a number from {low} to {high}.")
    return int(text)


def framed(header: Mapping[str, Any], *arrays: NDArray[Any]) -> Response:
    """A framed answer."""
    text = json.dumps(header, allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    parts = [struct.pack("<I", len(text)), text, *(array.tobytes() for array in arrays)]
    return Response(b"".join(parts), media_type="application/octet-stream", headers=AS_THEY_ARE)


def as_json(content: Mapping[str, Any]) -> Response:
    """A JSON answer."""
    return JSONResponse(content, headers=AS_THEY_ARE)


# -- answers --------------------------------------------------------------------------------------


def give_points(model: OpenedModel, request: Request, _body: bytes) -> Response:
    """Where the encodings lie on a view: coordinates (N, dims), and their labels if asked for."""
    name = request.query_params.get("view", MAP)
    check_view_name(name)
    labelled = read_number(request, "labels", 0, 0, 1) == 1
    view = model.view(name)
    plane = view.plane
    header = {
        "count": len(view.coordinates),
        "latent_dim": model.latent_dim,
        "view": name,
        "dims": view.dims,
        "exact": view.exact,
        "method": view.method,
        "plane": None
        if plane is None
        else {"centre": plane.centre.tolist(), "basis": plane.basis.tolist()},
        "labels": labelled,
        "limit": None,
    }
    arrays: list[NDArray[Any]] = [view.coordinates.astype("<f4", copy=False)]
    if labelled:
        labels = model.encodings.labels
        count = len(view.coordinates)
        arrays.append((np.full(count, -1) if labels is None else labels).astype("<i2"))
    return framed(header, *arrays)


def give_values(model: OpenedModel, request: Request, _body: bytes) -> Response:
    """What the points can be coloured by, float32 (N,): see `values.find_values`."""
    what = request.path_params["what"]
    values = model.values(what)
    title = values.title
    kind, _, axis = what.partition("-")
    if kind == "axis":
        title = model.axis_names.get(int(axis), title)
    low, high = values.range
    header = {
        "what": what,
        "title": title,
        "unit": values.unit,
        "low": low,
        "high": high,
        "choices": None if values.choices is None else list(values.choices),
    }
    return framed(header, values.numbers.astype("<f4", copy=False))


def give_facts(model: OpenedModel, _request: Request, _body: bytes) -> Response:
    """What can be asked of this model."""
    has_variance = model.encodings.log_var is not None
    factors = known_factors(model.config.data.name)
    return as_json(
        {
            "factors": [
                {"key": f"factor-{number}", "title": factor.name}
                for number, factor in enumerate(factors)
            ],
            "views": fitted_views(model.encodings.mean, model.projection, model.fits),
            "trouble": damaged_views(model.encodings.mean, model.projection, model.fits),
            "kl": has_variance,
            "sigma": has_variance,
            "real": known_at_hand(model.config.data),
        }
    )


def give_pictures(model: OpenedModel, request: Request, body: bytes) -> Response:
    """Decodings of codes, float32 (k, D): pictures uint8 (k, H, W, C)."""
    side = read_number(request, "side", LARGEST_SIDE, 1, LARGEST_SIDE)
    latents = read_codes(body, model.latent_dim)
    pictures = shared_hub().engine.decode(model, latents)
    return _sheet(pictures, side, real=False)


def give_sheet(model: OpenedModel, request: Request, body: bytes) -> Response:
    """The images of rows, uint32 (k,): pictures uint8 (k, H, W, C)."""
    side = read_number(request, "side", LARGEST_SIDE, 1, LARGEST_SIDE)
    rows = read_rows(body, len(model.encodings.mean))
    pictures, real = pictures_of_rows(model, rows, shared_hub().engine.decode)
    return _sheet(pictures, side, real=real)


def _sheet(pictures: NDArray[np.uint8], side: int, *, real: bool) -> Response:
    small = shrink(pictures, side)
    return framed({"count": len(small), "shape": list(small.shape[1:]), "real": real}, small)


def give_neighbours(model: OpenedModel, request: Request, body: bytes) -> Response:
    """The encodings nearest to a code, float32 (D,)."""
    k = read_number(request, "k", 12, 1, MOST_NEIGHBOURS)
    latents = read_codes(body, model.latent_dim)[0]
    distances, rows = model.nearest(latents, min(k, len(model.encodings.mean)))
    labels = model.encodings.labels
    return as_json(
        {
            "rows": rows.tolist(),
            "index": model.encodings.index[rows].tolist(),
            "labels": [-1] * len(rows) if labels is None else labels[rows].tolist(),
            "distances": distances.tolist(),
        }
    )


def give_selection(model: OpenedModel, _request: Request, body: bytes) -> Response:
    """What the encodings of rows, uint32 (k,), have in common."""
    rows = read_rows(body, len(model.encodings.mean))
    summary = summarise_selection(
        model.encodings.mean, model.encodings.labels, len(model.config.data.classes), rows
    )
    return as_json(
        {
            "count": summary.count,
            "mix": summary.mix.tolist(),
            "mean": summary.mean.tolist(),
            "spread": summary.spread.tolist(),
            "radius": summary.radius,
        }
    )


def take_names(model: OpenedModel, _request: Request, body: bytes) -> Response:
    """Replace the axes' names; the answer is what is now stored."""
    content = read_json(body)
    if content.keys() != {"names"}:
        raise ProtocolError('The request must be {"names": {"0": "a name", ...}}.')
    model.name_axes(check_axis_names(content["names"], model.latent_dim))
    return as_json({"names": {str(axis): name for axis, name in model.axis_names.items()}})


def export_codes(model: OpenedModel, _request: Request, _body: bytes) -> Response:
    """A table of the codes."""
    return StreamingResponse(
        write_codes(model),
        media_type="text/csv; charset=utf-8",
        headers=AS_THEY_ARE | _as_file(f"{model.folder.name}-codes.csv"),
    )


def export_projector(model: OpenedModel, _request: Request, _body: bytes) -> Response:
    """The codes and their pictures for the Embedding Projector."""
    return StreamingResponse(
        write_projector(model),
        media_type="application/zip",
        headers=AS_THEY_ARE | _as_file(f"{model.folder.name}-projector.zip"),
    )


def _as_file(name: str) -> dict[str, str]:
    encoded = quote(name.encode("utf-8", "replace"), safe="")
    return {"Content-Disposition": f"attachment; filename*=UTF-8''{encoded}"}

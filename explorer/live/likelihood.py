"""The likelihood of a picture that is not in any set, told line by line as it grows."""

import json
import logging
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from explorer.errors import ExplorerError
from explorer.live.answers import (
    AS_THEY_ARE,
    TooLargeError,
    open_granted,
    path,
    read_body,
    session_of,
)
from explorer.live.hub import shared_hub
from explorer.live.model import OpenedModel, number
from explorer.live.threads import use_one_thread

if TYPE_CHECKING:
    from explorer.models.importance import LikelihoodEstimate

MOST_SAMPLES = 4096


def likelihood_routes(prefix: str) -> list[BaseRoute]:
    """The route of likelihoods.

    Args:
        prefix: the path that the live routes stand under.
    """
    return [Route(path(prefix, "likelihood"), serve_likelihood, methods=["POST"])]


async def serve_likelihood(request: Request) -> Response:
    """Estimate log p(x) of a picture with ever more draws; who leaves, ends it.

    The body is the model's input, H x W x C uint8. Lines of JSON come back, the first once the mode
    of p(z|x) is found: {"samples", "log_likelihood", "standard_error" (null of one draw),
    "effective", "claimed" (false: so few draws count that it is a lower bound and no more)}, or
    {"error"}.
    """
    opened = await open_granted(request, shared_hub())
    if isinstance(opened, Response):
        return opened
    channels, height, width = opened.config.data.image_shape
    size = channels * height * width
    try:
        body = await read_body(request, size)
    except TooLargeError as error:
        return PlainTextResponse(str(error), status_code=413)
    if len(body) != size:
        return PlainTextResponse(
            f"The picture has {len(body)} bytes; this model takes {height} x {width} x {channels}, "
            f"which are {size}.",
            status_code=400,
        )
    pixels = np.frombuffer(body, np.uint8).reshape(1, height, width, channels)
    image = np.divide(pixels.transpose(0, 3, 1, 2), np.float32(255), dtype=np.float32)
    return StreamingResponse(
        _tell(opened, image, session_of(request)),
        media_type="application/x-ndjson",
        headers=AS_THEY_ARE,
    )


async def _tell(
    model: OpenedModel, image: NDArray[np.float32], session: str
) -> AsyncIterator[bytes]:
    hub = shared_hub()
    try:
        estimates = await hub.slow.answer(session, partial(_start, model, image))
        while True:
            estimate = await hub.slow.answer(session, partial(_next, estimates))
            if estimate is None:
                return
            yield _line(estimate)
    except ExplorerError as error:
        yield json.dumps({"error": str(error)}).encode() + b"\n"
    except Exception as error:
        logging.getLogger(__name__).exception("a likelihood failed")
        words = f"The likelihood could not be estimated: {error}"
        yield json.dumps({"error": words}).encode() + b"\n"


def _start(model: OpenedModel, image: NDArray[np.float32]) -> "Iterator[LikelihoodEstimate]":
    from explorer.models.importance import grow_likelihood  # torch, which the first page is without

    return grow_likelihood(model.codec, image, most=MOST_SAMPLES)


def _next(estimates: "Iterator[LikelihoodEstimate]") -> "LikelihoodEstimate | None":
    use_one_thread()
    return next(estimates, None)


def _line(estimate: "LikelihoodEstimate") -> bytes:
    content = {
        "samples": estimate.samples,
        "log_likelihood": number(float(estimate.log_likelihood[0])),
        "standard_error": number(float(estimate.standard_error[0])),
        "effective": number(float(estimate.effective_samples[0])),
        "claimed": bool(estimate.claimed[0]),
    }
    return json.dumps(content, allow_nan=False).encode() + b"\n"

"""The real routes on a real server, and how to speak with them."""

import json
import socket
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from websockets.sync.client import connect

from explorer.live.guard import Access, Guard
from explorer.live.protocol import HEADER, PLACE, SUBPROTOCOL
from explorer.live.route import PREFIX, live_routes


@contextmanager
def serve(base_path="", access=None, routes=()):
    """The real routes on a real server; with more routes, all behind the guard as in the app."""
    access = access or Access()
    server = uvicorn.Server(
        uvicorn.Config(
            Starlette(
                routes=[*live_routes(base_path, access), *routes],
                middleware=[Middleware(Guard, access=access)] if routes else [],
            ),
            port=0,
            ws="websockets-sansio",
            log_level="error",
        )
    )
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)
        listening.close()


def dial(host, token, name="bars-vae", origin="same", path=PREFIX, name_of_host=None):
    """A socket that drives a model; under another Host header where one is named."""
    line = socket.create_connection(host.split(":"), 30) if name_of_host else None
    return connect(
        f"ws://{name_of_host or host}{path}/decode/{name}",
        sock=line,
        subprotocols=[SUBPROTOCOL, token],
        origin=f"http://{host}" if origin == "same" else origin,
        open_timeout=30,
    )


def frame(model, kind, payload, sequence=1, flags=0):
    return HEADER.pack(kind, flags, model.tag, sequence) + payload


def floats(*values):
    return np.array(values, "<f4").tobytes()


def read_decoded(message, latent_dim=2):
    """Header, place (3,), code (D,) and pixels."""
    start = HEADER.size + PLACE.size
    code = np.frombuffer(message[start : start + 4 * latent_dim], "<f4")
    place = PLACE.unpack_from(message, HEADER.size)
    return HEADER.unpack_from(message), place, code, message[start + 4 * latent_dim :]


def fetch(url, headers=None, body=None):
    request = urllib.request.Request(url, data=body, headers=headers or {})
    with urllib.request.urlopen(request, timeout=60) as response:
        return response.headers, response.read()


def refused(url, headers=None, body=None):
    """Status and words of a request that is not answered."""
    try:
        fetch(url, headers, body)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    raise AssertionError("the request was answered")


def read_framed(body):
    """The header, and the bytes behind it."""
    length = int.from_bytes(body[:4], "little")
    assert length % 4 == 0
    return json.loads(body[4 : 4 + length]), body[4 + length :]

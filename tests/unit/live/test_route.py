import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from contextlib import contextmanager
from itertools import repeat

import numpy as np
import pytest
import uvicorn
from starlette.applications import Starlette
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from explorer.live import route
from explorer.live.hub import shared_hub
from explorer.live.protocol import DECODE, HEADER, PICTURE, PLACE, SUBPROTOCOL
from explorer.live.route import BAD_FRAME, NO_GRANT, PREFIX, live_routes, plotly_path
from explorer.models.library import list_checkpoints


@contextmanager
def serve(base_path=""):
    """The real routes on a real server."""
    server = uvicorn.Server(
        uvicorn.Config(
            Starlette(routes=live_routes(base_path)),
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


@pytest.fixture(scope="module")
def host():
    with serve() as address:
        yield address


@pytest.fixture
def token(checkpoints):
    hub = shared_hub()
    issued = hub.issue_token()
    for listing in list_checkpoints([checkpoints]):
        hub.allow(issued, listing.name, listing.folder, listing.stamp)
    yield issued
    hub.revoke(issued)


@pytest.fixture
def model(checkpoints):
    listing = next(one for one in list_checkpoints([checkpoints]) if one.name == "bars-vae")
    return shared_hub().open(listing.folder, listing.stamp)


def dial(host, token, name="bars-vae", origin="same", path=PREFIX):
    return connect(
        f"ws://{host}{path}/decode/{name}",
        subprotocols=[SUBPROTOCOL, token],
        origin=f"http://{host}" if origin == "same" else origin,
        open_timeout=30,
    )


def decode_frame(model, values, sequence=1):
    return HEADER.pack(DECODE, 0, model.tag, sequence) + np.array(values, "<f4").tobytes()


def read_answer(message):
    return HEADER.unpack_from(message), PLACE.unpack_from(message, HEADER.size), message[16:]


def test_a_code_comes_back_as_its_picture(host, token, model):
    with dial(host, token) as socket_:
        assert socket_.subprotocol == SUBPROTOCOL
        socket_.send(decode_frame(model, [0.5, -1.25], sequence=9))
        header, place, pixels = read_answer(socket_.recv(30))
    assert header == (DECODE, 0, model.tag, 9)
    assert place == (0.5, -1.25)
    assert pixels == model.codec.decode_pixels(np.float32([[0.5, -1.25]]))[0].tobytes()


def test_a_points_picture_is_a_reconstruction_where_the_images_are_not_at_hand(host, token, model):
    with dial(host, token) as socket_:
        socket_.send(HEADER.pack(PICTURE, 0, model.tag, 2) + (3).to_bytes(4, "little"))
        header, place, pixels = read_answer(socket_.recv(30))
    assert header == (PICTURE, 0, model.tag, 2)
    np.testing.assert_array_equal(np.float32(place), model.projection.coordinates[3])
    assert pixels == model.codec.decode_pixels(model.encodings.mean[3:4])[0].tobytes()


@pytest.mark.parametrize("origin", [None, "http://evil.example", "null", "http://[", ""])
def test_a_page_from_elsewhere_is_turned_away(host, token, origin):
    with pytest.raises(InvalidStatus, match="403"):
        dial(host, token, origin=origin)


def closed_with(socket_):
    with pytest.raises(ConnectionClosed) as caught:
        socket_.recv(30)
    return caught.value.rcvd.code, caught.value.rcvd.reason


@pytest.mark.parametrize("guess", ["nonsense", "A" * 43])
def test_an_unknown_token_is_refused(host, guess):
    with dial(host, guess) as socket_:
        assert closed_with(socket_) == (NO_GRANT, "This page may not drive this model: reload it.")


def test_a_token_drives_only_the_models_it_names(host, token):
    with dial(host, token, name="another") as socket_:
        assert closed_with(socket_)[0] == NO_GRANT


def test_a_revoked_token_ends_its_connection(host, token, model):
    with dial(host, token) as socket_:
        shared_hub().revoke(token)
        socket_.send(decode_frame(model, [0, 0]))
        assert closed_with(socket_)[0] == NO_GRANT


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (b"short", "5 bytes"),
        (bytes(5000), "5000 bytes"),
        ("text", "text frame"),
    ],
)
def test_a_bad_frame_closes_its_connection_and_no_other(host, token, model, message, words):
    with dial(host, token) as good, dial(host, token) as bad:
        bad.send(message)
        code, reason = closed_with(bad)
        assert code == BAD_FRAME
        assert words in reason
        good.send(decode_frame(model, [0, 0]))
        assert len(good.recv(30)) == 16 + 10 * 12


def test_a_frame_for_another_model_is_refused(host, token, model):
    with dial(host, token, name="bars-ae") as socket_:
        socket_.send(decode_frame(model, [0, 0]))
        assert "another model" in closed_with(socket_)[1]


def test_a_flood_is_cut_off(host, token, model, monkeypatch):
    # A busy machine would not manage to be flooded at the real limit.
    monkeypatch.setattr(route, "MESSAGES_A_SECOND", 20)
    with dial(host, token) as socket_:
        frames = repeat(decode_frame(model, [0, 0]), 5_000)
        with pytest.raises(ConnectionClosed) as caught:
            deque(map(socket_.send, frames), maxlen=0)
        assert "20 frames a second" in caught.value.rcvd.reason


def fetch(url, headers=None):
    request = urllib.request.Request(url, headers=headers or {})
    with urllib.request.urlopen(request, timeout=30) as response:
        return response.headers, response.read()


def test_the_points_are_the_encodings(host, token, model):
    _, body = fetch(f"http://{host}{PREFIX}/points/bars-vae", {"X-Explorer-Token": token})
    length = int.from_bytes(body[:4], "little")
    assert json.loads(body[4 : 4 + length]) == {"count": 24, "latent_dim": 2}
    numbers = np.frombuffer(body, "<f4", 24 * 4, offset=4 + length)
    np.testing.assert_array_equal(numbers[:48].reshape(24, 2), model.projection.coordinates)
    np.testing.assert_array_equal(numbers[48:].reshape(24, 2), model.encodings.mean)
    labels = np.frombuffer(body, "<i4", 24, offset=4 + length + 24 * 16)
    np.testing.assert_array_equal(labels, model.encodings.labels)


def test_the_points_want_a_token(host):
    with pytest.raises(urllib.error.HTTPError, match="403") as caught:
        fetch(f"http://{host}{PREFIX}/points/bars-vae")
    caught.value.close()


def test_plotly_comes_out_of_the_package_compressed_and_cached(host):
    headers, body = fetch(f"http://{host}{plotly_path()}")
    assert headers["Content-Encoding"] == "gzip"
    assert "immutable" in headers["Cache-Control"]
    assert body[:2] == b"\x1f\x8b"
    assert len(body) > 1_000_000


def test_a_base_path_is_put_before_the_routes(token, model):
    with serve("/some/where/") as host, dial(host, token, path=f"/some/where{PREFIX}") as socket_:
        socket_.send(decode_frame(model, [0, 0]))
        assert socket_.recv(30)

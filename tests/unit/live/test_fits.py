import json
import re
import socket
import threading

import numpy as np
import pytest

from explorer.latent.fitting import MapFits
from explorer.latent.projection import MapRequest
from explorer.live.hub import shared_hub
from explorer.live.model import OpenedModel
from explorer.live.protocol import HEADER, VIEW
from explorer.live.route import PREFIX
from tests.unit.live.serving import dial, fetch, floats, frame, read_decoded, read_framed


@pytest.fixture
def fits(tmp_path, monkeypatch):
    """The hub's maps, kept in a folder of the test's own."""
    mine = MapFits(tmp_path / "maps")
    monkeypatch.setitem(shared_hub().__dict__, "fits", mine)
    return mine


@pytest.fixture
def own_model(checkpoints, token, fits):
    """A model that knows of no other test's maps."""
    hub = shared_hub()
    folder = checkpoints / "bars-vae"
    stamp = ((abs(hash(token)), 0),)
    hub.allow(token, "bars-vae", folder, stamp)
    return hub.open(folder, stamp)


def lines_of(body):
    return [json.loads(line) for line in body.splitlines()]


def fit(host, token, settings):
    url = f"http://{host}{PREFIX}/fits/bars-vae"
    headers, body = fetch(url, {"X-Explorer-Token": token}, json.dumps(settings).encode())
    assert headers["Content-Type"] == "application/x-ndjson"
    assert headers["Content-Encoding"] == "identity"
    return lines_of(body)


def test_a_fitted_map_is_a_view(host, token, own_model, fits):
    model = own_model
    first, *told, last = fit(host, token, {"method": "principal components"})
    key = fits.key(
        model.encodings.mean,
        model.projection.coordinates,
        MapRequest(method="principal components"),
    )
    assert first == {"key": key}
    assert last == {"view": f"fit:{key}"}
    assert all(line.keys() == {"words", "share"} for line in told)
    # The second time it is there already.
    assert fit(host, token, {"method": "principal components"}) == [first, last]

    stored = fits.stored(key)
    _, body = fetch(
        f"http://{host}{PREFIX}/points/bars-vae?view=fit:{key}", {"X-Explorer-Token": token}
    )
    header, rest = read_framed(body)
    assert (header["dims"], header["exact"], header["plane"]) == (2, False, None)
    assert header["method"] == "principal components"
    np.testing.assert_array_equal(np.frombuffer(rest, "<f4").reshape(24, 2), stored)

    _, body = fetch(f"http://{host}{PREFIX}/facts/bars-vae", {"X-Explorer-Token": token})
    (view,) = json.loads(body)["views"]
    assert view["view"] == f"fit:{key}"
    assert view["request"]["method"] == "principal components"

    with dial(host, token) as socket_:
        socket_.send(frame(model, VIEW, f"fit:{key}".encode()))
        assert json.loads(socket_.recv(30)[HEADER.size :]) == {"view": f"fit:{key}"}
        socket_.send(frame(model, 3, floats(*stored[4])))
        _, place, code, _ = read_decoded(socket_.recv(30))
    extent = np.linalg.norm(np.ptp(stored, axis=0))
    assert np.isfinite(code).all()
    assert np.linalg.norm(place[:2] - stored[4]) < extent
    assert place[2] == 0


def test_a_map_of_three_dimensions_has_three(host, token, own_model, fits):
    # Two latent axes have no third principal one: the reason comes as the last line.
    *_, last = fit(host, token, {"method": "principal components", "components": 3})
    assert "2 latent axes" in last["error"]


def test_another_models_map_is_no_view_of_this_one(host, token, own_model, fits, checkpoints):
    *_, last = fit(host, token, {"method": "principal components"})
    other = OpenedModel(checkpoints / "bars-ae", fits=lambda: fits)
    with pytest.raises(Exception, match="fit it again"):
        other.view(last["view"])
    assert own_model.view(last["view"]).dims == 2


def test_who_leaves_the_page_leaves_the_fit(host, token, own_model, fits):
    address, port = host.split(":")
    with socket.create_connection((address, int(port)), timeout=30) as line:
        body = b"{}"  # a UMAP, which takes seconds to be loaded alone
        line.sendall(
            f"POST {PREFIX}/fits/bars-vae HTTP/1.1\r\nHost: {host}\r\nX-Explorer-Token: {token}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        received = b""
        while b"words" not in received:
            received += line.recv(4096)
        key = re.search(rb'"key": "([0-9a-f]{32})"', received)[1].decode()
        (fitting,) = (one for one in threading.enumerate() if one.name == f"map-{key[:8]}")
    fitting.join(30)
    assert not fitting.is_alive()
    assert fits.stored(key) is None

import json
import shutil
import urllib.request
from collections import deque
from functools import partial
from itertools import repeat

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from explorer.live import connection
from explorer.live.guard import BAD_FRAME, BROKEN_MODEL, NO_GRANT
from explorer.live.hub import shared_hub
from explorer.live.protocol import (
    DECODE,
    GHOST,
    HEADER,
    PICTURE,
    PICTURE_FACTS,
    REAL,
    SPOT,
    SUBPROTOCOL,
    TRUTH,
    VIEW,
)
from explorer.live.route import PREFIX, plotly_path
from explorer.models.library import SHIPPED, list_checkpoints
from tests.unit.live.serving import dial, fetch, floats, frame, read_decoded, serve

NAN = float("nan")


def decode_frame(model, values, sequence=1, flags=0):
    return frame(model, DECODE, floats(*values), sequence, flags)


def picture(model, *values):
    return model.codec.decode_pixels(np.float32([values]))[0].tobytes()


def read_json(message):
    return HEADER.unpack_from(message), json.loads(message[HEADER.size :])


def read_picture(message, latent_dim=2):
    index, *rest = PICTURE_FACTS.unpack_from(message, HEADER.size)
    start = HEADER.size + PICTURE_FACTS.size
    code = np.frombuffer(message[start : start + 4 * latent_dim], "<f4")
    facts = {"index": index, "place": rest[:3], "nll": rest[3], "kl": rest[4], "code": code}
    return HEADER.unpack_from(message), facts, message[start + 4 * latent_dim :]


def test_a_code_comes_back_as_its_picture(host, token, model):
    with dial(host, token) as socket:
        assert socket.subprotocol == SUBPROTOCOL
        socket.send(decode_frame(model, [0.5, -1.25], sequence=9))
        header, place, code, pixels = read_decoded(socket.recv(30))
    assert header == (DECODE, 0, model.tag, 9)
    assert place == (0.5, -1.25, 0)
    np.testing.assert_array_equal(code, np.float32([0.5, -1.25]))
    assert pixels == picture(model, 0.5, -1.25)


def test_a_ghosts_answer_bears_its_mark(host, token, model):
    with dial(host, token) as socket:
        socket.send(decode_frame(model, [1, 1], sequence=1))
        socket.send(decode_frame(model, [2, 2], sequence=2, flags=GHOST))
        answers = {}
        for _ in range(2):
            header, _, code, pixels = read_decoded(socket.recv(30))
            answers[header] = code.tolist(), pixels
    assert answers == {
        (DECODE, 0, model.tag, 1): ([1, 1], picture(model, 1, 1)),
        (DECODE, GHOST, model.tag, 2): ([2, 2], picture(model, 2, 2)),
    }


def test_a_spot_on_the_latent_plane_is_its_own_code_save_for_held_axes(host, token, model):
    with dial(host, token) as socket:
        socket.send(frame(model, SPOT, floats(0.25, 1), 4))
        header, place, code, pixels = read_decoded(socket.recv(30))
        assert header == (SPOT, 0, model.tag, 4)
        assert place == (0.25, 1, 0)
        assert code.tolist() == [0.25, 1]
        assert pixels == picture(model, 0.25, 1)
        socket.send(frame(model, SPOT, floats(0.25, 1, NAN, -2), 5, GHOST))
        header, place, code, pixels = read_decoded(socket.recv(30))
        assert header == (SPOT, GHOST, model.tag, 5)
        assert place == (0.25, -2, 0)
        assert code.tolist() == [0.25, -2]
        assert pixels == picture(model, 0.25, -2)


def test_places_are_of_the_view_that_was_asked_for_before(host, token, model):
    with dial(host, token) as socket:
        socket.send(frame(model, VIEW, b"axes:1,0", 3))
        socket.send(decode_frame(model, [0.5, -1.25], sequence=4))
        assert read_json(socket.recv(30)) == ((VIEW, 0, model.tag, 3), {"view": "axes:1,0"})
        assert read_decoded(socket.recv(30))[1] == (-1.25, 0.5, 0)
        socket.send(frame(model, PICTURE, (3).to_bytes(4, "little"), 5))
        expected = [*model.encodings.mean[3, ::-1].tolist(), 0]
        assert read_picture(socket.recv(30))[1]["place"] == expected


@pytest.mark.parametrize(
    ("view", "words"),
    [
        ("map-3d", "has no 3-D map"),
        ("principal-3d", "3 principal axes were asked for"),
        ("axes:0,2", "There is no latent axis 2"),
        ("axes:1,1", "given twice"),
        (f"fit:{'ab' * 16}", "fit it again"),
    ],
)
def test_a_view_that_cannot_be_had_leaves_the_old_one(host, token, model, view, words):
    with dial(host, token) as socket:
        socket.send(frame(model, VIEW, b"axes:1,0", 1))
        socket.recv(30)
        socket.send(frame(model, VIEW, view.encode(), 2))
        header, content = read_json(socket.recv(30))
        assert header[3] == 2
        assert content["view"] == view
        assert words in content["error"]
        socket.send(decode_frame(model, [0.5, -1.25]))
        assert read_decoded(socket.recv(30))[1] == (-1.25, 0.5, 0)


def test_a_spot_on_a_plane_is_the_browsers_own_affair(host, token, model):
    with dial(host, token) as socket:
        socket.send(frame(model, VIEW, b"principal"))
        socket.recv(30)
        socket.send(frame(model, SPOT, floats(0, 0)))
        code, reason = closed_with(socket)
    assert code == BAD_FRAME
    assert "send the code" in reason


def test_the_truth_about_a_code_says_what_is_known(host, token, model):
    z = np.float32([0.5, -1])
    with dial(host, token) as socket:
        socket.send(frame(model, TRUTH, floats(*z), 8))
        header, truth = read_json(socket.recv(30))
    assert header == (TRUTH, 0, model.tag, 8)
    distances = np.linalg.norm(model.encodings.mean - z, axis=1)
    row = int(distances.argmin())
    assert truth["nearest"]["row"] == row
    assert truth["nearest"]["index"] == model.encodings.index[row]
    assert truth["nearest"]["label"] == model.encodings.labels[row]
    assert truth["nearest"]["distance"] == pytest.approx(distances[row], abs=1e-6)
    assert truth["density"] == model.density.percentile(z[None])[0]
    assert truth["hole"] == bool(model.density.is_hole(z[None])[0])
    assert truth["radius"] == pytest.approx(1.25**0.5)
    assert truth["radius_quantile"] == pytest.approx(1 - np.exp(-0.625))  # chi of 2 degrees
    mean, log_var = model.codec.encode(model.codec.decode(z[None]))
    assert truth["cycle"] == pytest.approx(np.linalg.norm(mean[0] - z), rel=1e-4)
    assert truth["sigma"] == pytest.approx(np.exp(log_var[0] / 2), rel=1e-4)


def test_an_ae_has_no_variance_to_speak_of(host, token):
    listing = shared_hub().granted(token, "bars-ae")
    model = shared_hub().open(*listing)
    with dial(host, token, name="bars-ae") as socket:
        socket.send(frame(model, TRUTH, floats(0, 0)))
        assert read_json(socket.recv(30))[1]["sigma"] is None
        socket.send(frame(model, PICTURE, (0).to_bytes(4, "little")))
        assert np.isnan(read_picture(socket.recv(30))[1]["kl"])


def test_a_points_picture_is_a_reconstruction_where_the_images_are_not_at_hand(host, token, model):
    with dial(host, token) as socket:
        socket.send(frame(model, PICTURE, (3).to_bytes(4, "little"), 2))
        header, facts, pixels = read_picture(socket.recv(30))
    assert header == (PICTURE, 0, model.tag, 2)
    assert facts["index"] == model.encodings.index[3]
    assert facts["place"] == [*model.projection.coordinates[3].tolist(), 0]
    assert np.isnan(facts["nll"])
    mean, log_var = model.encodings.mean[3], model.encodings.log_var[3]
    kl = 0.5 * (mean**2 + np.exp(log_var) - 1 - log_var).sum()
    assert facts["kl"] == pytest.approx(kl, rel=1e-5)
    np.testing.assert_array_equal(facts["code"], mean)
    assert pixels == model.codec.decode_pixels(mean[None])[0].tobytes()


def test_a_points_picture_that_is_at_hand_is_the_image_and_tells_its_nll():
    listing = next(one for one in list_checkpoints([SHIPPED]) if one.name == "digits-vae-8")
    hub = shared_hub()
    token = hub.issue_token()
    hub.allow(token, listing.name, listing.folder, listing.stamp)
    model = hub.open(listing.folder, listing.stamp)
    with serve() as host, dial(host, token, name=listing.name) as socket:
        socket.send(frame(model, PICTURE, (7).to_bytes(4, "little"), 2, GHOST))
        header, facts, pixels = read_picture(socket.recv(30), model.latent_dim)
    hub.revoke(token)
    assert header == (PICTURE, REAL | GHOST, model.tag, 2)
    image = np.frombuffer(pixels, np.uint8).reshape(1, *model.config.data.image_shape) / 255
    expected = model.codec.reconstruction_nll(image, model.encodings.mean[7:8])[0]
    assert facts["nll"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("origin", [None, "http://evil.example", "null", "http://[", ""])
def test_a_page_from_elsewhere_is_turned_away(host, token, origin):
    with pytest.raises(InvalidStatus, match="403"):
        dial(host, token, origin=origin)


def closed_with(socket):
    with pytest.raises(ConnectionClosed) as caught:
        deque(iter(partial(socket.recv, 30), None), maxlen=0)
    return caught.value.rcvd.code, caught.value.rcvd.reason


@pytest.mark.parametrize("guess", ["nonsense", "A" * 43])
def test_an_unknown_token_is_refused(host, guess):
    with dial(host, guess) as socket:
        assert closed_with(socket) == (NO_GRANT, "This page may not drive this model: reload it.")


def test_a_token_drives_only_the_models_it_names(host, token):
    with dial(host, token, name="another") as socket:
        assert closed_with(socket)[0] == NO_GRANT


def test_a_revoked_token_ends_its_connection(host, token, model):
    with dial(host, token) as socket:
        shared_hub().revoke(token)
        socket.send(decode_frame(model, [0, 0]))
        assert closed_with(socket)[0] == NO_GRANT


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
        assert len(good.recv(30)) == 8 + 12 + 8 + 10 * 12


def test_a_frame_for_another_model_is_refused(host, token, model):
    with dial(host, token, name="bars-ae") as socket:
        socket.send(decode_frame(model, [0, 0]))
        assert "another model" in closed_with(socket)[1]


@pytest.mark.parametrize("kind", [DECODE, TRUTH])
def test_broken_weights_are_told_at_the_first_code(host, token, checkpoints, tmp_path, kind):
    folder = shutil.copytree(checkpoints / "bars-vae", tmp_path / "broken")
    hub = shared_hub()
    hub.allow(token, "broken", folder, ((1, kind),))
    model = hub.open(folder, ((1, kind),))
    (folder / "model.safetensors").write_bytes(b"")
    with dial(host, token, name="broken") as socket:
        socket.send(frame(model, kind, floats(0, 0)))
        code, reason = closed_with(socket)
    assert code == BROKEN_MODEL
    assert "truncated" in reason


def test_a_flood_is_cut_off(host, token, model, monkeypatch):
    # A busy machine would not manage to be flooded at the real limit.
    monkeypatch.setattr(connection, "MESSAGES_A_SECOND", 20)
    with dial(host, token) as socket:
        frames = repeat(decode_frame(model, [0, 0]), 5_000)
        with pytest.raises(ConnectionClosed) as caught:
            deque(map(socket.send, frames), maxlen=0)
        assert "20 frames a second" in caught.value.rcvd.reason


def test_plotly_comes_out_of_the_package_compressed_and_cached(host):
    headers, body = fetch(f"http://{host}{plotly_path()}")
    assert headers["Content-Encoding"] == "gzip"
    assert "immutable" in headers["Cache-Control"]
    assert body[:2] == b"\x1f\x8b"
    assert len(body) > 1_000_000


def test_a_base_path_is_put_before_the_routes(token, model):
    with serve("/some/where/") as host, dial(host, token, path=f"/some/where{PREFIX}") as socket:
        socket.send(decode_frame(model, [0, 0]))
        assert socket.recv(30)
        request = urllib.request.Request(
            f"http://{host}/some/where{PREFIX}/facts/bars-vae", headers={"X-Explorer-Token": token}
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            assert response.status == 200

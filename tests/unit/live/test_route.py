import io
import json
import shutil
import urllib.request
from collections import deque
from contextlib import ExitStack
from functools import partial

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from websockets.exceptions import ConnectionClosed, InvalidStatus

from explorer.images.intake import ModelInput, prepare_upload
from explorer.live import budget
from explorer.live.guard import BAD_FRAME, BROKEN_MODEL, FAILED, NO_GRANT, TOO_MANY
from explorer.live.hub import shared_hub
from explorer.live.protocol import (
    DECODE,
    DRAWING,
    ENCODE,
    ENCODED_FACTS,
    GHOST,
    HEADER,
    KINDS,
    PICTURE,
    PICTURE_FACTS,
    REAL,
    SPOT,
    SUBPROTOCOL,
    TRUTH,
    VIEW,
    VOTES,
)
from explorer.live.route import PREFIX, plotly_path
from explorer.models.checkpoint import ENCODINGS, PROJECTION
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


@pytest.fixture
def shipped(host):
    """Opens a shipped checkpoint: the server's address, a token for it, and the model."""
    hub, tokens = shared_hub(), []

    def open_shipped(name):
        listing = next(one for one in list_checkpoints([SHIPPED]) if one.name == name)
        tokens.append(hub.issue_token())
        hub.allow(tokens[-1], listing.name, listing.folder, listing.stamp)
        return host, tokens[-1], hub.open(listing.folder, listing.stamp)

    yield open_shipped
    for token in tokens:
        hub.revoke(token)


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


def test_on_the_latent_plane_a_position_is_a_code_and_has_its_own_density(host, token, model):
    far = np.float32([30, 30])
    with dial(host, token) as socket:
        socket.send(frame(model, TRUTH, floats(*far, *far)))
        truth = read_json(socket.recv(30))[1]
    assert (truth["map"], truth["density"], truth["hole"]) == (None, 0.0, True)


def test_a_guess_in_empty_land_is_told_of_the_map_and_not_of_its_own_density(shipped):
    host, token, model = shipped("digits-vae-8")
    places = model.projection.coordinates
    spots = np.stack([places[7], places.max(axis=0) + 3.0])
    codes = model.view("map").spot_codes.codes(spots)
    with dial(host, token, name="digits-vae-8") as socket:
        found = []
        for code, spot in zip(codes, spots, strict=True):
            socket.send(frame(model, TRUTH, floats(*code, *spot)))
            found.append(read_json(socket.recv(30))[1])
        # On a plane of the latent space there are no guesses.
        socket.send(frame(model, VIEW, b"axes:0,1"))
        socket.recv(30)
        socket.send(frame(model, TRUTH, floats(*codes[1], *spots[1])))
        on_plane = read_json(socket.recv(30))[1]
    near, far = found
    assert not near["map"]["empty"]
    assert near["map"]["distance"] == 0.0
    assert near["density"] == model.density.percentile(codes[:1])[0]
    assert near["map"]["blend"][0][0] == model.encodings.labels[7]
    assert sum(share for _, share in near["map"]["blend"]) == pytest.approx(1.0)
    assert far["map"]["empty"]
    assert far["map"]["distance"] > 3.0 > far["map"]["usual"] > 0.0
    # The blend itself is no hole, and denser than most: which says nothing about the position.
    assert model.density.percentile(codes[1:])[0] > 50
    assert (far["density"], far["hole"]) == (None, False)
    assert on_plane["map"] is None
    assert on_plane["density"] > 50


def test_an_aes_radius_is_compared_with_its_images_and_a_vaes_with_the_prior(shipped):
    for name, of in (("digits-ae-8", "images"), ("digits-vae-8", "prior")):
        host, token, model = shipped(name)
        z = model.encodings.mean[5]
        with dial(host, token, name=name) as socket:
            socket.send(frame(model, TRUTH, floats(*z)))
            truth = read_json(socket.recv(30))[1]
        assert truth["radius_of"] == of
        norms = np.linalg.norm(model.encodings.mean.astype(float), axis=1)
        within = (norms <= norms[5]).mean()
        assert (truth["radius_quantile"] == pytest.approx(within, abs=1e-9)) == (of == "images")


def test_an_encoded_image_has_the_density_that_the_map_is_coloured_by(shipped):
    _, _, model = shipped("digits-ae-8")
    coloured = model.values("density").numbers
    for row in (0, 77, 301):
        z = model.encodings.mean[row]
        truth = model.truth(z, model.cycle(z[None])[0])
        assert truth["density"] == pytest.approx(coloured[row], abs=1e-4)


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


@pytest.fixture
def other_token(checkpoints):
    """Of another session."""
    hub = shared_hub()
    issued = hub.issue_token()
    for listing in list_checkpoints([checkpoints]):
        hub.allow(issued, listing.name, listing.folder, listing.stamp)
    yield issued
    hub.revoke(issued)


def test_a_sessions_sockets_share_one_budget_and_another_session_has_its_own(
    host, model, checkpoints, monkeypatch, other_token
):
    # Four messages, and none for hours.
    monkeypatch.setattr(budget, "MESSAGES_A_SECOND", 1e-4)
    monkeypatch.setattr(budget, "BURST", 4e4)
    hub = shared_hub()
    token = hub.issue_token()
    hub.allow(token, "bars-vae", *hub.granted(other_token, "bars-vae"))
    with ExitStack() as stack:
        flooding = [stack.enter_context(dial(host, token)) for _ in range(3)]
        neighbour = stack.enter_context(dial(host, other_token))
        for number, socket in enumerate([*flooding, flooding[0]]):
            socket.send(decode_frame(model, [number, 0]))
            assert socket.recv(30)
        for socket in flooding:
            socket.send(decode_frame(model, [9, 9]))
        for _ in range(5):
            neighbour.send(decode_frame(model, [1, 1]))
            assert neighbour.recv(30)
        for socket in flooding:
            with pytest.raises(TimeoutError):
                socket.recv(0)
    hub.revoke(token)


def test_a_session_holds_so_many_sockets_and_one_more_when_one_has_ended(
    host, token, model, other_token
):
    with ExitStack() as stack:
        sockets = [stack.enter_context(dial(host, token)) for _ in range(budget.MOST_SOCKETS)]
        for socket in sockets:  # all of them are counted by the time that they answer
            socket.send(decode_frame(model, [0, 0]))
            socket.recv(30)
        with dial(host, token) as refused:
            code, reason = closed_with(refused)
        assert code == TOO_MANY
        assert f"{budget.MOST_SOCKETS} live connections" in reason
        with dial(host, other_token) as another:
            another.send(decode_frame(model, [0, 0]))
            assert another.recv(30)
        sockets[0].send("text")  # it is closed, and no more counted then
        assert closed_with(sockets[0])[0] == BAD_FRAME
        while True:
            with dial(host, token) as again:
                again.send(decode_frame(model, [0, 0]))
                try:
                    assert again.recv(30)
                    break
                except ConnectionClosed:
                    continue  # the server has not yet noticed


@pytest.mark.parametrize("kind", [DECODE, TRUTH, PICTURE, SPOT, ENCODE, VIEW])
def test_what_nobody_foresaw_is_answered_with_a_sentence(
    host, token, checkpoints, tmp_path, kind, monkeypatch
):
    """Each step of an answer fails once; its request is answered all the same."""
    folder = shutil.copytree(checkpoints / "bars-vae", tmp_path / "failing")
    hub = shared_hub()
    hub.allow(token, "failing", folder, ((2, kind),))
    model = hub.open(folder, ((2, kind),))

    def fail(*_args, **_more):
        raise RuntimeError("the disk is full")

    for name in ("view",) if kind == VIEW else ("truth", "picture", "cycle"):
        monkeypatch.setattr(model, name, fail)
    model.codec.decode_pixels = fail
    payload = {
        PICTURE: (0).to_bytes(4, "little"),
        ENCODE: DRAWING.pack(1, 1, 1, 0) + b"0",
        VIEW: b"map",
    }.get(kind, floats(0, 0))
    with dial(host, token, name="failing") as socket:
        socket.send(frame(model, kind, payload))
        code, reason = closed_with(socket)
    assert code in (BROKEN_MODEL, FAILED)
    assert "the disk is full" in reason


def test_codes_of_any_finite_size_have_their_pictures_and_truths(
    host, token, checkpoints, tmp_path
):
    folder = shutil.copytree(checkpoints / "bars-vae", tmp_path / "huge")
    with np.load(folder / ENCODINGS) as stored:
        arrays = dict(stored)
    arrays["mean"] = np.where(arrays["mean"] < 0, -1e30, 1e30).astype(np.float32)
    np.savez(folder / ENCODINGS, **arrays)
    with np.load(folder / PROJECTION) as stored:
        places = dict(stored) | {"coordinates": arrays["mean"]}
    np.savez(folder / PROJECTION, **places)
    hub = shared_hub()
    hub.allow(token, "huge", folder, ((3, 3),))
    model = hub.open(folder, ((3, 3),))
    with dial(host, token, name="huge") as socket:
        socket.send(frame(model, PICTURE, (3).to_bytes(4, "little"), 2))
        header, facts, pixels = read_picture(socket.recv(30))
        assert header == (PICTURE, 0, model.tag, 2)
        assert facts["kl"] == np.inf
        np.testing.assert_array_equal(facts["code"], model.encodings.mean[3])
        assert len(pixels) == 120
        socket.send(frame(model, TRUTH, floats(0, 0), 3))
        header, truth = read_json(socket.recv(30))
        assert header == (TRUTH, 0, model.tag, 3)
        assert truth["radius"] == 0


EXTREME = [0.0, -0.0, 1e-45, 1e6, -1e6, 1.0000001e6, 1e30, -3.4e38, np.inf, -np.inf, np.nan]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    kind=st.sampled_from([*KINDS, 0, 7, 255]),
    values=st.lists(st.sampled_from(EXTREME), max_size=6),
    tail=st.binary(max_size=3),
    flags=st.sampled_from([0, GHOST, REAL, 255]),
)
def test_every_message_is_answered(host, token, model, kind, values, tail, flags):
    with dial(host, token) as socket:
        socket.send(frame(model, kind, floats(*values) + tail, 5, flags))
        try:
            answer = socket.recv(30)
        except ConnectionClosed:
            code, reason = closed_with(socket)
            assert code == BAD_FRAME
            assert reason
        else:
            assert HEADER.unpack_from(answer)[0] == kind
            assert HEADER.unpack_from(answer)[3] == 5


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


def drawn_bar(channels=1):
    """A bright standing bar on dark, (60, 48, channels)."""
    pixels = np.zeros((60, 48, channels), np.uint8)
    pixels[6:54, 20:28] = 240
    return pixels


def encode_frame(model, pixels, sequence=1):
    height, width, channels = pixels.shape
    return frame(
        model, ENCODE, DRAWING.pack(width, height, channels, 0) + pixels.tobytes(), sequence
    )


def read_encoded(message, latent_dim=2):
    """Header, facts, votes, mean, log_var and both pictures of 10 x 12."""
    *place, nll, kl = ENCODED_FACTS.unpack_from(message, HEADER.size)
    at = HEADER.size + ENCODED_FACTS.size
    votes = np.frombuffer(message, "<i2", VOTES, at)
    codes = np.frombuffer(message, "<f4", 2 * latent_dim, at + 2 * VOTES).reshape(2, -1).copy()
    pictures = message[at + 2 * VOTES + 8 * latent_dim :]
    return HEADER.unpack_from(message), (place, nll, kl), votes, codes, pictures


@pytest.mark.parametrize("channels", [1, 3])
def test_a_drawing_is_prepared_like_an_upload_and_encoded(host, token, model, channels):
    pixels = drawn_bar(channels)
    with dial(host, token) as socket:
        socket.send(encode_frame(model, pixels, sequence=4))
        header, (place, nll, kl), votes, (mean, log_var), pictures = read_encoded(socket.recv(30))
    assert header == (ENCODE, 0, model.tag, 4)
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0]).save(file, "PNG")
    data = model.config.data
    target = ModelInput(data.image_shape, data.background)
    image = prepare_upload(file.getvalue(), "bar.png", target).image[None]
    expected_mean, expected_log_var = model.codec.encode(image)
    np.testing.assert_allclose(mean, expected_mean[0], atol=1e-5)
    np.testing.assert_allclose(log_var, expected_log_var[0], atol=1e-5)
    np.testing.assert_allclose(place, [*mean, 0], atol=1e-5)
    assert nll == pytest.approx(float(model.codec.reconstruction_nll(image, mean[None])[0]), 1e-4)
    assert kl > 0
    labels = model.encodings.labels[model.nearest(mean, VOTES)[1]]
    np.testing.assert_array_equal(votes, labels)
    shown, reconstruction = pictures[:120], pictures[120:]
    assert shown == np.rint(255 * image[0, 0]).astype(np.uint8).tobytes()
    assert reconstruction == picture(model, *mean)


def test_the_newest_drawing_is_answered_and_a_blank_one_too(host, token, model):
    with dial(host, token) as socket:
        for sequence in range(1, 21):
            blank = np.zeros((40, 40, 1), np.uint8)
            socket.send(encode_frame(model, blank if sequence == 20 else drawn_bar(), sequence))
        seen = [0]
        while seen[-1] < 20:
            seen.append(read_encoded(socket.recv(30))[0][3])
    assert seen == sorted(set(seen))


def test_an_ae_has_neither_kl_nor_variance_of_a_drawing(host, token):
    ae = shared_hub().open(*shared_hub().granted(token, "bars-ae"))
    with dial(host, token, "bars-ae") as socket:
        socket.send(encode_frame(ae, drawn_bar()))
        _, (_, nll, kl), _, (mean, log_var), _ = read_encoded(socket.recv(30))
    assert np.isfinite([nll, *mean]).all()
    assert np.isnan([kl, *log_var]).all()

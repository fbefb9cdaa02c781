import asyncio
import csv
import http.client
import io
import json
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from explorer.errors import LatentError
from explorer.images.registry import load_images
from explorer.latent.neighbours import nearest
from explorer.live import answers, budget, exports
from explorer.live.answers import read_body
from explorer.live.exports import projector_points, write_codes
from explorer.live.hub import shared_hub
from explorer.live.model import OpenedModel
from explorer.live.route import PREFIX
from explorer.live.sheets import shrink
from explorer.models.checkpoint import AXES, CONFIG, ENCODINGS, PROJECTION, REPORT
from explorer.models.library import SHIPPED, list_checkpoints
from explorer.regularity.report import load_report
from explorer.storage import save_arrays
from tests.unit.live.serving import fetch, floats, read_framed, refused, serve

ROWS = np.array([5, 0, 23], "<u4").tobytes()


class Asker:
    """Asks a server about one model."""

    def __init__(self, host, token, name="bars-vae"):
        self._start = f"http://{host}{PREFIX}"
        self._name = name
        self._headers = {"X-Explorer-Token": token}

    def url(self, path):
        return self._start + path.replace("{}", self._name)

    def ask(self, path, body=None):
        headers, answer = fetch(self.url(path), self._headers, body)
        assert headers["Cache-Control"] == "no-store"
        assert headers["Content-Encoding"] == "identity"
        return answer

    def framed(self, path, body=None):
        return read_framed(self.ask(path, body))

    def json(self, path, body=None):
        return json.loads(self.ask(path, body))

    def refused(self, path, body=None):
        return refused(self.url(path), self._headers, body)


@pytest.fixture
def asker(host, token):
    return Asker(host, token)


@pytest.fixture(scope="module")
def digits():
    """A model whose images are always at hand."""
    listing = next(one for one in list_checkpoints([SHIPPED]) if one.name == "digits-vae-8")
    hub = shared_hub()
    token = hub.issue_token()
    hub.allow(token, listing.name, listing.folder, listing.stamp)
    with serve() as host:
        yield Asker(host, token, listing.name), hub.open(listing.folder, listing.stamp)
    hub.revoke(token)


# -- guards --


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/points/{}", None),
        ("/values/{}/kl", None),
        ("/facts/{}", None),
        ("/export/{}/codes.csv", None),
        ("/export/{}/projector.zip", None),
        ("/pictures/{}", floats(0, 0)),
        ("/sheet/{}", ROWS),
        ("/neighbours/{}", floats(0, 0)),
        ("/selection/{}", ROWS),
        ("/names/{}", b'{"names": {}}'),
        ("/fits/{}", b"{}"),
    ],
)
def test_nothing_is_told_without_a_grant(host, token, path, body):
    for asker in (Asker(host, "nonsense"), Asker(host, token, "another")):
        assert asker.refused(path, body) == (403, "This page's session has ended: reload it.")


def test_a_broken_model_is_told(host, token, checkpoints, tmp_path):
    folder = shutil.copytree(checkpoints / "bars-vae", tmp_path / "broken")
    (folder / "config.json").write_text("{")
    shared_hub().allow(token, "broken", folder, ((9, 9),))
    status, words = Asker(host, token, "broken").refused("/points/{}")
    assert status == 422
    assert "is no JSON" in words


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/points/{}?view=elsewhere", None, 400, "There is no view 'elsewhere'"),
        ("/points/{}?view=axes:0,7", None, 422, "no latent axis 7"),
        ("/points/{}?view=map-3d", None, 422, "no 3-D map"),
        (f"/points/{{}}?view=fit:{'0' * 32}", None, 422, "fit it again"),
        ("/points/{}?labels=yes", None, 400, "labels is 'yes'; it must be a number from 0 to 1"),
        ("/values/{}/colour", None, 400, "no values 'colour'"),
        ("/values/{}/axis-2", None, 400, "axes 0 to 1 are there"),
        ("/values/{}/axis-01", None, 400, "no values"),
        ("/values/{}/reconstruction", None, 422, "images of bars are not at hand"),
        ("/values/{}/factor-0", None, 422, "images of bars are not at hand"),
        ("/pictures/{}", b"", 400, "at least 1"),
        ("/pictures/{}", floats(1, 2, 3), 400, "each code of 2 latents takes 8"),
        ("/pictures/{}", floats(1, np.nan), 400, "not finite"),
        ("/pictures/{}", floats(1, -1e30), 400, "beyond 1,000,000"),
        ("/pictures/{}?side=0", floats(1, 2), 400, "side is '0'; it must be a number from 1"),
        ("/pictures/{}?side=-3", floats(1, 2), 400, "side is '-3'"),
        ("/pictures/{}", bytes(8 * 400 + 1), 413, "over 3,200 bytes"),
        ("/sheet/{}", (24).to_bytes(4, "little"), 400, "no encoding 24; the model has 24"),
        ("/sheet/{}", b"12345", 400, "each row takes 4"),
        ("/sheet/{}", bytes(4 * 401), 413, "over 1,600 bytes"),
        ("/neighbours/{}?k=0", floats(0, 0), 400, "k is '0'"),
        ("/neighbours/{}", floats(0), 400, "each code of 2 latents takes 8"),
        ("/neighbours/{}", floats(0, 0, 0), 413, "over 8 bytes"),
        ("/selection/{}", b"", 400, "at least 1"),
        ("/selection/{}", ROWS + ROWS, 422, "stand twice"),
        ("/selection/{}", bytes(4 * 25), 413, "over 96 bytes"),
        ("/names/{}", b"{", 400, "no JSON"),
        ("/names/{}", b"[]", 400, "no JSON object"),
        ("/names/{}", b'{"names": {}, "more": 1}', 400, "must be"),
        ("/names/{}", bytes(70_000), 413, "over 65,536 bytes"),
        ("/fits/{}", b"[1]", 400, "no JSON object"),
        ("/fits/{}", b'{"metric": "euclid"}', 400, "metric is 'euclid'"),
        ("/fits/{}", b'{"colour": 1}', 400, "no setting 'colour'"),
    ],
)
def test_a_wrong_request_is_refused_in_words(asker, path, body, status, words):
    found, told = asker.refused(path, body)
    assert (found, words in told) == (status, True), told


def test_an_ae_has_no_kl_to_show(host, token):
    assert Asker(host, token, "bars-ae").refused("/values/{}/kl")[0] == 422


@pytest.mark.parametrize("path", ["/pictures/{}", "/names/{}", "/fits/{}"])
def test_what_takes_a_body_is_not_to_be_got(asker, path):
    assert asker.refused(path)[0] == 405


# -- points --


def test_the_points_are_the_encodings_places(asker, model):
    header, rest = asker.framed("/points/{}")
    assert header == {
        "count": 24,
        "latent_dim": 2,
        "view": "map",
        "dims": 2,
        "exact": True,
        "method": "latent plane",
        "plane": {"centre": [0, 0], "basis": [[1, 0], [0, 1]]},
        "labels": False,
        "limit": None,
    }
    places = np.frombuffer(rest, "<f4").reshape(24, 2)
    np.testing.assert_array_equal(places, model.projection.coordinates)


def test_labels_come_when_asked_for(asker, model):
    header, rest = asker.framed("/points/{}?labels=1&view=axes:1,0")
    assert header["labels"]
    assert header["view"] == "axes:1,0"
    assert header["plane"] == {"centre": [0, 0], "basis": [[0, 1], [1, 0]]}
    places = np.frombuffer(rest[: 24 * 8], "<f4").reshape(24, 2)
    np.testing.assert_array_equal(places, model.encodings.mean[:, ::-1])
    np.testing.assert_array_equal(np.frombuffer(rest[24 * 8 :], "<i2"), model.encodings.labels)


@pytest.mark.parametrize("view", ["map", "map-3d", "principal", "principal-3d", "axes:3,1"])
def test_every_view_places_a_known_code_where_its_point_lies(digits, view):
    asker, model = digits
    header, rest = asker.framed(f"/points/{{}}?view={view}")
    places = np.frombuffer(rest, "<f4").reshape(-1, header["dims"])
    assert header["dims"] == (3 if view.endswith("3d") else 2)
    assert header["exact"] == (header["plane"] is not None) == (not view.startswith("map"))
    found = model.view(view).place(model.encodings.mean[:50])
    extent = np.linalg.norm(np.ptp(places, axis=0))
    gaps = np.linalg.norm(found - places[:50], axis=1) / extent
    assert np.median(gaps) < (1e-6 if header["exact"] else 0.05)
    if header["exact"]:
        plane = header["plane"]
        offset = model.encodings.mean - np.float64(plane["centre"])
        np.testing.assert_allclose(offset @ np.transpose(plane["basis"]), places, atol=1e-4)


def test_the_first_paint_imports_nothing_heavy():
    program = f"""
import sys
from pathlib import Path
from explorer.live.answers import give_points
from explorer.live.model import OpenedModel
from explorer.live.route import live_routes
from starlette.requests import Request
live_routes()
model = OpenedModel(Path({str(SHIPPED / "mnist-vae-16")!r}))
query = {{"type": "http", "query_string": b"view=map&labels=1", "headers": []}}
give_points(model, Request(query), b"")
print([name for name in ("torch", "scipy", "sklearn", "umap") if name in sys.modules])
"""
    run = [sys.executable, "-c", program]
    assert subprocess.run(run, check=True, capture_output=True, text=True).stdout == "[]\n"


EXTREME = [0.0, -0.0, 1e-45, 1e6, -1e6, 1.0000001e6, 1e30, 3.4e38, np.inf, -np.inf, np.nan]
BODIES = st.one_of(
    st.binary(max_size=40),
    st.lists(st.sampled_from(EXTREME), max_size=7).map(lambda values: floats(*values)),
    st.lists(st.sampled_from([0, 1, 23, 24, 2**31, 2**32 - 1]), max_size=7).map(
        lambda rows: np.array(rows, "<u4").tobytes()
    ),
    st.sampled_from(
        [
            b"[" * 70_000, b"[" * 60_000, b"{}", b"null", b'{"names": null}',
            b'{"names": {"0": 1}}', b'{"names": {"1e30": "a"}}', b'{"neighbours": 1e308}',
            b'{"neighbours": NaN}', b'{"seed": 1e400}', b'{"min_dist": -Infinity}',
            b'{"method": {}}', b'{"dims": true}',
            bytes(120), bytes(121), b"\xff" * 120,
        ]
    ),
)  # fmt: skip


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    path=st.sampled_from(
        ["pictures", "sheet", "neighbours", "selection", "names", "fits", "likelihood"]
    ),
    query=st.sampled_from(["", "?side=1", "?side=1e30", "?k=400", "?k=nan", "?side=-1&k=99999999"]),
    body=BODIES,
)
def test_every_plain_request_is_answered_in_words(host, token, path, query, body):
    connection = http.client.HTTPConnection(host, timeout=60)
    address = f"{PREFIX}/{path}/bars-vae{query}"
    connection.request("POST", address, body, {"X-Explorer-Token": token})
    answer = connection.getresponse()
    words = answer.read()
    connection.close()
    assert answer.status in (200, 400, 413, 422)
    assert len(words.decode(errors="replace")) > 10


@pytest.mark.parametrize("path", ["points", "neighbours", "likelihood", "fits"])
def test_what_nobody_foresaw_is_answered_with_a_sentence(
    host, token, checkpoints, tmp_path, monkeypatch, path
):
    hub = shared_hub()
    folder = shutil.copytree(checkpoints / "bars-vae", tmp_path / "failing")
    hub.allow(token, "failing", folder, ((4, 4),))
    model = hub.open(folder, ((4, 4),))

    def fail(*_args, **_more):
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(model, "view", fail)
    monkeypatch.setattr(model, "nearest", fail)
    monkeypatch.setattr("explorer.models.importance.grow_likelihood", fail)
    monkeypatch.setattr(type(hub.fits), "key", fail)
    asker = Asker(host, token, "failing")
    if path == "likelihood":
        assert "the disk is full" in json.loads(asker.ask("/likelihood/{}", bytes(120)))["error"]
        return
    body = {"points": None, "neighbours": floats(0, 0), "fits": b"{}"}[path]
    status, words = asker.refused(f"/{path}/{{}}", body)
    assert status == 500
    assert "the disk is full" in words


def test_who_asks_for_too_many_pictures_is_told_and_another_session_is_answered(
    host, token, checkpoints, monkeypatch
):
    # Two sheets, and no third for hours.
    monkeypatch.setattr(answers, "REFUSED_AFTER", 0)
    monkeypatch.setattr(budget, "MESSAGES_A_SECOND", 1e-3)
    monkeypatch.setattr(budget, "BURST", 5e4)
    hub = shared_hub()
    greedy = hub.issue_token()
    hub.allow(greedy, "bars-vae", *hub.granted(token, "bars-vae"))
    sheet = floats(*[0] * 800)
    asker, neighbour = Asker(host, greedy), Asker(host, token)
    for _ in range(2):
        asker.ask("/pictures/{}", sheet)
    for _ in range(3):
        status, words = asker.refused("/pictures/{}", sheet)
        assert status == 429
        assert "ask again later" in words
        neighbour.ask("/pictures/{}", sheet)
    hub.revoke(greedy)


# -- values --


def test_an_axis_is_a_value(asker, model):
    header, rest = asker.framed("/values/{}/axis-1")
    numbers = np.frombuffer(rest, "<f4")
    np.testing.assert_array_equal(numbers, model.encodings.mean[:, 1])
    low, high = np.quantile(numbers, [0.01, 0.99])
    assert header == {
        "what": "axis-1", "title": "z2", "unit": "", "low": low, "high": high, "choices": None,
    }  # fmt: skip


def test_kl_and_density_are_values(asker, model):
    header, rest = asker.framed("/values/{}/kl")
    assert header["unit"] == "nats"
    mean, log_var = model.encodings.mean, model.encodings.log_var
    kl = 0.5 * (mean**2 + np.exp(log_var) - 1 - log_var).sum(axis=1)
    np.testing.assert_allclose(np.frombuffer(rest, "<f4"), kl, rtol=1e-4)
    header, rest = asker.framed("/values/{}/density")
    assert header["unit"] == "%"
    percentiles = model.density.percentile(mean).astype(np.float32)
    np.testing.assert_array_equal(np.frombuffer(rest, "<f4"), percentiles)


def test_a_vaes_holes_are_those_of_the_aggregate_posterior():
    model = OpenedModel(SHIPPED / "mnist-vae-16")
    draws = np.random.default_rng(0).standard_normal((2000, 16)).astype(np.float32)
    share = model.density.is_hole(draws).mean()
    report = load_report(SHIPPED / "mnist-vae-16" / REPORT)
    hole_rate = next(
        one for one in report.estimates if (one.key, one.column) == ("hole_rate", "as built")
    )
    # 4,096 codes stand for 10,000 here, so that the fifth neighbour is farther off for all alike.
    assert abs(share - hole_rate.value) < 0.05


def test_reconstruction_is_a_value_where_the_images_are_at_hand(digits):
    asker, model = digits
    header, rest = asker.framed("/values/{}/reconstruction")
    images = load_images("digits").floats(model.encodings.index)
    expected = model.codec.reconstruction_nll(images, model.encodings.mean)
    np.testing.assert_allclose(np.frombuffer(rest, "<f4"), expected, rtol=1e-4)
    assert header["unit"] == "nats"
    assert asker.json("/facts/{}")["real"] is True
    status, words = asker.refused("/values/{}/factor-0")
    assert (status, "no factors are known" in words) == (422, True)


def test_values_are_worked_out_once(checkpoints):
    model = OpenedModel(checkpoints / "bars-vae")
    assert model.values("density") is model.values("density")


def test_too_few_codes_have_no_density(checkpoints, tmp_path):
    folder = shutil.copytree(checkpoints / "bars-vae", tmp_path / "few")
    for name in (ENCODINGS, PROJECTION):
        with np.load(folder / name) as stored:
            arrays = {key: stored[key][:3] if stored[key].ndim else stored[key] for key in stored}
        save_arrays(folder / name, arrays)
    model = OpenedModel(folder)
    with pytest.raises(LatentError, match="3 codes are too few for a density"):
        model.values("density")
    cycle = model.cycle(np.zeros((1, 2), np.float32))[0]
    truth = model.truth(np.zeros(2, np.float32), cycle)
    assert (truth["density"], truth["hole"]) == (None, False)


def test_factors_are_named_without_drawing(token):
    hub = shared_hub()
    listing = next(one for one in list_checkpoints([SHIPPED]) if one.name == "sprites-vae-10")
    hub.allow(token, listing.name, listing.folder, listing.stamp)
    with serve() as host:
        facts = Asker(host, token, listing.name).json("/facts/{}")
    assert facts["factors"][1] == {"key": "factor-1", "title": "scale"}
    assert len(facts["factors"]) == 5
    assert (facts["kl"], facts["sigma"]) == (True, True)


# -- pictures --


def test_pictures_are_decodings(asker, model):
    codes = np.float32([[0, 1], [2, -1], [0.5, 0.5]])
    header, rest = asker.framed("/pictures/{}", codes.tobytes())
    assert header == {"count": 3, "shape": [10, 12, 1], "real": False}
    assert rest == model.codec.decode_pixels(codes).tobytes()


def test_pictures_may_be_made_smaller(asker, model):
    codes = np.float32([[0, 1], [2, -1]])
    header, rest = asker.framed("/pictures/{}?side=6", codes.tobytes())
    assert header["shape"] == [5, 6, 1]
    whole = model.codec.decode_pixels(codes).astype(float)
    boxes = whole.reshape(2, 5, 2, 6, 2, 1).mean(axis=(2, 4))
    small = np.frombuffer(rest, np.uint8).reshape(2, 5, 6, 1)
    assert np.abs(small - boxes).max() <= 0.5 + 1e-3


def test_a_sheet_holds_the_images_or_else_reconstructions(asker, model, digits):
    header, rest = asker.framed("/sheet/{}", ROWS)
    assert header == {"count": 3, "shape": [10, 12, 1], "real": False}
    assert rest == model.codec.decode_pixels(model.encodings.mean[[5, 0, 23]]).tobytes()
    other, its_model = digits
    header, rest = other.framed("/sheet/{}", ROWS)
    channels, height, width = its_model.config.data.image_shape
    assert header == {"count": 3, "shape": [height, width, channels], "real": True}
    images = load_images("digits").images[its_model.encodings.index[[5, 0, 23]]]
    assert rest == images.transpose(0, 2, 3, 1).tobytes()


@given(
    st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3]), st.integers(1, 50),
    st.integers(0, 255),
)  # fmt: skip
def test_shrinking_keeps_brightness_and_shape(height, width, channels, side, level):
    pictures = np.full((2, height, width, channels), level, np.uint8)
    small = shrink(pictures, side)
    assert (small == level).all()
    assert max(small.shape[1:3]) == min(side, max(height, width))
    assert small.shape[0] == 2
    assert small.shape[3] == channels


def test_shrinking_averages_parts_of_pixels_too():
    row = np.array([0, 90, 240], np.uint8).reshape(1, 1, 3, 1)
    # Two boxes of one and a half pixels each.
    assert shrink(row, 2).ravel().tolist() == [30, 190]


# -- lists --


def test_neighbours_are_the_nearest(asker, model):
    found = asker.json("/neighbours/{}?k=5", floats(0.5, -1))
    distances, rows = nearest(np.float32([[0.5, -1]]), model.encodings.mean, 5)
    assert found["rows"] == rows[0].tolist()
    assert found["distances"] == pytest.approx(distances[0].tolist())
    assert found["index"] == model.encodings.index[rows[0]].tolist()
    assert found["labels"] == model.encodings.labels[rows[0]].tolist()
    assert len(asker.json("/neighbours/{}", floats(0, 0))["rows"]) == 12
    assert len(asker.json("/neighbours/{}?k=400", floats(0, 0))["rows"]) == 24


def test_many_codes_are_looked_through_in_parts(model, monkeypatch):
    whole = model.nearest(np.float32([0.1, 0.2]), 9)
    monkeypatch.setattr("explorer.live.model._CHUNK", 5)
    parts = model.nearest(np.float32([0.1, 0.2]), 9)
    np.testing.assert_array_equal(whole[1], parts[1])
    np.testing.assert_array_equal(whole[0], parts[0])


def test_a_selection_is_summed_up(asker, model):
    found = asker.json("/selection/{}", ROWS)
    codes = model.encodings.mean[[5, 0, 23]]
    assert found["count"] == 3
    assert found["mix"] == np.bincount(model.encodings.labels[[5, 0, 23]], minlength=2).tolist()
    assert found["mean"] == pytest.approx(codes.mean(axis=0).tolist(), rel=1e-5)
    assert found["spread"] == pytest.approx(codes.std(axis=0).tolist(), rel=1e-5)
    rms = np.sqrt(((codes - codes.mean(axis=0)) ** 2).sum(axis=1).mean())
    assert found["radius"] == pytest.approx(rms, rel=1e-5)


# -- names --


def test_names_of_axes_are_kept_beside_the_checkpoint(host, token, checkpoints, tmp_path):
    shutil.copytree(checkpoints / "bars-vae", tmp_path / "named")
    (listing,) = list_checkpoints([tmp_path])
    hub = shared_hub()
    hub.allow(token, "named", listing.folder, listing.stamp)
    asker = Asker(host, token, "named")
    names = {"names": {"1": " thickness ", "0": ""}}
    assert asker.json("/names/{}", json.dumps(names).encode()) == {"names": {"1": "thickness"}}
    assert asker.framed("/values/{}/axis-1")[0]["title"] == "thickness"
    assert OpenedModel(listing.folder).axis_names == {1: "thickness"}
    # Names of a folder are no change of its model.
    assert list_checkpoints([tmp_path])[0].stamp == listing.stamp
    status, words = asker.refused("/names/{}", b'{"names": {"2": "more"}}')
    assert (status, "no latent axis '2'" in words) == (422, True)
    assert OpenedModel(listing.folder).axis_names == {1: "thickness"}
    assert asker.json("/names/{}", b'{"names": {}}') == {"names": {}}

    weights = listing.folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes() + b" ")
    status, words = asker.refused("/names/{}", b'{"names": {"0": "late"}}')
    assert (status, "trained again" in words) == (422, True)


def test_bad_names_in_a_folder_are_told_and_not_used(checkpoints, tmp_path):
    folder = shutil.copytree(checkpoints / "bars-vae", tmp_path / "odd")
    (folder / AXES).write_text("{")
    model = OpenedModel(folder)
    assert model.axis_names == {}
    assert "is no JSON" in model.axis_names_trouble
    model.name_axes({0: "better"})
    assert (model.axis_names, model.axis_names_trouble) == ({0: "better"}, None)


# -- files --


def test_the_codes_come_as_a_table(asker, model):
    rows = list(csv.reader(io.StringIO(asker.ask("/export/{}/codes.csv").decode())))
    assert rows[0] == ["index", "label", "z1", "z2"]
    assert [int(row[0]) for row in rows[1:]] == model.encodings.index.tolist()
    names = [("standing", "lying")[label] for label in model.encodings.labels]
    assert [row[1] for row in rows[1:]] == names
    codes = np.array([row[2:] for row in rows[1:]], dtype=np.float32)
    np.testing.assert_array_equal(codes, model.encodings.mean)


def test_a_class_named_like_a_formula_is_text_in_the_table(checkpoints, tmp_path):
    folder = shutil.copytree(checkpoints / "bars-vae", tmp_path / "odd")
    config = json.loads((folder / CONFIG).read_text())
    config["data"]["classes"] = ["=1+1", "-7"]
    (folder / CONFIG).write_text(json.dumps(config))
    table = b"".join(write_codes(OpenedModel(folder))).decode()
    assert {row[1] for row in list(csv.reader(io.StringIO(table)))[1:]} == {"'=1+1", "-7"}


def test_the_projector_gets_points_names_and_pictures_that_fit_together(asker, model):
    archive = zipfile.ZipFile(io.BytesIO(asker.ask("/export/{}/projector.zip")))
    tensors = np.loadtxt(io.BytesIO(archive.read("tensors.tsv")), dtype=np.float32)
    np.testing.assert_array_equal(tensors, model.encodings.mean)
    metadata = archive.read("metadata.tsv").decode().splitlines()
    assert metadata[0] == "index\tlabel"
    assert len(metadata) == 25
    assert metadata[1].split("\t")[0] == str(model.encodings.index[0])
    (embedding,) = json.loads(archive.read("projector_config.json"))["embeddings"]
    assert embedding["tensorShape"] == [24, 2]
    assert embedding["sprite"] == {"imagePath": "sprite.png", "singleImageDim": [12, 10]}
    sprite = np.asarray(Image.open(io.BytesIO(archive.read("sprite.png"))))
    columns = sprite.shape[1] // 12
    assert sprite.shape == (-(-24 // columns) * 10, columns * 12)
    pictures = model.codec.decode_pixels(model.encodings.mean)[..., 0]
    for row in range(24):
        top, left = row // columns * 10, row % columns * 12
        np.testing.assert_array_equal(sprite[top : top + 10, left : left + 12], pictures[row])
    assert "reconstructions" in archive.read("README.txt").decode()
    assert 'tensor_name: "bars-vae"' in archive.read("projector_config.pbtxt").decode()


def test_a_sprite_that_is_full_limits_the_points_and_says_so(asker, model, monkeypatch):
    monkeypatch.setattr(exports, "LARGEST_SPRITE", 49)
    assert projector_points(model) == (16, 4)
    archive = zipfile.ZipFile(io.BytesIO(asker.ask("/export/{}/projector.zip")))
    assert len(archive.read("tensors.tsv").splitlines()) == 16
    assert len(archive.read("metadata.tsv").splitlines()) == 17
    assert Image.open(io.BytesIO(archive.read("sprite.png"))).size == (48, 40)
    assert "Of 24 codes these are the first 16" in archive.read("README.txt").decode()


def test_a_body_is_not_read_beyond_its_limit():
    class Endless:
        def __init__(self):
            self.given = 0

        async def stream(self):
            while True:
                self.given += 1
                yield bytes(10)

    endless = Endless()
    with pytest.raises(Exception, match="over 95 bytes"):
        asyncio.run(read_body(endless, 95))
    assert endless.given == 10

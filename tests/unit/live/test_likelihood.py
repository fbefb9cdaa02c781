import http.client
import json
import threading

import numpy as np
import pytest

from explorer.live.hub import shared_hub
from explorer.live.likelihood import MOST_SAMPLES
from explorer.live.route import PREFIX
from explorer.models.importance import grow_likelihood
from tests.unit.live.serving import fetch, refused

SHAPE = (10, 12, 1)


def url(host, name="bars-vae"):
    return f"http://{host}{PREFIX}/likelihood/{name}"


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8)


def lines(host, token, picture, name="bars-vae"):
    headers, body = fetch(url(host, name), {"X-Explorer-Token": token}, picture.tobytes())
    assert headers["Cache-Control"] == "no-store"
    return [json.loads(line) for line in body.splitlines()]


def test_the_estimate_grows_to_the_most_draws_as_it_does_without_a_route(
    host, token, model, picture
):
    found = lines(host, token, picture)
    image = np.divide(picture.transpose(2, 0, 1), np.float32(255), dtype=np.float32)
    wanted = list(grow_likelihood(model.codec, image[None], most=MOST_SAMPLES))
    assert [one["samples"] for one in found] == [2**power for power in range(13)]
    assert found[0]["standard_error"] is None
    for line, estimate in zip(found, wanted, strict=True):
        assert line["log_likelihood"] == pytest.approx(float(estimate.log_likelihood[0]))
        assert line["effective"] == pytest.approx(float(estimate.effective_samples[0]))
        assert line["claimed"] is bool(estimate.claimed[0])
    assert not found[0]["claimed"]
    assert found[-1]["claimed"]
    assert found[-1]["standard_error"] == pytest.approx(float(wanted[-1].standard_error[0]))


def test_an_autoencoder_has_no_likelihood_and_says_so(host, token, picture):
    (line,) = lines(host, token, picture, "bars-ae")
    assert "no p(x)" in line["error"]


def test_only_who_may_drive_the_model_is_answered(host, picture):
    status, words = refused(url(host), {"X-Explorer-Token": "guessed"}, picture.tobytes())
    assert status == 403
    assert "session has ended" in words


@pytest.mark.parametrize(("size", "status"), [(0, 400), (119, 400), (121, 413)])
def test_a_body_that_is_no_input_is_refused_with_what_is_taken(host, token, size, status):
    found, words = refused(url(host), {"X-Explorer-Token": token}, b"\0" * size)
    assert found == status
    assert "120" in words


def test_who_leaves_in_the_midst_holds_nobody_up(host, token, picture):
    for _ in range(4):
        connection = http.client.HTTPConnection(host, timeout=60)
        headers = {"X-Explorer-Token": token}
        connection.request("POST", f"{PREFIX}/likelihood/bars-vae", picture.tobytes(), headers)
        assert json.loads(connection.getresponse().readline())["samples"] == 1
        connection.close()
    free = threading.Event()
    shared_hub().slow.submit("place", free.set)
    assert free.wait(60)
    assert lines(host, token, picture)[-1]["samples"] == MOST_SAMPLES

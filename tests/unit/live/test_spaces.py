import numpy as np
import pytest

from explorer.errors import LatentError
from explorer.live.evidence import codes_of
from explorer.live.hub import shared_hub
from explorer.live.spaces import (
    PATH_STEPS,
    find_extent,
    find_way,
    look_at_space,
    manifold_sheet,
    measure_stretch,
    open_plane,
    prior_on,
)
from explorer.models.checkpoint import REPORT
from explorer.models.library import SHIPPED, list_checkpoints
from explorer.plots.spaces import plot_space
from explorer.regularity.definitions import AS_BUILT, SCALE_FAIR
from explorer.regularity.report import load_report


def opened(name):
    listings = {one.name: one for one in list_checkpoints([SHIPPED])}
    return shared_hub().open(listings[name].folder, listings[name].stamp)


@pytest.fixture(scope="module")
def digits():
    return opened("digits-vae-8")


@pytest.mark.parametrize("which", ["principal", "axes:3,0"])
@pytest.mark.parametrize("column", [AS_BUILT, SCALE_FAIR])
def test_a_spot_of_the_plane_becomes_a_code_that_lies_there(digits, which, column):
    space = look_at_space(digits, which, column)
    spots = np.array([[0.5, -1.0], [2.0, 3.0]])
    codes = space.codes(spots)
    assert codes.shape == (2, 8)
    np.testing.assert_allclose(space.plane.places(codes), spots, atol=1e-5)
    left, right, low, high = space.extent
    assert right - left == pytest.approx(high - low)
    inside = (space.places > [left, low]).all(axis=1) & (space.places < [right, high]).all(axis=1)
    assert inside.mean() > 0.98
    assert len(space.ellipses) == 60


@pytest.mark.parametrize("name", ["digits-vae-8", "digits-ae-8"])
@pytest.mark.parametrize("column", [AS_BUILT, SCALE_FAIR])
@pytest.mark.parametrize("which", ["principal", "axes:1,2"])
def test_the_plane_has_as_many_red_samples_as_the_hole_rate_of_the_whole_space(name, column, which):
    model = opened(name)
    space = look_at_space(model, which, column)
    measured = load_report(SHIPPED / name / REPORT).estimate("hole_rate", column)
    # Other samples of the same prior: within the sampling error of both.
    error = np.sqrt(measured.value * (1 - measured.value) / measured.n)
    assert space.hole_share == pytest.approx(measured.value, abs=4 * np.sqrt(2) * error + 0.02)
    figure = plot_space(
        space.places, space.extent, names=space.plane.names, colour="#3f90da",
        circle=space.circle, samples=space.samples, in_hole=space.in_hole,
    )  # fmt: skip
    red = next(trace for trace in figure.data if trace.name == "prior sample in a hole")
    grey = next(trace for trace in figure.data if trace.name == "prior sample")
    assert len(red.x) / (len(red.x) + len(grey.x)) == pytest.approx(space.hole_share)


def test_an_ae_has_no_ellipses():
    assert look_at_space(opened("digits-ae-8"), "principal", AS_BUILT).ellipses == []


def test_as_built_the_prior_is_round_on_every_plane(digits):
    for which in ("principal", "axes:0,1"):
        mean, covariance = prior_on(digits, open_plane(digits, which), AS_BUILT)
        np.testing.assert_allclose(covariance, np.eye(2), atol=1e-12)
    np.testing.assert_array_equal(mean, 0)


def test_scale_fair_the_prior_is_the_codes_own_gaussian_seen_on_the_plane(digits):
    plane = open_plane(digits, "principal")
    mean, covariance = prior_on(digits, plane, SCALE_FAIR)
    places = plane.places(codes_of(digits)).astype(np.float64)
    np.testing.assert_allclose(mean, places.mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(covariance, np.cov(places.T), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("which", ["axes:0,8", "axes:2,2", "axes:-1,0", "map", "axes:0,1,2", ""])
def test_a_plane_that_is_not_there_is_told(digits, which):
    with pytest.raises(LatentError):
        open_plane(digits, which)


def test_two_latents_are_their_own_plane(model):
    plane = open_plane(model, "principal")
    np.testing.assert_allclose(plane.places(model.encodings.mean), model.encodings.mean)


def test_the_extent_holds_the_ring_and_the_samples_and_is_square():
    places = np.zeros((50, 2), np.float32)
    samples = np.array([[0.0, -5.0], [0.0, 0.0]], np.float32)
    left, right, low, high = find_extent(places, samples, np.array([[-1.0, 0.0], [3.0, 1.0]]))
    assert low < -4.9
    assert left < -1
    assert right > 3
    assert high - low == pytest.approx(right - left)


def test_the_stretch_is_finite_and_the_manifold_has_a_picture_a_spot(model):
    space = look_at_space(model, "principal", AS_BUILT)
    assert np.isfinite(measure_stretch(model, space)).all()
    sheet = manifold_sheet(model, space, AS_BUILT, 3)
    assert sheet.shape == (9, 10, 12, 1)
    # The middle of the manifold is the prior's own.
    assert np.array_equal(sheet[4], model.codec.decode_pixels(np.zeros((1, 2), np.float32))[0])


@pytest.mark.parametrize("path", ["lerp", "slerp"])
def test_a_way_begins_and_ends_at_the_two_images(digits, path):
    way = find_way(digits, (4, 9), path)
    assert len(way.codes) == len(way.density) == PATH_STEPS
    np.testing.assert_array_equal(way.codes[[0, -1]], digits.encodings.mean[[4, 9]])
    expected = np.linalg.norm(digits.encodings.mean[9] - digits.encodings.mean[4])
    assert way.length == pytest.approx(expected)
    assert way.pictures(digits, 5).shape == (5, 8, 8, 1)


def test_another_path_is_told(digits):
    with pytest.raises(LatentError, match="lerp"):
        find_way(digits, (0, 1), "jump")

from dataclasses import replace

import numpy as np
import pytest

from explorer.errors import DataError, LatentError
from explorer.images.registry import load_images
from explorer.live.evidence import (
    COLUMNS,
    MOST,
    STEPS,
    axis_distance,
    codes_of,
    draw_codes,
    find_exhibit,
    has_exhibit,
)
from explorer.live.hub import shared_hub
from explorer.live.model import OpenedModel
from explorer.models.library import SHIPPED, list_checkpoints
from explorer.regularity.definitions import AS_BUILT, NO_PRIOR, SCALE_FAIR
from explorer.regularity.prior import fit_gaussian

WITHOUT_IMAGES = ["hole_rate", "escape_rate", "midpoint_realism", "class_kept", "coverage_ratio"]


@pytest.fixture(scope="module")
def digits():
    """A shipped model whose images come with a package, so that they are at hand."""
    listings = {one.name: one for one in list_checkpoints([SHIPPED])}
    one = listings["digits-vae-8"]
    return shared_hub().open(one.folder, one.stamp)


def hole(model, code, column=AS_BUILT):
    return {"column": column, "z": [float(value) for value in code], "nearest": {"row": 0}}


@pytest.mark.parametrize("key", [*WITHOUT_IMAGES, "reconstruction_nll", "knn_accuracy"])
def test_there_are_pictures_behind_each_figure_though_the_report_leads_to_none(digits, key):
    assert has_exhibit(key)
    found = find_exhibit(digits, key, AS_BUILT, ())
    assert found.pictures.dtype == np.uint8
    assert found.pictures.shape[1:] == (8, 8, 1)
    assert len(found.pictures) % found.columns == 0
    assert found.caption.endswith(".")


def test_a_hole_of_the_report_is_decoded_above_the_image_of_its_nearest_code(digits):
    far = np.full(8, 4.0, np.float32)
    found = find_exhibit(digits, "hole_rate", AS_BUILT, [hole(digits, far)])
    assert np.array_equal(found.pictures[0], digits.codec.decode_pixels(far[None])[0])
    _, rows = digits.nearest(far, 1)
    image = load_images("digits").images[digits.encodings.index[rows[0]]]
    assert np.array_equal(found.pictures[1], image.transpose(1, 2, 0))
    assert "1 of 1 in a hole" in found.caption


def test_what_belongs_together_stands_in_one_group(digits):
    rows = [{"column": AS_BUILT, "row": row} for row in range(8)]
    found = find_exhibit(digits, "escape_rate", AS_BUILT, rows)
    first, second = found.groups()
    assert (found.columns, found.lines) == (6, 2)
    images = load_images("digits").images[digits.encodings.index[:8]].transpose(0, 2, 3, 1)
    assert np.array_equal(first[:6], images[:6])
    assert np.array_equal(second[:2], images[6:])
    assert (second[2:6] == 255).all()
    back = digits.codec.decode_pixels(digits.encodings.mean[:8])
    assert np.array_equal(second[6:8], back[6:])


def test_examples_of_another_prior_are_not_shown(digits):
    far = np.full(8, 4.0, np.float32)
    with_other = find_exhibit(digits, "hole_rate", AS_BUILT, [hole(digits, far, SCALE_FAIR)])
    without = find_exhibit(digits, "hole_rate", AS_BUILT, ())
    assert np.array_equal(with_other.pictures, without.pictures)


@pytest.mark.parametrize(
    "junk",
    [
        {"column": AS_BUILT, "z": [1e300] * 8, "row": 0.5},
        {"column": AS_BUILT, "z": [0.0] * 3, "row": 10**9},
        {"column": AS_BUILT, "z": "far", "row": "first", "first": [0]},
        {"column": AS_BUILT, "row": True, "first": {"row": -1}, "second": {"row": 0}},
    ],
)
@pytest.mark.parametrize("key", WITHOUT_IMAGES)
def test_examples_that_do_not_fit_the_model_are_as_good_as_none(digits, key, junk):
    asked = find_exhibit(digits, key, AS_BUILT, [junk])
    without = find_exhibit(digits, key, AS_BUILT, ())
    assert np.array_equal(asked.pictures, without.pictures)


def test_a_strip_begins_and_ends_with_the_images_of_the_pair(digits):
    pair = {"first": {"row": 3}, "second": {"row": 7}}
    found = find_exhibit(digits, "midpoint_realism", NO_PRIOR, [pair])
    images = load_images("digits").images[digits.encodings.index[[3, 7]]]
    assert len(found.pictures) == STEPS
    assert np.array_equal(found.pictures[[0, -1]], images.transpose(0, 2, 3, 1))


def test_codes_that_lost_their_class_stand_below_their_image(digits):
    code = np.zeros(8, np.float32)
    example = {"row": 5, "z": code.tolist(), "before": 3, "after": 7}
    found = find_exhibit(digits, "class_kept", NO_PRIOR, [example, example | {"after": 10}])
    assert found.caption.endswith(": 3 → 7.")
    image = load_images("digits").images[digits.encodings.index[5]]
    assert np.array_equal(found.pictures[0], image.transpose(1, 2, 0))
    below = found.pictures[2 * found.columns]
    assert np.array_equal(below, digits.codec.decode_pixels(code[None])[0])


def test_the_worst_reconstructions_come_first(digits):
    found = find_exhibit(digits, "reconstruction_nll", NO_PRIOR, ())
    nll = digits.values("reconstruction").numbers
    worst = digits.encodings.index[int(nll.argmax())]
    image = load_images("digits").images[worst]
    assert np.array_equal(found.pictures[0], image.transpose(1, 2, 0))
    assert len(found.pictures) == 2 * MOST
    assert found.columns == COLUMNS


def test_what_needs_images_says_so_where_they_are_not_at_hand(model):
    with pytest.raises(DataError, match="not at hand"):
        find_exhibit(model, "reconstruction_nll", NO_PRIOR, ())


def test_neighbours_that_are_always_right_are_told(checkpoints):
    model = OpenedModel(checkpoints / "bars-ae")
    one_class = np.zeros(len(model.encodings.mean), np.int64)
    model.encodings = replace(model.encodings, labels=one_class)
    with pytest.raises(LatentError, match="rightly"):
        find_exhibit(model, "knn_accuracy", NO_PRIOR, ())


@pytest.mark.parametrize("key", WITHOUT_IMAGES)
def test_without_images_reconstructions_stand_in(model, key):
    found = find_exhibit(model, key, AS_BUILT, ())
    assert found.pictures.shape[1:] == (10, 12, 1)


def test_scale_fair_draws_have_the_codes_own_mean_and_spread(digits):
    drawn = draw_codes(digits, SCALE_FAIR, 20_000, seed=3).astype(np.float64)
    mean, covariance = fit_gaussian(codes_of(digits).astype(np.float64))
    assert np.abs(drawn.mean(axis=0) - mean).max() < 0.05
    assert np.abs(np.cov(drawn.T) - covariance).max() < 0.05


def test_models_of_fewer_axes_get_the_same_noise_on_those_they_have(digits, model):
    wide = draw_codes(digits, AS_BUILT, 5, seed=1)
    narrow = draw_codes(model, AS_BUILT, 5, seed=1)
    assert np.array_equal(wide[:, :2], narrow)


def test_an_axis_like_the_prior_is_at_no_distance_from_it():
    codes = np.random.default_rng(0).standard_normal((100_000, 2)) * [1.0, 2.0] + [0.0, 1.0]
    near, far = axis_distance(codes)
    assert near < 1e-3
    assert far == pytest.approx(0.5 * (4 + 1 - 1 - np.log(4)), abs=0.03)

"""Selections in numbers."""

import numpy as np
import pytest

from explorer.errors import LatentError
from explorer.latent.selection import summarise_selection

CODES = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 2.0], [4.0, 2.0], [99.0, 99.0]], np.float32)


def test_a_rectangle_has_a_known_mean_and_spread():
    found = summarise_selection(CODES, np.array([0, 0, 2, -1, 1]), 3, [0, 1, 2, 3])
    assert found.count == 4
    np.testing.assert_array_equal(found.mix, [2, 0, 1])
    np.testing.assert_allclose(found.mean, [2.0, 1.0])
    np.testing.assert_allclose(found.spread, [2.0, 1.0])
    assert found.radius == pytest.approx(np.sqrt(5.0))
    assert found.mean.dtype == found.spread.dtype == np.float32


def test_one_code_is_its_own_mean():
    found = summarise_selection(CODES, None, 0, np.array([4], np.uint32))
    np.testing.assert_array_equal(found.mean, CODES[4])
    np.testing.assert_array_equal(found.spread, 0.0)
    assert found.radius == 0.0
    assert found.mix.shape == (0,)


def test_the_radius_is_the_root_mean_square_distance_to_the_mean():
    codes = np.random.default_rng(0).normal(size=(200, 5))
    rows = np.arange(0, 200, 3)
    found = summarise_selection(codes, None, 0, rows)
    distances = np.linalg.norm(codes[rows] - codes[rows].mean(axis=0), axis=1)
    assert found.radius == pytest.approx(np.sqrt((distances**2).mean()))


def test_a_broken_code_elsewhere_does_not_matter():
    codes = np.array([[1.0], [np.nan]])
    assert summarise_selection(codes, None, 0, [0]).count == 1


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "at least 1 row"),
        ([[0]], "at least 1 row"),
        ([0.5], "whole numbers; they are float64"),
        ([5], "no row 5; rows 0 to 4"),
        ([-1], "no row -1"),
        ([1, 2, 1], "1 of 3 selected rows stand twice"),
    ],
)
def test_bad_rows_are_told(rows, said):
    with pytest.raises(LatentError, match=said):
        summarise_selection(CODES, None, 0, rows)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (np.zeros(4, int), "5 whole numbers"),
        (np.zeros(5), "5 whole numbers"),
        (np.full(5, 3), "label 3 is beyond the last of 3 classes, 2"),
    ],
)
def test_bad_labels_are_told(labels, said):
    with pytest.raises(LatentError, match=said):
        summarise_selection(CODES, labels, 3, [0])


def test_selected_codes_that_are_not_finite_are_told():
    with pytest.raises(LatentError, match="1 of 1 selected codes"):
        summarise_selection([[np.nan]], None, 0, [0])

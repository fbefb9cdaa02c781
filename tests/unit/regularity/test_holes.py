"""Hole and escape rate of clouds whose answer is known."""

import numpy as np
import pytest

from explorer.errors import LatentError
from explorer.regularity.holes import measure_holes


def rates(codes, column="as built", seed=0):
    return measure_holes(np.asarray(codes, dtype=np.float64), column=column, seed=seed)


@pytest.mark.parametrize("dim", [1, 2, 16])
@pytest.mark.parametrize("column", ["as built", "scale-fair"])
def test_the_prior_itself_has_one_in_twenty(dim, column):
    for measure in rates(np.random.default_rng(1).standard_normal((1500, dim)), column):
        assert measure.low <= 0.05 <= measure.high
        assert measure.high - measure.low < 0.06
        assert measure.null == pytest.approx(0.05)
        assert measure.better == "near null"


def ring(n=1000):
    rng = np.random.default_rng(0)
    angle = rng.uniform(0.0, 2.0 * np.pi, n)
    radius = 1.5 + 0.05 * rng.standard_normal(n)
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])


def two_clusters(n=1000):
    rng = np.random.default_rng(0)
    side = np.where(rng.random(n) < 0.5, -4.0, 4.0)
    return np.column_stack([side, np.zeros(n)]) + 0.3 * rng.standard_normal((n, 2))


@pytest.mark.parametrize("column", ["as built", "scale-fair"])
@pytest.mark.parametrize("codes", [ring(), two_clusters()], ids=["ring", "two clusters"])
def test_an_empty_middle_is_a_hole(codes, column):
    hole, _ = rates(codes, column)
    assert hole.low > 0.5


def test_a_tiny_cloud_leaves_holes_and_never_escapes():
    hole, escape = rates(0.01 * np.random.default_rng(0).standard_normal((500, 4)))
    assert hole.value == 1.0
    assert (escape.value, escape.low) == (0.0, 0.0)
    assert 0.0 < escape.high < 0.01


def test_a_wide_cloud_hides_its_holes_and_escapes():
    hole, escape = rates(np.random.default_rng(0).uniform(-100.0, 100.0, (1000, 2)))
    assert hole.value == 0.0
    assert escape.low > 0.99


@pytest.mark.parametrize("scale", [0.01, 100.0])
def test_the_scale_fair_column_does_not_see_scale_or_shift(scale):
    codes = scale * (np.random.default_rng(0).standard_normal((1000, 3)) + 5.0)
    for measure in rates(codes, "scale-fair"):
        assert measure.column == "scale-fair"
        assert measure.low <= 0.05 <= measure.high


def test_identical_codes_are_one_hole_as_built_and_none_scale_fair():
    codes = np.full((50, 3), np.float32(7.3))
    hole, escape = rates(codes)
    assert hole.value == escape.value == 1.0
    hole, escape = rates(codes, "scale-fair")
    assert hole.value == escape.value == 0.0


def test_the_same_seed_gives_the_same_rates():
    codes = ring(200)
    assert rates(codes, seed=3) == rates(codes, seed=3)
    assert rates(codes, seed=3) != rates(codes, seed=4)


def test_intervals_cover_the_null():
    covered = []
    for seed in range(60):
        codes = np.random.default_rng([seed, 99]).standard_normal((150, 2))
        covered += [m.low <= 0.05 <= m.high for m in rates(codes, seed=seed)]
    assert np.mean(covered) > 0.88


def test_too_few_codes_are_told():
    with pytest.raises(LatentError, match="allow 1 to 4"):
        rates(np.zeros((5, 2)))

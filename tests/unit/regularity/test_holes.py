"""Hole and escape rate of clouds whose answer is known."""

import numpy as np
import pytest
from scipy.stats import chi

from explorer.errors import LatentError
from explorer.regularity.holes import Distances, find_holes, measure_holes
from explorer.regularity.mixture import fit_mixture


def rates(codes, column="as built", seed=0):
    return measure_holes(np.asarray(codes, dtype=np.float64), column=column, seed=seed)


@pytest.mark.parametrize("dim", [1, 2, 16])
@pytest.mark.parametrize("column", ["as built", "scale-fair"])
def test_the_prior_itself_has_one_in_twenty(dim, column):
    for measure in rates(np.random.default_rng(1).standard_normal((1500, dim)), column):
        assert measure.low <= 0.05 <= measure.high
        assert measure.high - measure.low < 0.06
        assert measure.ideal == pytest.approx(0.05)
        assert measure.chance is None
        assert measure.definition.direction == "near the ideal"


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


@pytest.mark.parametrize("dim", [1, 2])
def test_a_cut_out_ball_is_a_hole_of_the_balls_mass(dim):
    cut, n = 1.5, 4000
    mass = chi(dim).cdf(cut)
    codes = np.random.default_rng(0).standard_normal((12 * n, dim))
    codes = codes[np.linalg.norm(codes, axis=1) > cut][:n]
    found = find_holes(codes, column="as built", seed=0)
    # Where the codes are thinnest, the usual distance is this; so near the rim a draw is no hole.
    rim = np.quantile(Distances.between(codes, codes, exclude_self=True).fifth, 0.95)
    assert found.hole_rate.high > chi(dim).cdf(cut - rim)
    assert found.hole_rate.low < mass + 0.05 * (1 - mass)
    assert found.hole_rate.value == pytest.approx(mass, abs=0.08)
    deep = np.linalg.norm(found.draws, axis=1) < cut - rim
    assert (found.from_draws.fifth[deep] > rim).all()


def test_a_wide_cut_out_ball_is_found_whole():
    # Uniform codes in a square, their middle cut out, against draws from the same square: the hole
    # rate is the middle's share of the square, and 0.05 of the rest.
    rng = np.random.default_rng(0)
    square = rng.uniform(-1.0, 1.0, (6000, 2))
    codes = square[np.linalg.norm(square, axis=1) > 0.5]
    draws = rng.uniform(-1.0, 1.0, (4000, 2))
    far = Distances.between(draws, codes)
    own = Distances.between(codes, codes, exclude_self=True)
    share = np.mean(far.fifth > np.quantile(own.fifth, 0.95))
    mass = np.pi * 0.25 / 4.0
    assert share == pytest.approx(mass + 0.05 * (1 - mass), abs=0.03)


def test_examples_are_the_worst_and_lead_to_images():
    codes = ring(300)
    found = find_holes(codes, column="scale-fair", seed=0)
    examples = found.examples(codes, lambda row: {"row": row}, most=5)
    distances = [one["fifth"] for one in examples["hole_rate"]]
    assert len(distances) == 5
    assert distances == sorted(distances, reverse=True)
    assert distances[0] == pytest.approx(found.from_draws.fifth.max(), rel=1e-6)
    for one in examples["hole_rate"]:
        near = codes[one["nearest"]["row"]]
        assert np.linalg.norm(near - one["z"]) == pytest.approx(one["distance"], rel=1e-4)
        assert one["column"] == "scale-fair"
    for one in examples["escape_rate"]:
        np.testing.assert_allclose(codes[one["row"]], one["z"], rtol=1e-5)


@pytest.mark.parametrize("codes", [ring(), two_clusters()], ids=["ring", "two clusters"])
def test_a_mixture_mends_what_one_gaussian_cannot(codes):
    found = find_holes(codes, column="mixture", seed=0, mixture=fit_mixture(codes, 0))
    one_gaussian, _ = rates(codes, "scale-fair")
    assert found.hole_rate.high < 0.25 * one_gaussian.low
    assert found.escape_rate.high < 0.25
    assert found.hole_rate.definition.group_in(found.hole_rate.column) == "prior"
    assert not found.hole_rate.headline

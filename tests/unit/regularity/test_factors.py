"""Measures of known factors, on codes that were made from them."""

from dataclasses import replace

import numpy as np
import pytest

from explorer.errors import LatentError
from explorer.images.dataset import Factor
from explorer.regularity import factor_forests, factor_scores, factor_votes
from explorer.regularity import factors as factors_module
from explorer.regularity.factor_forests import completeness, disentanglement
from explorer.regularity.factor_scores import (
    KnownFactors,
    axis_parts,
    binned,
    gap,
    normalised_information,
)
from explorer.regularity.factor_votes import factor_vae_score
from explorer.regularity.factors import factor_measures, measure_factors
from tests.unit.regularity.subjects import assert_sound, noise_images, untrained

KEYS = (
    "mig", "sap", "disentanglement", "completeness", "informativeness", "factor_vae_score",
)  # fmt: skip
N = 800


@pytest.fixture(scope="module", autouse=True)
def small_forests():
    """Fewer trees and resamples tell perfect from turned and from unrelated as well."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(factor_forests, "TREES", 8)
        for module in (factor_forests, factor_scores, factor_votes):
            patch.setattr(module, "RESAMPLES", 40)
        yield


def causes(n=N, seed=0):
    """Two amounts and a choice of three."""
    rng = np.random.default_rng(seed)
    return (
        Factor("size", rng.uniform(1.0, 3.0, n).astype(np.float32)),
        Factor("turn", rng.uniform(-30.0, 30.0, n).astype(np.float32)),
        Factor("kind", rng.integers(0, 3, n).astype(np.float32), ("a", "b", "c")),
    )


def perfect(factors):
    return np.column_stack([one.values for one in factors]).astype(np.float64)


def figures(codes, factors, active=None):
    active = np.ones(codes.shape[1], bool) if active is None else active
    found = factor_measures(codes, KnownFactors.of(factors), active, seed=0)
    assert_sound(found)
    return {one.key: one for one in found.estimates}


@pytest.fixture(scope="module")
def one_each():
    factors = causes()
    noise = 1e-3 * np.random.default_rng(1).standard_normal((N, 2))
    return figures(np.column_stack([perfect(factors) * [1.0, 0.1, 30.0], noise]), factors)


@pytest.fixture(scope="module")
def turned():
    factors = causes()
    codes = perfect(factors)
    codes = (codes - codes.mean(axis=0)) / codes.std(axis=0)
    rotation, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))
    return figures(codes @ rotation, factors)


@pytest.fixture(scope="module")
def unrelated():
    return figures(np.random.default_rng(3).standard_normal((N, 4)), causes())


def test_an_axis_a_factor_is_perfect(one_each):
    assert tuple(one_each) == KEYS
    # Twenty parts of an amount fit the factor's own; the noise tells but what chance does.
    assert one_each["mig"].value > 0.9
    assert one_each["disentanglement"].value > 0.98
    assert one_each["completeness"].value > 0.98
    assert one_each["informativeness"].value > 0.99
    assert one_each["factor_vae_score"].value == 1.0
    # The second best axis of a choice of three still names a third of them.
    assert one_each["sap"].value > 0.75
    for one in one_each.values():
        assert one.chance < 0.5 < one.low


def test_turned_axes_keep_the_information_and_lose_the_rest(one_each, turned):
    assert turned["informativeness"].value > 0.8
    for key in ("mig", "sap", "disentanglement", "completeness"):
        assert turned[key].high < one_each[key].low
    assert turned["mig"].value < 0.6


def test_unrelated_codes_have_the_nulls(unrelated):
    for key in KEYS[:5]:
        assert unrelated[key].value == pytest.approx(unrelated[key].chance, abs=0.05)
        assert unrelated[key].value < 0.15


def test_votes_of_unrelated_codes_are_right_as_often_as_guesses():
    found = []
    for seed in range(10):
        codes = np.random.default_rng([seed, 9]).standard_normal((N, 4))
        factors = KnownFactors.of(causes(N, seed))
        found.append(
            factor_vae_score(codes, factors, np.ones(4, bool), np.random.default_rng(seed))
        )
    values, low, high, null = np.array(found).T
    assert null == pytest.approx(1 / 3)
    assert values.mean() == pytest.approx(1 / 3, abs=0.06)
    assert ((low <= null) & (null <= high)).mean() >= 0.8


def test_two_axes_of_one_factor_have_no_gap_and_are_disentangled():
    factors = causes()
    codes = perfect(factors)
    found = figures(np.column_stack([codes, codes]), factors)
    assert found["mig"].value == pytest.approx(0.0, abs=1e-9)
    assert found["sap"].value == pytest.approx(0.0, abs=1e-9)
    assert found["disentanglement"].value > 0.95
    # Each factor in two of six axes: 1 - log 2 / log 6, where trees choose evenly between copies.
    assert found["completeness"].value < 0.95
    assert found["factor_vae_score"].value > 0.99


def test_the_scale_of_an_axis_is_not_seen():
    factors = causes(300)
    codes = np.random.default_rng(0).standard_normal((300, 3)) + perfect(factors)
    one = figures(codes, factors)
    other = figures(codes * [1e-3, 1.0, 1e4] + [0.0, 50.0, -3.0], factors)
    for key in KEYS:
        assert other[key].value == pytest.approx(one[key].value, abs=0.03)


def test_unused_axes_do_not_vote():
    factors = causes()
    codes = np.column_stack([perfect(factors), np.zeros(N)])
    active = np.array([True, True, True, False])
    assert figures(codes, factors, active)["factor_vae_score"].value == 1.0
    assert "factor_vae_score" not in figures(codes, factors, np.zeros(4, bool))


def test_importances_have_the_papers_figures():
    assert disentanglement(np.eye(4)) == completeness(np.eye(4)) == 1.0
    assert disentanglement(np.ones((5, 3))) == pytest.approx(0.0)
    assert completeness(np.ones((5, 3))) == pytest.approx(0.0)
    split = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    assert disentanglement(split) == 1.0
    # Half of all the importance lies in two of three axes.
    assert completeness(split) == pytest.approx(1.0 - 0.5 * np.log(2) / np.log(3))
    assert disentanglement(np.zeros((3, 2))) == 0.0


def test_information_is_scikit_learns():
    from sklearn.metrics import mutual_info_score

    factors = KnownFactors.of(causes(400))
    codes = np.random.default_rng(0).standard_normal((400, 3)) + factors.values[:, :1]
    parts = axis_parts(codes)
    found = normalised_information(parts, factors, np.ones(400))
    counts = np.random.default_rng(1).multinomial(400, np.full(400, 1 / 400))
    copies = np.repeat(np.arange(400), counts)
    weighted = normalised_information(parts, factors, counts.astype(float))
    for axis in range(3):
        for place in range(3):
            for rows, values in ((np.arange(400), found), (copies, weighted)):
                truth = factors.bins[rows, place]
                mutual = mutual_info_score(truth, parts[rows, axis])
                expected = mutual / mutual_info_score(truth, truth)
                assert values[axis, place] == pytest.approx(expected)


def test_gaps_and_parts():
    np.testing.assert_allclose(gap(np.array([[0.1, 0.9], [0.4, 0.2], [0.3, 0.5]])), [0.1, 0.4])
    np.testing.assert_allclose(gap(np.array([[0.1, 0.9]])), [0.1, 0.9])
    assert binned(np.linspace(0.0, 1.0, 41)).max() == 19
    assert (np.bincount(binned(np.linspace(0.0, 1.0, 40))) == 2).all()
    assert (binned(np.full(5, 2.0)) == 0).all()


def test_factors_that_do_not_vary_are_left_out():
    fixed = Factor("fixed", np.ones(50, np.float32))
    found = KnownFactors.of((*causes(50), fixed))
    assert found.names == ("size", "turn", "kind")
    assert KnownFactors.of((fixed,)).names == ()
    assert KnownFactors.of(()).names == ()
    # A choice that nobody has leaves no empty place.
    gapped = Factor("gapped", np.array([0, 2, 2, 0], np.float32), ("a", "b", "c"))
    assert KnownFactors.of((gapped,)).bins[:, 0].tolist() == [0, 1, 1, 0]


def test_one_factor_and_one_axis_leave_out_what_they_cannot_have():
    factors = causes()
    one_factor = figures(perfect(factors), factors[:1])
    assert "disentanglement" not in one_factor
    assert "factor_vae_score" not in one_factor
    one_axis = figures(perfect(factors[:1]), factors)
    assert "completeness" not in one_axis
    assert one_axis["factor_vae_score"].value == pytest.approx(1 / 3, abs=0.1)


def subject(n=110, **more):
    return untrained(noise_images(n, factors=causes(n)), **more)


@pytest.mark.parametrize("kind", ["vae", "ae"])
@pytest.mark.parametrize("latent_dim", [1, 3, 128])
def test_a_model_of_any_size_is_measured(kind, latent_dim):
    found = measure_factors(subject(kind=kind, latent_dim=latent_dim))
    assert_sound(found)
    assert len(found.estimates) >= 4
    assert [one["factor"] for one in found.examples["factors"]] == ["size", "turn", "kind"]
    assert not any(one.headline for one in found.estimates)


def test_the_same_seed_gives_the_same_figures():
    assert measure_factors(subject()) == measure_factors(subject())


def test_without_factors_or_codes_there_is_nothing():
    assert measure_factors(untrained()).estimates == ()
    assert measure_factors(subject(flat=True)).estimates == ()
    assert measure_factors(subject(flat=True, kind="ae")).estimates == ()


def test_what_cannot_be_measured_is_told():
    few = subject().image_set
    with pytest.raises(LatentError, match=r"5 held-out images; .* at least 20"):
        measure_factors(untrained(replace(few, held_out_index=np.arange(10, 15))))
    with pytest.raises(LatentError, match="not finite"):
        measure_factors(subject(broken=True))
    values = few.factors[0].values.copy()
    values[50] = np.nan
    broken = replace(few, factors=(replace(few.factors[0], values=values),))
    with pytest.raises(LatentError, match="factor values are not finite"):
        measure_factors(untrained(broken))


def test_more_images_than_needed_are_drawn_from(monkeypatch):
    monkeypatch.setattr(factors_module, "MOST_IMAGES", 60)
    found = measure_factors(subject())
    assert {one.n for one in found.estimates} == {60}
    assert found.estimates[0].note == "60 of the images."

"""The parts of the KL where each is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.errors import LatentError
from explorer.latent.axes import kl_per_axis
from explorer.regularity.information import active_axes, measure_information, split_kl


def by_key(mean, log_var, **more):
    findings = measure_information(mean, log_var, seed=0, **more)
    return {one.key: one for one in findings.estimates}


def test_a_posterior_that_is_the_prior_has_no_parts():
    found = by_key(np.zeros((200, 3)), np.zeros((200, 3)))
    for key in ("kl", "mutual_information", "total_correlation", "dimension_wise_kl"):
        assert found[key].value == pytest.approx(0.0, abs=1e-12)
    assert found["active_units"].value == 0.0


def test_disjoint_posteriors_tell_every_image_apart():
    means = 100.0 * np.arange(64.0)[:, None]
    found = by_key(means, np.full((64, 1), -2.0))
    assert found["mutual_information"].value == pytest.approx(np.log(64), rel=1e-12)
    assert "At most log N = 4.16 nats" in found["mutual_information"].note
    assert "at that ceiling" in found["mutual_information"].note
    # One axis has nothing to depend on.
    assert found["total_correlation"].value == pytest.approx(0.0, abs=1e-12)


def test_independent_axes_have_the_total_correlation_of_their_null():
    rng = np.random.default_rng(0)
    found = by_key(0.8 * rng.standard_normal((1500, 2)), np.full((1500, 2), np.log(0.36)))
    correlation = found["total_correlation"]
    assert correlation.value == pytest.approx(0.0, abs=0.03)
    assert correlation.low - 0.02 <= correlation.ideal <= correlation.high + 0.02
    # Means of variance 0.64 and noise of variance 0.36 make N(0, 1).
    assert found["dimension_wise_kl"].value == pytest.approx(0.0, abs=0.03)
    # I(x; z) of a Gaussian channel: half the logarithm of 1 / 0.36, an axis.
    assert found["mutual_information"].value == pytest.approx(-np.log(0.36), abs=0.08)


def test_dependent_axes_have_the_closed_form():
    rng = np.random.default_rng(1)
    shared = rng.standard_normal((2000, 1)) * np.sqrt(0.75)
    found = by_key(np.hstack([shared, shared]), np.full((2000, 2), np.log(0.25)))
    # Both axes are N(0, 1) with correlation 0.75: TC = -log(1 - 0.75^2) / 2.
    correlation = found["total_correlation"]
    assert correlation.value == pytest.approx(-0.5 * np.log(1 - 0.75**2), abs=0.05)
    assert correlation.ideal == pytest.approx(0.0, abs=0.05)
    assert correlation.low > correlation.ideal


def test_narrow_posteriors_bias_the_null_as_much_as_the_value():
    rng = np.random.default_rng(2)
    found = by_key(rng.standard_normal((500, 8)), np.full((500, 8), -4.0))
    correlation = found["total_correlation"]
    assert correlation.ideal > 3.0
    assert correlation.value == pytest.approx(correlation.ideal, abs=1.0)
    assert "upper bound" in correlation.note


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000), dim=st.integers(1, 5))
def test_the_parts_are_the_whole_and_never_above_the_ceiling(seed, dim):
    rng = np.random.default_rng(seed)
    mean, log_var = rng.standard_normal((40, dim)), rng.uniform(-3, 1, (40, dim))
    codes = mean + np.exp(0.5 * log_var) * rng.standard_normal((40, dim))
    split = split_kl(mean, log_var, codes, np.arange(40))
    whole = 0.5 * (codes**2 - (codes - mean) ** 2 / np.exp(log_var) - log_var).sum(axis=1)
    together = split.mutual_information + split.total_correlation + split.dimension_wise
    np.testing.assert_allclose(together, whole, atol=1e-9)
    assert (split.mutual_information <= np.log(40) + 1e-12).all()


def test_the_kl_is_the_mean_over_images_and_its_axes_add_up():
    rng = np.random.default_rng(3)
    mean, log_var = rng.standard_normal((300, 4)), rng.uniform(-3, 0, (300, 4))
    findings = measure_information(mean, log_var, seed=0)
    kl = next(one for one in findings.estimates if one.key == "kl")
    assert kl.value == pytest.approx(kl_per_axis(mean, log_var).sum(axis=1).mean())
    assert kl.low < kl.value < kl.high
    assert sum(row["kl"] for row in findings.examples["axes"]) == pytest.approx(kl.value, rel=1e-4)


def test_active_axes_are_those_that_move():
    rng = np.random.default_rng(0)
    mean = rng.standard_normal((500, 4)) * [1.0, 0.2, 0.05, 0.0]
    assert active_axes(mean, variational=True).tolist() == [True, True, False, False]
    # An AE's scale is arbitrary, and its threshold is its own.
    assert active_axes(1e-3 * mean, variational=False).tolist() == [True, True, False, False]
    assert by_key(mean, None)["active_units"].value == 2.0
    assert list(by_key(mean, None)) == ["active_units"]
    assert "its widest one" in by_key(mean, None)["active_units"].note


def test_more_images_than_points_are_told():
    rng = np.random.default_rng(0)
    found = by_key(rng.standard_normal((600, 128)), np.zeros((600, 128)), note="half of them")
    assert "Evaluated at 250 codes against all 600 images." in found["total_correlation"].note
    assert found["mutual_information"].note.endswith("half of them")


@pytest.mark.parametrize(
    ("mean", "log_var", "said"),
    [
        (np.zeros((1, 2)), None, "There is 1 image"),
        (np.full((5, 2), np.nan), None, "5 of 5 posterior means are not finite"),
        (np.zeros((5, 2)), np.zeros((5, 3)), "must be the same"),
        (np.zeros((5, 2)), np.full((5, 2), 1e4), "too wide for its KL"),
    ],
)
def test_what_cannot_be_measured_is_told(mean, log_var, said):
    with pytest.raises(LatentError, match=said):
        measure_information(mean, log_var, seed=0)


@pytest.mark.parametrize("count", [2, 5])
def test_a_handful_and_identical_codes_are_measured(count):
    found = by_key(np.ones((count, 2)), np.full((count, 2), -1.0))
    assert found["mutual_information"].value == pytest.approx(0.0, abs=1e-12)
    assert all(np.isfinite([one.value, one.low, one.high]).all() for one in found.values())

"""The geometry of decoders whose answer is known."""

import numpy as np
import pytest

from explorer.regularity.geometry import (
    PathLengths,
    measure_cycle,
    measure_geometry,
    measure_jacobian,
    path_measures,
    singular_values,
)
from explorer.regularity.subject import ModelUnderTest


def jacobian(metric, covariance):
    found = measure_jacobian(metric, covariance, seed=0, dim=5)
    return {(one.key, one.column): one for one in found}


def test_a_linear_decoder_has_its_own_singular_values():
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((40, 3))
    metric = np.repeat((weights.T @ weights)[None], 6, axis=0)
    expected = np.sort(np.linalg.svd(weights, compute_uv=False))
    np.testing.assert_allclose(singular_values(metric)[0], expected, rtol=1e-9)
    found = jacobian(metric, np.diag([4.0, 1.0, 0.25]))
    assert found["jacobian_largest", "as built"].value == pytest.approx(expected[-1])
    ratio = expected[-1] / expected[0]
    assert found["jacobian_condition", "as built"].value == pytest.approx(ratio)
    volume = found["jacobian_log_volume", "as built"]
    assert volume.value == pytest.approx(np.log(expected).sum())
    # Standard deviations 2, 1 and 0.5: their product is 1, so the volume is the same.
    assert found["jacobian_log_volume", "scale-fair"].value == pytest.approx(volume.value)
    assert volume.low == pytest.approx(volume.value)
    assert volume.chance is volume.ideal is None
    assert "6 codes; on 3 active of 5 dimensions." in volume.note


def test_scale_fair_does_not_see_the_scale():
    rng = np.random.default_rng(1)
    weights, root = rng.standard_normal((9, 30, 3)), rng.standard_normal((3, 3))
    covariance = root @ root.T
    turned = 100.0 * covariance
    metric = weights.transpose(0, 2, 1) @ weights
    one, other = jacobian(metric, covariance), jacobian(metric / 100.0, turned)
    for key in ("jacobian_largest", "jacobian_condition", "jacobian_log_volume"):
        assert one[key, "scale-fair"].value == pytest.approx(other[key, "scale-fair"].value)


def test_a_decoder_that_does_not_move_has_finite_figures():
    found = jacobian(np.zeros((4, 2, 2)), np.zeros((2, 2)))
    assert all(np.isfinite([one.value, one.low, one.high]).all() for one in found.values())


def test_an_exact_inverse_has_no_cycle_error_and_an_unrelated_one_the_null():
    rng = np.random.default_rng(0)
    draws = rng.standard_normal((3000, 4))
    exact = measure_cycle(draws, draws, np.ones(4), column="as built", seed=0)
    assert (exact.value, exact.low, exact.high) == (0.0, 0.0, 0.0)
    # Two independent normals are sqrt(2) apart an axis.
    assert exact.chance == pytest.approx(np.sqrt(2), abs=0.1)
    unrelated = measure_cycle(
        draws, rng.standard_normal((3000, 4)), np.ones(4), column="as built", seed=0
    )
    assert unrelated.value == pytest.approx(unrelated.chance, abs=0.05)
    wider = measure_cycle(10 * draws, 10 * draws + 5.0, np.full(4, 10.0), column="", seed=0)
    assert wider.value == pytest.approx(0.5)


def straight(count=30, steps=16):
    rng = np.random.default_rng(0)
    ends = rng.standard_normal((count, 2, 5))
    along = np.linspace(0, 1, steps + 1)[None, :, None]
    return (1 - along) * ends[:, :1] + along * ends[:, 1:]


def test_a_straight_even_way_is_one_in_both():
    length, bend = path_measures(PathLengths.of(straight()), seed=0)
    for one in (length, bend):
        assert one.value == pytest.approx(1.0)
        assert (one.low, one.high) == (pytest.approx(1.0), pytest.approx(1.0))
        assert one.ideal == 1.0
    scaled = path_measures(PathLengths.of(1e-3 * straight()), seed=0)
    assert scaled[0].value == pytest.approx(1.0)


def test_a_half_circle_is_half_pi_long():
    angle = np.linspace(0, np.pi, 2001)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)[None]
    length, bend = path_measures(PathLengths.of(np.repeat(circle, 4, axis=0)), seed=0)
    assert bend.value == pytest.approx(np.pi / 2, rel=1e-5)
    # Even speed pi against a chord of 2: (pi / 2)^2.
    assert length.value == pytest.approx((np.pi / 2) ** 2, rel=1e-5)


def test_a_jump_is_no_detour_and_far_from_even():
    jump = np.zeros((5, 17, 2))
    jump[:, 9:, 0] = 1.0
    length, bend = path_measures(PathLengths.of(jump), seed=0)
    assert bend.value == pytest.approx(1.0)
    assert length.value == pytest.approx(16.0)


def test_ends_that_look_alike_are_left_out_and_it_says_so():
    paths = straight(6)
    paths[0] = paths[0, :1]
    length, _ = path_measures(PathLengths.of(paths), seed=0, note="features of a fallback")
    assert length.n == 5
    assert length.note == "Features of a fallback. 1 paths whose ends look alike are left out."
    assert path_measures(PathLengths.of(np.ones((4, 17, 3))), seed=0) == ()


class Pixels:
    accuracy = None
    note = "pixels"

    def features(self, images):
        return images.reshape(len(images), -1).astype(np.float32)

    def classify(self, images):
        return None


@pytest.mark.parametrize("kind", ["vae", "ae"])
def test_a_checkpoint_has_a_geometry(checkpoints, bars, kind):
    subject = ModelUnderTest.from_folder(
        checkpoints / f"bars-{kind}", images=bars, extractor=Pixels()
    )
    findings = measure_geometry(subject)
    keys = [(one.key, one.column) for one in findings.estimates]
    assert keys[-2:] == [("perceptual_path_length", ""), ("arc_over_chord", "")]
    assert ("cycle_error", "as built") in keys or kind == "vae"
    for one in findings.estimates:
        assert np.isfinite(one.value)
        assert one.low <= one.value <= one.high
        if one.ideal == 1.0:
            assert one.value >= 1.0 - 1e-6
    assert measure_geometry(subject) == findings

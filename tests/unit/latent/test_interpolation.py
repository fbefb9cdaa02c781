"""Paths between codes."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from explorer.errors import LatentError
from explorer.latent.interpolation import lerp, slerp

codes = arrays(np.float32, 4, elements=st.floats(-1e3, 1e3, width=32))
paths = pytest.mark.parametrize("path", [lerp, slerp])


@paths
@given(start=codes, end=codes, steps=st.integers(2, 9))
def test_end_points_are_exact_and_all_is_finite(path, start, end, steps):
    result = path(start, end, steps)
    assert result.shape == (steps, 4)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result[0], start)
    np.testing.assert_array_equal(result[-1], end)
    assert np.isfinite(result).all()


@given(start=codes, end=codes, steps=st.integers(3, 9))
def test_lerp_takes_equal_steps(start, end, steps):
    result = lerp(start, end, steps).astype(float)
    np.testing.assert_allclose(
        np.diff(result, axis=0), np.tile((end - start) / (steps - 1), (steps - 1, 1)), atol=1e-3
    )


@given(start=codes, end=codes, radius=st.floats(0.1, 100), steps=st.integers(2, 9))
def test_slerp_keeps_the_norm_of_codes_of_equal_norm(start, end, radius, steps):
    norms = np.linalg.norm(start.astype(float)), np.linalg.norm(end.astype(float))
    assume(min(norms) > 1e-3)
    first, last = radius * start / norms[0], radius * end / norms[1]
    assume(np.linalg.norm(first + last) > 1e-3 * radius)
    result = slerp(first, last, steps)
    np.testing.assert_allclose(np.linalg.norm(result, axis=1), radius, rtol=1e-4)


def test_slerp_turns_at_constant_speed():
    result = slerp([1.0, 0.0], [0.0, 1.0], 4)
    angles = np.degrees(np.arctan2(result[:, 1], result[:, 0]))
    np.testing.assert_allclose(angles, [0.0, 30.0, 60.0, 90.0], atol=1e-4)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ([0.0, 0.0], [1.0, 2.0]),
        ([1.0, 2.0], [0.0, 0.0]),
        ([1.0, 2.0], [2.0, 4.0]),
        ([1.0, 2.0], [-2.0, -4.0]),
        ([0.0, 0.0], [0.0, 0.0]),
    ],
)
def test_slerp_without_a_plane_to_turn_in_is_the_straight_line(start, end):
    np.testing.assert_array_equal(slerp(start, end, 5), lerp(start, end, 5))


@paths
@pytest.mark.parametrize(
    ("start", "end", "steps", "said"),
    [
        ([0.0], [1.0], 1, "at least 2 steps"),
        ([0.0], [1.0, 2.0], 3, "end codes have 2 latent axes; 1"),
        ([np.nan], [1.0], 3, "start codes are not finite"),
        ([[0.0]], [[1.0]], 3, r"shape \(N, D\)"),
    ],
)
def test_bad_end_points_are_told(path, start, end, steps, said):
    with pytest.raises(LatentError, match=said):
        path(start, end, steps)

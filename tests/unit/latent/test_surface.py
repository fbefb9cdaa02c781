"""A plane's ellipses and magnification, where they are known by construction."""

import numpy as np
import pytest

from explorer.latent.planes import axes_plane
from explorer.latent.surface import (
    gaussian_line,
    manifold_spots,
    measure_magnification,
    posterior_lines,
)

EXTENT = (-4.0, 4.0, -4.0, 4.0)


def test_a_gaussians_line_has_its_covariance():
    covariance = np.array([[4.0, 1.0], [1.0, 2.0]])
    line = gaussian_line(np.array([1.0, -2.0]), covariance) - [1, -2]
    distance = np.einsum("si,ij,sj->s", line, np.linalg.inv(covariance), line)
    np.testing.assert_allclose(distance, 1.0)


def test_posteriors_are_seen_at_true_scale():
    mean = np.array([[1.0, 2.0, 3.0]], np.float32)
    log_var = np.log(np.array([[0.25, 9.0, 4.0]], np.float32))
    (line,) = posterior_lines(axes_plane(0, 2, 3), mean, log_var)
    assert line[:, 0].max() == pytest.approx(1.5)
    assert line[:, 1].min() == pytest.approx(1.0)


def test_the_magnification_of_a_linear_decoder_is_its_determinant():
    matrix = np.array([[3.0, 1.0], [0.0, 2.0], [1.0, 0.0]])

    def decode(codes):
        return (codes @ matrix.T).reshape(len(codes), 3, 1, 1)

    logs = measure_magnification(decode, lambda spots: spots, EXTENT, 9)
    expected = np.sqrt(np.linalg.det(matrix.T @ matrix))
    np.testing.assert_allclose(logs, np.log10(expected), rtol=1e-6)


def test_the_manifolds_spots_cut_the_normal_into_equal_shares():
    spots = manifold_spots(5)
    assert spots.shape == (25, 2)
    assert spots[12] == pytest.approx([0, 0], abs=1e-12)
    assert spots[0][0] < 0 < spots[0][1]  # the first is at the upper left
    assert spots[24] == pytest.approx([1.2816, -1.2816], abs=1e-3)

"""Directions that say what they lead to."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.errors import LatentError
from explorer.latent.directions import (
    direction_between,
    direction_of_label,
    direction_of_values,
    random_directions,
)


def groups(seed=0, apart=(3.0, 0.0, 0.0), spread=(1.0, 1.0, 1.0), n=400):
    generator = np.random.default_rng(seed)
    low = generator.normal(size=(n, 3)) * spread
    return low, generator.normal(size=(n, 3)) * spread + apart


@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 5))
def test_one_step_leads_from_mean_to_mean(seed, dim, count):
    generator = np.random.default_rng(seed)
    low, high = generator.normal(size=(count, dim)), generator.normal(size=(count + 1, dim))
    found = direction_between(low, high)
    assert np.linalg.norm(found.vector) == pytest.approx(1, abs=1e-5)
    assert found.n == (count, count + 1)
    assert np.allclose(found.apply(low.mean(axis=0)[None])[0], high.mean(axis=0), atol=1e-4)


def test_steps_add_up_and_go_back():
    found = direction_between(*groups())
    codes = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
    assert np.allclose(
        found.apply(found.apply(codes, 2.0), -0.5), found.apply(codes, 1.5), atol=1e-5
    )
    assert np.allclose(found.apply(codes, 0.0), codes)


def test_a_label_against_all_others_and_against_one():
    generator = np.random.default_rng(3)
    places = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    labels = np.repeat(np.arange(3), 300)
    codes = places[labels] + generator.normal(size=(900, 2)) * 0.3
    against_one = direction_of_label(codes, labels, 1, 0)
    assert np.allclose(against_one.vector, [1, 0], atol=0.05)
    assert against_one.step == pytest.approx(4, rel=0.05)
    against_all = direction_of_label(codes, labels, 1)
    assert np.allclose(against_all.vector, np.array([2, -1]) / np.sqrt(5), atol=0.05)
    assert against_all.n == (600, 300)


def test_a_factor_is_found_and_a_step_is_one_standard_deviation():
    generator = np.random.default_rng(4)
    factor = generator.uniform(10, 30, 2000)
    codes = generator.normal(size=(2000, 4)) * 0.5
    codes[:, 1] += 0.3 * factor
    codes[:, 2] -= 0.4 * factor
    found = direction_of_values(codes, factor)
    assert np.allclose(found.vector, [0, 0.6, -0.8, 0], atol=0.03)
    assert found.step == pytest.approx(0.5 * factor.std(), rel=0.05)
    assert found.method == "slope"


def test_random_directions_are_of_length_1_and_point_everywhere():
    found = random_directions(3, 4000, seed=0)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    assert np.abs(found.mean(axis=0)).max() < 0.05
    assert np.allclose((found**2).mean(axis=0), 1 / 3, atol=0.03)
    assert np.array_equal(found, random_directions(3, 4000, seed=0))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: direction_between([[0.0]], [[0.0]]), "same mean"),
        (lambda: direction_between([[np.nan]], [[1.0]]), "not finite"),
        (lambda: direction_between([[0.0, 1.0]], [[1.0]]), "latent axes"),
        (lambda: direction_of_label([[0.0], [1.0]], [0, 0], 1), "0 codes of class 1"),
        (lambda: direction_of_label([[0.0], [1.0]], [0, 1], 1, 1), "two classes"),
        (lambda: direction_of_label([[0.0], [1.0]], [0], 1), "labels of the shape"),
        (lambda: direction_of_values([[0.0], [1.0], [2.0]], [5.0, 5.0, 5.0]), "all the same"),
        (lambda: direction_of_values([[0.0], [1.0]], [0.0, 1.0]), "at least 3"),
        (lambda: direction_between([[0.0]], [[1.0]]).apply([[0.0]], np.inf), "finite number"),
    ],
)
def test_what_gives_no_direction_is_told(make, said):
    with pytest.raises(LatentError, match=said):
        make()

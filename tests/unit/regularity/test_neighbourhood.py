"""kNN accuracy on classes whose answer is known."""

import numpy as np
import pytest

from explorer.errors import LatentError
from explorer.regularity.neighbourhood import knn_labels, measure_knn_accuracy


def test_separable_classes_are_told_apart():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, size=400)
    codes = 20.0 * np.eye(4)[labels] + rng.normal(size=(400, 4))
    measure = measure_knn_accuracy(codes, labels, seed=0)
    assert measure.value == 1.0
    assert measure.low > 0.98
    assert measure.chance == np.bincount(labels).max() / 400


def test_random_labels_give_chance():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, size=2000)
    measure = measure_knn_accuracy(rng.normal(size=(2000, 3)), labels, seed=0)
    assert measure.value == pytest.approx(0.25, abs=0.035)
    assert measure.low <= measure.value <= measure.high
    assert measure.chance == pytest.approx(0.25, abs=0.03)


def test_a_code_does_not_vote_for_itself():
    # Every code coincides with nine of the other class and one more of them lies near.
    codes = np.repeat([[0.0], [100.0]], 11, axis=0)
    labels = np.array([0, *[1] * 10, 1, *[0] * 10])
    named = knn_labels(codes, labels, k=10)
    assert named[0] == 1
    assert named[11] == 0


def test_a_tie_goes_to_the_nearest():
    codes = np.array([[0.0], [1.0], [2.0], [-3.0], [4.0]])
    labels = np.array([9, 5, 7, 7, 5])
    assert knn_labels(codes, labels, k=4)[0] == 5


def test_too_few_codes_are_told():
    with pytest.raises(LatentError, match="10 codes allow 1 to 9"):
        measure_knn_accuracy(np.zeros((10, 2)), np.zeros(10, int), seed=0)

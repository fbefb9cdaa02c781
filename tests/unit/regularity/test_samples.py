"""Draws from priors, as varied and as real as they were made."""

from dataclasses import replace

import numpy as np
import pytest

from explorer.errors import LatentError
from explorer.regularity.features import checked_halves
from explorer.regularity.samples import (
    CoverageRatio,
    SampleFigures,
    measure_coverage_ratio,
    measure_samples,
)
from tests.unit.regularity.subjects import NoClasses, assert_sound, noise_images, untrained


def cloud(n=400, seed=0, shift=0.0, dim=5):
    return np.random.default_rng(seed).standard_normal((n, dim)) + shift


def ratio(samples, reconstructions=None, reference=None):
    reference = cloud() if reference is None else reference
    reconstructions = cloud(seed=1) if reconstructions is None else reconstructions
    return CoverageRatio(
        reference, reconstructions, reconstructions[:1], np.random.default_rng(9)
    ).of(samples)


def test_draws_as_varied_as_reconstructions_have_one():
    found = ratio(cloud(seed=2))
    assert found.low <= 1.0 <= found.high
    assert found.high - found.low < 0.2
    assert found.value == pytest.approx(found.above / found.below)
    assert found.chance < 0.1


def test_draws_of_half_of_the_images_have_half():
    reference, reconstructions = cloud(), cloud(seed=1)
    reference[:200] += 30.0
    reconstructions[:200] += 30.0
    found = ratio(cloud(seed=2), reconstructions, reference)
    assert found.low <= 0.5 <= found.high
    assert found.value == pytest.approx(0.5, abs=0.05)
    # The clearest misses come first, and lie in the half that is never drawn.
    assert (np.diff(found.found) <= 0).all()
    assert (found.missed[:50] < 200).all()


def test_draws_that_miss_everything_have_an_open_end():
    found = ratio(cloud(seed=2, shift=100.0))
    assert (found.value, found.low) == (0.0, 0.0)
    assert 0.0 < found.high < 0.02
    assert len(found.missed) == round(found.below * 400)


def test_one_and_the_same_picture_is_at_chance():
    reconstructions = cloud(seed=1)
    found = ratio(np.repeat(reconstructions[:1], 400, axis=0), reconstructions)
    assert found.value == found.chance
    assert found.low <= found.chance <= found.high


def test_the_interval_covers_one():
    covered = [
        found.low <= 1.0 <= found.high
        for seed in range(40)
        for found in [
            CoverageRatio(
                cloud(120, 3 * seed), cloud(120, 3 * seed + 1), cloud(1), np.random.default_rng(0)
            ).of(cloud(120, 3 * seed + 2))
        ]
    ]
    assert np.mean(covered) > 0.85


def test_nothing_to_divide_by_is_seen():
    found = CoverageRatio(cloud(), cloud(shift=99.0), cloud(1), np.random.default_rng(0))
    assert not found.defined


def test_figures_of_the_images_themselves_are_the_best():
    points = cloud()
    found = SampleFigures(points, np.random.default_rng(0)).intervals(points)
    for key in ("precision", "recall", "coverage"):
        value, low, high, _ = found[key]
        assert (value, high) == (1.0, 1.0)
        assert 0.9 < low < 1.0
    assert found["density"][0] == pytest.approx(6 / 5)
    assert found["frechet_distance"][0] == pytest.approx(0.0, abs=1e-9)


def test_figures_of_shifted_draws():
    found = SampleFigures(cloud(), np.random.default_rng(0)).intervals(cloud(shift=3.0))
    value, low, high, _ = found["frechet_distance"]
    assert value == pytest.approx(5 * 9.0)
    assert low < value < high
    assert high - low < 20.0
    far = SampleFigures(cloud(), np.random.default_rng(0)).intervals(cloud(shift=99.0))
    for key in ("precision", "recall", "coverage"):
        value, low, high, _ = far[key]
        assert (value, low) == (0.0, 0.0)
        assert 0.0 < high < 0.02
    assert far["density"][:3] == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("kind", ["vae", "ae"])
@pytest.mark.parametrize("latent_dim", [1, 3, 128])
def test_a_model_has_all_columns(kind, latent_dim):
    subject = untrained(kind=kind, latent_dim=latent_dim)
    found = measure_samples(subject)
    assert_sound(found)
    columns = ["as built", "scale-fair", "mixture"]
    keys = ["precision", "recall", "density", "coverage", "frechet_distance"]
    assert [(one.key, one.column) for one in found.estimates] == [
        (key, column) for column in columns for key in keys
    ]
    assert {one.n for one in found.estimates} == {25}
    assert not any(one.headline for one in found.estimates)
    headline = measure_coverage_ratio(subject)
    assert_sound(headline)
    assert all(one.headline for one in headline.estimates)


def test_a_checkpoint_has_its_ratio_and_examples_that_lead_to_images(checkpoints, bars):
    from explorer.regularity.subject import ModelUnderTest
    from tests.unit.regularity.subjects import Pixels

    subject = ModelUnderTest.from_folder(checkpoints / "bars-vae", images=bars, extractor=Pixels())
    found = measure_coverage_ratio(subject)
    assert_sound(found)
    reference, _ = checked_halves(24, 0)
    for one in found.examples.get("coverage_ratio", []):
        assert one["index"] in bars.held_out_index[reference]
        assert one["reconstructions"] >= 1
        assert one["column"] in ("as built", "scale-fair", "mixture")
    assert measure_coverage_ratio(subject) == found


def test_other_features_are_told():
    found = measure_samples(untrained(extractor=NoClasses()))
    assert found.estimates[0].note == "Four pixels, as there are no classes."


@pytest.mark.parametrize("measure", [measure_coverage_ratio, measure_samples])
def test_what_cannot_be_measured_is_told(measure):
    few = replace(noise_images(), held_out_index=np.arange(10, 15))
    with pytest.raises(LatentError, match="5 held-out images are too few"):
        measure(untrained(few))
    with pytest.raises(LatentError, match="not finite"):
        measure(untrained(broken=True))


@pytest.mark.parametrize("measure", [measure_coverage_ratio, measure_samples])
def test_identical_codes_are_measured(measure):
    for kind in ("vae", "ae"):
        assert_sound(measure(untrained(kind=kind, flat=True)))


def test_identical_images_are_measured():
    images = noise_images()
    same = replace(images, images=np.zeros_like(images.images), labels=0 * images.labels)
    for measure in (measure_coverage_ratio, measure_samples):
        assert_sound(measure(untrained(same)))

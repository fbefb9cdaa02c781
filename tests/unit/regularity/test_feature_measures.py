"""Midpoints, shaken codes and linear classifiers, where the answer is known."""

from dataclasses import replace

import numpy as np
import pytest

from explorer.errors import LatentError
from explorer.regularity import feature_measures as module
from explorer.regularity.feature_measures import (
    measure_class_kept,
    measure_linear_probe,
    measure_midpoint_realism,
    probe,
)
from explorer.regularity.subject import ModelUnderTest
from tests.unit.regularity.subjects import (
    NoClasses,
    Pixels,
    assert_sound,
    noise_images,
    untrained,
)

MEASURES = [measure_midpoint_realism, measure_class_kept, measure_linear_probe]


class Codes(ModelUnderTest):
    """A subject whose codes are given, and whose decoder shows each code as a picture of it.

    Args:
        codes: posterior means of the held-out images, (N, 64), in [0, 1].
        bend: what the decoder does to the pixels.
    """

    def __init__(self, codes, bend=None, extractor=None):
        pixels = np.round(255 * codes).astype(np.uint8).reshape(-1, 1, 8, 8)
        images = replace(
            noise_images(len(codes)), images=pixels, held_out_index=np.arange(len(codes))
        )
        other = untrained(images, kind="ae", latent_dim=64)
        extractor = Pixels() if extractor is None else extractor
        super().__init__(other.config, other.codec, images, other.rows, extractor=extractor)
        self._given = codes.astype(np.float32)
        self._bend = (lambda pixels: pixels) if bend is None else bend

    @property
    def mean(self):
        return self._given

    @property
    def codes(self):
        return self._given.astype(np.float64)

    def decode(self, latents):
        return self._bend(np.asarray(latents, np.float32)).reshape(-1, 1, 8, 8)

    def reconstructions(self, where):
        return self.decode(self.mean[where])


class AllPixels(Pixels):
    def features(self, images):
        return images.reshape(len(images), -1).astype(np.float32)


def blobs(n=400, away=0.0):
    """Codes in two tight clusters, each along 2 axes of 64."""
    rng = np.random.default_rng(0)
    codes = np.full((n, 64), 0.3)
    codes[:, :2] += 0.1 * rng.standard_normal((n, 2))
    codes[n // 2 :, 2:] += away
    return np.clip(codes, 0.0, 1.0)


def test_midpoints_of_a_convex_cloud_are_as_real_as_their_ends():
    found = measure_midpoint_realism(Codes(blobs(), extractor=AllPixels())).estimates[0]
    # Half-way between two of a cloud lies nearer to its middle, where it is denser.
    assert 1.0 < found.low <= found.value < 2.0
    # The decoder is linear: decoding half-way is blending.
    assert found.chance == pytest.approx(found.value, rel=1e-3)
    assert found.n == 100
    assert "100 pairs" in found.note


def test_midpoints_between_clusters_are_not_real():
    subject = Codes(blobs(away=0.5), extractor=AllPixels())
    found = measure_midpoint_realism(subject)
    within = measure_midpoint_realism(Codes(blobs(), extractor=AllPixels())).estimates[0]
    assert found.estimates[0].value < 0.5 * within.value
    assert len(found.examples["midpoint_realism"]) == 12
    for one in found.examples["midpoint_realism"]:
        # Each of the worst pairs has one end in each cluster.
        assert (one["first"]["row"] < 200) != (one["second"]["row"] < 200)
        assert one["realism"] < 0.1 < min(one["ends"])


def test_a_decoder_that_snaps_to_images_beats_blending():
    codes = blobs(away=0.5)

    def snap(pixels):
        far = pixels[:, 2:].mean(axis=1, keepdims=True) > 0.55
        snapped = pixels.copy()
        snapped[:, 2:] = np.where(far, 0.8, 0.3)
        return snapped

    found = measure_midpoint_realism(Codes(codes, bend=snap, extractor=AllPixels())).estimates[0]
    assert found.low > 1.5 * found.chance


def test_realism_has_an_end():
    codes = np.repeat(np.round(255 * blobs(20)) / 255, 10, axis=0)
    found = measure_midpoint_realism(Codes(codes, extractor=AllPixels()))
    assert_sound(found)


def test_a_class_that_noise_cannot_reach_is_kept():
    sides = np.full((400, 8, 8), 0.3)
    sides[:200, :, 4:] = 0.9
    sides[200:, :, :4] = 0.9
    found = measure_class_kept(Codes(sides.reshape(400, 64)))
    one = found.estimates[0]
    assert one.value == one.high == 1.0
    assert one.low > 0.98
    assert one.chance > 0.4
    assert found.examples["class_kept"] == []
    assert one.note == "The classifier is right about 90.0% of held-out images."


def test_a_class_is_lost_as_often_as_the_noise_crosses():
    class Sign(Pixels):
        def classify(self, images):
            return (images[:, 0, 0, 0] > 0.0).astype(np.int64)

    from scipy.stats import norm

    codes = np.random.default_rng(0).standard_normal((4000, 64))
    subject = Codes(np.clip(codes, 0.0, 1.0), extractor=Sign())
    subject._given = codes.astype(np.float32)
    one = measure_class_kept(subject).estimates[0]
    # The noise is a quarter of the codes' deviation along each axis.
    expected = norm.cdf(4.0 * np.abs(codes[:, 0]) / codes[:, 0].std()).mean()
    assert one.low <= expected <= one.high
    assert 0.9 < one.value < 0.95
    assert one.chance == pytest.approx(0.5, abs=0.01)


def test_shaken_classes_are_lost_and_lead_to_pictures(monkeypatch):
    monkeypatch.setattr(module, "NOISE", 3.0)
    subject = untrained(noise_images(200))
    found = measure_class_kept(subject)
    assert_sound(found)
    lost = found.examples["class_kept"]
    assert 1 <= len(lost) <= 12
    for one in lost:
        z = np.array([one["z"]], np.float32)
        assert subject.classes_of(z)[0] == one["after"] != one["before"]
        assert subject.rows[one["row"]] == one["index"]
        before = subject.classes_of(subject.mean[[one["row"]]])
        assert before[0] == one["before"]
    assert measure_class_kept(subject) == found


def test_without_a_classifier_no_class_is_kept():
    assert measure_class_kept(untrained(extractor=NoClasses())).estimates == ()


def test_a_straight_cut_is_found_and_a_ring_is_not():
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((600, 3))
    cut = (codes @ [1.0, -2.0, 0.5] > 0.3).astype(np.int64)
    assert (probe(1e4 * codes + 7.0, cut, seed=0) == cut).mean() > 0.96
    ring = (np.linalg.norm(codes, axis=1) > 1.5).astype(np.int64)
    assert (probe(codes, ring, seed=0) == ring).mean() < 0.6


def test_shuffled_labels_have_the_null():
    images = noise_images(600, classes=3)
    labels = np.random.default_rng(1).permutation(images.labels)
    subject = untrained(replace(images, labels=labels))
    one = measure_linear_probe(subject).estimates[0]
    assert one.value == pytest.approx(one.chance, abs=0.06)
    assert measure_linear_probe(untrained(images)).estimates[0].low > one.high


def test_a_class_of_one_image_is_never_told():
    labels = np.array([0] * 19 + [1])
    named = probe(np.random.default_rng(0).standard_normal((20, 2)), labels, seed=0)
    assert named[-1] == 0


def test_a_probe_without_two_classes_has_nothing_to_tell():
    images = noise_images()
    assert measure_linear_probe(untrained(noise_images(classes=0))).estimates == ()
    assert measure_linear_probe(untrained(replace(images, labels=0 * images.labels))) == (
        measure_linear_probe(untrained(noise_images(classes=0)))
    )


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("kind", ["vae", "ae"])
@pytest.mark.parametrize("latent_dim", [1, 3, 128])
def test_a_model_of_any_size_is_measured(measure, kind, latent_dim):
    found = measure(untrained(kind=kind, latent_dim=latent_dim))
    assert len(found.estimates) == 1
    assert_sound(found)
    assert found.estimates[0].headline == (measure is not measure_linear_probe)


@pytest.mark.parametrize("measure", MEASURES)
def test_degenerate_models_are_measured(measure):
    images = noise_images()
    same = replace(images, images=np.zeros_like(images.images), labels=0 * images.labels)
    for subject in (untrained(flat=True), untrained(flat=True, kind="ae"), untrained(same)):
        assert_sound(measure(subject))
    one_class = untrained(noise_images(classes=1))
    assert_sound(measure(one_class))


@pytest.mark.parametrize("measure", MEASURES)
def test_codes_that_are_not_finite_are_told(measure):
    with pytest.raises(LatentError, match="not finite"):
        measure(untrained(broken=True))


def test_few_images_are_told_or_measured():
    few = replace(noise_images(), held_out_index=np.arange(10, 15))
    with pytest.raises(LatentError, match="5 held-out images are too few"):
        measure_midpoint_realism(untrained(few))
    if len(np.unique(few.labels[10:15])) > 1:
        with pytest.raises(LatentError, match="needs at least 10"):
            measure_linear_probe(untrained(few))
    assert_sound(measure_class_kept(untrained(few)))

"""Whether 95 % intervals hold what they are to hold in 95 of 100 samples, by simulation."""

from functools import cached_property

import numpy as np
import pytest

from explorer.images.dataset import ImageSet
from explorer.models.config import CheckpointConfig, DataConfig, NetworkConfig
from explorer.regularity.measuring import HEADLINE_FAMILIES, measure_all
from explorer.regularity.mixture import Mixture
from explorer.regularity.subject import HeldOut, ModelUnderTest

SAMPLES = 300
IMAGES = 400
PIXELS = 4
# 0.93 to 0.97, give or take the standard error of a share in so many samples.
LEAST, MOST = 0.917, 0.983
# Prior samples of a fitted Gaussian follow the codes, so that the rate varies less than resampled.
WIDE = {("escape_rate", "scale-fair"): 0.995, ("hole_rate", "scale-fair"): 0.995}


def as_images(values):
    """Values (n, 4) as the first pixels of images of 8 x 8."""
    images = np.zeros((len(values), 1, 8, 8), values.dtype)
    images[:, 0, 0, :PIXELS] = values
    return images


def flat(images):
    """The pixels that vary, (n, 4)."""
    return images[:, 0, 0, :PIXELS].astype(np.float32)


class Shrinking:
    """A model that keeps its pixels as a code, scaled; what it decodes is a little greyer."""

    latent_dim = PIXELS

    def encode(self, images):
        codes = ((flat(images) - 0.5) * 5.0).astype(np.float32)
        return codes, np.full_like(codes, -2.0)

    def decode(self, latents):
        return as_images(np.clip(0.5 + 0.17 * latents, 0.0, 1.0))


class Pixelwise:
    """The pixels are the features; the class is which of two is brighter."""

    accuracy = 1.0
    note = ""

    def features(self, images):
        return flat(images)

    def classify(self, images):
        return (flat(images)[:, 0] > flat(images)[:, 1]).astype(np.int64)


class Sample(ModelUnderTest):
    """One sample of images, and how the model gives them back."""

    def __init__(self, seed):
        rng = np.random.default_rng([seed, 77])
        labels = rng.integers(0, 3, IMAGES)
        centres = np.array([[0.35, 0.4, 0.6, 0.5], [0.6, 0.45, 0.4, 0.6], [0.5, 0.6, 0.5, 0.35]])
        values = centres[labels] + rng.normal(0.0, 0.13, (IMAGES, PIXELS))
        pixels = as_images(np.clip(255 * values, 0, 255).astype(np.uint8))
        images = ImageSet(
            name="pixels",
            images=pixels,
            labels=labels,
            classes=("a", "b", "c"),
            train_index=np.arange(2),
            held_out_index=np.arange(IMAGES),
            credit="",
            licence="",
        )
        config = CheckpointConfig(
            name="shrinking",
            kind="vae",
            network=NetworkConfig(latent_dim=PIXELS),
            data=DataConfig("pixels", (1, 8, 8), images.classes, "blake2b:0", 0.0),
        )
        super().__init__(
            config, Shrinking(), images, np.arange(IMAGES), seed=seed, extractor=Pixelwise()
        )

    @cached_property
    def held_out(self):
        images = self.images(slice(None))
        mean, log_var = self.encode(images)
        errors = (flat(images) - flat(self.decode(mean))) ** 2
        return HeldOut(
            mean=mean,
            log_var=log_var,
            labels=self.image_set.labels,
            reconstruction_nll=errors.sum(axis=1) * 50,
            reconstruction_mse=errors.mean(axis=1),
            null_nll=5.0,
            null_mse=0.02,
        )

    @cached_property
    def mixture(self):
        return Mixture(np.ones(1), np.zeros((1, PIXELS)), np.eye(PIXELS)[None])


@pytest.fixture(scope="module")
def reports():
    return [measure_all(Sample(seed), families=HEADLINE_FAMILIES) for seed in range(SAMPLES)]


METRICS = [
    ("reconstruction_nll", ""), ("reconstruction_mse", ""), ("knn_accuracy", ""),
    ("prior_match", "as built"), ("hole_rate", "as built"), ("hole_rate", "scale-fair"),
    ("escape_rate", "as built"), ("escape_rate", "scale-fair"), ("coverage_ratio", "as built"),
    ("coverage_ratio", "scale-fair"), ("midpoint_realism", ""), ("class_kept", ""),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("key", "column"), METRICS)
def test_the_interval_holds_the_mean_of_all_samples_in_95_of_100(reports, key, column):
    found = [report.estimate(key, column) for report in reports]
    truth = np.mean([one.value for one in found])
    held = np.mean([one.low <= truth <= one.high for one in found])
    assert LEAST <= held <= WIDE.get((key, column), MOST)

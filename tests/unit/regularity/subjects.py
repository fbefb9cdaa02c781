"""Small subjects for measures that need pictures: untrained models of any size, and features."""

import numpy as np
import torch

from explorer.images.dataset import ImageSet
from explorer.models.autoencoder import Autoencoder
from explorer.models.codec import Codec
from explorer.models.config import CheckpointConfig, DataConfig, NetworkConfig
from explorer.regularity.subject import ModelUnderTest


class Pixels:
    """Features that a picture shows by itself: four pixels; its class is the brighter half."""

    accuracy = 0.9
    note = ""

    def features(self, images):
        flat = images.reshape(len(images), -1)
        return flat[:, :: max(1, flat.shape[1] // 4)][:, :4].astype(np.float32)

    def classify(self, images):
        half = images.shape[3] // 2
        sides = [images[..., :half].sum(axis=(1, 2, 3)), images[..., half:].sum(axis=(1, 2, 3))]
        return (sides[1] > sides[0]).astype(np.int64)


class NoClasses(Pixels):
    """The same, of a set without classes."""

    accuracy = None
    note = "four pixels, as there are no classes"

    def classify(self, images):
        return None


def noise_images(count=60, *, classes=2, factors=(), seed=0):
    """Images of 8 x 8 pixels of noise; class 1 is brighter on the right."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 120, (count, 1, 8, 8), dtype=np.uint8)
    labels = rng.integers(0, classes, count) if classes else None
    if classes:
        images[labels > 0, :, :, 4:] += 100
    return ImageSet(
        name="noise",
        images=images,
        labels=labels,
        classes=tuple(str(one) for one in range(classes)),
        train_index=np.arange(10),
        held_out_index=np.arange(10, count),
        credit="",
        licence="",
        factors=factors,
    )


def untrained(images=None, *, kind="vae", latent_dim=3, extractor=None, broken=False, flat=False):
    """A subject whose model was never trained.

    Args:
        images: the set; its held-out images are measured.
        kind: "vae" or "ae".
        latent_dim: D.
        extractor: of the features; None takes `Pixels`.
        broken: the encoder gives NaN.
        flat: the encoder gives every image the same code.
    """
    images = noise_images() if images is None else images
    network = NetworkConfig(latent_dim=latent_dim, hidden_dims=(8,))
    torch.manual_seed(0)
    model = Autoencoder(kind, network, images.image_shape)
    with torch.no_grad():
        for name, values in model.named_parameters():
            if name.startswith("encoder"):
                if broken:
                    values.fill_(float("nan"))
                if flat:
                    values.zero_()
            elif name.endswith("weight"):
                values.mul_(3.0)
    config = CheckpointConfig(
        name="untrained",
        kind=kind,
        network=network,
        data=DataConfig("noise", images.image_shape, images.classes, images.fingerprint, 0.0),
    )
    return ModelUnderTest(
        config,
        Codec(model),
        images,
        images.held_out_index,
        extractor=Pixels() if extractor is None else extractor,
    )


def assert_sound(findings):
    """Every figure is finite, in its interval, and says why where something is missing."""
    for one in findings.estimates:
        assert np.isfinite(one.value), one
        if one.low is None:
            assert one.note, one
        if one.low is not None:
            assert one.low <= one.value <= one.high, one
        assert one.column in one.definition.columns

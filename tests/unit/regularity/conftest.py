"""Checkpoints whose images are at hand: an .npz file of bars, and a VAE and an AE of it."""

import numpy as np
import pytest

from explorer.images.registry import load_images
from tests.conftest import make_images, train_checkpoint


@pytest.fixture(scope="session")
def bars_file(tmp_path_factory):
    bars = make_images(240)
    path = tmp_path_factory.mktemp("images") / "bars.npz"
    np.savez(path, images=bars.images, labels=bars.labels)
    return path


@pytest.fixture(scope="session")
def measurable(tmp_path_factory, bars_file):
    """A folder with `seen-vae` and `seen-ae`, trained until they tell bars apart.

    Not to be written to.
    """
    parent = tmp_path_factory.mktemp("measurable")
    for kind in ("vae", "ae"):
        train_checkpoint(parent / f"seen-{kind}", load_images(str(bars_file)), kind, epochs=60)
    return parent

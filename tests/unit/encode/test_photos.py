"""A photographed digit reaches the neighbourhood of the clean one, with a shipped checkpoint."""

import io

import numpy as np
import pytest
from PIL import Image

from benchmarks.camera import SIZE, photograph
from benchmarks.photos import TARGET, bound_ratio, choose_digits, measure_photos
from explorer.encode.codes import nearest_classes
from explorer.errors import DataError
from explorer.images.intake import ModelInput, prepare_upload
from explorer.images.registry import load_images
from explorer.models.checkpoint import load_config, load_encodings
from explorer.models.codec import Codec
from explorer.models.library import SHIPPED

CHECKPOINT = SHIPPED / "mnist-vae-16"
COUNT = 40


@pytest.fixture(scope="module")
def model():
    config = load_config(CHECKPOINT)
    target = ModelInput(config.data.image_shape, config.data.background)
    return Codec.from_folder(CHECKPOINT), target, load_encodings(CHECKPOINT, config)


def test_a_photograph_is_what_a_phone_stores():
    digit = np.zeros((28, 28), np.uint8)
    digit[6:22, 12:16] = 255
    for seed in range(6):
        data = photograph(digit, seed)
        assert data == photograph(digit, seed)
        with Image.open(io.BytesIO(data)) as image:
            assert image.format == "JPEG"
            turned = image.getexif()[0x0112] in (6, 8)
            assert image.size == (SIZE[::-1] if turned else SIZE)
    assert photograph(digit, 0) != photograph(digit, 0, hard=True)


def test_the_interval_of_a_ratio_holds_it():
    rng = np.random.default_rng(0)
    clean = rng.random(200) < 0.95
    right = clean & (rng.random(200) < 0.9)
    low, high = bound_ratio(right, clean, 0)
    assert low < right.mean() / clean.mean() < high
    assert high - low < 0.15


@pytest.mark.slow
def test_photographed_digits_of_mnist_find_their_class(model):
    codec, target, _ = model
    try:
        images = load_images("mnist", allow_download=False)
    except DataError as error:
        pytest.skip(f"MNIST is not at hand, the next test stands in for it ({error})")
    right = measure_photos(images, choose_digits(images, COUNT, 5), codec, target, all_kinds=False)
    for k in (1, 12):
        photographed, clean = right[f"photographs, k = {k}"], right[f"clean, k = {k}"]
        assert clean.mean() > 0.9
        assert photographed.mean() >= TARGET * clean.mean()


@pytest.mark.slow
def test_photographed_digits_of_scikit_learn_find_their_class(model):
    """Digits of another hand, 8 x 8, against the shipped codes of MNIST; always at hand."""
    codec, target, encodings = model
    digits = load_images("digits")
    rows = np.random.default_rng(5).choice(digits.held_out_index, COUNT, replace=False)
    files: dict[str, list[bytes]] = {"clean": [], "photographed": []}
    for row in rows:
        # A margin around it, as MNIST has.
        digit = np.pad(digits.images[row, 0], 2)
        buffer = io.BytesIO()
        Image.fromarray(digit).resize((336, 336), Image.Resampling.BICUBIC).save(buffer, "PNG")
        files["clean"].append(buffer.getvalue())
        files["photographed"].append(photograph(digit, int(row)))
    right = {}
    for name, contents in files.items():
        images = np.stack([prepare_upload(data, name, target).image for data in contents])
        found = nearest_classes(codec.encode(images)[0], encodings.mean, encodings.labels)
        right[name] = (found == digits.labels[rows]).mean()
    assert right["clean"] > 0.6  # of another hand, and coarse
    assert right["photographed"] >= TARGET * right["clean"]

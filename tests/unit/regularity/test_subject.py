"""A checkpoint with its images, ready to be measured."""

from dataclasses import replace

import numpy as np
import pytest

from explorer.errors import DataError, LatentError
from explorer.models.checkpoint import load_encodings
from explorer.regularity import subject as subject_module
from explorer.regularity.subject import ModelUnderTest


class MeanAndSpread:
    """Features that a picture shows by itself; class 1 is the brighter half."""

    accuracy = None
    note = "mean and spread of the pixels"

    def features(self, images):
        flat = images.reshape(len(images), -1)
        return np.column_stack([flat.mean(axis=1), flat.std(axis=1)]).astype(np.float32)

    def classify(self, images):
        return (self.features(images)[:, 0] > 0.2).astype(np.int64)


def opened(checkpoints, bars, kind="vae", **more):
    return ModelUnderTest.from_folder(
        checkpoints / f"bars-{kind}", images=bars, extractor=MeanAndSpread(), **more
    )


@pytest.mark.parametrize("kind", ["vae", "ae"])
def test_it_encodes_as_the_trainer_did(checkpoints, bars, kind):
    subject = opened(checkpoints, bars, kind)
    stored = load_encodings(checkpoints / f"bars-{kind}", subject.config)
    assert (subject.n, subject.latent_dim, subject.name) == (24, 2, f"bars-{kind}")
    np.testing.assert_array_equal(subject.rows, stored.index)
    np.testing.assert_allclose(subject.mean, stored.mean, atol=1e-6)
    np.testing.assert_array_equal(subject.labels, bars.labels[stored.index])
    if kind == "ae":
        assert subject.log_var is None
        np.testing.assert_array_equal(subject.codes, subject.mean.astype(np.float64))
    else:
        np.testing.assert_allclose(subject.log_var, stored.log_var, atol=1e-6)
    np.testing.assert_array_equal(subject.images(slice(0, 3)), bars.floats(stored.index[:3]))
    errors = (subject.reconstructions(slice(None)) - subject.images(slice(None))) ** 2
    np.testing.assert_allclose(
        errors.mean(axis=(1, 2, 3)), subject.held_out.reconstruction_mse, rtol=1e-5
    )


def test_pictures_come_by_chunk_and_features_whole(checkpoints, bars, monkeypatch):
    whole = opened(checkpoints, bars)
    monkeypatch.setattr(subject_module, "CHUNK", 7)
    pieces = opened(checkpoints, bars)
    assert [chunk.stop for chunk in pieces.chunks()] == [7, 14, 21, 24]
    extractor = MeanAndSpread()
    np.testing.assert_allclose(
        pieces.image_features, extractor.features(whole.images(slice(None))), rtol=1e-6
    )
    np.testing.assert_allclose(
        pieces.reconstruction_features, whole.features_of(whole.mean), rtol=1e-5
    )
    z = whole.draw("as built", 20, "test")
    np.testing.assert_array_equal(pieces.classes_of(z), whole.classify(whole.decode(z)))


def test_more_images_than_asked_for_are_sub_sampled_and_it_says_so(checkpoints, bars):
    subject = opened(checkpoints, bars, most=10)
    assert subject.n == len(subject.mean) == len(subject.labels) == 10
    assert subject.note == "10 of the 24 held-out images, drawn at random."
    assert opened(checkpoints, bars).note == ""
    np.testing.assert_array_equal(subject.rows, opened(checkpoints, bars, most=10).rows)


def test_a_pointer_leads_to_the_image(checkpoints, bars):
    subject = opened(checkpoints, bars, most=10)
    stored = load_encodings(checkpoints / "bars-vae", subject.config)
    for row in range(10):
        pointer = subject.pointer(row)
        assert stored.index[pointer["row"]] == pointer["index"]
        assert stored.labels[pointer["row"]] == pointer["label"]
        np.testing.assert_allclose(stored.mean[pointer["row"]], subject.mean[row], atol=1e-6)


def test_the_noise_is_the_same_for_every_model(checkpoints, bars):
    vae, ae = (opened(checkpoints, bars, kind) for kind in ("vae", "ae"))
    np.testing.assert_array_equal(vae.draw("as built", 9, "a"), ae.draw("as built", 9, "a"))
    assert not np.array_equal(vae.draw("as built", 9, "a"), vae.draw("as built", 9, "b"))
    for subject in (vae, ae):
        fair = subject.draw("scale-fair", 4000, "a")
        np.testing.assert_allclose(fair.mean(axis=0), subject.codes.mean(axis=0), atol=0.3)
        np.testing.assert_allclose(np.cov(fair.T), np.cov(subject.codes.T), rtol=0.2, atol=0.1)
        assert subject.draw("mixture", 5, "a").shape == (5, 2)


def test_another_column_is_told(checkpoints, bars):
    with pytest.raises(LatentError, match="no prior 'cooked'"):
        opened(checkpoints, bars).draw("cooked", 3, "a")


def test_images_that_are_not_at_hand_are_told(checkpoints, bars):
    with pytest.raises(DataError, match=r"images of bars are not at hand.*set EXPLORER_DATA"):
        ModelUnderTest.from_folder(checkpoints / "bars-vae")
    few = replace(bars, images=bars.images[:40], labels=bars.labels[:40])
    with pytest.raises(DataError, match="not at hand"):
        ModelUnderTest.from_folder(checkpoints / "bars-vae", images=few)


def test_factors_follow_the_images(checkpoints, bars):
    from explorer.images.dataset import Factor

    tilt = Factor("tilt", np.arange(80, dtype=np.float32))
    subject = opened(checkpoints, replace(bars, factors=(tilt,)))
    np.testing.assert_array_equal(subject.factors[0].values, subject.rows)

"""Damage that a model was trained to undo, and its undoing."""

from dataclasses import replace

import numpy as np
import pytest

from explorer.encode.repair import damage, find_repairers, hide, repair
from explorer.errors import CheckpointError, DataError
from explorer.images.quality import psnr
from explorer.models.config import NetworkConfig
from explorer.models.library import list_checkpoints
from explorer.training.config import TrainConfig
from explorer.training.corruption import HIDDEN
from explorer.training.loop import Trainer
from explorer.training.run import best_codec
from tests.conftest import make_images


@pytest.fixture(scope="module")
def repaired():
    """An inpainter of bars, and held-out bars."""
    images = make_images(900)
    config = TrainConfig(
        data=images.name,
        kind="ae",
        network=NetworkConfig(latent_dim=6, hidden_dims=(64,)),
        corrupt="mask",
        epochs=25,
        batch_size=32,
    )
    trainer = Trainer(config, images)
    list(trainer.epochs())
    return best_codec(trainer), images.floats(images.held_out_index)


def test_an_inpainter_brings_back_more_than_it_was_given(repaired):
    codec, images = repaired
    mask = np.zeros((10, 12), np.bool_)
    mask[3:8, 4:9] = True
    damaged = hide(images, mask)
    found = repair(codec, damaged, mask=mask)
    assert np.array_equal(found[:, :, ~mask], damaged[:, :, ~mask])
    assert psnr(found, images).mean() > psnr(damaged, images).mean() + 3
    whole = repair(codec, damaged)
    assert np.array_equal(whole[:, :, mask], found[:, :, mask])
    assert not np.array_equal(whole[:, :, ~mask], damaged[:, :, ~mask])


def test_each_picture_may_have_a_mask_of_its_own(repaired):
    codec, images = repaired
    masks = np.random.default_rng(0).random((len(images), 10, 12)) < 0.3
    hidden = hide(images, masks)
    assert (hidden[:, 0][masks] == HIDDEN).all()
    assert np.array_equal(hidden[:, 0][~masks], images[:, 0][~masks])
    found = repair(codec, hidden, mask=masks)
    assert np.array_equal(found[:, 0][~masks], images[:, 0][~masks])


def test_a_mask_of_another_size_is_told(repaired):
    codec, images = repaired
    with pytest.raises(DataError, match=r"shape \(3, 4\); pictures of 10 x 12"):
        hide(images, np.zeros((3, 4), np.bool_))
    with pytest.raises(DataError, match="or 24 of them"):
        repair(codec, images, mask=np.zeros((2, 10, 12), np.bool_))
    with pytest.raises(CheckpointError, match="do not fit"):
        repair(codec, images[:, :, :-1])


def test_damage_is_the_trainers():
    images = np.full((30, 1, 12, 12), 0.5, np.float32)
    noisy = damage(images, "noise", 0.1)
    assert (noisy - images).std() == pytest.approx(0.1, rel=0.05)
    assert np.array_equal(noisy, damage(images, "noise", 0.1))
    assert not np.array_equal(noisy, damage(images, "noise", 0.1, seed=1))
    hidden = damage(np.ones_like(images), "mask", 0.5) == HIDDEN
    assert (hidden.sum(axis=(1, 2, 3)) == 36).all()
    ramp = np.broadcast_to(np.linspace(0, 1, 12, dtype=np.float32), (1, 1, 12, 12))
    assert len(np.unique(damage(ramp, "downsample", 4))) == 3
    assert np.array_equal(damage(ramp, "downsample", 1), ramp)


@pytest.mark.parametrize(
    ("how", "amount", "said"),
    [
        ("rust", 1, "'rust' is not known"),
        ("noise", 11, "noise by 11"),
        ("noise", np.nan, "noise by nan"),
        ("mask", 1.2, "from 0 to 1 is"),
        ("downsample", 0, "from 1 to 32"),
        ("downsample", 2.5, "a whole factor"),
    ],
)
def test_impossible_damage_is_told(how, amount, said):
    with pytest.raises(DataError, match=said):
        damage(np.zeros((1, 1, 8, 8), np.float32), how, amount)


def test_repairers_are_found_by_what_they_undo_and_whose_pictures_they_take(checkpoints):
    plain, other = list_checkpoints([checkpoints])
    undoing = replace(
        plain,
        name="bars-inpaint",
        config=replace(
            plain.config,
            training={**plain.config.training, "corrupt": "mask", "corrupt_amount": 0.3},
        ),
    )
    (found,) = find_repairers([plain, undoing, other])
    assert (found.name, found.how, found.amount) == ("bars-inpaint", "mask", 0.3)
    assert find_repairers([undoing], other.config) == [found]
    foreign = replace(other.config, data=replace(other.config.data, fingerprint="blake2b:0"))
    assert find_repairers([undoing], foreign) == []
    assert find_repairers([replace(undoing, config=None)]) == []

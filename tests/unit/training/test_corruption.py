"""What is done to the encoder's input."""

import numpy as np
import pytest
import torch

from explorer.training.config import TrainConfig
from explorer.training.corruption import HIDDEN, corrupt, draw_inputs


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def images(count=40, height=12, width=10):
    return torch.rand(count, 1, height, width, generator=generator(1))


def test_without_corruption_nothing_is_drawn_and_nothing_copied():
    source, pixels = generator(), images()
    before = source.get_state()
    inputs, targets = draw_inputs(TrainConfig(), pixels, source)
    assert inputs is pixels
    assert targets is pixels
    assert torch.equal(source.get_state(), before)


def test_binary_pixels_have_the_brightness_as_their_mean():
    pixels = images(1).expand(4000, -1, -1, -1)
    inputs, targets = draw_inputs(TrainConfig(binarize=True), pixels, generator())
    assert inputs is targets
    assert set(inputs.unique().tolist()) == {0.0, 1.0}
    assert (inputs.mean(0) - pixels[0]).abs().max() < 5 * 0.5 / np.sqrt(4000)


def test_a_corrupted_input_is_to_become_the_image_itself():
    pixels = images()
    inputs, targets = draw_inputs(TrainConfig(corrupt="mask"), pixels, generator())
    assert targets is pixels
    assert not torch.equal(inputs, pixels)


def test_noise_has_its_standard_deviation_and_stays_within_the_pixels():
    grey = torch.full((50, 1, 12, 10), 0.5)
    noisy = corrupt(grey, "noise", 0.1, generator())
    assert (noisy - grey).std().item() == pytest.approx(0.1, rel=0.05)
    loud = corrupt(grey, "noise", 5.0, generator())
    assert loud.min() == 0
    assert loud.max() == 1


def test_the_mask_hides_one_square_of_its_size_anywhere():
    white = torch.ones(300, 1, 12, 10)
    hidden = corrupt(white, "mask", 0.5, generator()) == HIDDEN
    assert (hidden.sum(dim=(1, 2, 3)) == 25).all()
    rows, columns = hidden.any(dim=3)[:, 0], hidden.any(dim=2)[:, 0]
    assert (rows.sum(1) == 5).all()
    assert (columns.sum(1) == 5).all()
    assert rows.any(0).all()
    assert columns.any(0).all()


def test_downsampling_keeps_blocks_means():
    pixels = images(3, 12, 8)
    coarse = corrupt(pixels, "downsample", 4, generator())
    for row in range(0, 12, 4):
        for column in range(0, 8, 4):
            block = coarse[..., row : row + 4, column : column + 4]
            mean = pixels[..., row : row + 4, column : column + 4].mean(dim=(2, 3), keepdim=True)
            torch.testing.assert_close(block, mean.expand_as(block))


def test_downsampling_takes_sizes_that_the_factor_does_not_divide():
    assert corrupt(images(2, 11, 9), "downsample", 4, generator()).shape == (2, 1, 11, 9)

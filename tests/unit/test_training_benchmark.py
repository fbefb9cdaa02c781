import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.passes import MLP, NETWORKS, fit_pass, take, train_ours, train_plainly
from benchmarks.products import count_flops, count_products
from benchmarks.training import median_ratio, take_turns, verdict
from explorer.models.autoencoder import Autoencoder
from explorer.models.config import NetworkConfig

SMALL = NetworkConfig(latent_dim=2, hidden_dims=(16,))


def test_an_mlp_step_needs_three_products_a_layer_but_none_to_the_images():
    layers = [784 * 400, 400 * 20, 400 * 20, 20 * 400, 400 * 784]
    model = Autoencoder("vae", NETWORKS[MLP], (1, 28, 28))
    assert count_flops(model) == 2 * (3 * sum(layers) - 784 * 400)


@pytest.mark.parametrize(("side", "padding"), [(28, 1), (7, 1), (7, 0), (5, 2)])
@pytest.mark.parametrize("transposed", [False, True])
def test_a_convolution_is_counted_without_the_zeros_around_the_image(side, padding, transposed):
    kind = nn.ConvTranspose2d if transposed else nn.Conv2d
    layer = kind(2, 3, kernel_size=3, stride=2, padding=padding)
    images = torch.ones(1, 2, side, side)
    # Where all is one, an answer is the number of products that made it.
    nn.init.ones_(layer.weight)
    nn.init.zeros_(layer.bias)
    answers = layer(images)
    expected = int(answers.sum().item())
    assert count_products(layer, images.shape[1:], answers.shape[1:]) == expected


def test_a_layer_without_products_counts_nothing():
    assert count_products(nn.ReLU(), (4,), (4,)) == 0


def test_a_convolutional_step_needs_fewer_products_than_its_kernels_have_places():
    name = next(name for name in NETWORKS if name != MLP)
    flops = count_flops(Autoencoder("vae", NETWORKS[name], (1, 28, 28)))
    places = 2 * 28**2 // 4 * 32 * 9 + 2 * 7 * 7 * 64 * 32 * 9 + 2 * 4 * 4 * 128 * 64 * 9
    dense = 2 * 2048 * 256 + 3 * 256 * 16
    assert 0.8 < flops / (6 * (places + dense)) < 1


def test_each_gets_its_turn_and_another_one_is_first_every_time():
    called = []
    measures = {name: lambda name=name: called.append(name) or 1.0 for name in "abc"}
    figures = take_turns(measures, 3)
    assert figures == {name: [1.0, 1.0, 1.0] for name in "abc"}
    assert "".join(called) == "abcbcacab"


def test_the_ratio_compares_figures_of_one_round():
    assert median_ratio([1, 10, 100], [2, 10, 50]) == 1


def test_a_target_is_reached_or_missed():
    assert verdict(1.5, 1.5).endswith("reached")
    assert verdict(1.49, 1.5).endswith("missed")
    assert verdict(3, None) == ""


def test_a_pass_trains_and_tells_its_rate(bars):
    few = take(bars, 40)
    assert len(few.train_index) == 40
    for train in (train_ours, train_plainly):
        rate = train(SMALL, few)()
        assert math.isfinite(rate)
        assert rate > 0


def test_a_pass_is_whole_batches_of_what_is_there(bars):
    index = np.tile(bars.train_index, 5)[:260]
    many = take(dataclasses.replace(bars, train_index=index), 260)
    assert len(fit_pass(SMALL, many, 1e-9).train_index) == 128
    assert len(fit_pass(SMALL, many, 1e3).train_index) == 256

"""The decoder's derivative against differences, and against a decoder that is known."""

import numpy as np
import pytest
import torch

from explorer.errors import CheckpointError
from explorer.models.autoencoder import Autoencoder
from explorer.models.codec import Codec
from explorer.models.config import NetworkConfig
from explorer.models.jacobian import pullback_metric


def codec(architecture="mlp", dim=3, activation="tanh", shape=(1, 8, 9), kind="vae"):
    torch.manual_seed(0)
    network = NetworkConfig(
        architecture=architecture, latent_dim=dim, hidden_dims=(16,), width=4, activation=activation
    )
    return Codec(Autoencoder(kind, network, shape))


@pytest.mark.parametrize("architecture", ["mlp", "conv"])
def test_it_is_what_differences_give(architecture):
    model = codec(architecture)
    model.model.double()  # differences of float32 images have four digits
    latents = np.random.default_rng(0).standard_normal((5, 3))

    def decode(codes):
        with torch.no_grad():
            return model.model.decode(torch.from_numpy(codes)).flatten(1).numpy()

    step = 1e-5
    columns = [
        (decode(latents + step * one) - decode(latents - step * one)) / (2 * step)
        for one in np.eye(3)
    ]
    jacobian = np.stack(columns, axis=2)
    expected = jacobian.transpose(0, 2, 1) @ jacobian
    model.model.float()
    np.testing.assert_allclose(pullback_metric(model, latents), expected, rtol=1e-4, atol=1e-7)


def test_a_linear_decoder_has_its_weights():
    model = codec(dim=2, activation="relu")
    with torch.no_grad():
        for values in model.model.decoder.parameters():
            values.zero_()
        dense, last = model.model.decoder[0][0], model.model.decoder[1]
        dense.bias.fill_(10.0)  # so that ReLU stays out of the way
        dense.weight[0, 0], dense.weight[1, 1] = 1.0, 1.0
        last.weight[5, 0], last.weight[7, 1] = 0.4, 0.2
        last.bias[5], last.bias[7] = -4.0, -2.0
    # Logits 0.4 z0 and 0.2 z1; the sigmoid's slope at 0 is a quarter.
    metric = pullback_metric(model, np.zeros((1, 2)))
    np.testing.assert_allclose(metric[0], np.diag([0.1**2, 0.05**2]), rtol=1e-5, atol=1e-12)


def test_chunks_make_no_difference(monkeypatch):
    model = codec("conv", shape=(3, 16, 16))
    latents = np.random.default_rng(0).standard_normal((7, 3)).astype(np.float32)
    whole = pullback_metric(model, latents)
    monkeypatch.setattr("explorer.models.jacobian._MOST_VALUES", 2 * 3 * 16 * 16 * 3)
    np.testing.assert_allclose(pullback_metric(model, latents), whole, rtol=1e-4, atol=1e-9)
    assert whole.shape == (7, 3, 3)


def test_codes_of_another_model_are_told():
    with pytest.raises(CheckpointError, match="do not fit a model of 3 latents"):
        pullback_metric(codec(), np.zeros((2, 4)))

"""The objective's terms against torch's own distributions, integrals and definitions."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli, Normal

from explorer.models.autoencoder import Autoencoder
from explorer.models.config import NetworkConfig
from explorer.models.objectives import (
    draw,
    importance_weighted_bound,
    mmd_to_prior,
    reconstruction_nll,
)
from explorer.models.posterior import Posterior, prior_log_density

SHAPE = (1, 8, 8)


def make_model(kind="vae", **network):
    torch.manual_seed(0)
    return Autoencoder(
        kind, NetworkConfig(**{"latent_dim": 3, "hidden_dims": (16,), **network}), SHAPE
    )


def seeded(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_bernoulli_nll_is_torchs():
    logits, images = normal(5, *SHAPE), (seeded(5, *SHAPE) > 0.5).float()
    expected = -Bernoulli(logits=logits).log_prob(images).flatten(1).sum(1)
    actual = reconstruction_nll(logits, images, NetworkConfig())
    torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("sigma", [0.05, 1.0])
def test_gaussian_nll_is_torchs_constants_included(sigma):
    logits, images = normal(5, *SHAPE), seeded(5, *SHAPE)
    expected = -Normal(torch.sigmoid(logits), sigma).log_prob(images).flatten(1).sum(1)
    network = NetworkConfig(likelihood="gaussian", sigma=sigma)
    torch.testing.assert_close(reconstruction_nll(logits, images, network), expected)
    learned = torch.tensor([sigma], requires_grad=True)
    actual = reconstruction_nll(logits, images, NetworkConfig(likelihood="gaussian"), learned)
    torch.testing.assert_close(actual, expected)


def test_a_learned_sigma_is_best_at_the_root_mean_square_error():
    logits, images = normal(50, *SHAPE), seeded(50, *SHAPE)
    error = (torch.sigmoid(logits) - images).square().mean().sqrt()
    network = NetworkConfig(likelihood="gaussian", learn_sigma=True)
    log_sigma = error.log().clone().requires_grad_()
    reconstruction_nll(logits, images, network, log_sigma.exp()).mean().backward()
    assert abs(log_sigma.grad.item()) < 1e-3


def test_a_learned_sigma_stays_within_the_bounds_of_a_fixed_one():
    model = make_model(likelihood="gaussian", learn_sigma=True, sigma=0.2)
    assert model.sigma().item() == pytest.approx(0.2)
    with torch.no_grad():
        model.log_sigma.fill_(-50)
    assert model.sigma().item() == pytest.approx(1e-3)


def test_densities_are_torchs():
    mean, log_var, latents = normal(4, 3, seed=1), normal(4, 3, seed=2), normal(6, 4, 3, seed=3)
    expected = Normal(mean, torch.exp(0.5 * log_var)).log_prob(latents).sum(-1)
    torch.testing.assert_close(Posterior(mean, log_var).log_density(latents), expected)
    expected = Normal(0.0, 1.0).log_prob(latents).sum(-1)
    torch.testing.assert_close(prior_log_density(latents), expected)


def test_the_mean_log_weight_is_the_elbo():
    """E_q[log w] = -(reconstruction NLL + KL): two estimates of it agree within 5 errors."""
    model, images = make_model(), seeded(2, *SHAPE)
    with torch.no_grad():
        draws = draw(model, images, images, normal(20_000, 2, 3))
        weights = draws.log_weights()
        elbo = -(draws.reconstruction_nll.mean(0) + draws.kl.sum(1))
        error = (weights + draws.reconstruction_nll).std(0) / math.sqrt(len(weights))
    assert ((weights.mean(0) - elbo).abs() < 5 * error).all()


def test_one_sample_of_the_importance_weighted_bound_is_the_weight_itself():
    weights = normal(1, 7)
    torch.testing.assert_close(importance_weighted_bound(weights), weights[0])


def test_the_importance_weighted_bound_is_the_log_of_the_mean_weight():
    weights = normal(5, 7, seed=4) - 100
    expected = weights.double().exp().mean(0).log().float()
    torch.testing.assert_close(importance_weighted_bound(weights), expected)


def test_the_bound_grows_tighter_with_more_samples():
    """Burda et al. 2016, theorem 1: L_1 <= L_2 <= L_10 in expectation."""
    model, images = make_model(), seeded(1, *SHAPE)
    with torch.no_grad():
        weights = draw(model, images, images, normal(20_000, 1, 3)).log_weights()[:, 0]
    bounds = [
        importance_weighted_bound(weights.reshape(-1, count).T).mean().item()
        for count in (1, 2, 10)
    ]
    assert bounds == sorted(bounds)
    assert bounds[2] - bounds[0] > 0.001


def test_an_autoencoder_has_one_draw_whatever_the_noise():
    model, images = make_model("ae"), seeded(4, *SHAPE)
    draws = draw(model, images, images, normal(5, 4, 3))
    assert draws.reconstruction_nll.shape == (1, 4)
    torch.testing.assert_close(draws.latents[0], model.encode(images).mean)
    with pytest.raises(ValueError, match="no density"):
        draws.log_weights()


def kernel(one, other):
    return torch.exp(-torch.cdist(one, other).square() / (2 * one.shape[1]))


def test_mmd_is_its_definition_with_the_priors_part_integrated():
    codes = 0.5 * normal(400, 2, seed=5) + 1
    # Gauss and Hermite's nodes integrate over N(0, 1) exactly, here over each of two axes.
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    weights = weights / weights.sum()
    prior = torch.tensor(np.array([[x, y] for x in nodes for y in nodes]), dtype=torch.float32)
    mass = torch.tensor(np.outer(weights, weights).ravel(), dtype=torch.float32)
    within = kernel(codes, codes)
    within = (within.sum() - within.diagonal().sum()) / (400 * 399)
    across = (kernel(codes, prior) @ mass).mean()
    expected = (within - 2 * across + mass @ kernel(prior, prior) @ mass).item()
    assert mmd_to_prior(codes).item() == pytest.approx(expected, abs=1e-4)
    assert expected > 0.1


@pytest.mark.parametrize("width", [1, 2, 16])
def test_mmd_is_zero_in_the_mean_for_codes_from_the_prior(width):
    values = torch.tensor([mmd_to_prior(normal(200, width, seed=s)).item() for s in range(60)])
    error = values.std() / math.sqrt(len(values))
    assert values.mean().abs() < 4 * error
    assert mmd_to_prior(3 * normal(200, width)) > values.max()
    assert mmd_to_prior(0.1 * normal(200, width)) > values.max()


def test_a_pair_of_one_seed_starts_from_the_same_weights_in_every_kind():
    states = [make_model(kind).state_dict() for kind in ("ae", "vae", "infovae")]
    for name, values in states[0].items():
        assert all(torch.equal(values, state[name]) for state in states), name

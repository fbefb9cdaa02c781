"""The estimate of log p(x) where it is known: in closed form, or by an integral on a grid."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from explorer.models.autoencoder import Autoencoder
from explorer.models.codec import Codec
from explorer.models.config import NetworkConfig
from explorer.models.importance import grow_likelihood
from explorer.models.library import SHIPPED
from explorer.models.posterior import prior_log_density
from explorer.models.proposal import Noise, fit_proposal
from tests.unit.models.test_bound import make_codec, make_images

SIGMA = 0.05


class LinearMean(nn.Module):
    """Logits of the mean image 0.5 + W z: probabilistic PCA, as long as no mean leaves (0, 1)."""

    def __init__(self, weights, shape):
        super().__init__()
        self.weights = nn.Parameter(weights)
        self.shape = shape

    def forward(self, latents):
        mean = 0.5 + latents @ self.weights.T
        return torch.logit(mean.clamp(1e-6, 1 - 1e-6)).view(-1, *self.shape)


class Guess(nn.Module):
    """An encoder that answers with the exact posterior, moved and scaled."""

    def __init__(self, weights, sigma, shift, scale):
        super().__init__()
        self.precision = weights.T @ weights / sigma**2 + torch.eye(weights.shape[1])
        self.weights, self.sigma = weights, sigma
        self.deviation = self.precision.inverse().diagonal().sqrt()
        self.shift, self.scale = shift, scale

    def forward(self, images):
        right = (images.flatten(1) - 0.5) @ self.weights / self.sigma**2
        mean = torch.linalg.solve(self.precision, right.T).T + self.shift * self.deviation
        return mean, (2 * (self.scale * self.deviation).log()).expand_as(mean)


def linear_gaussian(shape, latent_dim, *, shift=0.0, scale=1.0, learn=False):
    """A model whose log p(x) is N(0.5, W W^T + sigma^2 I), images of it, and their log p(x)."""
    torch.manual_seed(0)
    values = math.prod(shape)
    network = NetworkConfig(
        latent_dim=latent_dim, likelihood="gaussian", sigma=SIGMA, learn_sigma=learn
    )
    model = Autoencoder("vae", network, shape)
    weights = 0.02 * torch.randn(values, latent_dim)
    model.decoder = LinearMean(weights, shape)
    model.encoder = Guess(weights, SIGMA, shift, scale)
    codes = torch.randn(4, latent_dim)
    images = 0.5 + codes @ weights.T + SIGMA * torch.randn(4, values)
    covariance = (weights @ weights.T).double() + SIGMA**2 * torch.eye(values).double()
    exact = torch.distributions.MultivariateNormal(
        torch.full((values,), 0.5).double(), covariance
    ).log_prob(images.double())
    return Codec(model), images.view(4, *shape).numpy(), exact.numpy()


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 9)])
@pytest.mark.parametrize("learn", [False, True])
@pytest.mark.parametrize(
    ("shift", "scale"),
    [(0.0, 1.0), (0.0, 1e-4), (0.0, 20.0), (8.0, 1.0), (100.0, 1e-3)],
    ids=["exact", "far too narrow", "far too wide", "shifted", "shifted far and narrow"],
)
def test_it_is_the_closed_form_of_a_linear_gaussian_whatever_the_encoder(
    shape, learn, shift, scale
):
    codec, images, exact = linear_gaussian(shape, 3, shift=shift, scale=scale, learn=learn)
    *_, last = grow_likelihood(codec, images, most=1024)
    assert last.claimed.all()
    assert (last.effective_samples > 200).all()
    assert (np.abs(last.log_likelihood - exact) < 5 * last.standard_error + 1e-3).all()
    assert (last.standard_error < 0.1).all()


def test_a_small_number_of_effective_draws_is_not_claimed():
    codec, images, _ = linear_gaussian((1, 8, 8), 3)
    estimates = list(grow_likelihood(codec, images, most=64))
    assert not estimates[0].claimed.any()
    for one in estimates:
        np.testing.assert_array_equal(one.claimed, one.effective_samples >= 10)
    assert estimates[-1].claimed.all()


def integrate(codec, images, reach=6.0, steps=401):
    """Log p(x) of a model with two latent axes, by a sum over a grid."""
    line = torch.linspace(-reach, reach, steps)
    grid = torch.cartesian_prod(line, line)
    prior = prior_log_density(grid.double()).numpy() + 2 * np.log(2 * reach / (steps - 1))
    found = []
    for image in images:
        nll = codec.reconstruction_nll(np.repeat(image[None], len(grid), 0), grid.numpy())
        found.append(np.logaddexp.reduce(prior - nll))
    return np.array(found)


@pytest.mark.parametrize("log_var", [None, -16.0, 4.0], ids=["own", "too narrow", "too wide"])
def test_it_is_the_integral_of_a_bernoulli_decoder(log_var):
    codec = make_codec(latent_dim=2)
    with torch.no_grad():
        for weight in codec.model.decoder.parameters():
            weight.mul_(2.5)
        if log_var is not None:
            codec.model.encoder.log_var.weight.zero_()
            codec.model.encoder.log_var.bias.fill_(log_var)
    images = make_images(4)
    exact = integrate(codec, images)
    *_, last = grow_likelihood(codec, images, most=4096)
    assert last.claimed.all()
    assert (np.abs(last.log_likelihood - exact) < 5 * last.standard_error + 1e-3).all()
    assert (last.standard_error < 0.1).all()


def test_of_a_collapsed_model_every_draw_counts():
    codec = make_codec(latent_dim=5)
    with torch.no_grad():
        for weight in codec.model.decoder.parameters():
            if weight.ndim > 1:
                weight.zero_()
        for head in (codec.model.encoder.mean, codec.model.encoder.log_var):
            head.weight.zero_()
            head.bias.zero_()
    images = make_images(3)
    *_, last = grow_likelihood(codec, images, most=256)
    exact = -codec.reconstruction_nll(images, np.zeros((3, 5), np.float32))
    assert (last.effective_samples > 128).all()
    assert (np.abs(last.log_likelihood - exact) < 5 * last.standard_error + 1e-3).all()


def test_the_proposals_density_is_that_of_its_draws():
    codec, images = make_codec(latent_dim=2), torch.from_numpy(make_images(2))
    proposal = fit_proposal(codec.model, images, images)
    line = torch.linspace(-30, 30, 1201)
    grid = torch.cartesian_prod(line, line)[:, None].expand(-1, 2, -1)
    mass = proposal.log_density(grid).logsumexp(0) + 2 * math.log(60 / 1200)
    np.testing.assert_allclose(mass.numpy(), 0, atol=2e-3)
    # The mean of f / density over draws is the integral of f, for f a density of any place.
    draws = proposal.draw(Noise.draw(20_000, 2, 2, torch.Generator().manual_seed(0)))
    for place in (-1.5, 0.0, 1.0):
        ratio = (prior_log_density(draws.double() - place) - proposal.log_density(draws)).exp()
        error = ratio.std(0) / len(ratio) ** 0.5
        assert ((ratio.mean(0) - 1).abs() < 5 * error + 1e-3).all()


def test_an_infovaes_narrow_encoder_does_not_hide_the_likelihood():
    """Draws from its q(z|x) alone lie about 60 nats below, with 1 to 7 that count."""
    codec = Codec.from_folder(SHIPPED / "mnist-infovae-16")
    code = np.random.default_rng(0).normal(size=(1, 16)).astype(np.float32)
    image = np.rint(codec.decode(code) * 255).astype(np.float32) / 255
    *_, last = grow_likelihood(codec, image, most=512)
    assert last.claimed.all()
    (bound,), (kl,) = codec.bound_terms(image, seed=0)
    assert last.log_likelihood[0] > -(bound + kl) + 30

"""What training minimises, term by term, in nats per image."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from explorer.models.autoencoder import Autoencoder
from explorer.models.config import NetworkConfig
from explorer.models.posterior import Posterior, prior_log_density


def reconstruction_nll(
    logits: Tensor, images: Tensor, network: NetworkConfig, sigma: Tensor | float | None = None
) -> Tensor:
    """-log p(x|z) per image; `pixel_nll` summed over pixels and channels.

    Returns:
        (N,), nats.
    """
    return pixel_nll(logits, images, network, sigma).flatten(1).sum(1)


def pixel_nll(
    logits: Tensor, images: Tensor, network: NetworkConfig, sigma: Tensor | float | None = None
) -> Tensor:
    """-log p(x|z) per value of each image.

    Bernoulli: binary cross-entropy on the logits. Gaussian: mean sigmoid(logits) and the standard
    deviation sigma, constants included, so that these are true nats.

    Args:
        logits: the decoder's, (N, C, H, W).
        images: (N, C, H, W) in [0, 1].
        network: names the likelihood.
        sigma: the Gaussian's standard deviation in pixel values; None takes `network.sigma`.

    Returns:
        (N, C, H, W), nats.

    Source: Kingma & Welling 2014, appendix C, arXiv:1312.6114.
    """
    if network.likelihood == "bernoulli":
        return functional.binary_cross_entropy_with_logits(logits, images, reduction="none")
    deviation = torch.as_tensor(
        network.sigma if sigma is None else sigma, dtype=logits.dtype, device=logits.device
    )
    error = torch.sigmoid(logits) - images
    pixels = 0.5 * (error / deviation).square()
    return pixels + (deviation.log() + 0.5 * math.log(2 * math.pi))


@dataclass(frozen=True)
class LossTerms:
    """The terms of the objective, nats per image, each a mean over images.

    Attributes:
        reconstruction_nll: -log p(x|z), z drawn from the posterior.
        kl: KL(q(z|x) || N(0, I)), summed over latent axes; 0 for an autoencoder.
        mmd: squared maximum mean discrepancy between aggregate posterior and prior, no nats; 0
            unless the objective has it.
        loss: what is minimised.
    """

    reconstruction_nll: float
    kl: float
    mmd: float
    loss: float


@dataclass(frozen=True, eq=False)
class Draws:
    """One or more posterior draws an image and what each costs.

    Attributes:
        latents: (K, N, D).
        reconstruction_nll: -log p(x|z), (K, N), nats.
        kl: to the prior, (N, D), nats.
        posterior: q(z|x).
    """

    latents: Tensor
    reconstruction_nll: Tensor
    kl: Tensor
    posterior: Posterior

    def log_weights(self) -> Tensor:
        """Log p(x, z) / q(z|x) of each draw, (K, N), nats.

        Source: Burda, Grosse & Salakhutdinov 2016, equation 8, arXiv:1509.00519.
        """
        return (
            prior_log_density(self.latents)
            - self.reconstruction_nll
            - self.posterior.log_density(self.latents)
        )


def draw(model: Autoencoder, inputs: Tensor, images: Tensor, noise: Tensor) -> Draws:
    """Encode, draw and decode.

    Args:
        model: the model.
        inputs: what the encoder sees, (N, C, H, W) in [0, 1]; the images, or corrupted ones.
        images: what is to come back, (N, C, H, W) in [0, 1].
        noise: eps of each draw, (K, N, D); an autoencoder's codes take none of it.

    Returns:
        The draws and their terms.
    """
    encoded = model.encode(inputs)
    # Under mixed precision the networks answer in 16 bits; densities are summed in 32.
    log_var = None if encoded.log_var is None else encoded.log_var.float()
    posterior = Posterior(encoded.mean.float(), log_var)
    # Without variance all draws are one.
    latents = posterior.at(noise) if posterior.log_var is not None else posterior.mean[None]
    count, images_here, width = latents.shape
    logits = model.decode_logits(latents.reshape(count * images_here, width)).float()
    targets = images if count == 1 else images.repeat(count, 1, 1, 1)
    nll = reconstruction_nll(logits, targets, model.network, model.sigma())
    return Draws(latents, nll.view(count, images_here), posterior.kl(), posterior)


def importance_weighted_bound(log_weights: Tensor) -> Tensor:
    """The K-sample bound on log p(x), log of the mean weight.

    Args:
        log_weights: log p(x, z) / q(z|x), (K, N), nats.

    Returns:
        (N,), nats; K = 1 is the ELBO.

    Source: Burda, Grosse & Salakhutdinov 2016, equation 8, arXiv:1509.00519.
    """
    return torch.logsumexp(log_weights, 0) - math.log(len(log_weights))


def mmd_to_prior(latents: Tensor) -> Tensor:
    """Squared maximum mean discrepancy between codes and N(0, I), unbiased.

    The kernel is exp(-|z - z'|^2 / (2 D)): two draws from the prior are sqrt(2 D) apart. What the
    prior contributes is integrated exactly, so that no prior draws add noise.

    Args:
        latents: codes, (N, D), N > 1.

    Returns:
        A number; around 0 for codes from the prior, and below it by chance.

    Source: Zhao, Song & Ermon 2019, section 3.3, arXiv:1706.02262; Rustamov 2021,
    arXiv:1901.03227, for the closed form.
    """
    count, width = latents.shape
    squares = latents.square().sum(1)
    distances = squares[:, None] + squares[None, :] - 2 * latents @ latents.T
    kernel = torch.exp(-distances.clamp_min(0) / (2 * width))
    within = (kernel.sum() - kernel.diagonal().sum()) / (count * (count - 1))
    across = (width / (width + 1)) ** (width / 2) * torch.exp(-squares / (2 * (width + 1))).mean()
    prior = (width / (width + 2)) ** (width / 2)
    discrepancy: Tensor = within - 2 * across + prior
    return discrepancy


def objective_terms(
    model: Autoencoder, images: Tensor, generator: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """Reconstruction and KL of each image, with one draw from its posterior.

    Args:
        model: the model.
        images: (N, C, H, W) in [0, 1].
        generator: the source of the draw.

    Returns:
        reconstruction_nll (N,) and kl (N,), nats. Their sum is the negative ELBO (beta = 1).

    Source: Kingma & Welling 2014, equation 7, arXiv:1312.6114.
    """
    posterior = model.encode(images)
    logits = model.decode_logits(posterior.sample(generator))
    nll = reconstruction_nll(logits, images, model.network, model.sigma())
    return nll, posterior.kl().sum(1)

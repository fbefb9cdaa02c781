"""What training minimises, term by term, in nats per image."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from explorer.models.autoencoder import Autoencoder
from explorer.models.config import NetworkConfig


def reconstruction_nll(logits: Tensor, images: Tensor, network: NetworkConfig) -> Tensor:
    """-log p(x|z) per image.

    Bernoulli: binary cross-entropy on the logits. Gaussian: mean sigmoid(logits) and the fixed
    standard deviation `network.sigma`, constants included, so that these are true nats.

    Args:
        logits: the decoder's, (N, C, H, W).
        images: (N, C, H, W) in [0, 1].
        network: names the likelihood.

    Returns:
        (N,), nats, summed over pixels and channels.

    Source: Kingma & Welling 2014, appendix C, arXiv:1312.6114.
    """
    if network.likelihood == "bernoulli":
        pixels = functional.binary_cross_entropy_with_logits(logits, images, reduction="none")
    else:
        error = torch.sigmoid(logits) - images
        pixels = 0.5 * (error / network.sigma).square()
        pixels = pixels + (math.log(network.sigma) + 0.5 * math.log(2 * math.pi))
    return pixels.flatten(1).sum(1)


@dataclass(frozen=True)
class LossTerms:
    """The terms of the objective, nats per image, each a mean over images.

    Attributes:
        reconstruction_nll: -log p(x|z), z drawn from the posterior.
        kl: KL(q(z|x) || N(0, I)), summed over latent axes; 0 for an autoencoder.
        loss: reconstruction_nll + beta * kl, which is minimised.
    """

    reconstruction_nll: float
    kl: float
    loss: float


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
    return reconstruction_nll(logits, images, model.network), posterior.kl().sum(1)

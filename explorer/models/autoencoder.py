"""The model kinds: a VAE, and an AE that differs in nothing but variance head and KL."""

import math

import torch
from torch import Tensor, nn

from explorer.models.config import KINDS as KINDS
from explorer.models.config import SIGMA_RANGE, NetworkConfig, check_choice
from explorer.models.networks import Encoder, build_decoder
from explorer.models.posterior import Posterior


class Autoencoder(nn.Module):
    """An encoder and a decoder between images and latent codes.

    Args:
        kind: "vae", "infovae" (the same model, another objective) or "ae".
        network: architecture, sizes, likelihood.
        image_shape: (C, H, W).

    Raises:
        ConfigError: if the kind is unknown.
    """

    def __init__(
        self, kind: str, network: NetworkConfig, image_shape: tuple[int, int, int]
    ) -> None:
        check_choice("kind", kind, KINDS)
        super().__init__()
        self.kind = kind
        self.network = network
        self.image_shape = image_shape
        self.encoder = Encoder(network, image_shape, variance=False)
        self.decoder = build_decoder(network, image_shape)
        self.log_sigma: nn.Parameter | None = None
        if network.learn_sigma:
            self.log_sigma = nn.Parameter(torch.full((1,), math.log(network.sigma)))
        if kind != "ae":
            # Last of all, so that a pair of one seed starts from the same weights everywhere else.
            self.encoder.add_variance_head(network)

    def encode(self, images: Tensor) -> Posterior:
        """q(z|x) of images (N, C, H, W) in [0, 1]; an AE's has no variance."""
        mean, log_var = self.encoder(images)
        return Posterior(mean, log_var)

    def sigma(self) -> Tensor | float:
        """The Gaussian likelihood's standard deviation in pixel values: fixed, or learned (1,).

        A learned one is shared by all pixels (Rybkin et al. 2021, arXiv:2006.13202) and stays
        within the bounds of a fixed one: a perfect reconstruction would drive it to 0.
        """
        if self.log_sigma is None:
            return self.network.sigma
        low, high = SIGMA_RANGE
        return self.log_sigma.clamp(math.log(low), math.log(high)).exp()

    def decode_logits(self, latents: Tensor) -> Tensor:
        """Codes (N, D) to logits of the mean image, (N, C, H, W)."""
        logits: Tensor = self.decoder(latents)
        return logits

    def decode(self, latents: Tensor) -> Tensor:
        """Codes (N, D) to the likelihood's mean image, (N, C, H, W) in [0, 1]."""
        return torch.sigmoid(self.decode_logits(latents))

"""The approximate posterior q(z|x): a diagonal Gaussian, or a single code for an autoencoder."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


def kl_to_prior(mean: Tensor, log_var: Tensor) -> Tensor:
    """KL(q(z|x) || N(0, I)) per image and latent axis.

    Args:
        mean: posterior mean, (N, D).
        log_var: logarithm of the posterior variance, (N, D).

    Returns:
        (N, D), nats, >= 0.

    Source: Kingma & Welling 2014, appendix B, arXiv:1312.6114.
    """
    # expm1 keeps the difference exact where log_var is tiny, so that rounding cannot make it < 0.
    return 0.5 * (mean.square() + torch.expm1(log_var) - log_var)


def _log_normal(latents: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    squares = (latents - mean).square() * torch.exp(-log_var)
    return -0.5 * (squares + log_var + math.log(2 * math.pi)).sum(-1)


def prior_log_density(latents: Tensor) -> Tensor:
    """Log p(z) of N(0, I); (..., D) -> (...), nats."""
    zero = latents.new_zeros(())
    return _log_normal(latents, zero, zero)


@dataclass(frozen=True, eq=False)
class Posterior:
    """q(z|x) = N(mean, diag(exp(log_var))); without `log_var` all its mass is at `mean`.

    Attributes:
        mean: (N, D).
        log_var: (N, D), or None for an autoencoder, whose codes have no variance.
    """

    mean: Tensor
    log_var: Tensor | None

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """One code an image, z = mean + eps * exp(log_var / 2), eps ~ N(0, I).

        Args:
            generator: the source of eps; None takes torch's global one.

        Returns:
            (N, D); the mean itself where there is no variance.

        Source: Kingma & Welling 2014, section 2.4, arXiv:1312.6114.
        """
        if self.log_var is None:
            return self.mean
        noise = torch.randn(
            self.mean.shape, generator=generator, device=self.mean.device, dtype=self.mean.dtype
        )
        return self.at(noise)

    def at(self, noise: Tensor) -> Tensor:
        """The codes of given noise, z = mean + eps * exp(log_var / 2).

        Args:
            noise: eps, (N, D), or (K, N, D) for K codes an image.

        Returns:
            As `noise`; the mean itself where there is no variance.
        """
        if self.log_var is None:
            return self.mean.expand_as(noise)
        return self.mean + noise * torch.exp(0.5 * self.log_var)

    def log_density(self, latents: Tensor) -> Tensor:
        """Log q(z|x) of codes.

        Args:
            latents: (N, D), or (K, N, D) for K codes an image.

        Returns:
            (N,) or (K, N), nats.

        Raises:
            ValueError: for an autoencoder, which has no density.
        """
        if self.log_var is None:
            raise ValueError("an autoencoder's codes have no density")
        return _log_normal(latents, self.mean, self.log_var)

    def kl(self) -> Tensor:
        """KL to the prior N(0, I), (N, D), nats; zeros where there is no variance to speak of.

        An autoencoder's objective has no KL term: its posterior is no distribution.
        """
        if self.log_var is None:
            return torch.zeros_like(self.mean)
        return kl_to_prior(self.mean, self.log_var)

"""The likelihood of single images by importance sampling, growing draw by draw."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from explorer.errors import LatentError
from explorer.models.codec import CHUNK, Codec
from explorer.models.proposal import Noise, Proposal, fit_proposal

MOST_SAMPLES = 65_536
SMALL, SMALL_SHARE = 10, 0.01


def least_effective(samples: int) -> float:
    """The effective sample size below which an estimate of K draws is not claimed: 10, or K / 100.

    Below it the largest few weights are most of the sum, and those never drawn are most of p(x).
    """
    return max(SMALL, SMALL_SHARE * samples)


def effective_samples(
    log_total: NDArray[np.float64], log_squares: NDArray[np.float64], samples: int
) -> NDArray[np.float64]:
    """(sum w)^2 / sum w^2 of K weights, 1 to K.

    Args:
        log_total: log of the sum of the weights, (N,).
        log_squares: log of the sum of their squares, (N,).
        samples: K.

    Source: Kong 1992, "A note on importance sampling using standardized weights".
    """
    return np.clip(np.exp(2 * log_total - log_squares), 1.0, samples)


@dataclass(frozen=True, eq=False)
class LikelihoodEstimate:
    """The importance-weighted estimate of log p(x) after K draws.

    Attributes:
        samples: K.
        log_likelihood: log of the mean weight, (N,) nats; in expectation at most log p(x). Under a
            Gaussian likelihood it is the log of a density, which may be above 0.
        standard_error: of the log of the mean weight by the delta method, (N,) nats; NaN for
            K = 1. It knows nothing of weights that were never drawn: see `effective_samples`.
        effective_samples: (sum w)^2 / sum w^2, (N,), 1 to K.
    """

    samples: int
    log_likelihood: NDArray[np.float64]
    standard_error: NDArray[np.float64]
    effective_samples: NDArray[np.float64]

    @property
    def claimed(self) -> NDArray[np.bool_]:
        """Where enough draws count, (N,); elsewhere `log_likelihood` is only a lower bound."""
        enough: NDArray[np.bool_] = self.effective_samples >= least_effective(self.samples)
        return enough


def grow_likelihood(
    codec: Codec, images: NDArray[np.floating], *, most: int = 4096, seed: int = 0
) -> Iterator[LikelihoodEstimate]:
    """Estimate log p(x) with 1, 2, 4, ... draws, each estimate holding the draws before it.

    The draws are those of `fit_proposal`, not q(z|x)'s alone, which may miss most of p(z|x). Every
    image gets the same noise. Stop iterating to stop drawing.

    Args:
        codec: the model.
        images: (N, C, H, W) in [0, 1], N at least 1.
        most: K of the last estimate, 1 to 65,536.
        seed: of the draws.

    Yields:
        An estimate for every power of two, and for `most`.

    Raises:
        CheckpointError: images of another shape.
        LatentError: an AE, which has no p(x), or K out of bounds.

    Source: Burda, Grosse & Salakhutdinov 2016, equation 8, arXiv:1509.00519, for the weights;
    Wu et al. 2017, arXiv:1611.02648, for how far draws from q(z|x) may mislead; effective sample
    size: Kong 1992.
    """
    if codec.kind == "ae":
        raise LatentError(
            "An autoencoder has no prior and no p(x), so there is no likelihood to estimate; open "
            "a VAE."
        )
    if not 1 <= most <= MOST_SAMPLES:
        raise LatentError(f"{most} draws were asked for; 1 to {MOST_SAMPLES:,} can be made.")
    return _grow(codec, codec.as_images(images), most, seed)


def _grow(codec: Codec, images: torch.Tensor, most: int, seed: int) -> Iterator[LikelihoodEstimate]:
    generator = torch.Generator().manual_seed(seed)
    count = len(images)
    proposal = fit_proposal(codec.model, images, images)
    # Logarithms of the sums of the weights and of their squares, in float64: of 4,096 weights one
    # may be e^50 times another.
    total = np.full(count, -np.inf)
    squares = np.full(count, -np.inf)
    drawn, goal = 0, 1
    step = max(1, CHUNK // count)
    while drawn < most:
        while drawn < min(goal, most):
            size = min(step, min(goal, most) - drawn)
            weights = _log_weights(codec, proposal, images, size, generator)
            total = np.logaddexp(total, np.logaddexp.reduce(weights, axis=0))
            squares = np.logaddexp(squares, np.logaddexp.reduce(2 * weights, axis=0))
            drawn += size
        goal *= 2
        yield _estimate(drawn, total, squares)


# Not round the generator as a whole: what is yielded to would run in inference mode too.
@torch.inference_mode()
def _log_weights(
    codec: Codec,
    proposal: Proposal,
    images: torch.Tensor,
    size: int,
    generator: torch.Generator,
) -> NDArray[np.float64]:
    noise = Noise.draw(size, 1, codec.latent_dim, generator).to(images.device)
    weights: NDArray[np.float64] = proposal.log_weights(codec.model, images, noise).cpu().numpy()
    return weights


def _estimate(
    count: int, total: NDArray[np.float64], squares: NDArray[np.float64]
) -> LikelihoodEstimate:
    effective = effective_samples(total, squares, count)
    # Var(mean w) / (mean w)^2 = (K sum w^2 / (sum w)^2 - 1) / (K - 1), with the sample variance.
    error = (
        np.sqrt(np.maximum(count / effective - 1, 0) / (count - 1))
        if count > 1
        else np.full(len(total), np.nan)
    )
    return LikelihoodEstimate(count, total - np.log(count), error, effective)

"""How well images come back."""

import numpy as np
from numpy.typing import NDArray

from explorer.regularity.bootstrap import mean_interval
from explorer.regularity.measure import HEADLINE, LOWER, NO_PRIOR, Measure


def measure_reconstruction(
    nll: NDArray[np.float64],
    mse: NDArray[np.float64],
    *,
    null_nll: float,
    null_mse: float,
    seed: int,
) -> tuple[Measure, Measure]:
    """Reconstruction error, as likelihood and as squared error; the images are resampled.

    Args:
        nll: -log p(x|z) of each held-out image at its posterior mean code, (N,), nats.
        mse: squared error of each, averaged over its pixels, (N,).
        null_nll: the same for answering every image with the mean training image.
        null_mse: likewise.
        seed: of the resamples.
    """
    generator = np.random.default_rng([seed, 1])
    low, high = mean_interval(nll, generator)
    likelihood = Measure(
        key="reconstruction_nll",
        column=NO_PRIOR,
        title="Reconstruction error",
        value=float(nll.mean()),
        low=low,
        high=high,
        null=null_nll,
        unit="nats per image",
        better=LOWER,
        n=len(nll),
        seed=seed,
        student=(
            "How badly an image is described after it was squeezed into a code and decoded again: "
            "the lower, the more of the image came through."
        ),
        researcher=(
            "Negative log-likelihood -log p(x|z) at the posterior mean, summed over pixels and "
            "averaged over held-out images (not the ELBO's expectation over q(z|x)); the null "
            "answers every image with the mean training image."
        ),
        source="Kingma & Welling 2014, arXiv:1312.6114",
        group=HEADLINE,
        headline=True,
    )
    low, high = mean_interval(mse, generator)
    squared = Measure(
        key="reconstruction_mse",
        column=NO_PRIOR,
        title="Reconstruction error per pixel",
        value=float(mse.mean()),
        low=low,
        high=high,
        null=null_mse,
        unit="mean squared error per pixel",
        better=LOWER,
        n=len(mse),
        seed=seed,
        student=(
            "How far each pixel of the decoded image is from the original, squared, on a scale "
            "where black is 0 and white is 1."
        ),
        researcher=(
            "Squared error of the decoder's mean image at the posterior mean, averaged over "
            "pixels, channels and held-out images; it compares models whose likelihoods differ."
        ),
        source="standard",
        group=HEADLINE,
        headline=True,
    )
    return likelihood, squared

"""How well images come back."""

import numpy as np
from numpy.typing import NDArray

from explorer.regularity.bootstrap import mean_interval
from explorer.regularity.definitions import DEFINITIONS, NO_PRIOR
from explorer.regularity.estimate import Estimate


def measure_reconstruction(
    nll: NDArray[np.float64],
    mse: NDArray[np.float64],
    *,
    null_nll: float,
    null_mse: float,
    seed: int,
) -> tuple[Estimate, Estimate]:
    """Reconstruction error, as likelihood and as squared error; the images are resampled.

    Args:
        nll: -log p(x|z) of each held-out image at its posterior mean code, (N,), nats.
        mse: squared error of each, averaged over its pixels, (N,).
        null_nll: the same for answering every image with the mean training image.
        null_mse: likewise.
        seed: of the resamples.
    """
    generator = np.random.default_rng([seed, 1])

    def estimate(key: str, values: NDArray[np.float64], chance: float) -> Estimate:
        found = mean_interval(values, generator)
        return Estimate(
            key=key,
            column=NO_PRIOR,
            value=float(values.mean()),
            low=found.low,
            high=found.high,
            chance=chance,
            ideal=DEFINITIONS[key].ideal,
            n=len(values),
            seed=seed,
            resamples=found.kept,
        )

    return (
        estimate("reconstruction_nll", nll, null_nll),
        estimate("reconstruction_mse", mse, null_mse),
    )

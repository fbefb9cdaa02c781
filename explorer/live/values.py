"""What the points of a map can be coloured by: one number an encoding."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from explorer.errors import DataError, LatentError, ProtocolError
from explorer.images.dataset import ImageSet
from explorer.latent.axes import kl_per_axis
from explorer.latent.planes import axis_name
from explorer.live.threads import use_one_thread
from explorer.models.pictures import explain_missing, images_at_hand

if TYPE_CHECKING:
    from explorer.live.model import OpenedModel

DENSITY, KL, RECONSTRUCTION = "density", "kl", "reconstruction"
# Colours end where 98 % of the values do: single odd ones would take the scale for themselves.
COLOUR_QUANTILES = (0.01, 0.99)
_NUMBERED = re.compile(r"(axis|factor)-(0|[1-9][0-9]{0,2})")
_CHUNK = 1024  # images decoded at once
_MANY = 1 << 17  # encodings at once


@dataclass(frozen=True, eq=False)
class Values:
    """One number an encoding.

    Attributes:
        title: in words.
        unit: "" for a plain number.
        numbers: (N,) float32.
        choices: names, where the numbers are indices into them; None where they are amounts.
    """

    title: str
    unit: str
    numbers: NDArray[np.float32]
    choices: tuple[str, ...] | None = None

    @property
    def range(self) -> tuple[float, float]:
        """Between which 98 % of the numbers lie."""
        low, high = np.quantile(self.numbers, COLOUR_QUANTILES)
        return float(low), float(high)


def find_values(model: "OpenedModel", what: str) -> Values:
    """Work out one number an encoding; may take long.

    Args:
        model: the checkpoint.
        what: "density" (percentile, 100 is the densest), "kl" (nats), "reconstruction" (nats, at
            the mean code), "axis-K" or "factor-K", K from 0.

    Raises:
        ProtocolError: if there is nothing of this name.
        LatentError: if this model's codes have no such values.
        DataError: if the images would be needed and are not at hand.
    """
    mean, log_var = model.encodings.mean, model.encodings.log_var
    if what == DENSITY:
        density = _density_of_means(model)
        if not np.isfinite(density).all():
            raise LatentError(
                f"{len(mean)} codes are too few for a density; at least 6 have fifth neighbours."
            )
        return Values("local density", "%", density)
    if what == KL:
        if log_var is None:
            raise LatentError("An AE's codes have no variance, so there is no KL to show.")
        kl = [
            kl_per_axis(mean[start : start + _MANY], log_var[start : start + _MANY]).sum(axis=1)
            for start in range(0, len(mean), _MANY)
        ]
        return Values("KL to the prior", "nats", np.concatenate(kl).astype(np.float32))
    if what == RECONSTRUCTION:
        return Values("reconstruction error", "nats", _reconstruction_nll(model))
    numbered = _NUMBERED.fullmatch(what)
    if not numbered:
        raise ProtocolError(
            f"There are no values {what[:40]!r}: {DENSITY}, {KL}, {RECONSTRUCTION}, axis-K and "
            "factor-K are known."
        )
    number = int(numbered[2])
    if numbered[1] == "axis":
        if number >= model.latent_dim:
            raise ProtocolError(
                f"There is no latent axis {number}; axes 0 to {model.latent_dim - 1} are there."
            )
        return Values(axis_name(number), "", mean[:, number].copy())
    return _factor(model, number)


def _images(model: "OpenedModel") -> ImageSet:
    images = images_at_hand(model.config.data)
    if images is None or model.encodings.index.max() >= len(images.images):
        raise DataError(explain_missing(model.config.data))
    return images


def _density_of_means(model: "OpenedModel") -> NDArray[np.float32]:
    mean = model.encodings.mean
    if model.encodings.log_var is None:
        return model.density.of_codes()
    found = [
        model.density.percentile(mean[start : start + _MANY])
        for start in range(0, len(mean), _MANY)
    ]
    return np.concatenate(found).astype(np.float32)


def _reconstruction_nll(model: "OpenedModel") -> NDArray[np.float32]:
    images = _images(model)
    use_one_thread()
    mean, index = model.encodings.mean, model.encodings.index
    found = np.empty(len(mean), np.float32)
    for start in range(0, len(mean), _CHUNK):
        rows = slice(start, start + _CHUNK)
        shown = np.divide(images.images[index[rows]], np.float32(255), dtype=np.float32)
        found[rows] = model.codec.reconstruction_nll(shown, mean[rows])
    return found


def _factor(model: "OpenedModel", number: int) -> Values:
    factors = _images(model).factors
    if number >= len(factors):
        known = f"factors 0 to {len(factors) - 1} are" if factors else "no factors are"
        raise LatentError(
            f"There is no factor {number}: of {model.config.data.name} {known} known."
        )
    factor = factors[number]
    numbers = factor.values[model.encodings.index]
    return Values(factor.name, "", numbers, factor.choices if factor.discrete else None)

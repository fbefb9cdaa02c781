"""The bound of single images taken apart: term by term, axis by axis, pixel by pixel."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray

from explorer.errors import LatentError
from explorer.models.codec import CHUNK, Codec
from explorer.models.objectives import pixel_nll

DRAWS = 32  # of the posterior, an image
MOST_DRAWS = 4096
SHOWN, SPREAD_DRAWS = 8, 64


@dataclass(frozen=True, eq=False)
class Bounds:
    """The negative ELBO of images and what it is made of; an AE has neither log_var nor KL.

    Attributes:
        mean: posterior means, (N, D); an AE's codes.
        log_var: (N, D), or None for an AE.
        reconstruction: what the mean code decodes to, (N, C, H, W) in [0, 1].
        reconstruction_nll: -log p(x|z), the mean over the posterior's draws, (N,) nats; an AE's
            at its code.
        nll_error: its standard error over the draws, (N,); 0 for an AE, NaN for one draw.
        nll_at_mean: -log p(x|z) at the mean code, (N,); the smaller of the two almost always.
        kl_axes: KL to the prior per axis, (N, D), or None for an AE.
        nll_map: reconstruction_nll where it arises, (N, H, W), channels summed; its sum over
            pixels is reconstruction_nll. Of a Gaussian it may be below 0.
        floor_map: the least that any decoder could pay there, (N, H, W): of a Bernoulli the
            entropy of a grey pixel, of a Gaussian its constants.
    """

    mean: NDArray[np.float32]
    log_var: NDArray[np.float32] | None
    reconstruction: NDArray[np.float32]
    reconstruction_nll: NDArray[np.float32]
    nll_error: NDArray[np.float32]
    nll_at_mean: NDArray[np.float32]
    kl_axes: NDArray[np.float32] | None
    nll_map: NDArray[np.float32]
    floor_map: NDArray[np.float32]

    @property
    def kl(self) -> NDArray[np.float32] | None:
        """KL(q(z|x) || N(0, I)), (N,) nats, or None for an AE."""
        if self.kl_axes is None:
            return None
        total: NDArray[np.float32] = self.kl_axes.sum(axis=1)
        return total

    @property
    def negative_elbo(self) -> NDArray[np.float32] | None:
        """reconstruction_nll + kl, (N,) nats, whatever beta was trained with; None for an AE."""
        kl = self.kl
        return None if kl is None else self.reconstruction_nll + kl

    @property
    def bound(self) -> NDArray[np.float32]:
        """What the images cost, (N,) nats: the negative ELBO, of an AE the reconstruction NLL."""
        total = self.negative_elbo
        return self.reconstruction_nll if total is None else total

    @property
    def floor(self) -> NDArray[np.float32]:
        """The least reconstruction NLL that any decoder could reach, (N,) nats."""
        total: NDArray[np.float32] = self.floor_map.sum(axis=(1, 2))
        return total

    @property
    def excess_map(self) -> NDArray[np.float32]:
        """What could have been spared, pixel by pixel, (N, H, W), >= 0: the error in nats."""
        excess: NDArray[np.float32] = np.maximum(self.nll_map - self.floor_map, 0)
        return excess


def join_bounds(parts: Sequence[Bounds]) -> Bounds:
    """The bounds of images of one model, one after the other; at least one part."""
    return Bounds(
        **{  # type: ignore[arg-type]
            field.name: None if values[0] is None else np.concatenate(values)
            for field in fields(Bounds)
            for values in [[getattr(part, field.name) for part in parts]]
        }
    )


@torch.inference_mode()
def measure_bounds(
    codec: Codec, images: NDArray[np.floating], *, draws: int = DRAWS, seed: int = 0
) -> Bounds:
    """Take the bound of images apart.

    Every image gets the same noise, so that its figures do not depend on the images beside it.

    Args:
        codec: the model.
        images: (N, C, H, W) in [0, 1], N at least 1.
        draws: of each posterior, 1 to 4096; an AE has one code.
        seed: of the draws.

    Raises:
        CheckpointError: images of another shape.
        LatentError: draws out of bounds.
    """
    _check_draws(draws)
    model = codec.model
    sigma = model.sigma()
    noise = _noise(codec, draws, seed)
    found: list[tuple[torch.Tensor, ...]] = []
    variational = codec.kind != "ae"
    count = draws if variational else 1
    for start in range(0, len(images), max(1, CHUNK // count)):
        chunk = codec.as_images(images[start : start + max(1, CHUNK // count)])
        posterior = model.encode(chunk)
        logits_at_mean = model.decode_logits(posterior.mean)
        at_mean = pixel_nll(logits_at_mean, chunk, model.network, sigma)
        pixels, error = at_mean, torch.zeros(len(chunk), device=chunk.device)
        if variational:
            total = torch.zeros_like(at_mean, dtype=torch.float64)
            costs = torch.empty(count, len(chunk), dtype=torch.float64, device=chunk.device)
            for first in range(0, count, max(1, CHUNK // len(chunk))):
                part = noise[first : first + max(1, CHUNK // len(chunk))]
                codes = posterior.at(part[:, None].expand(-1, len(chunk), -1))
                logits = model.decode_logits(codes.flatten(0, 1))
                target = chunk.repeat(len(part), 1, 1, 1)
                nll = pixel_nll(logits, target, model.network, sigma).double()
                nll = nll.view(len(part), *chunk.shape)
                total += nll.sum(0)
                costs[first : first + len(part)] = nll.flatten(2).sum(2)
            pixels = (total / count).float()
            error = (costs.std(0) / count**0.5 if count > 1 else costs[0] * torch.nan).float()
        found.append(
            (
                posterior.mean,
                posterior.mean if posterior.log_var is None else posterior.log_var,
                torch.sigmoid(logits_at_mean),
                error,
                at_mean.flatten(1).sum(1),
                posterior.kl(),
                pixels.sum(1),
                _floor(chunk, model.network.likelihood, sigma),
            )
        )
    mean, log_var, reconstruction, error_, at_mean_, kl, nll_map, floor_map = (
        torch.cat(parts).cpu().numpy() for parts in zip(*found, strict=True)
    )
    return Bounds(
        mean=mean,
        log_var=log_var if variational else None,
        reconstruction=reconstruction,
        reconstruction_nll=nll_map.sum(axis=(1, 2), dtype=np.float64).astype(np.float32),
        nll_error=error_,
        nll_at_mean=at_mean_,
        kl_axes=kl if variational else None,
        nll_map=nll_map,
        floor_map=floor_map,
    )


@dataclass(frozen=True, eq=False)
class PosteriorDraws:
    """Pictures of codes drawn from one image's posterior.

    Attributes:
        noise: eps of each, (K, D); 0 for an AE.
        codes: mean + eps * exp(log_var / 2), (K, D).
        pictures: what they decode to, (K, C, H, W) in [0, 1].
        spread: standard deviation of the decoded pictures at each pixel, (H, W), root mean square
            over channels, from more draws than are shown; 0 for an AE.
    """

    noise: NDArray[np.float32]
    codes: NDArray[np.float32]
    pictures: NDArray[np.float32]
    spread: NDArray[np.float32]


def draw_posterior(
    codec: Codec,
    mean: NDArray[np.floating],
    log_var: NDArray[np.floating] | None,
    *,
    shown: int = SHOWN,
    draws: int = SPREAD_DRAWS,
    seed: int = 0,
) -> PosteriorDraws:
    """Draw from one image's posterior and decode.

    The spread is of the decoder's mean images: how unsure the code leaves the picture, not the
    pixel noise that the likelihood adds to it.

    Args:
        codec: the model.
        mean: (D,).
        log_var: (D,), or None for an AE, whose one code is all there is.
        shown: codes and pictures that are returned, 1 to `draws`.
        draws: codes that the spread is measured with, at most 4096.
        seed: of the draws.

    Raises:
        CheckpointError: a code of another length.
        LatentError: draws out of bounds.
    """
    _check_draws(draws)
    if not 1 <= shown <= draws:
        raise LatentError(f"{shown} draws are to be shown; 1 to {draws}, those drawn, can be.")
    if log_var is None:
        codes = np.asarray(mean, np.float32)[None]
        pictures = codec.decode(codes)
        blank = np.zeros(pictures.shape[2:], np.float32)
        return PosteriorDraws(np.zeros_like(codes), codes, pictures, blank)
    noise = _noise(codec, draws, seed).cpu().numpy()
    codes = (mean + noise * np.exp(0.5 * log_var.astype(np.float64))).astype(np.float32)
    pictures = codec.decode(codes)
    spread = np.sqrt(pictures.var(axis=0, dtype=np.float64).mean(axis=0)).astype(np.float32)
    return PosteriorDraws(noise[:shown], codes[:shown], pictures[:shown], spread)


@dataclass(frozen=True, eq=False)
class AxisUse:
    """What each axis of one image's code costs, and what it is good for.

    Attributes:
        kl: what it costs, (D,) nats, or None for an AE.
        saved: what it saves: reconstruction NLL with the axis put to `typical` minus that at the
            mean code, (D,) nats. Below 0 where the picture is better without.
        change: the picture at the mean code minus that with the axis put to `typical`,
            (D, H, W), signed, mean over channels.
    """

    kl: NDArray[np.float32] | None
    saved: NDArray[np.float32]
    change: NDArray[np.float32]

    @property
    def all_changes(self) -> NDArray[np.float32]:
        """Where the code shapes the picture: root mean square of the changes over axes, (H, W)."""
        total: NDArray[np.float32] = np.sqrt((self.change**2).mean(axis=0))
        return total


def measure_axes(
    codec: Codec,
    image: NDArray[np.floating],
    *,
    typical: NDArray[np.floating] | None = None,
) -> AxisUse:
    """What each latent axis does for one image: an ablation, one axis at a time.

    Axes act together, so the savings do not add up to those of the whole code.

    Args:
        codec: the model.
        image: (C, H, W) in [0, 1].
        typical: where an axis says nothing, (D,): None takes 0, the prior's mean; for an AE give
            the mean of the codes.

    Raises:
        CheckpointError: an image or a code of another shape.
    """
    mean, log_var = codec.encode(image[None])
    at_rest = np.zeros(codec.latent_dim) if typical is None else np.asarray(typical)
    if at_rest.shape != (codec.latent_dim,):
        raise LatentError(
            f"The typical code has the shape {at_rest.shape}; it needs ({codec.latent_dim},)."
        )
    codes = np.repeat(mean, codec.latent_dim + 1, axis=0)
    axes = np.arange(codec.latent_dim)
    codes[axes, axes] = at_rest
    pictures = codec.decode(codes)
    nll = codec.reconstruction_nll(np.repeat(image[None], len(codes), axis=0), codes)
    kl = None
    if log_var is not None:
        with torch.inference_mode():
            kl = codec.model.encode(codec.as_images(image[None])).kl()[0].cpu().numpy()
    return AxisUse(kl, nll[:-1] - nll[-1], (pictures[-1:] - pictures[:-1]).mean(axis=1))


def _check_draws(draws: int) -> None:
    if not 1 <= draws <= MOST_DRAWS:
        raise LatentError(f"{draws} draws were asked for; 1 to {MOST_DRAWS:,} can be made.")


def _noise(codec: Codec, draws: int, seed: int) -> torch.Tensor:
    """Noise (K, D) of the posterior, the same for every image."""
    device = next(codec.model.parameters()).device
    generator = torch.Generator(device).manual_seed(seed)
    return torch.randn((draws, codec.latent_dim), generator=generator, device=device)


def _floor(images: torch.Tensor, likelihood: str, sigma: torch.Tensor | float) -> torch.Tensor:
    """The NLL of a perfect reconstruction, (N, C, H, W) -> (N, H, W)."""
    if likelihood == "bernoulli":
        entropy = -torch.xlogy(images, images) - torch.xlogy(1 - images, 1 - images)
        floor: torch.Tensor = entropy.sum(1)
        return floor
    deviation = torch.as_tensor(sigma, dtype=images.dtype, device=images.device)
    constant = deviation.log() + 0.5 * np.log(2 * np.pi)
    flat: torch.Tensor = (torch.zeros_like(images) + constant).sum(1)
    return flat

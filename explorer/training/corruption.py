"""What is done to the images before the encoder sees them."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from explorer.training.config import TrainConfig

HIDDEN = 0.5  # grey, which neither dark nor light images have much of


def draw_inputs(
    config: TrainConfig, pixels: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The encoder's input and the image that is to come back.

    Args:
        config: `binarize`, `corrupt` and its amount.
        pixels: (N, C, H, W) in [0, 1].
        generator: the source of what is drawn, on the pixels' device; not touched where nothing
            is drawn.

    Returns:
        inputs and images, (N, C, H, W) in [0, 1]; one tensor where nothing is corrupted.
    """
    images = pixels
    if config.binarize:
        # Salakhutdinov & Murray 2008: a pixel's brightness is the probability that it is 1.
        images = (torch.rand(pixels.shape, generator=generator) < pixels).to(pixels.dtype)
    if config.corrupt == "none":
        return images, images
    return corrupt(images, config.corrupt, config.amount, generator), images


def corrupt(images: Tensor, how: str, amount: float, generator: torch.Generator) -> Tensor:
    """Damage images as a denoiser, an inpainter or a super-resolver is to undo.

    Args:
        images: (N, C, H, W) in [0, 1].
        how: "noise", "mask" or "downsample".
        amount: the noise's standard deviation in pixel values; the side of the hidden square as
            a share of the shorter side; or the factor by which the image is made smaller.
        generator: the source of noise and of the square's place.

    Returns:
        (N, C, H, W) in [0, 1].

    Source: Vincent et al. 2008, "Extracting and composing robust features with denoising
    autoencoders", for noise and masks.
    """
    count, _, height, width = images.shape
    if how == "noise":
        noise = torch.randn(images.shape, generator=generator)
        return (images + amount * noise).clamp(0, 1)
    if how == "mask":
        side = max(1, round(amount * min(height, width)))
        tops, lefts = (
            torch.randint(0, extent - side + 1, (count, 1), generator=generator)
            for extent in (height, width)
        )
        rows, columns = torch.arange(height)[None], torch.arange(width)[None]
        hidden = ((rows >= tops) & (rows < tops + side))[:, None, :, None] & (
            (columns >= lefts) & (columns < lefts + side)
        )[:, None, None, :]
        return images.masked_fill(hidden, HIDDEN)
    factor = max(1, int(amount))
    small = (max(1, -(-height // factor)), max(1, -(-width // factor)))
    coarse = functional.interpolate(images, size=small, mode="area")
    return functional.interpolate(coarse, size=(height, width), mode="nearest")


def damage(
    images: NDArray[np.floating], how: str, amount: float, *, seed: int = 0
) -> NDArray[np.float32]:
    """As `corrupt`, arrays in and arrays out.

    Args:
        images: (N, C, H, W) in [0, 1].
        how: as for `corrupt`.
        amount: as for `corrupt`.
        seed: of the noise and of the square's place.

    Returns:
        (N, C, H, W) in [0, 1].
    """
    pixels = torch.from_numpy(np.ascontiguousarray(images, np.float32))
    damaged: NDArray[np.float32] = corrupt(
        pixels, how, amount, torch.Generator().manual_seed(seed)
    ).numpy()
    return damaged

"""A drawing encoded while it is made: prepared as an upload is, and held against the encodings."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from explorer.images.fitting import Course, ModelInput, fit_to_model
from explorer.images.preparation import Preparation
from explorer.latent.axes import kl_per_axis
from explorer.live.model import OpenedModel
from explorer.live.protocol import VOTES
from explorer.live.threads import use_one_thread


@dataclass(frozen=True, eq=False, slots=True)
class EncodedDrawing:
    """What a model makes of a drawing.

    Attributes:
        input, reconstruction: pixels, H x W x C uint8.
        mean: (D,).
        log_var: (D,), or None for an AE.
        nll: reconstruction_nll at the mean code, nats.
        kl: nats; NaN for an AE.
        labels: of the nearest encodings, (12,) or fewer; (0,) where they have none.
    """

    input: bytes
    reconstruction: bytes
    mean: NDArray[np.float32]
    log_var: NDArray[np.float32] | None
    nll: float
    kl: float
    labels: NDArray[np.int64]


def encode_drawing(model: OpenedModel, drawing: NDArray[np.uint8]) -> EncodedDrawing:
    """Prepare and encode a drawing.

    Args:
        model: the checkpoint.
        drawing: (H, W, 1) or (H, W, 3).
    """
    use_one_thread()
    image = to_input(
        drawing, ModelInput(model.config.data.image_shape, model.config.data.background)
    )
    mean, log_var = model.codec.encode(image[None])
    kl = math.nan if log_var is None else float(kl_per_axis(mean, log_var).sum())
    labels = model.encodings.labels
    return EncodedDrawing(
        input=to_pixels(image),
        reconstruction=model.codec.decode_pixels(mean)[0].tobytes(),
        mean=mean[0],
        log_var=None if log_var is None else log_var[0],
        nll=float(model.codec.reconstruction_nll(image[None], mean)[0]),
        kl=kl,
        labels=np.empty(0, np.int64)
        if labels is None
        else labels[model.nearest(mean[0], VOTES)[1]],
    )


def to_input(drawing: NDArray[np.uint8], target: ModelInput) -> NDArray[np.float32]:
    """A drawing (H, W, 1 or 3) as a model's input, (C, H, W), all choices left to the guess."""
    picture = Image.fromarray(drawing[..., 0] if drawing.shape[2] == 1 else drawing)
    picture = picture.convert("L" if target.image_shape[0] == 1 else "RGB")
    pixels = fit_to_model(picture, Course(target, Preparation()))
    pixels = pixels.reshape(*target.image_shape[1:], target.image_shape[0]).transpose(2, 0, 1)
    return np.divide(pixels, np.float32(255), dtype=np.float32)


def to_pixels(image: NDArray[np.float32]) -> bytes:
    """(C, H, W) in [0, 1] as H x W x C uint8."""
    return np.rint(255 * image.transpose(1, 2, 0)).astype(np.uint8).tobytes()

"""The trained model on the held-out images: encodings and what each reconstruction costs."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from explorer.images.dataset import ImageSet
from explorer.models.checkpoint import Encodings
from explorer.models.codec import CHUNK, Codec
from explorer.models.config import NetworkConfig
from explorer.models.objectives import reconstruction_nll


@dataclass(frozen=True, eq=False)
class Reconstructions:
    """How well the held-out images come back.

    Attributes:
        nll: -log p(x|z) at the posterior mean code, (N,), nats per image.
        mse: mean squared error per pixel, (N,).
        null_nll, null_mse: the mean over the same images when the answer is always the mean
            training image.
    """

    nll: NDArray[np.float32]
    mse: NDArray[np.float32]
    null_nll: float
    null_mse: float


def _mean_image(images: ImageSet) -> NDArray[np.float64]:
    """The mean training image, (C, H, W) in [0, 1], without holding all of them at once."""
    total = np.zeros(images.image_shape, np.int64)
    for start in range(0, len(images.train_index), CHUNK):
        rows = images.train_index[start : start + CHUNK]
        total += images.images[rows].sum(axis=0, dtype=np.int64)
    mean: NDArray[np.float64] = total / (255 * len(images.train_index))
    return mean


def encode_held_out(
    codec: Codec, network: NetworkConfig, images: ImageSet
) -> tuple[Encodings, Reconstructions]:
    """Encode and reconstruct every held-out image.

    Args:
        codec: the trained model.
        network: its network, which names the likelihood.
        images: the images that it was trained on.

    Returns:
        The encodings, and what the reconstructions cost.
    """
    index = images.held_out_index
    mean_image = _mean_image(images)
    # Away from 0 and 1, where a Bernoulli's logit has no value; 1/512 is half a grey level.
    mean_logits = torch.logit(torch.from_numpy(mean_image).clamp(1 / 512, 1 - 1 / 512)).float()
    means, log_vars, nlls, mses = [], [], [], []
    null_nll = null_mse = 0.0
    for start in range(0, len(index), CHUNK):
        chunk = images.floats(index[start : start + CHUNK])
        mean, log_var = codec.encode(chunk)
        means.append(mean)
        if log_var is not None:
            log_vars.append(log_var)
        nlls.append(codec.reconstruction_nll(chunk, mean))
        mses.append(((codec.decode(mean) - chunk) ** 2).mean(axis=(1, 2, 3)))
        tensor = torch.from_numpy(chunk)
        null = reconstruction_nll(mean_logits.expand_as(tensor), tensor, network, codec.sigma)
        null_nll += null.sum().item()
        null_mse += float(((mean_image.astype(np.float32) - chunk) ** 2).mean(axis=(1, 2, 3)).sum())
    encodings = Encodings(
        mean=np.concatenate(means),
        log_var=np.concatenate(log_vars) if log_vars else None,
        labels=None if images.labels is None else images.labels[index],
        index=index,
    )
    reconstructions = Reconstructions(
        nll=np.concatenate(nlls),
        mse=np.concatenate(mses),
        null_nll=null_nll / len(index),
        null_mse=null_mse / len(index),
    )
    return encodings, reconstructions

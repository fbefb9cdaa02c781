"""How the decoder stretches the latent space: its derivative, arrays in and arrays out."""

import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import jvp

from explorer.models.codec import Codec

# Derivatives of images held at once: 32 MB of float32.
_MOST_VALUES = 8_000_000


def pullback_metric(codec: Codec, latents: NDArray[np.floating]) -> NDArray[np.float64]:
    """G = J^T J of the decoder's mean image at codes: what a step dz changes, |J dz|^2 = dz^T G dz.

    The square root of G's determinant is how much the decoder magnifies volume; the roots of its
    eigenvalues are J's singular values.

    Args:
        codec: the model.
        latents: codes, (N, D).

    Returns:
        (N, D, D), in grey levels of [0, 1], squared and summed over pixels and channels, per unit
        of z squared.

    Source: Arvanitidis, Hansen & Hauberg 2018, arXiv:1710.11379; of the mean image alone, since an
    AE's decoder has no variance.
    """
    codes = codec.as_latents(latents)
    count, dim = codes.shape
    pixels = int(np.prod(codec.image_shape))
    step = max(1, _MOST_VALUES // (pixels * dim))
    metric = np.empty((count, dim, dim))
    for start in range(0, count, step):
        jacobian = _jacobian(codec, codes[start : start + step]).double()
        metric[start : start + step] = (jacobian @ jacobian.transpose(1, 2)).cpu().numpy()
    return metric


def _jacobian(codec: Codec, codes: Tensor) -> Tensor:
    """Derivatives of the images along each axis, (n, D, pixels): one forward pass an axis."""

    def decode(latents: Tensor) -> Tensor:
        return codec.model.decode(latents).flatten(1)

    columns = []
    with torch.no_grad(), warnings.catch_warnings():
        # torch compiles rules for the forward mode when it is first used, by what it deprecates.
        warnings.filterwarnings("ignore", message="`torch.jit.script`")
        for axis in range(codes.shape[1]):
            along = torch.zeros_like(codes)
            along[:, axis] = 1.0
            columns.append(jvp(decode, (codes,), (along,))[1])
    return torch.stack(columns, dim=1)

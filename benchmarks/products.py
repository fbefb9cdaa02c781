"""The matrix products that a training step needs, and how fast this machine multiplies."""

import time
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from explorer.models.autoencoder import Autoencoder

SIDES = (256, 384, 512, 768, 1024, 1536, 2048)


def pixel_pairs(small: int, large: int, layer: nn.Module, axis: int) -> int:
    """How often a kernel's row meets a pixel, rather than the zeros around the image.

    Args:
        small: the side after the stride, in pixels; that of a transposed convolution's input.
        large: the side before it.
        layer: a convolution, transposed or not.
        axis: of its kernel, 0 or 1.
    """
    kernel, stride = layer.kernel_size[axis], layer.stride[axis]
    first = -layer.padding[axis]
    return sum(
        0 <= first + stride * place + tap < large for place in range(small) for tap in range(kernel)
    )


def count_products(layer: nn.Module, inputs: Sequence[int], outputs: Sequence[int]) -> int:
    """Multiplications of one layer for one image, forward.

    Args:
        layer: any module; one without a matrix product has 0.
        inputs: shape of its input, without the batch.
        outputs: shape of its output, without the batch.
    """
    if isinstance(layer, nn.Linear):
        return layer.in_features * layer.out_features
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        small, large = outputs[1:], inputs[1:]
        if isinstance(layer, nn.ConvTranspose2d):
            small, large = large, small
        height, width = (pixel_pairs(small[axis], large[axis], layer, axis) for axis in (0, 1))
        return layer.in_channels * layer.out_channels * height * width // layer.groups
    return 0


def count_flops(model: Autoencoder) -> int:
    """Floating-point operations of the matrix products that a training step needs for one image.

    Forward, to the weights and to the inputs they are as many each; to the images, none are needed.
    """
    counts: list[int] = []

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        counts.append(count_products(layer, inputs[0].shape[1:], output.shape[1:]))

    layers = [
        layer
        for layer in model.modules()
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)
    ]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    with torch.no_grad():
        model.decode_logits(model.encode(torch.zeros(1, *model.image_shape)).mean)
    for hook in hooks:
        hook.remove()
    first, total = counts[0], sum(counts)
    return 2 * (3 * total - first)


def time_products(side: int, seconds: float) -> float:
    """Floating-point operations per second of `torch.mm` on square float32 matrices."""
    left, right, out = (torch.ones(side, side) for _ in range(3))
    torch.mm(left, right, out=out)
    done, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        torch.mm(left, right, out=out)
        done += 1
    return 2 * done * side**3 / elapsed

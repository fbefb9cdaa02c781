"""Training: configuration, the loop and the run that makes a checkpoint."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from explorer.images.dataset import ImageSet
    from explorer.training.config import TrainConfig
    from explorer.training.loop import EpochReport


def train(config: "TrainConfig", images: "ImageSet | None" = None) -> "Iterator[EpochReport]":
    """Train, an epoch a step, on this process's best device; nothing is written.

    Args:
        config: the run's settings.
        images: what to train on; None loads what `config.data` names.

    Yields:
        A report an epoch: losses, KL per axis, the codes of the same held-out images and the
        decoder's answers to the same codes.

    Raises:
        ExplorerError: if the data cannot be used, or the loss is no longer finite.
    """
    # Torch takes two seconds to import, which reading the flags is not to pay.
    from explorer.images.registry import load_images
    from explorer.training.loop import Trainer
    from explorer.training.processes import Processes, pick_device

    if images is None:
        images = load_images(config.data, size=config.size)
    yield from Trainer(config, images, Processes(device=pick_device())).epochs()

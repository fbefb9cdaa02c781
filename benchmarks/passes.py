"""One network trained in several ways, a pass at a time, and what they share."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace

# Ahead of our own package, which settles how waiting threads behave: here the environment does.
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from explorer.errors import DataError
from explorer.images.dataset import ImageSet
from explorer.images.registry import load_images
from explorer.models.autoencoder import Autoencoder
from explorer.models.config import NetworkConfig
from explorer.training.config import TrainConfig
from explorer.training.loop import Trainer

NETWORKS = {
    "MLP 784-400-20": NetworkConfig(architecture="mlp", latent_dim=20, hidden_dims=(400,)),
    "conv 32-64-128-256-16": NetworkConfig(
        architecture="conv", latent_dim=16, hidden_dims=(256,), width=32
    ),
}
MLP = "MLP 784-400-20"
SIDE = 28
BATCH = 128
LEARNING_RATE = 1e-3
HELD_OUT = 256  # evaluated after each pass, and not timed
WARM_UP = 20  # batches
ENDLESS = 100_000  # epochs

Pass = Callable[[], float]
"""Trains one pass and returns its images per second."""


def load_pictures() -> ImageSet:
    """MNIST where it is on this machine, else scikit-learn's digits at its size."""
    try:
        return load_images("mnist", allow_download=False)
    except DataError:
        return load_images("digits", size=(SIDE, SIDE))


def take(images: ImageSet, count: int) -> ImageSet:
    """The set with the first `count` training images, and few held-out ones."""
    return replace(
        images,
        train_index=images.train_index[:count],
        held_out_index=images.held_out_index[:HELD_OUT],
    )


def make_config(network: NetworkConfig) -> TrainConfig:
    """The settings that all share."""
    return TrainConfig(
        network=network, epochs=ENDLESS, batch_size=BATCH, learning_rate=LEARNING_RATE
    )


def fit_pass(network: NetworkConfig, images: ImageSet, seconds: float) -> ImageSet:
    """As many training images as ours takes `seconds` for, in whole batches."""
    few = take(images, WARM_UP * BATCH)
    passes = Trainer(make_config(network), few).epochs()
    next(passes)
    batches = max(1, round(next(passes).images_per_second * seconds / BATCH))
    return take(images, min(batches * BATCH, len(images.train_index) // BATCH * BATCH))


def train_ours(network: NetworkConfig, images: ImageSet) -> Pass:
    """The app's own trainer."""
    passes = Trainer(make_config(network), images).epochs()
    return lambda: next(passes).images_per_second


class Pictures(Dataset[tuple[Tensor, int]]):
    """Images one by one, each turned into floats when it is asked for, as `ToTensor` does."""

    def __init__(self, images: ImageSet) -> None:
        self._pixels = torch.from_numpy(images.images[images.train_index])

    def __len__(self) -> int:
        return len(self._pixels)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        """(C, H, W) in [0, 1], and a label that nobody reads."""
        return self._pixels[row].to(torch.float32).div(255), 0


def train_plainly(network: NetworkConfig, images: ImageSet) -> Pass:
    """The loop that one would write, after PyTorch's VAE example."""
    model = Autoencoder("vae", network, images.image_shape)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    loader = DataLoader(Pictures(images), batch_size=BATCH, shuffle=True)

    def run() -> float:
        start = time.perf_counter()
        model.train()
        total = 0.0
        for batch, _ in loader:
            optimizer.zero_grad()
            mean, log_var = model.encoder(batch)
            latents = mean + torch.randn_like(mean) * torch.exp(0.5 * log_var)
            decoded = torch.sigmoid(model.decode_logits(latents))
            nll = functional.binary_cross_entropy(decoded, batch, reduction="sum")
            kl = -0.5 * torch.sum(1 + log_var - mean.pow(2) - log_var.exp())
            loss = nll + kl
            loss.backward()
            total += loss.item()
            optimizer.step()
        return len(images.train_index) / (time.perf_counter() - start)

    return run


def train_pythae(network: NetworkConfig, images: ImageSet, folder: str) -> Pass:
    """The trainer of pythae, around the same layers.

    Args:
        network: the layers.
        images: what to train on.
        folder: where it may write.
    """
    from pythae.data.datasets import BaseDataset
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
    from pythae.trainers.training_callbacks import ProgressBarCallback

    model = Autoencoder("vae", network, images.image_shape)

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.layers = model.encoder

        def forward(self, batch: Tensor) -> ModelOutput:
            mean, log_var = self.layers(batch)
            return ModelOutput(embedding=mean, log_covariance=log_var)

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.layers = model.decoder

        def forward(self, latents: Tensor) -> ModelOutput:
            return ModelOutput(reconstruction=torch.sigmoid(self.layers(latents)))

    logging.disable(logging.WARNING)  # it tells each setting, and where it would save
    settings = VAEConfig(
        input_dim=images.image_shape, latent_dim=network.latent_dim, reconstruction_loss="bce"
    )
    pictures = torch.from_numpy(images.floats(images.train_index))
    trainer = BaseTrainer(
        VAE(settings, encoder=Encoder(), decoder=Decoder()),
        BaseDataset(pictures, torch.zeros(len(pictures))),
        training_config=BaseTrainerConfig(
            output_dir=folder,
            per_device_train_batch_size=BATCH,
            learning_rate=LEARNING_RATE,
            num_epochs=ENDLESS,
            no_cuda=True,
        ),
    )
    trainer.prepare_training()
    handler = trainer.callback_handler
    handler.callbacks = [
        callback for callback in handler.callbacks if not isinstance(callback, ProgressBarCallback)
    ]

    def run() -> float:
        start = time.perf_counter()
        trainer.train_step(1)
        return len(pictures) / (time.perf_counter() - start)

    return run

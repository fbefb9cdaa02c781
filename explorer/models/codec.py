"""A trained model with arrays at both ends."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from explorer.errors import CheckpointError
from explorer.models.autoencoder import Autoencoder
from explorer.models.checkpoint import load_config, load_weights
from explorer.models.config import CheckpointConfig
from explorer.models.objectives import objective_terms, reconstruction_nll

CHUNK = 1024  # images a pass: bounds memory without costing speed


def model_shapes(config: CheckpointConfig) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor of the model that a config describes; takes no memory for them."""
    with torch.device("meta"):
        model = Autoencoder(config.kind, config.network, config.data.image_shape)
    return {name: tuple(values.shape) for name, values in model.state_dict().items()}


def model_weights(model: Autoencoder) -> dict[str, NDArray[np.float32]]:
    """The model's tensors as arrays, by name."""
    return {
        name: values.detach().cpu().numpy().copy() for name, values in model.state_dict().items()
    }


def _chunks(values: torch.Tensor) -> list[torch.Tensor]:
    return [values[start : start + CHUNK] for start in range(0, len(values), CHUNK)]


def build_model(
    config: CheckpointConfig, weights: Mapping[str, NDArray[np.float32]]
) -> Autoencoder:
    """The model that a config describes, with these tensors."""
    model = Autoencoder(config.kind, config.network, config.data.image_shape)
    model.load_state_dict({name: torch.from_numpy(weights[name]) for name in weights})
    return model.eval()


def load_model(folder: Path) -> tuple[CheckpointConfig, Autoencoder]:
    """Open a checkpoint as torch's module.

    Raises:
        CheckpointError: saying what is wrong with the folder.
    """
    config = load_config(folder)
    return config, build_model(config, load_weights(folder, config, model_shapes(config)))


class Codec:
    """Encode images and decode codes, arrays in and arrays out, on one device.

    Args:
        model: the model; it is put into evaluation mode.
    """

    def __init__(self, model: Autoencoder) -> None:
        self._model = model.eval()
        self._device = next(model.parameters()).device
        self.kind = model.kind
        self.image_shape = model.image_shape
        self.latent_dim = model.network.latent_dim
        sigma = model.sigma()
        self.sigma = sigma if isinstance(sigma, float) else sigma.item()

    @property
    def model(self) -> Autoencoder:
        """The model itself, for what needs its derivatives."""
        return self._model

    @classmethod
    def from_folder(cls, folder: Path) -> "Codec":
        """Open a checkpoint.

        Raises:
            CheckpointError: saying what is wrong with the folder.
        """
        return cls(load_model(folder)[1])

    @classmethod
    def from_weights(
        cls, config: CheckpointConfig, weights: Mapping[str, NDArray[np.float32]]
    ) -> "Codec":
        """Build the model that a config describes around these tensors."""
        return cls(build_model(config, weights))

    def as_latents(self, latents: NDArray[np.floating]) -> torch.Tensor:
        """Codes (N, D) on the model's device.

        Raises:
            CheckpointError: another D.
        """
        if latents.ndim != 2 or latents.shape[1] != self.latent_dim:
            raise CheckpointError(
                f"Codes of the shape {latents.shape} do not fit a model of "
                f"{self.latent_dim} latents."
            )
        return torch.from_numpy(np.ascontiguousarray(latents, np.float32)).to(self._device)

    def as_images(self, images: NDArray[np.floating]) -> torch.Tensor:
        """Images (N, C, H, W) on the model's device.

        Raises:
            CheckpointError: another (C, H, W).
        """
        if images.ndim != 4 or images.shape[1:] != self.image_shape:
            raise CheckpointError(
                f"Images of the shape {images.shape[1:]} do not fit a model of "
                f"{self.image_shape} images."
            )
        return torch.from_numpy(np.ascontiguousarray(images, np.float32)).to(self._device)

    @torch.inference_mode()
    def encode(
        self, images: NDArray[np.floating]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """The posterior of each image.

        Args:
            images: (N, C, H, W) in [0, 1].

        Returns:
            mean (N, D), and log_var (N, D) or None for an AE.
        """
        means, log_vars = [], []
        for chunk in _chunks(self.as_images(images)):
            posterior = self._model.encode(chunk)
            means.append(posterior.mean)
            if posterior.log_var is not None:
                log_vars.append(posterior.log_var)
        mean = torch.cat(means).cpu().numpy()
        return mean, torch.cat(log_vars).cpu().numpy() if log_vars else None

    @torch.inference_mode()
    def decode(self, latents: NDArray[np.floating]) -> NDArray[np.float32]:
        """The mean image of each code.

        Args:
            latents: (N, D).

        Returns:
            (N, C, H, W) in [0, 1].
        """
        images = [self._model.decode(chunk) for chunk in _chunks(self.as_latents(latents))]
        return torch.cat(images).cpu().numpy()

    def decode_pixels(self, latents: NDArray[np.floating]) -> NDArray[np.uint8]:
        """The mean image of each code as pixels, (N, H, W, C), rounded to nearest."""
        pixels = np.rint(self.decode(latents) * 255).astype(np.uint8)
        return np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))

    @torch.inference_mode()
    def reconstruction_nll(
        self, images: NDArray[np.floating], latents: NDArray[np.floating]
    ) -> NDArray[np.float32]:
        """-log p(x|z) of each image at the code beside it.

        Args:
            images: (N, C, H, W) in [0, 1].
            latents: (N, D).

        Returns:
            (N,), nats per image.
        """
        parts = []
        for image, code in zip(
            _chunks(self.as_images(images)),
            _chunks(self.as_latents(latents)),
            strict=True,
        ):
            logits = self._model.decode_logits(code)
            parts.append(
                reconstruction_nll(logits, image, self._model.network, self._model.sigma())
            )
        return torch.cat(parts).cpu().numpy()

    @torch.inference_mode()
    def bound_terms(
        self, images: NDArray[np.floating], *, seed: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The terms of the negative ELBO of each image, one posterior draw an image.

        Args:
            images: (N, C, H, W) in [0, 1].
            seed: of the draws.

        Returns:
            reconstruction_nll (N,) and kl (N,), nats per image.
        """
        generator = torch.Generator(self._device).manual_seed(seed)
        terms = [
            objective_terms(self._model, chunk, generator)
            for chunk in _chunks(self.as_images(images))
        ]
        nll, kl = (torch.cat(part).cpu().numpy() for part in zip(*terms, strict=True))
        return nll, kl

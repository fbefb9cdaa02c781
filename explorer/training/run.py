"""From a finished training to the checkpoint folder."""

import platform
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import torch

from explorer import __version__
from explorer.images.dataset import ImageSet
from explorer.latent.axes import summarise_axes
from explorer.latent.projection import Projection, save_projection
from explorer.models.autoencoder import Autoencoder
from explorer.models.checkpoint import (
    CARD,
    HISTORY,
    PROJECTION,
    Encodings,
    check_storable,
    held_out_loss,
    save_checkpoint,
)
from explorer.models.codec import Codec
from explorer.models.config import CheckpointConfig, DataConfig, NetworkConfig
from explorer.training.config import TrainConfig
from explorer.training.loop import EpochReport, Trainer
from explorer.training.naming import checkpoint_name
from explorer.training.runs import write_history

RECORDED = ("torch", "numpy", "umap-learn", "scikit-learn", "streamlit")


def checkpoint_config(trainer: Trainer) -> CheckpointConfig:
    """What stands in config.json, before the encodings are known."""
    return _describe(trainer.config, trainer.images, trainer.history, trainer.best, trainer.init)


def _describe(
    config: TrainConfig,
    images: ImageSet,
    history: Sequence[EpochReport] = (),
    best: EpochReport | None = None,
    init: str = "",
) -> CheckpointConfig:
    metrics: dict[str, float] = {}
    if best is not None:
        metrics = {
            "held_out_loss": best.held_out.loss,
            "held_out_negative_elbo": best.held_out.reconstruction_nll + best.held_out.kl,
            "held_out_reconstruction_nll": best.held_out.reconstruction_nll,
            "held_out_kl": best.held_out.kl,
            "best_epoch": best.epoch,
            "images_per_second": round(
                sum(report.images_per_second for report in history) / len(history)
            ),
        }
        if config.kind == "infovae":
            metrics["held_out_mmd"] = best.held_out.mmd
        if config.kind == "ae":
            del metrics["held_out_negative_elbo"], metrics["held_out_kl"]
    return CheckpointConfig(
        name=checkpoint_name(config),
        kind=config.kind,
        network=config.network,
        data=DataConfig(
            name=images.name,
            image_shape=images.image_shape,
            classes=images.classes,
            fingerprint=images.fingerprint,
            background=images.background,
            credit=images.credit,
            licence=images.licence,
        ),
        training={
            **config.training(),
            "corrupt_amount": config.amount,
            "optimizer": "adam",
            "epochs_run": len(history),
            "train_images": len(images.train_index),
            "held_out_images": len(images.held_out_index),
            **({"init": init} if init else {}),
        },
        metrics=metrics,
        versions={
            "latent-explorer": __version__,
            "python": platform.python_version(),
            **{package: version(package) for package in RECORDED},
        },
    )


def check_result(config: TrainConfig, images: ImageSet) -> None:
    """See, before memory is taken and time is spent, that what will be saved can be opened.

    Raises:
        ConfigError: what would be refused.
    """
    with torch.device("meta"):
        model = Autoencoder(config.kind, config.network, images.image_shape)
    size = sum(one.numel() * one.element_size() for one in model.state_dict().values())
    check_storable(
        _describe(config, images),
        size,
        len(images.held_out_index),
        "give smaller --hidden-dims, --width or --latent-dim, or fewer images and classes",
    )


def best_codec(trainer: Trainer) -> Codec:
    """The model of the best epoch."""
    return Codec.from_weights(checkpoint_config(trainer), trainer.best_weights)


def describe_likelihood(network: NetworkConfig) -> str:
    """The likelihood, in words."""
    if network.likelihood == "bernoulli":
        return "Bernoulli likelihood"
    if network.learn_sigma:
        return "Gaussian likelihood, its sigma learned"
    return f"Gaussian likelihood of sigma {network.sigma:g}"


def describe_objective(config: CheckpointConfig) -> str:
    """What was minimised, in words."""
    training = config.training
    if config.kind == "ae":
        return "reconstruction NLL"
    if config.kind == "infovae":
        alpha, weight = training["info_alpha"], training["info_lambda"]
        return (
            f"reconstruction NLL + {1 - alpha:g} KL + {alpha + weight - 1:g} MMD "
            f"(InfoVAE's alpha {alpha:g}, lambda {weight:g})"
        )
    if training["importance_samples"] > 1:
        return f"importance-weighted bound of {training['importance_samples']} draws"
    told = f"reconstruction NLL + {training['beta']:g} KL"
    if training["kl_warmup"]:
        told += f", the KL rising over {training['kl_warmup']} epochs"
    if training["kl_cycles"]:
        told += f", the KL rising {training['kl_cycles']} times"
    if training["free_bits"]:
        told += f", {training['free_bits']:g} free nats an axis"
    return told


def describe_corruption(config: CheckpointConfig) -> str:
    """What the model was trained to undo, in words; "" for nothing."""
    how, amount = config.training["corrupt"], config.training["corrupt_amount"]
    return {
        "none": "",
        "noise": f"Gaussian noise of standard deviation {amount:g} (a denoiser)",
        "mask": f"a hidden square, {amount:.0%} of the image's side (an inpainter)",
        "downsample": f"a downsampling by {amount:g} (a super-resolver)",
    }[how]


def write_card(path: Path, config: CheckpointConfig, command: str) -> None:
    """CARD.md: what the checkpoint is, what it was made from, and how to make it again."""
    data, network, training = config.data, config.network, config.training
    kind = {
        "vae": "A variational autoencoder (VAE)",
        "ae": "A plain autoencoder (AE)",
        "infovae": "An information-maximising variational autoencoder (InfoVAE)",
    }[config.kind]
    channels, height, width = data.image_shape
    layers = " x ".join(str(units) for units in network.hidden_dims)
    body = (
        f"convolutions from {network.width} channels, then {layers} hidden units"
        if network.architecture == "conv"
        else f"fully connected, {layers} hidden units"
    )
    loss = "reconstruction NLL" if config.kind == "ae" else "negative ELBO"
    value = held_out_loss(config)
    lines = [
        f"# {config.name}",
        "",
        f"{kind} of {network.latent_dim} latents for {Path(data.name).name} images "
        f"({channels} x {height} x {width}).",
        "",
        f"- Network: {body}; {describe_likelihood(network)}.",
        f"- Objective: {describe_objective(config)}, Adam {training['learning_rate']:g}, "
        f"batches of {training['batch_size']}, {training['epochs_run']} epochs, "
        f"seed {training['seed']}.",
        *([f"- It began with the weights of {training['init']}."] if "init" in training else []),
        *([f"- It undoes: {undone}."] if (undone := describe_corruption(config)) else []),
        f"- Held-out {loss}: {value:.2f} nats per image over "
        f"{training['held_out_images']:,} images, one posterior draw each. The weights are those "
        f"of epoch {config.metrics['best_epoch']}, the best by the held-out objective.",
        "",
        "Train it again:",
        "",
        "```",
        command,
        "```",
        "",
        "## Data",
        "",
    ]
    if data.credit:
        lines.append(f"{data.name}: {data.credit}. Licence: {data.licence}.")
    else:
        lines.append("The user's own images; their licence is the user's to state.")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def save_run(
    folder: Path,
    trainer: Trainer,
    encodings: Encodings,
    projection: Projection,
    *,
    command: str,
    more: Mapping[str, Callable[[Path], None]],
    lost: Callable[[str, Exception], None] | None = None,
) -> CheckpointConfig:
    """Write the checkpoint of the best epoch.

    Args:
        folder: where; a checkpoint that stands there is replaced.
        trainer: the finished, or interrupted, training.
        encodings: of the held-out images by the best epoch's model.
        projection: of their codes.
        command: the command line that trains it again.
        more: a writer for each further file, by name.
        lost: is told what the checkpoint can be read without, and could not be written; without
            it that raises.

    Returns:
        What stands in config.json.

    Raises:
        CheckpointError: if it cannot be written.
    """
    config = checkpoint_config(trainer)
    axes = summarise_axes(encodings.mean, encodings.log_var)
    metrics = {**config.metrics, "active_units": int(axes.active.sum())}
    config = CheckpointConfig(**{**vars(config), "metrics": metrics})

    def optional(name: str, write: Callable[[Path], None]) -> Callable[[Path], None]:
        def attempt(path: Path) -> None:
            try:
                write(path)
            except Exception as error:
                if lost is None:
                    raise
                path.unlink(missing_ok=True)
                lost(name, error)

        return attempt

    extra = {
        HISTORY: lambda path: write_history(path, trainer.history),
        CARD: lambda path: write_card(path, config, command),
        **more,
    }
    save_checkpoint(
        folder,
        config,
        trainer.best_weights,
        encodings,
        {
            PROJECTION: lambda path: save_projection(path, projection),
            **{name: optional(name, write) for name, write in extra.items()},
        },
    )
    return config

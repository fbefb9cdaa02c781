"""From a finished training to the checkpoint folder."""

import csv
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from explorer import __version__
from explorer.latent.axes import summarise_axes
from explorer.latent.projection import Projection, save_projection
from explorer.models.checkpoint import (
    CARD,
    HISTORY,
    PROJECTION,
    Encodings,
    held_out_loss,
    save_checkpoint,
)
from explorer.models.codec import Codec
from explorer.models.config import CheckpointConfig, DataConfig
from explorer.training.config import TrainConfig
from explorer.training.loop import EpochReport, Trainer

RECORDED = ("torch", "numpy", "umap-learn", "scikit-learn", "streamlit")
TERMS = ("reconstruction_nll", "kl", "loss")


def checkpoint_name(config: TrainConfig) -> str:
    """The name given, or one made of data, kind and latent_dim."""
    if config.name:
        return config.name
    path = Path(config.data)
    source = path.stem if path.suffix == ".npz" else path.resolve().name
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", source).strip("-._") or "images"
    return f"{readable[:60]}-{config.kind}-{config.network.latent_dim}"


def checkpoint_config(trainer: Trainer) -> CheckpointConfig:
    """What stands in config.json, before the encodings are known."""
    config, images, best = trainer.config, trainer.images, trainer.best
    metrics: dict[str, float] = {}
    if best is not None:
        metrics = {
            "held_out_loss": best.held_out.loss,
            "held_out_negative_elbo": best.held_out.reconstruction_nll + best.held_out.kl,
            "held_out_reconstruction_nll": best.held_out.reconstruction_nll,
            "held_out_kl": best.held_out.kl,
            "best_epoch": best.epoch,
            "images_per_second": round(
                sum(report.images_per_second for report in trainer.history) / len(trainer.history)
            ),
        }
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
            "beta": config.beta,
            "epochs": config.epochs,
            "epochs_run": len(trainer.history),
            "batch_size": config.batch_size,
            "optimizer": "adam",
            "learning_rate": config.learning_rate,
            "seed": config.seed,
            "train_images": len(images.train_index),
            "held_out_images": len(images.held_out_index),
        },
        metrics=metrics,
        versions={
            "latent-explorer": __version__,
            "python": platform.python_version(),
            **{package: version(package) for package in RECORDED},
        },
    )


def best_codec(trainer: Trainer) -> Codec:
    """The model of the best epoch."""
    return Codec.from_weights(checkpoint_config(trainer), trainer.best_weights)


def write_history(path: Path, history: Sequence[EpochReport]) -> None:
    """history.csv: a row an epoch, each term apart, nats per image."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        splits = ("train", "held_out")
        columns = [f"{split}_{term}" for split in splits for term in TERMS]
        writer.writerow(["epoch", *columns, "images_per_second", "seconds", "best"])
        for report in history:
            terms = [getattr(getattr(report, split), term) for split in splits for term in TERMS]
            row = [f"{value:.4f}" for value in terms]
            row += [f"{report.images_per_second:.0f}", f"{report.seconds:.2f}"]
            writer.writerow([report.epoch, *row, int(report.best)])


def write_card(path: Path, config: CheckpointConfig, command: str) -> None:
    """CARD.md: what the checkpoint is, what it was made from, and how to make it again."""
    data, network, training = config.data, config.network, config.training
    kind = {"vae": "variational autoencoder (VAE)", "ae": "plain autoencoder (AE)"}[config.kind]
    channels, height, width = data.image_shape
    layers = " x ".join(str(units) for units in network.hidden_dims)
    body = (
        f"convolutions from {network.width} channels, then {layers} hidden units"
        if network.architecture == "conv"
        else f"fully connected, {layers} hidden units"
    )
    objective = "reconstruction NLL"
    if config.kind == "vae":
        objective += f" + {training['beta']:g} KL"
    loss = "negative ELBO" if config.kind == "vae" else "reconstruction NLL"
    value = held_out_loss(config)
    weighed = " (reconstruction NLL + 1 KL)" if training["beta"] != 1 else ""
    lines = [
        f"# {config.name}",
        "",
        f"A {kind} of {network.latent_dim} latents for {Path(data.name).name} images "
        f"({channels} x {height} x {width}).",
        "",
        f"- Network: {body}; {network.likelihood} likelihood.",
        f"- Objective: {objective}, Adam {training['learning_rate']:g}, "
        f"batches of {training['batch_size']}, {training['epochs_run']} epochs, "
        f"seed {training['seed']}.",
        f"- Held-out {loss}{weighed}: {value:.2f} nats per image over "
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
) -> CheckpointConfig:
    """Write the checkpoint of the best epoch.

    Args:
        folder: where; a checkpoint that stands there is replaced.
        trainer: the finished, or interrupted, training.
        encodings: of the held-out images by the best epoch's model.
        projection: of their codes.
        command: the command line that trains it again.
        more: a writer for each further file, by name.

    Returns:
        What stands in config.json.
    """
    config = checkpoint_config(trainer)
    axes = summarise_axes(encodings.mean, encodings.log_var)
    metrics = {**config.metrics, "active_units": int(axes.active.sum())}
    config = CheckpointConfig(**{**vars(config), "metrics": metrics})
    save_checkpoint(
        folder,
        config,
        trainer.best_weights,
        encodings,
        {
            PROJECTION: lambda path: save_projection(path, projection),
            HISTORY: lambda path: write_history(path, trainer.history),
            CARD: lambda path: write_card(path, config, command),
            **more,
        },
    )
    return config

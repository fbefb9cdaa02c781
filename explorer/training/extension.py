"""Training a run for more epochs, and starting one from a checkpoint's weights."""

from dataclasses import replace
from pathlib import Path

from explorer.errors import CheckpointError, TrainingError
from explorer.images.names import escape_name
from explorer.models.checkpoint import load_config, load_weights, read_weights_header
from explorer.models.library import find_checkpoint
from explorer.training.config import TrainConfig
from explorer.training.loop import Trainer


def describe_extension(config: TrainConfig, before: int, done: int) -> list[str]:
    """What the settings that depend on the number of epochs do when it changes, in sentences.

    Args:
        config: the run's settings, with the epochs that it has now.
        before: the epochs that it had.
        done: epochs that are trained already.
    """
    told = []
    former = replace(config, epochs=before)
    if config.schedule == "cosine":
        told.append(
            f"The cosine schedule now falls to 0 over {config.epochs} epochs instead of {before}: "
            f"the learning rate goes on at {config.learning_rate_at(done):.3g}, it was at "
            f"{former.learning_rate_at(done):.3g}."
        )
    if config.kl_cycles:
        told.append(
            f"The {config.kl_cycles} KL cycles now take {config.epochs / config.kl_cycles:g} "
            f"epochs each instead of {before / config.kl_cycles:g}: the KL goes on with the weight "
            f"{config.kl_weight(done):.3g}."
        )
    if config.patience:
        told.append(
            f"The patience of {config.patience} epochs without a lower held-out loss is counted "
            f"from epoch {done} on."
        )
    return told


def start_from(trainer: Trainer, name: str, out: Path) -> str:
    """Let a training begin with a checkpoint's weights.

    Args:
        trainer: of no epoch yet.
        name: the checkpoint's name, or its folder.
        out: where its name is looked for first.

    Returns:
        The checkpoint's folder.

    Raises:
        CheckpointError: there is no such checkpoint, or it cannot be read.
        TrainingError: it is of another network.
    """
    folder = out / name if (out / name / "config.json").is_file() else find_checkpoint(name)
    config = load_config(folder)
    expected = {key: tuple(one.shape) for key, one in trainer.model.state_dict().items()}
    found = read_weights_header(folder, config)
    wrong = sorted(key for key in {*expected, *found} if expected.get(key) != found.get(key))
    if wrong:
        key = wrong[0]
        there, here = (
            f"the shape {shapes[key]}" if key in shapes else "no such tensor"
            for shapes in (found, expected)
        )
        raise TrainingError(
            f"--init {name} is of another network: its {key} has {there}, this model has {here}. "
            "Give the --kind, --architecture, --latent-dim, --hidden-dims, --width and image size "
            f"that it has ({config.kind}, {config.network.architecture}, "
            f"{config.network.latent_dim}, {' '.join(map(str, config.network.hidden_dims))}, "
            f"{config.network.width}, {' x '.join(map(str, config.data.image_shape))})."
        )
    if config.network.activation != trainer.config.network.activation:
        raise TrainingError(
            f"--init {name} was trained with --activation {config.network.activation}, this model "
            f"has {trainer.config.network.activation}: give the same."
        )
    try:
        trainer.start_from(load_weights(folder, config, expected))
    except CheckpointError as error:
        raise CheckpointError(f"--init {name}: {error}") from error
    return escape_name(str(folder.resolve()))

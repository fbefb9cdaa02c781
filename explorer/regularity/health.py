"""Whether a trained model is alive, from what its checkpoint holds.

A verdict about a latent space says nothing where the decoder answers every code with one picture,
or where the training had hardly begun. So whoever praises a model asks here first.
"""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from explorer.errors import CheckpointError, ConfigError
from explorer.latent.axes import ACTIVE_VARIANCE, kl_per_axis
from explorer.models.checkpoint import HISTORY, LARGEST_JSON
from explorer.models.config import CheckpointConfig
from explorer.regularity.definitions import NO_PRIOR
from explorer.regularity.estimate import Estimate
from explorer.training.collapse import describe_remedies, is_collapsed
from explorer.training.config import TrainConfig

if TYPE_CHECKING:
    from explorer.models.checkpoint import Encodings
    from explorer.regularity.report import RegularityReport

COLLAPSED, CONSTANT, MEAN_IMAGE = "collapsed", "constant", "mean image"
LITTLE, HARDLY_TRAINED, FALLING = "little better", "hardly trained", "falling"

# Adam moves a weight by about the learning rate a step at most (Kingma & Ba 2015, section 2.1):
# by 0.2 in so many steps of 0.001. On the digits the squared error still falls by a third after
# 204 steps.
FEWEST_STEPS = 200
ENOUGH_STEPS = 3000  # which advice aims at; the digits, MNIST and Fashion-MNIST were level by then
# Of the images' variance. One latent axis explains 0.31 of the digits', a posterior of 0.08 nats
# 0.04.
LEAST_EXPLAINED = 0.2
# Of the variance of the images, that of the decoded pictures from code to code.
LEAST_VARIED = 0.01
# A fall in the last third of the run, as a share of what the model has gained over the mean image
# or of what it could still gain, whichever is less. The levelled runs in pretrained/ have at most
# 0.061, the others at least 0.125.
MATERIAL = 0.1
# Where neither is known, as a share of the whole run's fall; the levelled runs have at most 0.066.
STEADY = 0.75  # of the pairs of epochs, how many must have the lower loss later
FEWEST_EPOCHS = 4  # from which a slope can be seen


@dataclass(frozen=True)
class Fault:
    """What is the matter with a trained model.

    Attributes:
        key: "hardly trained", "collapsed", "constant", "mean image", "little better" or "falling".
        sentence: what is the matter, with the value.
        advice: what to do, with the flags of train_vae.py.
        severe: whether no word of praise holds: the model is dead or hardly trained. A loss that
            was still falling is to be said beside a verdict, not instead of it.
    """

    key: str
    sentence: str
    advice: str
    severe: bool = True


def find_faults(
    report: "RegularityReport | None",
    history: Sequence[Mapping[str, float]],
    config: CheckpointConfig,
    *,
    encodings: "Encodings | None" = None,
    pictures: NDArray[np.floating[Any]] | None = None,
) -> tuple[Fault, ...]:
    """What is the matter with a model; () where nothing is.

    Args:
        report: the checkpoint's measured report, or None where it has none.
        history: a row an epoch, as `load_history` reads them; () where there are none.
        config: the checkpoint's.
        encodings: the checkpoint's; without them the active units and the KL are config.json's.
        pictures: the decoder's pictures of several codes, (N, C, H, W) in [0, 1]; without them a
            constant decoder is known by its reconstruction error alone.

    Returns:
        The gravest first: what hardly began, then what is dead, then what could be better.
    """
    steps = count_steps(history, config)
    hardly = steps is not None and steps < FEWEST_STEPS
    # A posterior that had no time to form has not collapsed.
    cause = _hardly_trained(steps, history, config) if hardly else _collapsed(config, encodings)
    effects = [_constant(report, config, pictures), _near_mean_image(report, history, config)]
    if cause is not None:
        effects = [fault and replace(fault, advice=cause.advice) for fault in effects]
    found = [cause, *effects, _falling(report, history, config)]
    return tuple(fault for fault in found if fault is not None)


def severe_fault(faults: Sequence[Fault]) -> Fault | None:
    """The first fault beside which no word of praise holds."""
    return next((fault for fault in faults if fault.severe), None)


def load_history(folder: Path) -> tuple[dict[str, float], ...]:
    """Read a checkpoint's history.csv: a row an epoch; () where there is none.

    Raises:
        CheckpointError: a file that is too large or no such table.
    """
    path = folder / HISTORY
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_JSON + 1)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}.") from error
    if len(content) > LARGEST_JSON:
        raise CheckpointError(f"{HISTORY} of {folder.name} takes over {LARGEST_JSON:,} bytes.")
    try:
        rows = list(csv.DictReader(io.StringIO(content.decode())))
        history = tuple({name: float(value) for name, value in row.items()} for row in rows)
    except (ValueError, TypeError, AttributeError, csv.Error) as error:
        raise CheckpointError(
            f"{HISTORY} of {folder.name} is no table of numbers ({error}): copy it again."
        ) from error
    for row in history:
        missing = {"epoch", "train_loss", "held_out_loss", "held_out_reconstruction_nll"} - set(row)
        if missing or not all(map(math.isfinite, row.values())):
            raise CheckpointError(
                f"{HISTORY} of {folder.name} lacks {', '.join(sorted(missing)) or 'finite values'}:"
                " copy it again."
            )
    return history


def count_steps(history: Sequence[Mapping[str, float]], config: CheckpointConfig) -> int | None:
    """Optimiser steps of the run, or None where the checkpoint does not say."""
    epochs = len(history) or _number(config.training, "epochs_run")
    steps = _steps_an_epoch(config)
    return None if epochs is None or steps is None else round(epochs * steps)


def _steps_an_epoch(config: CheckpointConfig) -> int | None:
    images = _number(config.training, "train_images")
    batch = _number(config.training, "batch_size")
    return None if images is None or not batch else math.ceil(images / batch)


def _number(values: Mapping[str, Any], name: str) -> float | None:
    """A value that a foreign config.json may lack, or hold as a text."""
    value = values.get(name)
    fits = isinstance(value, int | float) and math.isfinite(value) and value >= 0
    return value if fits and not isinstance(value, bool) else None


def _measure(report: "RegularityReport | None", key: str) -> Estimate | None:
    return None if report is None else report.estimate(key, NO_PRIOR)


def advise_epochs(config: CheckpointConfig, epochs: int) -> str:
    """Flags that train this model for long enough: at least three times as long as it was."""
    steps = _steps_an_epoch(config) or ENOUGH_STEPS
    return f"--epochs {max(3 * epochs, math.ceil(ENOUGH_STEPS / steps))}"


def _hardly_trained(
    steps: int | None, history: Sequence[Mapping[str, float]], config: CheckpointConfig
) -> Fault:
    epochs = len(history) or round(_number(config.training, "epochs_run") or 1)
    return Fault(
        HARDLY_TRAINED,
        f"The model is hardly trained: {steps} step{'' if steps == 1 else 's'} "
        f"({epochs} epoch{'' if epochs == 1 else 's'}).",
        f"Train it again with {advise_epochs(config, epochs)}.",
    )


def _collapsed(config: CheckpointConfig, encodings: "Encodings | None") -> Fault | None:
    if config.kind == "ae":
        return None
    width = config.network.latent_dim
    if encodings is not None and encodings.log_var is not None:
        active = float((encodings.mean.astype(np.float64).var(axis=0) > ACTIVE_VARIANCE).sum())
        kl = float(kl_per_axis(encodings.mean, encodings.log_var).sum(axis=1).mean())
    else:
        units, rate = (_number(config.metrics, name) for name in ("active_units", "held_out_kl"))
        if units is None or rate is None:
            return None
        active, kl = units, rate
    if not is_collapsed(active, kl):
        return None
    try:
        settings = TrainConfig.from_settings(
            {**vars(config.network), **config.training, "kind": config.kind}
        )
        remedies = describe_remedies(settings)
    except (ConfigError, TypeError):  # a foreign config.json
        remedies = "a lower --beta, --free-bits 0.1"
    return Fault(
        COLLAPSED,
        f"The posterior has collapsed: {active:.0f} of {width} dimensions are active, "
        f"KL {kl:.2f} nats.",
        f"Train it again with {remedies}.",
    )


def _constant(
    report: "RegularityReport | None",
    config: CheckpointConfig,
    pictures: NDArray[np.floating[Any]] | None,
) -> Fault | None:
    error = _measure(report, "reconstruction_mse")
    if pictures is None or len(pictures) < 2:
        return None
    varied = float(np.asarray(pictures, np.float64).var(axis=0).mean())
    # Without a report, what half a grey level is to be seen against.
    images = (0.5 / 255) ** 2 / LEAST_VARIED if error is None or not error.chance else error.chance
    if varied >= LEAST_VARIED * images:
        return None
    share = (
        f" ({varied / error.chance:.2%} of the images' variance)" if error and error.chance else ""
    )
    return Fault(
        CONSTANT,
        f"The decoder gives the same picture for every code{share}.",
        _advise_longer(config),
    )


def _advise_longer(config: CheckpointConfig) -> str:
    epochs = round(_number(config.training, "epochs_run") or 1)
    return f"Train it again with {advise_epochs(config, epochs)}, or a larger --latent-dim."


def _near_mean_image(
    report: "RegularityReport | None",
    history: Sequence[Mapping[str, float]],
    config: CheckpointConfig,
) -> Fault | None:
    error = _measure(report, "reconstruction_mse")
    if config.training.get("corrupt", "none") != "none":
        return _restoring_no_better(report, history, config)
    if error is None or not error.chance or error.low is None or error.high is None:
        return None
    if error.high >= error.chance:
        return Fault(
            MEAN_IMAGE,
            "The reconstruction is no better than the mean image: squared error "
            f"{error.value:.4f} per pixel against {error.chance:.4f}.",
            _advise_longer(config),
        )
    if 1 - error.low / error.chance < LEAST_EXPLAINED:
        return Fault(
            LITTLE,
            "The reconstruction is little better than the mean image: it explains "
            f"{1 - error.value / error.chance:.0%} of the images' variance.",
            _advise_longer(config),
        )
    return None


def _restoring_no_better(
    report: "RegularityReport | None",
    history: Sequence[Mapping[str, float]],
    config: CheckpointConfig,
) -> Fault | None:
    """Of a model that undoes damage the report measures intact images, which it never met."""
    measure = _measure(report, "reconstruction_nll")
    if measure is None or measure.chance is None or not history:
        return None
    best = min(row["held_out_reconstruction_nll"] for row in history)
    if best < measure.chance:
        return None
    return Fault(
        MEAN_IMAGE,
        f"The restored image is no better than the mean image: {best:.1f} nats against "
        f"{measure.chance:.1f}.",
        _advise_longer(config),
    )


def _falling(
    report: "RegularityReport | None",
    history: Sequence[Mapping[str, float]],
    config: CheckpointConfig,
) -> Fault | None:
    warmup = _number(config.training, "kl_warmup") or 0
    cycles, epochs = _number(config.training, "kl_cycles"), len(history)
    if cycles:
        warmup = epochs * (1 - 0.5 / cycles)
    # Before it the held-out loss weighs a KL that was hardly trained against.
    settled = [row for row in history if row["epoch"] > warmup]
    if not settled:
        return None
    losses = np.array([row["held_out_loss"] for row in settled])
    if len(settled) >= FEWEST_EPOCHS:
        fall, over = measure_fall(losses)
        sentence = (
            f"The held-out loss was still falling at the end of the training: by "
            f"{fall / over:.2g} nats an epoch over the last {over} epochs."
        )
    else:
        # Too few for a slope; but the training loss is the mean over an epoch, the held-out loss
        # that of its end.
        fall = settled[-1]["train_loss"] - float(losses[-1])
        sentence = (
            f"The loss was still falling at the end of the training: by {fall:.2g} nats from the "
            "mean of the last epoch to its end."
        )
    if fall <= 0 or fall < MATERIAL * _scale(report, settled, config):
        return None
    return Fault(
        FALLING,
        sentence,
        f"Train it again with {advise_epochs(config, epochs)}.",
        severe=False,
    )


def measure_fall(losses: NDArray[np.floating[Any]]) -> tuple[float, int]:
    """How far a loss fell in the last third of a run, and over how many epochs.

    The slope is the median of those between all pairs of epochs, so that one odd epoch does not
    matter; a loss that is not lower later in three of four pairs does not fall.

    Args:
        losses: (N,), of at least 4 epochs.

    Returns:
        The fall, >= 0, in the unit of the loss, and the number of epochs.

    Source: the slope: Theil 1950, Sen 1968; the count of pairs: Mann 1945, Kendall.
    """
    over = max(FEWEST_EPOCHS, math.ceil(len(losses) / 3))
    last = np.asarray(losses[-over:], np.float64)
    pairs = list(combinations(range(len(last)), 2))
    slopes = np.array([(last[late] - last[early]) / (late - early) for early, late in pairs])
    if (slopes < 0).mean() < STEADY:
        return 0.0, over
    return max(0.0, -float(np.median(slopes)) * over), over


def _scale(
    report: "RegularityReport | None",
    history: Sequence[Mapping[str, float]],
    config: CheckpointConfig,
) -> float:
    """What a fall of the loss is held against, nats.

    The gain over the mean image so far, or the gain still possible if that is less: the squared
    error that is left, in nats at the rate at which the model bought the rest of it (exact for a
    Gaussian likelihood). Without figures of the mean image, the fall over the whole run.
    """
    likelihood, error = (
        _measure(report, "reconstruction_nll"),
        _measure(report, "reconstruction_mse"),
    )
    best = min(history, key=lambda row: row["held_out_loss"])
    if likelihood is not None and likelihood.chance is not None:
        gain = likelihood.chance - best["held_out_reconstruction_nll"]
        if config.training.get("corrupt", "none") != "none" and gain > 0:
            return gain
        if (
            gain > 0
            and error is not None
            and error.chance is not None
            and error.chance > error.value
        ):
            return min(gain, gain * error.value / (error.chance - error.value))
    return max(0.0, history[0]["held_out_loss"] - best["held_out_loss"])

"""Whether a trained model is alive, from what its checkpoint holds.

A verdict says nothing where the decoder answers every code with one picture, or where the training
had hardly begun. So whoever praises a model, or a picture by a model, asks here first.
"""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from explorer.errors import CheckpointError, ConfigError
from explorer.latent.axes import ACTIVE_VARIANCE, kl_per_axis
from explorer.models.checkpoint import (
    HISTORY,
    REPORT,
    Encodings,
    load_config,
    load_encodings,
)
from explorer.models.config import CheckpointConfig
from explorer.regularity.definitions import NO_PRIOR
from explorer.regularity.report import RegularityReport, load_report
from explorer.storage import open_regular
from explorer.training.collapse import (
    FEWEST_STEPS,
    describe_collapsed,
    is_collapsed,
    list_remedies,
)
from explorer.training.config import TrainConfig

if TYPE_CHECKING:
    from explorer.models.codec import Codec

COLLAPSED, CONSTANT, MEAN_IMAGE = "collapsed", "constant", "mean image"
LITTLE, HARDLY_TRAINED, FALLING = "little better", "hardly trained", "falling"

# Of the images' variance. Measured on the digits: one latent axis explains 0.31 of it, a posterior
# of 0.08 nats 0.04.
LEAST_EXPLAINED = 0.2
# Of the images' variance, that of the decoded pictures from code to code.
LEAST_VARIED = 0.01
HALF_LEVEL = 0.5 / 255
FEWEST_PICTURES, MOST_PICTURES = 2, 64
# A fall over the last third of a run, as a share of what it is held against (see `_scale`). Of the
# shipped models those that have levelled out have at most 0.061, the four others at least 0.125;
# with the whole run's fall as the scale, at most 0.066.
MATERIAL = 0.1
STEADY = 0.75  # of the pairs of epochs, how many must have the lower loss later
FEWEST_EPOCHS = 4  # from which a slope can be seen
# What advice aims at: the digits' loss levels out in 3,600 steps, not in 1,200.
ENOUGH_STEPS = 3000
SMALL_BATCH = 32
_COLUMNS = ("epoch", "train_loss", "held_out_loss", "held_out_reconstruction_nll")
_LARGEST_HISTORY = 1 << 27  # bytes; of 100,000 epochs and 100 axes
_MOST_LOSSES = 200  # between which a slope is looked for; their pairs grow with the square


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
    report: RegularityReport | None,
    history: Sequence[Mapping[str, float]],
    config: CheckpointConfig,
    *,
    encodings: Encodings | None = None,
    pictures: NDArray[np.floating[Any]] | None = None,
) -> tuple[Fault, ...]:
    """What is the matter with a model; () where nothing is known to be.

    Args:
        report: the checkpoint's measured report, or None where it has none.
        history: a row an epoch, as `load_history` reads them; () where there are none.
        config: the checkpoint's.
        encodings: the checkpoint's; without them the active units and the KL are config.json's.
        pictures: the decoder's pictures of several codes, (N, C, H, W) in [0, 1]; without them a
            constant decoder is known by its reconstruction error alone.

    Returns:
        Causes before their effects, and severe ones before others.
    """
    falling = _falling(report, history, config)
    # A posterior that had no time to form, or is still forming, has not collapsed.
    cause = _hardly_trained(history, config) or _collapsed(config, encodings, falling)
    effects = [_constant(report, config, pictures), _near_mean_image(report, history, config)]
    if first := cause or falling:
        effects = [fault and replace(fault, advice=first.advice) for fault in effects]
    return tuple(fault for fault in (cause, *effects, falling) if fault is not None)


def diagnose(folder: Path, codec: "Codec | None" = None) -> tuple[Fault, ...]:
    """What is the matter with a checkpoint; () where nothing is known to be.

    A report or a history that is damaged counts as missing.

    Args:
        folder: the checkpoint.
        codec: its model, if it is opened: then its pictures are looked at too.

    Raises:
        CheckpointError: the checkpoint cannot be used.
    """
    config = load_config(folder)
    encodings = load_encodings(folder, config)
    report: RegularityReport | None = None
    history: tuple[dict[str, float], ...] = ()
    with suppress(CheckpointError):
        report = load_report(folder / REPORT)
    with suppress(CheckpointError):
        history = load_history(folder)
    return find_faults(
        report,
        history,
        config,
        encodings=encodings,
        pictures=None if codec is None else decode_some(codec, encodings),
    )


def decode_some(codec: "Codec", encodings: Encodings) -> NDArray[np.float32]:
    """The decoder's pictures of some codes, spread over the held-out images: (N, C, H, W)."""
    rows = np.linspace(0, len(encodings.mean) - 1, MOST_PICTURES).astype(np.int64)
    return codec.decode(encodings.mean[np.unique(rows)])


def describe_faults(faults: Sequence[Fault]) -> str:
    """All faults in one line, each piece of advice once; "" for none."""
    advice = dict.fromkeys(fault.advice for fault in faults)
    return " ".join([*(fault.sentence for fault in faults), *advice])


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
        with open_regular(path) as file:
            content = file.read(_LARGEST_HISTORY + 1)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}.") from error
    if len(content) > _LARGEST_HISTORY:
        raise CheckpointError(
            f"{HISTORY} of {folder.name} has more than the {_LARGEST_HISTORY:,} bytes that are "
            "read: copy it again."
        )
    try:
        rows = csv.DictReader(io.StringIO(content.decode()))
        history = tuple({name: float(row[name]) for name in _COLUMNS} for row in rows)
    except (ValueError, TypeError, KeyError, csv.Error) as error:
        raise CheckpointError(
            f"{HISTORY} of {folder.name} is no table of numbers with the columns "
            f"{', '.join(_COLUMNS)} ({error}): copy it again."
        ) from error
    if not all(math.isfinite(value) for row in history for value in row.values()):
        raise CheckpointError(
            f"{HISTORY} of {folder.name} holds values that are not finite: copy it again."
        )
    return history


def count_steps(history: Sequence[Mapping[str, float]], config: CheckpointConfig) -> int | None:
    """Optimiser steps of the run, or None where the checkpoint does not say."""
    steps = _steps_an_epoch(config)
    return None if steps is None else _count_epochs(history, config) * steps


def _count_epochs(history: Sequence[Mapping[str, float]], config: CheckpointConfig) -> int:
    return len(history) or round(_number(config.training, "epochs_run") or 1)


def _steps_an_epoch(config: CheckpointConfig) -> int | None:
    images = _number(config.training, "train_images")
    batch = _number(config.training, "batch_size")
    return None if images is None or not batch else math.ceil(images / batch)


def _number(values: Mapping[str, Any], name: str) -> float | None:
    """A value that a foreign config.json may lack, or hold as a text."""
    value = values.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and value >= 0 else None


@dataclass(frozen=True)
class _Error:
    """A reconstruction error, with its interval and that of the mean training image."""

    value: float
    low: float
    high: float
    mean_image: float


def _error(report: RegularityReport | None, key: str) -> _Error | None:
    found = None if report is None else report.estimate(key, NO_PRIOR)
    if found is None or found.low is None or found.high is None or found.chance is None:
        return None
    return _Error(found.value, found.low, found.high, found.chance)


def _train_longer(history: Sequence[Mapping[str, float]], config: CheckpointConfig) -> str:
    """Flags that train it for three times as long, and for 3,000 steps at least."""
    longer = 3 * _count_epochs(history, config)
    steps, batch = _steps_an_epoch(config), _number(config.training, "batch_size")
    images = _number(config.training, "train_images")
    if steps is None or batch is None or images is None or longer * steps >= ENOUGH_STEPS:
        return f"--epochs {longer}"
    if batch <= SMALL_BATCH:
        return f"--epochs {math.ceil(ENOUGH_STEPS / steps)}"
    # Of few images small batches make more steps, at the same cost an image.
    epochs = max(longer, math.ceil(ENOUGH_STEPS / math.ceil(images / SMALL_BATCH)))
    return f"--batch-size {SMALL_BATCH} --epochs {epochs}"


def _hardly_trained(
    history: Sequence[Mapping[str, float]], config: CheckpointConfig
) -> Fault | None:
    steps, epochs = count_steps(history, config), _count_epochs(history, config)
    if steps is None or steps >= FEWEST_STEPS:
        return None
    return Fault(
        HARDLY_TRAINED,
        f"The model is hardly trained: {steps} step{'' if steps == 1 else 's'} in "
        f"{epochs} epoch{'' if epochs == 1 else 's'}.",
        f"Train it again with {_train_longer(history, config)}.",
    )


def _collapsed(
    config: CheckpointConfig, encodings: Encodings | None, falling: Fault | None
) -> Fault | None:
    if config.kind == "ae":
        return None
    active, kl = (_number(config.metrics, name) for name in ("active_units", "held_out_kl"))
    if encodings is not None and encodings.log_var is not None:
        active = float((encodings.mean.astype(np.float64).var(axis=0) > ACTIVE_VARIANCE).sum())
        kl = float(kl_per_axis(encodings.mean, encodings.log_var).sum(axis=1).mean())
    if active is None or kl is None or not is_collapsed(active, kl):
        return None
    if active > 0 and falling is not None:
        return None
    try:
        settings = TrainConfig.from_settings(
            {**vars(config.network), **config.training, "kind": config.kind}
        )
        first, *others = list_remedies(settings)
    except (ConfigError, TypeError):  # a foreign config.json
        first, *others = "--kl-warmup 10", "--free-bits 0.1"
    more = f"; other remedies: {', '.join(others)}" if others else ""
    return Fault(
        COLLAPSED,
        describe_collapsed(active, config.network.latent_dim, kl),
        f"Train it again with {first}{more}.",
    )


def _constant(
    report: RegularityReport | None,
    config: CheckpointConfig,
    pictures: NDArray[np.floating[Any]] | None,
) -> Fault | None:
    if pictures is None or len(pictures) < FEWEST_PICTURES:
        return None
    error = _error(report, "reconstruction_mse")
    varied = float(np.asarray(pictures, np.float64).var(axis=0).mean())
    # Without a report: what differs by less than half a grey level looks the same.
    enough = HALF_LEVEL**2 if error is None else LEAST_VARIED * error.mean_image
    if varied >= enough:
        return None
    return Fault(
        CONSTANT,
        "The decoder gives the same picture for every code: its pictures differ by "
        f"{255 * math.sqrt(varied):.1f} of 255 grey levels (standard deviation).",
        _advise_change(config),
    )


def _advise_change(config: CheckpointConfig) -> str:
    """What to do about a model that learned nothing though it had the time."""
    rate, usual = _number(config.training, "learning_rate"), TrainConfig().learning_rate
    smaller = f"--learning-rate {usual:g}"
    if rate is not None and rate <= usual:
        smaller = f"a smaller --learning-rate than {rate:g}"
    return f"Train it again with {smaller}, or a larger --latent-dim."


def _near_mean_image(
    report: RegularityReport | None,
    history: Sequence[Mapping[str, float]],
    config: CheckpointConfig,
) -> Fault | None:
    if _restores(config):
        return _restores_no_better(report, history, config)
    error = _error(report, "reconstruction_mse")
    if error is None:
        return None
    if error.high >= error.mean_image:
        return Fault(
            MEAN_IMAGE,
            "The reconstruction is no better than the mean image: squared error "
            f"{error.value:.4f} per pixel against {error.mean_image:.4f}.",
            _advise_change(config),
        )
    if 1 - error.low / error.mean_image < LEAST_EXPLAINED:
        return Fault(
            LITTLE,
            "The reconstruction is little better than the mean image: it explains "
            f"{1 - error.value / error.mean_image:.0%} of the images' variance.",
            _advise_change(config),
        )
    return None


def _restores(config: CheckpointConfig) -> bool:
    """Whether the model was trained to undo damage."""
    return bool(config.training.get("corrupt", "none") != "none")


def _restores_no_better(
    report: RegularityReport | None,
    history: Sequence[Mapping[str, float]],
    config: CheckpointConfig,
) -> Fault | None:
    """The same of a model that undoes damage; the report gave it intact images, new to it."""
    error = _error(report, "reconstruction_nll")
    if error is None or not history:
        return None
    best = min(row["held_out_reconstruction_nll"] for row in history)
    if best < error.mean_image:
        return None
    return Fault(
        MEAN_IMAGE,
        f"The restored image is no better than the mean image: {best:.1f} nats against "
        f"{error.mean_image:.1f}.",
        _advise_change(config),
    )


def _falling(
    report: RegularityReport | None,
    history: Sequence[Mapping[str, float]],
    config: CheckpointConfig,
) -> Fault | None:
    warmup = _number(config.training, "kl_warmup") or 0.0
    if cycles := _number(config.training, "kl_cycles"):
        warmup = len(history) * (1 - 0.5 / cycles)
    # Before it the held-out loss weighs a KL that was hardly trained against.
    settled = [row for row in history if row["epoch"] > warmup]
    if not settled:
        return None
    losses = np.array([row["held_out_loss"] for row in settled])
    if len(settled) >= FEWEST_EPOCHS:
        fall, over = measure_fall(losses)
        how = f"by {fall / over:.2g} nats an epoch over the last {over} epochs"
    else:
        # Too few for a slope. But the training loss is the mean over an epoch, the held-out loss
        # that of its end.
        fall = settled[-1]["train_loss"] - float(losses[-1])
        how = f"by {fall:.2g} nats from the mean of the last epoch to its end"
    if fall <= 0 or fall < MATERIAL * _scale(report, settled, config):
        return None
    return Fault(
        FALLING,
        f"The held-out loss was still falling at the end of the training, {how}.",
        f"Train it again with {_train_longer(history, config)}.",
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

    Source: the slope: Sen 1968, doi:10.1080/01621459.1968.10480934; the pairs: Mann 1945,
    doi:10.2307/1907187.
    """
    over = max(FEWEST_EPOCHS, math.ceil(len(losses) / 3))
    last = np.asarray(losses[-over:], np.float64)
    some = np.unique(np.linspace(0, over - 1, min(over, _MOST_LOSSES)).astype(np.int64))
    early, late = some[np.array(list(combinations(range(len(some)), 2))).T]
    slopes = (last[late] - last[early]) / (late - early)
    if (slopes < 0).mean() < STEADY:
        return 0.0, over
    return max(0.0, -float(np.median(slopes)) * over), over


def _scale(
    report: RegularityReport | None,
    history: Sequence[Mapping[str, float]],
    config: CheckpointConfig,
) -> float:
    """What a fall of the loss is held against, nats.

    The gain over the mean image so far, or the gain still possible if that is less: the squared
    error that is left, in nats at the rate at which the model bought the rest of it (exact for a
    Gaussian likelihood). Where neither is known, the fall over the whole run.
    """
    likelihood = _error(report, "reconstruction_nll")
    squared = _error(report, "reconstruction_mse")
    best = min(history, key=lambda row: row["held_out_loss"])
    if likelihood is not None and squared is not None:
        gain = likelihood.mean_image - best["held_out_reconstruction_nll"]
        if _restores(config):
            left = math.inf
        elif squared.value < squared.mean_image:
            left = gain * squared.value / (squared.mean_image - squared.value)
        else:
            left = 0.0
        if min(gain, left) > 0:
            return min(gain, left)
    return max(0.0, history[0]["held_out_loss"] - best["held_out_loss"])

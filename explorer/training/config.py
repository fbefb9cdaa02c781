"""Every setting of a training run, with its one default."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from explorer.errors import ConfigError
from explorer.models.config import KINDS, NetworkConfig, check_choice, check_range

NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
SCHEDULES = ("constant", "cosine", "step")
CORRUPTIONS = ("none", "noise", "mask", "downsample")
PRECISIONS = ("float32", "bfloat16")
MOST_EPOCHS = 100_000


@dataclass(frozen=True)
class TrainConfig:
    """What to train, on what, and for how long.

    Attributes:
        data: a data set's name, a folder of images or an .npz file.
        kind: "vae", "ae" or "infovae".
        name: of the checkpoint; "" makes one of data, kind and latent_dim.
        network: architecture, latent_dim, likelihood.
        size: (H, W) to which a folder's images are brought; None keeps theirs.
        binarize: whether each pixel is drawn anew as 0 or 1 with its brightness as probability,
            every time that it is seen (Salakhutdinov & Murray 2008).
        corrupt: what is done to the encoder's input, and so what the model learns to undo:
            "noise" (Gaussian), "mask" (a square is hidden) or "downsample".
        corrupt_amount: standard deviation in pixel values, side of the square as a share of the
            image's, or the factor of the downsampling; 0 takes 0.3, 0.5 or 4.
        beta: weight of the KL term of a VAE (Higgins et al. 2017).
        kl_warmup: epochs over which the KL term's weight rises in a line from 0.
        kl_cycles: instead, how many times in the run it rises, each time over half a cycle (Fu et
            al. 2019, arXiv:1903.10145).
        free_bits: nats an axis below which the KL is not pushed (Kingma et al. 2016,
            arXiv:1606.04934); of the batch's mean.
        info_alpha, info_lambda: InfoVAE's alpha and lambda (arXiv:1706.02262, equation 6): the KL
            term weighs 1 - alpha, the MMD alpha + lambda - 1.
        importance_samples: draws an image; more than one trains the importance-weighted bound
            (Burda et al. 2016, arXiv:1509.00519).
        epochs: passes over the training images.
        batch_size: images a step, over all processes.
        learning_rate: Adam's.
        adam_epsilon: Adam's.
        schedule: of the learning rate: "constant", "cosine" (to 0 at the end) or "step".
        milestones: epochs after which "step" multiplies it by gamma.
        gamma: see milestones.
        clip: the largest norm of the gradient; 0 does not clip.
        ema: decay of the moving average of the weights, which is then what is evaluated and kept;
            0 keeps the weights themselves.
        patience: epochs without a lower held-out loss, after the warm-up, that end the run; 0
            never ends it early.
        precision: "float32", or "bfloat16" where the hardware has it.
        seed: of the initial weights, the order of the batches and every draw.

    Raises:
        ConfigError: naming the value and its bounds, or the settings that exclude each other.
    """

    data: str = "digits"
    kind: str = "vae"
    name: str = ""
    network: NetworkConfig = field(default_factory=NetworkConfig)
    size: tuple[int, int] | None = None
    binarize: bool = False
    corrupt: str = "none"
    corrupt_amount: float = 0.0
    beta: float = 1.0
    kl_warmup: int = 0
    kl_cycles: int = 0
    free_bits: float = 0.0
    info_alpha: float = 1.0
    info_lambda: float = 1000.0
    importance_samples: int = 1
    epochs: int = 30
    batch_size: int = 128
    learning_rate: float = 1e-3
    adam_epsilon: float = 1e-8
    schedule: str = "constant"
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1
    clip: float = 0.0
    ema: float = 0.0
    patience: int = 0
    precision: str = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, KINDS)
        if self.name and not NAME_PATTERN.fullmatch(self.name):
            raise ConfigError(
                f"name is {self.name!r}; it becomes a folder's name: 1 to 80 letters, digits, "
                "dots, underscores and dashes, a letter or digit first."
            )
        check_choice("corrupt", self.corrupt, CORRUPTIONS)
        check_choice("schedule", self.schedule, SCHEDULES)
        check_choice("precision", self.precision, PRECISIONS)
        for what, low, high in (
            ("beta", 0, 1e4),
            ("kl_warmup", 0, MOST_EPOCHS),
            ("kl_cycles", 0, 1000),
            ("free_bits", 0, 100),
            ("info_alpha", -100, 1),
            ("info_lambda", 0, 1e7),
            ("importance_samples", 1, 1000),
            ("epochs", 1, MOST_EPOCHS),
            ("batch_size", 1, 65_536),
            ("learning_rate", 1e-8, 10),
            ("adam_epsilon", 1e-12, 1),
            ("gamma", 1e-6, 1),
            ("clip", 0, 1e6),
            ("ema", 0, 0.99999),
            ("patience", 0, MOST_EPOCHS),
            ("seed", 0, 2**31 - 1),
        ):
            check_range(what, getattr(self, what), low, high)
        self._check_corruption()
        self._check_together()

    def _check_corruption(self) -> None:
        bounds = {"noise": (0.0, 10.0), "mask": (0.0, 1.0), "downsample": (0.0, 32.0)}
        if self.corrupt in bounds:
            check_range("corrupt_amount", self.corrupt_amount, *bounds[self.corrupt])
        elif self.corrupt_amount:
            raise ConfigError(
                f"corrupt_amount is {self.corrupt_amount:g}, but corrupt is 'none'; name what is "
                "done to the input: noise, mask or downsample."
            )
        if self.corrupt == "downsample" and self.corrupt_amount != int(self.corrupt_amount):
            raise ConfigError(
                f"corrupt_amount is {self.corrupt_amount:g}; downsample needs a whole factor, "
                "such as 4."
            )

    def _check_together(self) -> None:
        if self.kl_warmup and self.kl_cycles:
            raise ConfigError(
                f"kl_warmup is {self.kl_warmup} and kl_cycles {self.kl_cycles}; the KL term rises "
                "once or in cycles: give one of them."
            )
        if (self.schedule == "step") != bool(self.milestones):
            raise ConfigError(
                f"schedule is {self.schedule!r} and milestones are "
                f"{' '.join(map(str, self.milestones)) or 'none'}; schedule 'step' needs "
                "milestones, and no other schedule has them."
            )
        if any(one <= 0 for one in self.milestones) or list(self.milestones) != sorted(
            set(self.milestones)
        ):
            raise ConfigError(
                f"milestones are {' '.join(map(str, self.milestones))}; they are epochs from 1, "
                "each later than the one before."
            )
        if self.kind != "vae" and (self.beta != 1 or self.importance_samples != 1):
            what = "beta" if self.beta != 1 else "importance_samples"
            if self.kind == "infovae" or what == "importance_samples":
                raise ConfigError(
                    f"{what} is {getattr(self, what):g}, but the kind is {self.kind!r}; only a vae "
                    "has it (an infovae's KL weighs 1 - info_alpha)."
                )
        shaped = self.beta != 1 or self.kl_warmup or self.kl_cycles or self.free_bits
        if self.importance_samples > 1 and shaped:
            raise ConfigError(
                f"importance_samples is {self.importance_samples}; the importance-weighted bound "
                "has no KL term of its own: beta must be 1, without warm-up and free bits."
            )
        if self.kind == "infovae" and self.batch_size < 2:
            raise ConfigError("batch_size is 1; the MMD of an infovae needs at least 2.")
        if self.kind == "infovae" and self.info_alpha + self.info_lambda < 1:
            raise ConfigError(
                f"info_alpha is {self.info_alpha:g} and info_lambda {self.info_lambda:g}; their "
                "sum must be at least 1, or the MMD is rewarded."
            )

    @property
    def amount(self) -> float:
        """The corruption's amount, the default one where none was given."""
        usual = {"none": 0.0, "noise": 0.3, "mask": 0.5, "downsample": 4.0}
        return self.corrupt_amount or usual[self.corrupt]

    def kl_weight(self, progress: float) -> float:
        """What the KL term weighs.

        Args:
            progress: epochs done, fractions included.
        """
        full = 1 - self.info_alpha if self.kind == "infovae" else self.beta
        if self.kl_warmup:
            return full * min(1.0, progress / self.kl_warmup)
        if self.kl_cycles:
            share = progress * self.kl_cycles / self.epochs % 1
            return full * min(1.0, 2 * share)
        return full

    @property
    def full_kl_weight(self) -> float:
        """What the KL term weighs after the warm-up."""
        return 1 - self.info_alpha if self.kind == "infovae" else self.beta

    @property
    def mmd_weight(self) -> float:
        """What the MMD weighs; 0 unless the kind is infovae."""
        return self.info_alpha + self.info_lambda - 1 if self.kind == "infovae" else 0.0

    @property
    def warmup_epochs(self) -> int:
        """Epochs after which held-out losses can be compared."""
        if self.kl_cycles:
            return math.ceil(self.epochs * (1 - 0.5 / self.kl_cycles))
        return self.kl_warmup

    def learning_rate_at(self, progress: float) -> float:
        """The learning rate.

        Args:
            progress: epochs done, fractions included.
        """
        if self.schedule == "cosine":
            return self.learning_rate * 0.5 * (1 + math.cos(math.pi * progress / self.epochs))
        passed = sum(progress >= milestone for milestone in self.milestones)
        return self.learning_rate * self.gamma**passed

    def training(self) -> dict[str, Any]:
        """The settings that config.json keeps under "training", as plain values."""
        plain = {
            one.name: getattr(self, one.name)
            for one in fields(self)
            if one.name not in ("data", "kind", "name", "network")
        }
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in plain.items()
        }

    def to_dict(self) -> dict[str, Any]:
        """All settings as plain values for JSON."""
        network = {**vars(self.network), "hidden_dims": list(self.network.hidden_dims)}
        return {
            "data": self.data,
            "kind": self.kind,
            "name": self.name,
            "network": network,
            "training": self.training(),
        }

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "TrainConfig":
        """From the values of flags, or of `to_dict`'s parts in one mapping; what is none is left.

        Raises:
            ConfigError: naming the value and its bounds.
        """

        def take(kind: type) -> dict[str, Any]:
            found = {one.name: settings[one.name] for one in fields(kind) if one.name in settings}
            # JSON and argparse know lists only.
            return {
                key: tuple(value) if isinstance(value, list) else value
                for key, value in found.items()
            }

        return cls(**{**take(cls), "network": NetworkConfig(**take(NetworkConfig))})


def flag_values(plain: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The settings of a config.json, or of its training part alone, by their flags' names.

    Args:
        plain: what the JSON file holds.
        where: its name, for messages.

    Raises:
        ConfigError: naming the entry that is no setting or of the wrong type.
    """
    found: dict[str, Any] = {}
    parts = dict(plain)
    if "training" in parts:
        parts["training"] = _mapping(parts["training"], where)
        data = parts.get("data")
        found["data"] = data.get("name") if isinstance(data, Mapping) else data
        found["kind"] = parts.get("kind")
        for key, value in found.items():
            if not isinstance(value, str):
                raise ConfigError(f"{key!r} in {where} is {value!r:.80}; it must be a name.")
        network = parts.get("network", {})
        parts = {**_mapping(network, where), **parts["training"]}
    defaults = {**vars(TrainConfig()), **vars(NetworkConfig())}
    # What a finished run adds to its settings.
    for derived in ("epochs_run", "optimizer", "train_images", "held_out_images", "init"):
        parts.pop(derived, None)
    for key, value in parts.items():
        if key not in defaults or key in ("data", "kind", "name", "network"):
            raise ConfigError(
                f"{where} holds {key!r}, which is no setting of a training; give a checkpoint's "
                "config.json, or its training part."
            )
        usual = defaults[key]
        whole = isinstance(value, int) and not isinstance(value, bool)
        if isinstance(usual, bool):
            fits = isinstance(value, bool)
        elif isinstance(usual, int):
            fits = whole
        elif isinstance(usual, float):
            fits = whole or isinstance(value, float)
        elif isinstance(usual, str):
            fits = isinstance(value, str)
        elif key == "size" and value is None:
            fits = True
        else:  # size, milestones, hidden_dims
            fits = isinstance(value, list) and all(type(part) is int for part in value)
            fits = fits and (key != "size" or len(value) == 2)
        if not fits:
            raise ConfigError(
                f"{key!r} in {where} is {value!r:.80}; such as {usual!r} is expected."
            )
        found[key] = tuple(value) if key == "size" and value else value
    return found


def _mapping(value: Any, where: str) -> dict[str, Any]:  # noqa: ANN401 (whatever JSON holds)
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where} is no config.json of a checkpoint: give another file.")
    return dict(value)

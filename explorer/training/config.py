"""Every setting of a training run, with its one default."""

import re
from dataclasses import dataclass, field

from explorer.errors import ConfigError
from explorer.models.config import KINDS, NetworkConfig, check_choice, check_range

NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


@dataclass(frozen=True)
class TrainConfig:
    """What to train, on what, and for how long.

    Attributes:
        data: a data set's name, a folder of images or an .npz file.
        kind: "vae" or "ae".
        name: of the checkpoint; "" makes one of data, kind and latent_dim.
        network: architecture, latent_dim, likelihood.
        beta: weight of the KL term; means nothing to an AE.
        epochs: passes over the training images.
        batch_size: images a step.
        learning_rate: Adam's.
        seed: of the initial weights, the order of the batches and the posterior draws.
        size: (H, W) to which a folder's images are brought; None keeps theirs.

    Raises:
        ConfigError: naming the value and its bounds.
    """

    data: str = "digits"
    kind: str = "vae"
    name: str = ""
    network: NetworkConfig = field(default_factory=NetworkConfig)
    beta: float = 1.0
    epochs: int = 30
    batch_size: int = 128
    learning_rate: float = 1e-3
    seed: int = 0
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, KINDS)
        if self.name and not NAME_PATTERN.fullmatch(self.name):
            raise ConfigError(
                f"name is {self.name!r}; it becomes a folder's name: 1 to 80 letters, digits, "
                "dots, underscores and dashes, a letter or digit first."
            )
        check_range("beta", self.beta, 0, 1e4)
        check_range("epochs", self.epochs, 1, 100_000)
        check_range("batch_size", self.batch_size, 1, 65_536)
        check_range("learning_rate", self.learning_rate, 1e-8, 10)
        check_range("seed", self.seed, 0, 2**31 - 1)

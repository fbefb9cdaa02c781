"""What a model is: its network, its likelihood and the data it was made for; plain values."""

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from explorer.errors import CheckpointError, ConfigError

ARCHITECTURES = ("mlp", "conv")
KINDS = ("vae", "ae", "infovae")
KIND_NAMES = {"vae": "VAE", "ae": "AE", "infovae": "InfoVAE"}
ACTIVATIONS = ("relu", "tanh")
LIKELIHOODS = ("bernoulli", "gaussian")
PROPOSALS = ("laplace", "posterior")  # what codes are drawn from to estimate log p(x)
CHANNELS = (1, 3)
SIDE_RANGE = (8, 128)
LATENT_RANGE = (1, 512)
HIDDEN_RANGE = (1, 8192)
MOST_HIDDEN = 8
WIDTH_RANGE = (1, 256)
SIGMA_RANGE = (1e-3, 10.0)


def check_range(what: str, value: float, low: float, high: float) -> None:
    """Hold a number against its bounds.

    Raises:
        ConfigError: with the value and the bounds.
    """
    if not (low <= value <= high):
        raise ConfigError(f"{what} is {value}; it must lie from {low:,} to {high:,}.")


def check_choice(what: str, value: str, allowed: tuple[str, ...]) -> None:
    """Hold a word against those allowed.

    Raises:
        ConfigError: with the value and the allowed ones.
    """
    if value not in allowed:
        raise ConfigError(f"{what} is {value!r}; it must be one of {', '.join(allowed)}.")


@dataclass(frozen=True)
class NetworkConfig:
    """The encoder and the decoder, and the likelihood p(x|z) that the decoder parameterises.

    Attributes:
        architecture: "mlp" (Kingma's fully connected one) or "conv".
        latent_dim: D.
        hidden_dims: units of the fully connected layers, encoder first to last; the decoder
            mirrors them. For "conv" they stand between the convolutions and the latents.
        width: channels of the first convolution, doubled at every halving of the image ("conv").
        activation: of the hidden layers, "relu" or "tanh".
        likelihood: "bernoulli" or "gaussian".
        sigma: standard deviation of the Gaussian likelihood, in pixel values of [0, 1].
        learn_sigma: whether sigma is learned, one for all pixels; `sigma` is where it starts.

    Raises:
        ConfigError: if a value is outside its bounds.
    """

    architecture: str = "mlp"
    latent_dim: int = 8
    hidden_dims: tuple[int, ...] = (400,)
    width: int = 32
    activation: str = "relu"
    likelihood: str = "bernoulli"
    sigma: float = 0.1
    learn_sigma: bool = False

    def __post_init__(self) -> None:
        check_choice("architecture", self.architecture, ARCHITECTURES)
        check_choice("activation", self.activation, ACTIVATIONS)
        check_choice("likelihood", self.likelihood, LIKELIHOODS)
        check_range("latent_dim", self.latent_dim, *LATENT_RANGE)
        check_range("the number of hidden_dims", len(self.hidden_dims), 1, MOST_HIDDEN)
        for units in self.hidden_dims:
            check_range("a hidden_dims entry", units, *HIDDEN_RANGE)
        check_range("width", self.width, *WIDTH_RANGE)
        check_range("sigma", self.sigma, *SIGMA_RANGE)
        if self.learn_sigma and self.likelihood != "gaussian":
            raise ConfigError(
                f"learn_sigma is set, but a likelihood of {self.likelihood!r} has no sigma; "
                "it needs gaussian."
            )


@dataclass(frozen=True)
class DataConfig:
    """The images that a model was made for.

    Attributes:
        name: what loads them again: a data set's name, or a path.
        image_shape: (C, H, W).
        classes: class names; empty without labels.
        fingerprint: hash of the pixels, which tells whether images at hand are the same.
        background: mean brightness of the images' border, [0, 1].
        credit, licence: who made the images, and under what terms.

    Raises:
        ConfigError: if the shape is outside what the networks take.
    """

    name: str
    image_shape: tuple[int, int, int]
    classes: tuple[str, ...]
    fingerprint: str
    background: float
    credit: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        channels, height, width = self.image_shape
        if channels not in CHANNELS:
            raise ConfigError(f"the images have {channels} channels; 1 (grey) or 3 (RGB) work.")
        check_range("the image height", height, *SIDE_RANGE)
        check_range("the image width", width, *SIDE_RANGE)
        check_range("the background", self.background, 0, 1)


@dataclass(frozen=True)
class CheckpointConfig:
    """config.json of a checkpoint.

    Attributes:
        name: the checkpoint's name, which is its folder's.
        kind: "vae", "ae" or "infovae".
        network: the model's network.
        data: the images it was made for.
        training: every setting of the run that made it, as plain values.
        metrics: held-out figures, nats per image where they are losses.
        versions: of the packages that made it.
    """

    name: str
    kind: str
    network: NetworkConfig
    data: DataConfig
    training: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, KINDS)

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "CheckpointConfig":
        """From plain values, strictly.

        Raises:
            CheckpointError: naming the first entry that is missing, unknown, of the wrong type or
                out of bounds.
        """
        top = _Entries(plain, "config.json")
        network = _Entries(top.take("network", dict), "network")
        data = _Entries(top.take("data", dict), "data")
        shape = data.take_list("image_shape", int)
        if len(shape) != 3:
            raise CheckpointError(f"image_shape has {len(shape)} entries; it needs [C, H, W].")
        metrics = top.take("metrics", dict)
        for key, value in metrics.items():
            if not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
                raise CheckpointError(f"the metric {key} is {value!r:.80}; it must be a number.")
        try:
            config = cls(
                name=top.take("name", str),
                kind=top.take("kind", str),
                network=NetworkConfig(
                    architecture=network.take("architecture", str),
                    latent_dim=network.take("latent_dim", int),
                    hidden_dims=tuple(network.take_list("hidden_dims", int)),
                    width=network.take("width", int),
                    activation=network.take("activation", str),
                    likelihood=network.take("likelihood", str),
                    sigma=network.take_number("sigma"),
                    learn_sigma=network.take("learn_sigma", bool),
                ),
                data=DataConfig(
                    name=data.take("name", str),
                    image_shape=(shape[0], shape[1], shape[2]),
                    classes=tuple(data.take_list("classes", str)),
                    fingerprint=data.take("fingerprint", str),
                    background=data.take_number("background"),
                    credit=data.take("credit", str),
                    licence=data.take("licence", str),
                ),
                training=top.take("training", dict),
                metrics=metrics,
                versions=top.take("versions", dict),
            )
        except ConfigError as cause:
            raise CheckpointError(f"config.json: {cause}") from cause
        top.done()
        network.done()
        data.done()
        return config


T = TypeVar("T")


def _check_text(key: str, where: str, text: str) -> None:
    """JSON can spell half a character, which no page can show and no file can hold."""
    try:
        text.encode()
    except UnicodeEncodeError as cause:
        raise CheckpointError(f"{key!r} in {where} is {text!r:.80}, which is no text.") from cause


class _Entries:
    """A mapping read entry by entry, which knows what nobody asked for."""

    def __init__(self, plain: Mapping[str, Any], where: str) -> None:
        self._plain = dict(plain)
        self._where = where

    def take(self, key: str, kind: type[T]) -> T:
        if key not in self._plain:
            raise CheckpointError(f"{self._where} has no {key!r} entry.")
        value = self._plain.pop(key)
        # bool is an int to isinstance, and no size or dimension.
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise CheckpointError(
                f"{key!r} in {self._where} is {value!r:.80}; it must be a {kind.__name__}."
            )
        if isinstance(value, str):
            _check_text(key, self._where, value)
        return value

    def take_number(self, key: str) -> float:
        value = self._plain.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53:
            self._plain[key] = float(value)
        return self.take(key, float)

    def take_list(self, key: str, kind: type[T]) -> list[T]:
        values = self.take(key, list)
        for value in values:
            if not isinstance(value, kind) or isinstance(value, bool):
                raise CheckpointError(f"{key!r} in {self._where} holds {value!r:.80}.")
            if isinstance(value, str):
                _check_text(key, self._where, value)
        return values

    def done(self) -> None:
        if self._plain:
            unknown = ", ".join(sorted(self._plain))
            raise CheckpointError(f"{self._where} has unknown entries: {unknown}.")

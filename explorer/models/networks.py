"""Encoders and decoders: one of each per architecture, for any image of 8 to 128 pixels a side."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor, nn

from explorer.models.config import NetworkConfig

SMALLEST_MAP = 4  # pixels a side below which the convolutions stop halving


_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh}


def _dense(sizes: Sequence[int], activation: Callable[[], nn.Module]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), activation()]
    return nn.Sequential(*layers)


def halvings(height: int, width: int) -> list[tuple[int, int]]:
    """The sizes that an image passes through, (height, width), its own first.

    Each convolution halves, rounding up, until the shorter side is about 4 pixels.
    """
    sizes = [(height, width)]
    while min(sizes[-1]) > SMALLEST_MAP:
        last = sizes[-1]
        sizes.append(((last[0] + 1) // 2, (last[1] + 1) // 2))
    return sizes


def build_body(network: NetworkConfig, image_shape: tuple[int, int, int]) -> nn.Sequential:
    """The encoder up to its last hidden layer: (N, C, H, W) -> (N, hidden_dims[-1]).

    Args:
        network: the architecture and its sizes.
        image_shape: (C, H, W).
    """
    channels, height, width = image_shape
    activation = _ACTIVATIONS[network.activation]
    if network.architecture == "mlp":
        return nn.Sequential(
            nn.Flatten(), _dense([channels * height * width, *network.hidden_dims], activation)
        )
    layers: list[nn.Module] = []
    sizes = halvings(height, width)
    before, after = channels, network.width
    for _ in sizes[1:]:
        layers += [nn.Conv2d(before, after, kernel_size=3, stride=2, padding=1), activation()]
        before, after = after, after * 2
    flat = before * sizes[-1][0] * sizes[-1][1]
    return nn.Sequential(*layers, nn.Flatten(), _dense([flat, *network.hidden_dims], activation))


def build_decoder(network: NetworkConfig, image_shape: tuple[int, int, int]) -> nn.Sequential:
    """The decoder: codes (N, D) -> logits of the mean image (N, C, H, W).

    Args:
        network: the architecture and its sizes; the hidden layers are the encoder's, mirrored.
        image_shape: (C, H, W).
    """
    channels, height, width = image_shape
    activation = _ACTIVATIONS[network.activation]
    mirrored = [network.latent_dim, *reversed(network.hidden_dims)]
    if network.architecture == "mlp":
        return nn.Sequential(
            _dense(mirrored, activation),
            nn.Linear(mirrored[-1], channels * height * width),
            nn.Unflatten(1, (channels, height, width)),
        )
    sizes = halvings(height, width)
    stages = len(sizes) - 1
    deepest = network.width * 2 ** (stages - 1)
    layers: list[nn.Module] = [
        _dense([*mirrored, deepest * sizes[-1][0] * sizes[-1][1]], activation),
        nn.Unflatten(1, (deepest, *sizes[-1])),
    ]
    before = deepest
    for stage in range(stages - 1, -1, -1):
        after = before // 2 if stage else channels
        target = sizes[stage]
        layers.append(
            nn.ConvTranspose2d(
                before,
                after,
                kernel_size=3,
                stride=2,
                padding=1,
                # Halving rounded up: an even size needs the one row back that the stride skipped.
                output_padding=(1 - target[0] % 2, 1 - target[1] % 2),
            )
        )
        if stage:
            layers.append(activation())
        before = after
    return nn.Sequential(*layers)


class Encoder(nn.Module):
    """Image to the parameters of q(z|x); the variance head exists in a VAE only."""

    def __init__(
        self, network: NetworkConfig, image_shape: tuple[int, int, int], *, variance: bool
    ) -> None:
        super().__init__()
        self.body = build_body(network, image_shape)
        self.mean = nn.Linear(network.hidden_dims[-1], network.latent_dim)
        self.log_var: nn.Linear | None = None
        if variance:
            self.add_variance_head(network)

    def add_variance_head(self, network: NetworkConfig) -> None:
        """Add the head that makes log_var, (N, hidden_dims[-1]) -> (N, D)."""
        self.log_var = nn.Linear(network.hidden_dims[-1], network.latent_dim)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """(N, C, H, W) in [0, 1] -> mean (N, D) and log_var (N, D) or None."""
        hidden = self.body(images)
        return self.mean(hidden), None if self.log_var is None else self.log_var(hidden)

"""The trainer's flags: parsed, and told again as the command that gives the same checkpoint."""

import argparse
import shlex
from pathlib import Path

from explorer.models.config import ARCHITECTURES, KINDS, LIKELIHOODS, NetworkConfig
from explorer.models.library import SHIPPED
from explorer.training.config import TrainConfig

DESCRIPTION = """\
Train a variational autoencoder (VAE) on images, or a plain autoencoder (AE) of the
same architecture to set beside it. The result is a checkpoint folder that the app
lists at once, also while it runs.
"""

EXAMPLES = """\
examples:
  python train_vae.py --data digits --name my-digits
  python train_vae.py --data mnist --latent-dim 2 --epochs 20
  python train_vae.py --data mnist --latent-dim 2 --epochs 20 --kind ae
  python train_vae.py --data path/to/images --size 64x64 --architecture conv --latent-dim 32

Losses are nats per image, summed over pixels and latent axes. Ctrl-C stops after the
batch and keeps the best epoch so far; a second Ctrl-C ends at once.
"""


def parse_size(text: str) -> tuple[int, int]:
    """64x64 -> (64, 64), height first."""
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no size; give HEIGHTxWIDTH in pixels, such as 64x64"
        )
    return int(parts[0]), int(parts[1])


def build_parser() -> argparse.ArgumentParser:
    """The flags, with the defaults of TrainConfig."""
    run, network = TrainConfig(), NetworkConfig()
    parser = argparse.ArgumentParser(
        prog="train_vae.py",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )

    data = parser.add_argument_group("data")
    data.add_argument(
        "--data",
        default=run.data,
        metavar="WHAT",
        help="digits, mnist or fashion-mnist (downloaded on first use), a folder of images "
        f"(its subfolders are the classes) or an .npz file (default: {run.data})",
    )
    data.add_argument(
        "--size",
        type=parse_size,
        metavar="HxW",
        help="bring a folder's images to this height and width, in pixels",
    )

    model = parser.add_argument_group("model")
    model.add_argument(
        "--kind",
        choices=KINDS,
        default=run.kind,
        help="vae, or ae: the same network without variance and KL (default: %(default)s)",
    )
    model.add_argument(
        "--latent-dim",
        type=int,
        default=network.latent_dim,
        metavar="D",
        help="number of latent axes; 2 can be seen whole (default: %(default)s)",
    )
    model.add_argument(
        "--architecture",
        choices=ARCHITECTURES,
        default=network.architecture,
        help="mlp: fully connected, fast; conv: convolutions, better on larger images "
        "(default: %(default)s)",
    )
    model.add_argument(
        "--hidden-dims",
        type=int,
        nargs="+",
        default=list(network.hidden_dims),
        metavar="UNITS",
        help="units of the hidden layers, encoder first to last; the decoder mirrors them "
        f"(default: {' '.join(map(str, network.hidden_dims))})",
    )
    model.add_argument(
        "--width",
        type=int,
        default=network.width,
        help="channels of the first convolution, conv only (default: %(default)s)",
    )
    model.add_argument(
        "--likelihood",
        choices=LIKELIHOODS,
        default=network.likelihood,
        help="of the pixels: bernoulli (cross-entropy) or gaussian (squared error) "
        "(default: %(default)s)",
    )
    model.add_argument(
        "--sigma",
        type=float,
        default=network.sigma,
        help="standard deviation of the gaussian likelihood, in pixel values of 0 to 1 "
        "(default: %(default)s)",
    )

    training = parser.add_argument_group("training")
    training.add_argument(
        "--beta",
        type=float,
        default=run.beta,
        help="weight of the KL term; 1 is the VAE, more is a beta-VAE (default: %(default)s)",
    )
    training.add_argument(
        "--epochs",
        type=int,
        default=run.epochs,
        help="passes over the training images (default: %(default)s)",
    )
    training.add_argument(
        "--batch-size",
        type=int,
        default=run.batch_size,
        help="images a step (default: %(default)s)",
    )
    training.add_argument(
        "--learning-rate",
        type=float,
        default=run.learning_rate,
        help="Adam's step size (default: %(default)s)",
    )
    training.add_argument(
        "--seed",
        type=int,
        default=run.seed,
        help="of weights, batches and draws; the same seed gives the same model "
        "(default: %(default)s)",
    )
    training.add_argument(
        "--threads",
        type=int,
        default=0,
        help="processor threads; 0 tries what is fastest here (default: %(default)s)",
    )

    result = parser.add_argument_group("result")
    result.add_argument(
        "--name", default=run.name, help="of the checkpoint (default: DATA-KIND-LATENT_DIM)"
    )
    result.add_argument(
        "--out",
        type=Path,
        default=SHIPPED,
        metavar="FOLDER",
        help="where the checkpoint folder goes (default: pretrained/, where the app looks)",
    )
    result.add_argument(
        "--overwrite", action="store_true", help="replace a checkpoint of the same name"
    )
    return parser


def command_line(parser: argparse.ArgumentParser, flags: argparse.Namespace) -> str:
    """The command that gives this checkpoint again: the flags that shape it, spelled out."""
    words = ["python", "train_vae.py"]
    for action in parser._actions:
        if action.dest in ("help", "out", "overwrite", "threads"):
            continue
        value = getattr(flags, action.dest)
        told = action.dest in ("data", "kind", "latent_dim", "epochs", "name")
        if value in (None, "") or (value == action.default and not told):
            continue
        words.append(action.option_strings[0])
        if action.dest == "size":
            words.append(f"{value[0]}x{value[1]}")
        elif isinstance(value, list):
            words += [str(part) for part in value]
        else:
            words.append(str(value))
    return shlex.join(words)


def read_config(flags: argparse.Namespace) -> TrainConfig:
    """The settings that the flags ask for.

    Raises:
        ConfigError: naming the value and its bounds.
    """
    return TrainConfig(
        data=flags.data,
        kind=flags.kind,
        name=flags.name,
        network=NetworkConfig(
            architecture=flags.architecture,
            latent_dim=flags.latent_dim,
            hidden_dims=tuple(flags.hidden_dims),
            width=flags.width,
            likelihood=flags.likelihood,
            sigma=flags.sigma,
        ),
        beta=flags.beta,
        epochs=flags.epochs,
        batch_size=flags.batch_size,
        learning_rate=flags.learning_rate,
        seed=flags.seed,
        size=flags.size,
    )

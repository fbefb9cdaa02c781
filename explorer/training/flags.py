"""The trainer's flags: parsed, and told again as the command that gives the same checkpoint."""

import argparse
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from explorer.errors import ConfigError
from explorer.images.names import escape_name
from explorer.models.config import (
    ACTIVATIONS,
    ARCHITECTURES,
    KINDS,
    LIKELIHOODS,
    NetworkConfig,
)
from explorer.models.library import SHIPPED
from explorer.training.config import (
    CORRUPTIONS,
    PRECISIONS,
    SCHEDULES,
    TrainConfig,
    flag_values,
)

DESCRIPTION = """\
Train a variational autoencoder (VAE) on images, or a plain autoencoder (AE) of the same
architecture to set beside it. The result is a checkpoint folder that the app lists at once.
"""

EXAMPLES = """\
examples:
  python train_vae.py --data mnist --latent-dim 2 --epochs 20
  python train_vae.py --data path/to/images --size 64x64 --architecture conv --latent-dim 32
  python train_vae.py --resume mnist-vae-2           go on after Ctrl-C, a crash or a power cut
  python train_vae.py evaluate mnist-vae-2           bound and likelihood of a checkpoint
  python train_vae.py gallery                        train all that is in pretrained/ again
  torchrun --nproc-per-node 2 train_vae.py --data mnist

Losses are nats per image, summed over pixels and latent axes. Ctrl-C stops after the batch and
keeps the run and the best epoch so far.
"""

DEVICES = ("auto", "cpu", "cuda", "mps")
# What says where and how to compute, and shapes no weight.
ELSEWHERE = ("help", "out", "overwrite", "threads", "device", "compile", "tensorboard", "resume")
KEPT_AT_RESUME = (set(ELSEWHERE) - {"overwrite"}) | {"data", "epochs"}


class _Compact(argparse.RawDescriptionHelpFormatter):
    """Two screens for all flags: wide lines, and no list of choices where the text has it."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=100)


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
    defaults = {**vars(run), **vars(network)}
    parser = argparse.ArgumentParser(
        prog="train_vae.py",
        usage="train_vae.py [--data WHAT] [flags]",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=_Compact,
    )

    def group(title: str) -> argparse._ArgumentGroup:
        return parser.add_argument_group(title)

    def setting(to: argparse._ArgumentGroup, flag: str, help: str, **more: Any) -> None:  # noqa: ANN401
        default = defaults[flag.replace("-", "_")]
        if isinstance(default, bool):
            to.add_argument(f"--{flag}", action="store_true", default=default, help=help)
            return
        told = " ".join(map(str, default)) if isinstance(default, tuple) else default
        if isinstance(default, tuple):
            more = {"type": int, "nargs": "+", **more}
            default = list(default)
        more.setdefault("type", type(defaults[flag.replace("-", "_")]))
        if told not in ("", None):
            help = f"{help} (default: {told})"
        to.add_argument(
            f"--{flag}",
            default=default,
            help=help,
            **{"metavar": None if "choices" in more else "X", **more},
        )

    data = group("data")
    setting(
        data, "data",
        "digits, mnist, fashion-mnist, binarized-mnist, olivetti, sprites, faces (20,000 drawn; "
        "sprites:50000 draws more), a folder of images or of IDX files, or an .npz file",
        metavar="WHAT",
    )  # fmt: skip
    data.add_argument(
        "--size", type=parse_size, default=run.size, metavar="HxW",
        help="bring a folder's images to this height and width, in pixels",
    )  # fmt: skip
    data.add_argument(
        "--skip-bad", action="store_true",
        help="leave out a folder's files that cannot be decoded, and say how many",
    )  # fmt: skip
    setting(data, "binarize", "draw every pixel anew as 0 or 1, its brightness the probability")
    setting(
        data, "corrupt", "damage the input, so that the model learns to undo it",
        choices=CORRUPTIONS,
    )  # fmt: skip
    setting(
        data, "corrupt-amount",
        "noise's standard deviation, the mask's side as a share, or the factor; 0: 0.3, 0.5, 4",
    )  # fmt: skip

    model = group("model")
    setting(model, "kind", "ae: the same network without variance and KL", choices=KINDS)
    setting(model, "latent-dim", "number of latent axes; 2 can be seen whole", metavar="D")
    setting(
        model, "architecture", "mlp is fast, conv better on larger images", choices=ARCHITECTURES
    )
    setting(model, "hidden-dims", "hidden layers, mirrored by the decoder", metavar="UNITS")
    setting(model, "width", "channels of the first convolution, conv only")
    setting(model, "activation", "of the hidden layers", choices=ACTIVATIONS)
    setting(
        model, "likelihood", "of the pixels: cross-entropy or squared error", choices=LIKELIHOODS
    )
    setting(model, "sigma", "the gaussian's standard deviation, in pixel values of 0 to 1")
    setting(model, "learn-sigma", "learn it, starting there")

    objective = group("objective")
    setting(objective, "beta", "weight of a vae's KL term; more than 1 is a beta-VAE")
    setting(objective, "kl-warmup", "epochs over which that weight rises from 0")
    setting(objective, "kl-cycles", "instead, how many times it rises in the run")
    setting(objective, "free-bits", "nats an axis below which the KL is left alone")
    setting(objective, "info-alpha", "infovae: the KL weighs 1 - alpha")
    setting(objective, "info-lambda", "infovae: the MMD weighs alpha + lambda - 1")
    setting(objective, "importance-samples", "draws an image; above 1 an IWAE is trained")

    training = group("training")
    setting(training, "epochs", "passes over the training images")
    setting(training, "batch-size", "images a step, over all processes")
    setting(training, "learning-rate", "Adam's step size")
    setting(training, "adam-epsilon", "Adam's epsilon")
    setting(training, "schedule", "of the learning rate", choices=SCHEDULES)
    setting(
        training, "milestones", "step: epochs after which the rate is multiplied", metavar="EPOCH"
    )
    setting(training, "gamma", "step: by what")
    setting(training, "clip", "largest norm of the gradient; 0 does not clip")
    setting(training, "ema", "decay of the weights' moving average, which is kept; 0: none")
    setting(training, "patience", "epochs without a lower held-out loss that end it; 0: never")
    setting(training, "precision", "bfloat16 only where the hardware has it", choices=PRECISIONS)
    setting(training, "seed", "of weights, batches and draws; the same gives the same model")

    machine = group("machine")
    machine.add_argument(
        "--device", choices=DEVICES, default="auto",
        help="auto takes a GPU where there is one (default: auto)",
    )  # fmt: skip
    machine.add_argument(
        "--threads", type=int, default=0, metavar="X",
        help="processor threads; 0 tries what is fastest here (default: 0)",
    )  # fmt: skip
    machine.add_argument(
        "--compile", action="store_true", help="translate the model first, which takes its time"
    )

    result = group("result")
    result.add_argument(
        "--name", default=run.name, help="of the checkpoint (default: DATA-KIND-LATENT_DIM)"
    )
    result.add_argument(
        "--out", type=Path, default=SHIPPED, metavar="FOLDER",
        help="where the checkpoint goes, the runs beside it (default: pretrained/)",
    )  # fmt: skip
    result.add_argument(
        "--overwrite", action="store_true", help="replace a checkpoint or run of the same name"
    )
    result.add_argument(
        "--resume", metavar="NAME",
        help="go on with a run, with its own settings; --epochs trains it longer, --data says "
        "where its images are now",
    )  # fmt: skip
    result.add_argument(
        "--init", default="", metavar="NAME",
        help="begin with the weights of a checkpoint of the same network",
    )  # fmt: skip
    result.add_argument(
        "--config", type=Path, metavar="FILE",
        help="take the settings of a checkpoint's config.json; flags given go before them",
    )  # fmt: skip
    result.add_argument(
        "--tensorboard", action="store_true", help="write TensorBoard's files into the run's folder"
    )
    return parser


def parse_flags(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the flags, those of a --config file under those given.

    Raises:
        ConfigError: if that file is none, or flags exclude each other.
    """
    parser = build_parser()
    flags = parser.parse_args(arguments)
    if flags.config is not None:
        parser.set_defaults(**_read_config_file(flags.config))
        flags = parser.parse_args(arguments)
    if flags.resume == "":
        raise ConfigError("--resume is ''; give the name of the run to go on with.")
    if flags.resume is not None:
        probe = build_parser()
        for action in probe._actions:
            action.default = argparse.SUPPRESS
        given = set(vars(probe.parse_args(arguments))) - KEPT_AT_RESUME
        changed = [f"--{key.replace('_', '-')}" for key in sorted(given)]
        if changed:
            raise ConfigError(
                f"{', '.join(changed)} cannot be given with --resume, which goes "
                "on with the run's own settings; leave it out, or start another run."
            )
        for key in ("data", "epochs"):
            if key not in vars(probe.parse_args(arguments)):
                setattr(flags, key, None)
    flags.out = flags.out.expanduser()
    if not 0 <= flags.threads <= 1024:
        raise ConfigError(f"threads is {flags.threads}; it must lie from 0 to 1,024.")
    return flags


def _read_config_file(path: Path) -> dict[str, Any]:
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as cause:
        raise ConfigError(
            f"{path} cannot be read as JSON ({cause}); give a checkpoint's config.json."
        ) from cause
    if not isinstance(plain, dict):
        raise ConfigError(f"{path} holds no settings; give a checkpoint's config.json.")
    return flag_values(plain, str(path))


def command_line(flags: argparse.Namespace) -> str:
    """The command that gives this checkpoint again: the flags that shape it, spelled out."""
    words = ["python", "train_vae.py"]
    for action in build_parser()._actions:
        if action.dest in (*ELSEWHERE, "config"):
            continue
        value = getattr(flags, action.dest)
        told = action.dest in ("data", "kind", "latent_dim", "epochs", "name")
        if value in (None, "", []) or (value == action.default and not told):
            continue
        flag = action.option_strings[0]
        if isinstance(value, bool):
            words.append(flag)
        elif isinstance(value, list):
            words += [flag, *map(str, value)]
        else:
            text = f"{value[0]}x{value[1]}" if action.dest == "size" else str(value)
            text = escape_name(text)
            # A value with a dash in front would be taken for a flag.
            words += [f"{flag}={text}"] if text.startswith("-") else [flag, text]
    return shlex.join(words)


def replace_flag(command: str, flag: str, value: str) -> str:
    """The command of a run of which one setting is another one now."""
    words = shlex.split(command)
    for place, word in enumerate(words):
        if word.startswith(f"{flag}="):
            words[place] = f"{flag}={value}"
        elif word == flag:
            words[place + 1] = value
    return shlex.join(words)


def read_config(flags: argparse.Namespace) -> TrainConfig:
    """The settings that the flags ask for.

    Raises:
        ConfigError: naming the value and its bounds.
    """
    return TrainConfig.from_settings(vars(flags))


def build_evaluation_parser() -> argparse.ArgumentParser:
    """The flags of `train_vae.py evaluate`."""
    parser = argparse.ArgumentParser(
        prog="train_vae.py evaluate",
        description="The bound and its terms, and an importance-weighted estimate of the "
        "likelihood (Burda et al., 1509.00519), in nats per held-out image.",
        formatter_class=_Compact,
    )
    parser.add_argument("name", help="a checkpoint's name, or its folder")
    parser.add_argument(
        "--samples", type=int, default=200, metavar="K",
        help="draws an image for the estimate (default: 200)",
    )  # fmt: skip
    parser.add_argument(
        "--images", type=int, default=0, metavar="N",
        help="evaluate the first N only; 0 takes all (default: 0)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="of the draws (default: 0)")
    parser.add_argument(
        "--threads", type=int, default=0, help="processor threads; 0 takes all (default: 0)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    return parser

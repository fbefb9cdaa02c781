"""Train a VAE, or the AE to set beside it, and save it where the app finds it.

python train_vae.py --data digits --kind vae --latent-dim 8 --epochs 30 --name my-digits
"""

import argparse
import os
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from explorer.errors import ConfigError, ExplorerError, LatentError, TrainingError

if TYPE_CHECKING:
    from explorer.images.dataset import ImageSet
    from explorer.training.config import TrainConfig
    from explorer.training.loop import Trainer

PRETRAINED = Path(__file__).resolve().parent / "pretrained"

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
    from explorer.models.config import ARCHITECTURES, KINDS, LIKELIHOODS, NetworkConfig
    from explorer.training.config import TrainConfig

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
        default=PRETRAINED,
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


def say(text: str) -> None:
    """Print a line, above a progress bar too; a reader who has left does not end the training."""
    from tqdm import tqdm

    try:
        tqdm.write(text, file=sys.stdout)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Interrupt:
    """Ctrl-C: the first asks the run to stop, a second one ends it.

    Args:
        answer: said at the first.
    """

    def __init__(self, answer: str = "") -> None:
        self.asked = False
        self._answer = answer
        self._first = 0.0

    def __enter__(self) -> "Interrupt":
        self._before = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        # Impatient fingers press twice at once, and mean one.
        if self.asked and time.monotonic() - self._first > 1:
            raise KeyboardInterrupt
        if not self.asked:
            self._first = time.monotonic()
            if self._answer:
                print(f"\n{self._answer}", file=sys.stderr)
        self.asked = True

    def __call__(self) -> bool:
        """Whether the run was asked to stop."""
        return self.asked


def train(flags: argparse.Namespace, command: str) -> Path:
    """Train as the flags say and save the checkpoint.

    Returns:
        The checkpoint's folder.

    Raises:
        ExplorerError: if the flags, the data or the run do not allow it.
    """
    from explorer.models.checkpoint import check_replaceable
    from explorer.models.config import NetworkConfig
    from explorer.storage import check_writable
    from explorer.training.config import TrainConfig
    from explorer.training.run import checkpoint_name

    config = TrainConfig(
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
    if not 0 <= flags.threads <= 1024:
        raise ConfigError(f"threads is {flags.threads}; it must lie from 0 to 1,024.")
    folder: Path = flags.out / checkpoint_name(config)
    if folder.exists() and not flags.overwrite:
        raise ConfigError(
            f"There is a checkpoint {folder.name} in {folder.parent} already; "
            "give another --name, or --overwrite to replace it."
        )
    check_replaceable(folder)

    from tqdm import tqdm

    from explorer.images.registry import load_images

    bars: dict[str, tqdm] = {}  # type: ignore[type-arg]

    def show_loading(what: str, done: int, total: int) -> None:
        if what not in bars:
            for earlier in bars.values():
                earlier.close()
            bars[what] = tqdm(total=total, desc=what, unit_scale=True, leave=False)
        bars[what].update(done - bars[what].n)

    images = load_images(config.data, size=config.size, progress=show_loading)
    for bar in bars.values():
        bar.close()
    # Now, and not after an hour of training.
    check_writable(flags.out)
    channels, height, width = images.image_shape
    say(
        f"{Path(images.name).name}: {len(images.train_index):,} training and "
        f"{len(images.held_out_index):,} held-out images of {channels} x {height} x {width}"
    )
    return fit(config, images, flags, folder, command)


def fit(
    config: "TrainConfig", images: "ImageSet", flags: argparse.Namespace, folder: Path, command: str
) -> Path:
    """The training itself, with its progress bar, and all that the checkpoint holds.

    Raises:
        ExplorerError: if the run diverges, or was stopped before its first epoch ended.
    """
    import torch
    from tqdm import tqdm

    from explorer.models.objectives import LossTerms
    from explorer.training.loop import Trainer

    trainer = Trainer(config, images)
    if flags.threads:
        torch.set_num_threads(flags.threads)
    else:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        trainer.calibrate_threads(tuple(sorted({1, min(cores or 1, 4), cores or 1})))

    def describe(terms: LossTerms) -> str:
        kl = f" + KL {terms.kl:.2f}" if config.kind == "vae" else ""
        return f"reconstruction {terms.reconstruction_nll:.2f}{kl}"

    diverged: TrainingError | None = None
    with (
        Interrupt("Stopping after this batch; Ctrl-C again ends at once.") as stopped,
        tqdm(
            total=config.epochs * len(images.train_index),
            unit=" images",
            unit_scale=True,
            dynamic_ncols=True,
        ) as bar,
    ):

        def on_batch(count: int, terms: LossTerms) -> None:
            bar.set_postfix_str(f"{describe(terms)} nats", refresh=False)
            bar.update(count)

        bar.set_description(f"epoch 1/{config.epochs}")
        try:
            for report in trainer.epochs(on_batch, stopped):
                held_out = report.held_out
                say(
                    f"epoch {report.epoch:>4}/{config.epochs}  "
                    f"train {report.train.loss:8.2f}  held-out {held_out.loss:8.2f} nats "
                    f"({describe(held_out)}){'  best' if report.best else ''}"
                )
                bar.set_description(f"epoch {min(report.epoch + 1, config.epochs)}/{config.epochs}")
        except TrainingError as error:
            diverged = error
    best = trainer.best
    if best is None:
        raise diverged or TrainingError(
            "Stopped before the first epoch ended: there is nothing to keep yet."
        )
    if stopped():
        say(f"Stopped; epoch {best.epoch}, the best so far, is kept.")
    with Interrupt("Saving what was trained, wait; Ctrl-C again loses it."):
        folder = finish(trainer, folder, command, replace=flags.overwrite)
    say(f"Saved {folder}: held-out loss {best.held_out.loss:.2f} nats per image.")
    if diverged is not None:
        raise TrainingError(f"{diverged} What epoch {best.epoch} had learned is saved.")
    return folder


def finish(trainer: "Trainer", folder: Path, command: str, *, replace: bool) -> Path:
    """Encode, project and measure the held-out images, and save the checkpoint.

    Args:
        trainer: the training, ended or stopped.
        folder: where the checkpoint is to go.
        command: what trains it again.
        replace: whether one of the same name may be replaced.

    Returns:
        Where it went: beside the folder, if another one took its name meanwhile.

    Raises:
        CheckpointError: if it cannot be written.
    """
    from tqdm import tqdm

    from explorer.latent.projection import fit_projection
    from explorer.models.checkpoint import REPORT
    from explorer.regularity.report import HeldOut, measure_regularity, save_report
    from explorer.training.evaluation import encode_held_out
    from explorer.training.run import best_codec, save_run

    config = trainer.config
    encodings, reconstructions = encode_held_out(
        best_codec(trainer), config.network, trainer.images
    )
    with tqdm(
        total=3,
        desc="fitting the projection",
        bar_format="{desc} {bar} {n_fmt}/{total_fmt} {elapsed}",
    ) as bar:
        projection = fit_projection(encodings.mean, seed=config.seed)
        bar.update()
        bar.set_description_str("measuring regularity")
        more = {}
        try:
            report = measure_regularity(
                HeldOut(
                    mean=encodings.mean,
                    log_var=encodings.log_var,
                    labels=encodings.labels,
                    reconstruction_nll=reconstructions.nll,
                    reconstruction_mse=reconstructions.mse,
                    null_nll=reconstructions.null_nll,
                    null_mse=reconstructions.null_mse,
                ),
                seed=config.seed,
            )
        except LatentError as error:
            # Too few images to measure with; the trained model is none the worse.
            say(f"Not measured: {error}")
        else:
            more[REPORT] = lambda path: save_report(path, report)
        bar.update()
        bar.set_description_str("saving")
        if not replace:
            folder = free_name(folder)
        save_run(
            folder,
            trainer,
            encodings,
            projection,
            command=command,
            more=more,
        )
        bar.update()
    return folder


def free_name(folder: Path) -> Path:
    """The folder, or if it is there by now, the first free one of name-2, name-3 and so on."""
    number, free = 1, folder
    while free.exists():
        number += 1
        free = folder.with_name(f"{folder.name}-{number}")
    return free


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        The exit status: 0 if a checkpoint was saved, 2 if the user has to mend something.
    """
    parser = build_parser()
    flags = parser.parse_args(arguments)
    try:
        train(flags, command_line(parser, flags))
    except ExplorerError as error:
        print(f"train_vae.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nEnded; nothing was saved.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

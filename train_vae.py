"""Train a VAE, or the AE to set beside it, and save it where the app finds it.

python train_vae.py --data digits --kind vae --latent-dim 8 --epochs 30 --name my-digits
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from explorer.errors import ConfigError, ExplorerError, LatentError, TrainingError
from explorer.training.flags import build_parser, command_line, read_config

if TYPE_CHECKING:
    from explorer.images.dataset import ImageSet
    from explorer.training.config import TrainConfig
    from explorer.training.loop import Trainer


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
    from explorer.storage import check_writable
    from explorer.training.run import checkpoint_name

    config = read_config(flags)
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
        bar_format="{bar} {n_fmt}/{total_fmt} {elapsed}  {desc}",
    ) as bar:
        projection = fit_projection(
            encodings.mean, seed=config.seed, progress=bar.set_description_str
        )
        bar.update()
        bar.set_description_str("measuring regularity")
        more = {}
        try:
            held_out = HeldOut.from_evaluation(encodings, reconstructions)
            report = measure_regularity(held_out, seed=config.seed)
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

"""Train a VAE, or the AE to set beside it, and save it where the app finds it.

python train_vae.py --data digits --kind vae --latent-dim 8 --epochs 30 --name my-digits
python train_vae.py --resume my-digits
python train_vae.py evaluate my-digits
python train_vae.py gallery
torchrun --nproc-per-node 2 train_vae.py --data mnist
"""

import argparse
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Threads that spin while they wait starve another busy process, and the app is one.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from explorer.errors import CheckpointError, ConfigError, ExplorerError, LatentError, TrainingError
from explorer.training.flags import (
    build_evaluation_parser,
    command_line,
    parse_flags,
    read_config,
)

if TYPE_CHECKING:
    from explorer.images.dataset import ImageSet
    from explorer.training.config import TrainConfig
    from explorer.training.loop import EpochReport, Trainer
    from explorer.training.processes import Processes
    from explorer.training.runs import RunFolder

SAVE_EVERY = 30.0  # seconds of training that a crash may cost in time; it never costs a result
FIRST = int(os.environ.get("RANK", "0")) == 0  # of the processes that torchrun starts, one talks


def say(text: str) -> None:
    """Print a line, above a progress bar too; a reader who has left does not end the training."""
    from tqdm import tqdm

    if not FIRST:
        return
    try:
        tqdm.write(text, file=sys.stdout)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def load_data(spec: str, size: tuple[int, int] | None) -> "ImageSet":
    """Load the images, with a bar where it takes time.

    Raises:
        DataError: if they cannot be used.
    """
    from tqdm import tqdm

    from explorer.images.registry import load_images

    bars: dict[str, tqdm] = {}  # type: ignore[type-arg]

    def show(what: str, done: int, total: int) -> None:
        if what not in bars:
            for earlier in bars.values():
                earlier.close()
            bars[what] = tqdm(
                total=total, desc=what, unit_scale=True, leave=False, disable=not FIRST
            )
        bars[what].update(done - bars[what].n)

    images = load_images(spec, size=size, progress=show)
    for bar in bars.values():
        bar.close()
    return images


def train(flags: argparse.Namespace) -> int:
    """Train as the flags say, or go on with a run, and save the checkpoint.

    Returns:
        The exit status.

    Raises:
        ExplorerError: if the flags, the data or the run do not allow it.
    """
    from explorer.models.checkpoint import check_replaceable
    from explorer.storage import check_writable
    from explorer.training.processes import join_processes

    config = find_config(flags)
    folder: Path = flags.out / config.name
    if not flags.resume:
        if folder.exists() and not flags.overwrite:
            raise ConfigError(
                f"There is a checkpoint {folder.name} in {folder.parent} already; "
                "give another --name, or --overwrite to replace it."
            )
        check_replaceable(folder)

    with ExitStack() as stack:
        processes = stack.enter_context(join_processes(flags.device))
        # The first process downloads, draws and caches; the others find it done.
        images = load_data(config.data, config.size) if processes.first else None
        processes.wait()
        if images is None:
            images = load_data(config.data, config.size)
        config = replace(config, data=images.name)
        # Now, and not after an hour of training.
        check_writable(flags.out)
        run, plain = begin_run(flags, config, images, processes, stack)
        channels, height, width = images.image_shape
        say(
            f"{Path(images.name).name}: {len(images.train_index):,} training and "
            f"{len(images.held_out_index):,} held-out images of {channels} x {height} x {width}"
        )
        return fit(config, images, flags, processes, run, plain)


def find_config(flags: argparse.Namespace) -> "TrainConfig":
    """The settings: the flags', or those of the run to go on with; the name is always given.

    Raises:
        ExplorerError: if there is no such run, or it is over.
    """
    from explorer.training.config import TrainConfig
    from explorer.training.naming import checkpoint_name

    if not flags.resume:
        config = read_config(flags)
        return replace(config, name=checkpoint_name(config))
    from explorer.training.runs import DIVERGED, FINISHED, open_run

    run = open_run(flags.out, flags.resume)
    plain = run.load() or {}
    if plain.get("status") == FINISHED:
        raise TrainingError(
            f"The run {run.name} is finished, its checkpoint is {plain['checkpoint']}; to train "
            "longer, start it afresh with more --epochs and another --name."
        )
    if plain.get("status") == DIVERGED:
        raise TrainingError(
            f"The run {run.name} diverged, and would again; start it afresh with a smaller "
            "--learning-rate."
        )
    told = plain["config"]
    return TrainConfig.from_settings({**told, **told["training"], **told["network"]})


def begin_run(
    flags: argparse.Namespace,
    config: "TrainConfig",
    images: "ImageSet",
    processes: "Processes",
    stack: ExitStack,
) -> tuple["RunFolder", dict[str, Any]]:
    """Lock the run's folder and write down, or read, what it is.

    Raises:
        ExplorerError: if another process has it, or an unfinished run would be lost.
    """
    from explorer.training.runs import TRAINING, RunFolder, runs_folder

    run = RunFolder(runs_folder(flags.out) / config.name)
    plain: dict[str, Any] | None = None
    if processes.first:
        stack.enter_context(run.locked())
        plain = run.load()
        if flags.resume:
            if plain is not None and plain["fingerprint"] != images.fingerprint:
                raise TrainingError(
                    f"The images of {images.name} are not those that the run {run.name} began "
                    "with; bring them back, or start it afresh."
                )
        else:
            if plain is not None and plain["status"] == TRAINING and not flags.overwrite:
                raise ConfigError(
                    f"There is an unfinished run {run.name} in {run.folder.parent}: --resume "
                    f"{run.name} goes on with it, --overwrite drops it."
                )
            plain = {
                "status": TRAINING,
                "config": config.to_dict(),
                "command": command_line(flags),
                "fingerprint": images.fingerprint,
                "threads": 0,
                "replace": bool(flags.overwrite),
                "checkpoint": None,
            }
            run.begin(plain)
    processes.wait()
    return run, plain or {}


def set_threads(flags: argparse.Namespace, trainer: "Trainer", plain: dict[str, Any]) -> None:
    """As many threads as asked for, as the run had before, or as are fastest here and now."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cores = cores or 1
    if flags.threads:
        torch.set_num_threads(flags.threads)
    elif plain.get("threads"):
        torch.set_num_threads(plain["threads"])
    elif trainer.processes.count > 1:
        here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        torch.set_num_threads(max(1, cores // here))
    elif trainer.processes.device.type == "cpu":
        trainer.calibrate_threads(tuple(sorted({1, min(cores, 4), cores})))
    # Other threads sum in another order: a run that goes on keeps their number.
    plain["threads"] = torch.get_num_threads()


def fit(
    config: "TrainConfig",
    images: "ImageSet",
    flags: argparse.Namespace,
    processes: "Processes",
    run: "RunFolder",
    plain: dict[str, Any],
) -> int:
    """The training itself, with its progress bar, and all that the checkpoint holds.

    Returns:
        The exit status: 0 if a checkpoint was saved or the run can go on, 143 after SIGTERM.

    Raises:
        ExplorerError: if the run diverges, or the checkpoint cannot be written.
    """
    from tqdm import tqdm

    from explorer.models.objectives import LossTerms
    from explorer.training.collapse import describe_collapse
    from explorer.training.loop import Trainer
    from explorer.training.runs import DIVERGED
    from explorer.training.signals import Stop

    trainer = Trainer(config, images, processes, compiled=flags.compile)
    set_threads(flags, trainer, plain)
    if flags.resume:
        run.load_state(trainer)
    log = open_log(flags, run, trainer)
    go_on = f"python train_vae.py --resume {config.name}"
    if flags.out != build_default_out():
        go_on += f" --out {shlex.quote(str(flags.out))}"

    def keep(write: Callable[[], None]) -> None:
        """Write into the run's folder; a disk that is full costs the safety, not the training."""
        if not processes.first:
            return
        try:
            write()
        except CheckpointError as error:
            say(f"{error} The training goes on, but could not be taken up again from here.")

    keep(lambda: run.save(plain))
    saved = time.monotonic()

    def describe(terms: LossTerms) -> str:
        told = f"reconstruction {terms.reconstruction_nll:.2f}"
        if config.kind != "ae":
            told += f" + KL {terms.kl:.2f}"
        if config.kind == "infovae":
            told += f", MMD {terms.mmd:.5f}"
        return told

    def tell(report: "EpochReport") -> None:
        held_out = report.held_out
        active = "" if config.kind == "ae" else f", {report.active_units} active"
        say(
            f"epoch {report.epoch:>4}/{config.epochs}  "
            f"train {report.train.loss:8.2f}  held-out {held_out.loss:8.2f} nats "
            f"({describe(held_out)}{active}){'  best' if report.best else ''}"
        )
        if warning := describe_collapse(config, trainer.history):
            say(warning)
        keep(lambda: run.record(trainer, report))
        if log is not None:
            log.write(report)

    def answer() -> None:
        if processes.first:
            print("\nStopping after this batch; Ctrl-C again ends at once.", file=sys.stderr)

    per_epoch = len(images.train_index)
    diverged: TrainingError | None = None
    with (
        Stop(answer) as stopped,
        tqdm(
            total=config.epochs * per_epoch,
            initial=trainer.images_done,
            unit=" images",
            unit_scale=True,
            dynamic_ncols=True,
            disable=not processes.first,
        ) as bar,
    ):

        def on_batch(count: int, terms: LossTerms) -> None:
            nonlocal saved
            bar.set_postfix_str(f"{describe(terms)} nats", refresh=False)
            bar.update(count)
            if processes.first and time.monotonic() - saved > SAVE_EVERY:
                keep(lambda: run.save_state(trainer))
                saved = time.monotonic()

        bar.set_description(f"epoch {len(trainer.history) + 1}/{config.epochs}")
        try:
            for report in trainer.epochs(on_batch, stopped):
                tell(report)
                bar.set_description(f"epoch {min(report.epoch + 1, config.epochs)}/{config.epochs}")
        except TrainingError as error:
            diverged = error
        if diverged is None:
            keep(lambda: run.save_state(trainer))
    if log is not None:
        log.close()
    if not processes.first:
        return 0

    best = trainer.best
    if diverged is not None:
        keep(lambda: run.save({**plain, "status": DIVERGED}))
        if best is None:
            raise diverged
    elif not trainer.done:
        say(f"Stopped in epoch {len(trainer.history) + 1}. Go on with: {go_on}")
        if stopped.terminated:
            return 143
        if best is None:
            return 0
        say(f"Epoch {best.epoch}, the best so far, is kept as a checkpoint meanwhile.")
    elif len(trainer.history) < config.epochs:
        say(f"Ended early: {config.patience} epochs brought no lower held-out loss.")
    return keep_checkpoint(trainer, flags.out / config.name, run, plain, diverged, go_on)


def keep_checkpoint(
    trainer: "Trainer",
    folder: Path,
    run: "RunFolder",
    plain: dict[str, Any],
    diverged: TrainingError | None,
    go_on: str,
) -> int:
    """Save the checkpoint of the best epoch and write down that the run is over, if it is.

    Raises:
        ExplorerError: if the run had diverged, or the checkpoint cannot be written.
    """
    from explorer.training.runs import DIVERGED, FINISHED, TRAINING
    from explorer.training.signals import Stop

    best = trainer.best
    assert best is not None
    # What an earlier part of this run saved is its own to replace.
    own = plain["replace"] or plain["checkpoint"] == str(folder.resolve())
    try:
        with Stop(lambda: print("\nSaving, wait; Ctrl-C again ends it.", file=sys.stderr)):
            folder = finish(trainer, folder, plain["command"], replace=own)
    except CheckpointError as error:
        raise CheckpointError(
            f"{error} What was trained is kept: make room, then {go_on}"
        ) from error
    except KeyboardInterrupt:
        say(f"No checkpoint was saved; the run is kept: {go_on}")
        return 130
    status = DIVERGED if diverged else FINISHED if trainer.done else TRAINING
    run.save({**plain, "status": status, "checkpoint": str(folder.resolve())})
    if status != TRAINING:
        run.forget_state()
    say(f"Saved {folder}: held-out loss {best.held_out.loss:.2f} nats per image.")
    if diverged is not None:
        raise TrainingError(f"{diverged} What epoch {best.epoch} had learned is saved.")
    return 0


def open_log(flags: argparse.Namespace, run: "RunFolder", trainer: "Trainer") -> Any:  # noqa: ANN401
    """TensorBoard's writer, if it is asked for.

    Raises:
        ConfigError: if tensorboard is not installed.
    """
    if not flags.tensorboard or not FIRST:
        return None
    from explorer.training.tensorboard import TensorBoardLog

    return TensorBoardLog(run.folder / "tensorboard", len(trainer.history) + 1)


def build_default_out() -> Path:
    """Where checkpoints go when nothing else is said."""
    from explorer.models.library import SHIPPED

    return SHIPPED


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


def evaluate(arguments: Sequence[str]) -> int:
    """`train_vae.py evaluate`: the bound and the likelihood of a checkpoint.

    Raises:
        ExplorerError: if the checkpoint, its data or a flag does not allow it.
    """
    flags = build_evaluation_parser().parse_args(arguments)

    from tqdm import tqdm

    from explorer.training.likelihood import evaluate_checkpoint, find_checkpoint

    folder = find_checkpoint(flags.name)
    with tqdm(unit=" images", unit_scale=True, leave=False) as bar:

        def progress(count: int, total: int) -> None:
            bar.total = total
            bar.update(count)

        evaluation = evaluate_checkpoint(
            folder,
            load_data,
            samples=flags.samples,
            most=flags.images,
            seed=flags.seed,
            threads=flags.threads,
            progress=progress,
        )
    print(evaluation.describe())
    if flags.json is not None:
        evaluation.save(flags.json)
    return 0


def gallery(arguments: Sequence[str]) -> int:
    """`train_vae.py gallery`: train what is missing of the checkpoints that come along.

    Each is a training of its own, so that this command can be stopped and given again.
    """
    from explorer.training.gallery import GALLERY, find_flags
    from explorer.training.runs import TRAINING, RunFolder, runs_folder

    parser = argparse.ArgumentParser(
        prog="train_vae.py gallery",
        description="Train each checkpoint of the gallery that is not there yet.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="these alone (default: all)")
    parser.add_argument("--out", type=Path, default=build_default_out(), metavar="FOLDER")
    parser.add_argument("--threads", type=int, default=0, help="processor threads of each")
    flags = parser.parse_args(arguments)
    if unknown := sorted(set(flags.names) - set(GALLERY)):
        raise ConfigError(f"The gallery has no {', '.join(unknown)}; it has {', '.join(GALLERY)}.")
    for name in flags.names or GALLERY:
        run = RunFolder(runs_folder(flags.out) / name)
        plain = run.load()
        unfinished = plain is not None and plain["status"] == TRAINING
        if (flags.out / name).exists() and not unfinished:
            say(f"{name} is there.")
            continue
        words = ["--resume", name] if unfinished else shlex.split(find_flags(name))
        say(f"{name}: {shlex.join(words)}")
        words += ["--out", str(flags.out), "--threads", str(flags.threads)]
        status = subprocess.run([sys.executable, __file__, *words], check=False).returncode  # noqa: S603
        plain = run.load()
        if status or plain is None or plain["status"] == TRAINING:
            return status or 130
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        The exit status: 0 if all went well, 2 if the user has to mend something.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if words[:1] == ["evaluate"]:
            return evaluate(words[1:])
        if words[:1] == ["gallery"]:
            return gallery(words[1:])
        return train(parse_flags(words))
    except ExplorerError as error:
        print(f"train_vae.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nEnded.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())

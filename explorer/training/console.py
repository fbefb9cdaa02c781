"""A training as someone at a terminal sees it: a bar, a line an epoch, and nothing lost."""

import argparse
import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from explorer.errors import CheckpointError, ConfigError, TrainingError
from explorer.images.dataset import ImageSet
from explorer.models.checkpoint import check_replaceable
from explorer.models.library import SHIPPED
from explorer.models.objectives import LossTerms
from explorer.storage import check_writable
from explorer.training.collapse import describe_collapse
from explorer.training.config import TrainConfig
from explorer.training.flags import command_line, read_config
from explorer.training.loop import EpochReport, Trainer
from explorer.training.naming import checkpoint_name
from explorer.training.processes import join_processes
from explorer.training.run import describe_choice
from explorer.training.runs import (
    DIVERGED,
    FINISHED,
    TENSORBOARD,
    TRAINING,
    RunFolder,
    open_run,
    runs_folder,
)
from explorer.training.signals import Stop
from explorer.training.streams import Forgiving
from explorer.training.tensorboard import TensorBoardLog, check_tensorboard

SAVE_EVERY = 30.0  # seconds of training that a crash may cost in time; it never costs a result
FIRST = int(os.environ.get("RANK", "0")) == 0  # of the processes that torchrun starts
TERMINATED = 143  # the exit status after SIGTERM
INTERRUPTED = 130


@dataclass(frozen=True)
class Surroundings:
    """What the command line lends to a training.

    Attributes:
        say: prints a line, of the first process alone.
        warn: prints a line at once, in the midst of a bar, of the first process alone.
        load_data: the images of a spec and a size, with a bar.
        finish: encodes, projects, measures and saves the best epoch: (trainer, folder, command,
            whether a checkpoint there may be replaced) -> where it went.
        diagnose: what is the matter with the checkpoint of a finished run, and what to do; "" for
            nothing.
    """

    say: Callable[[str], None]
    warn: Callable[[str], None]
    load_data: Callable[[str, tuple[int, int] | None], ImageSet]
    finish: Callable[[Trainer, Path, str, bool], Path]
    diagnose: Callable[[Path], str] = lambda _folder: ""


def train(flags: argparse.Namespace, around: Surroundings) -> int:
    """Train as the flags say, or go on with a run, and save the checkpoint.

    Returns:
        The exit status.

    Raises:
        ExplorerError: if the flags, the data or the run do not allow it.
    """
    config = find_config(flags)
    folder: Path = flags.out / config.name
    run = RunFolder(runs_folder(flags.out) / config.name)
    if run.folder.is_dir() and FIRST:
        # Before anything is loaded; what another process does meanwhile is met below.
        with run.locked():
            _check_startable(flags, run)
    if flags.resume is None:
        if folder.exists() and not flags.overwrite:
            raise ConfigError(
                f"There is a checkpoint {folder.name} in {folder.parent} already; "
                "give another --name, or --overwrite to replace it."
            )
        check_replaceable(folder)
    if flags.tensorboard:
        check_tensorboard()

    with ExitStack() as stack:
        processes = stack.enter_context(join_processes(flags.device))
        # The first process downloads, draws and caches; the others find it done.
        images = around.load_data(config.data, config.size) if processes.first else None
        processes.wait()
        if images is None:
            images = around.load_data(config.data, config.size)
        config = replace(config, data=images.name)
        # Now, and not after an hour of training.
        check_writable(flags.out)
        # All that can be refused is, before the run is written down.
        trainer = Trainer(config, images, processes, compiled=flags.compile)
        plain: dict[str, Any] = {}
        if processes.first:
            stack.enter_context(run.locked())
            plain = _begin(flags, config, images, run)
        processes.wait()
        channels, height, width = images.image_shape
        around.say(
            f"{Path(images.name).name}: {len(images.train_index):,} training and "
            f"{len(images.held_out_index):,} held-out images of {channels} x {height} x {width}"
        )
        _set_threads(flags.threads, trainer, plain)
        if flags.resume is not None:
            run.load_state(trainer)
        return Session(flags, around, trainer, run, plain).run()


def find_config(flags: argparse.Namespace) -> TrainConfig:
    """The settings: the flags', or those of the run to go on with; the name is always given.

    Raises:
        ExplorerError: if there is no such run, or it is over.
    """
    if flags.out.expanduser().resolve() == runs_folder(flags.out):
        raise ConfigError(
            f"Checkpoints cannot go to {flags.out}: the runs lie in a folder of that name; give "
            "another --out."
        )
    if flags.resume is None:
        config = read_config(flags)
        return replace(config, name=checkpoint_name(config))
    run = open_run(flags.out, flags.resume)
    plain = run.load() or {}
    # How it was computed goes on too, unless it is told anew.
    flags.device = plain.get("device", "auto") if flags.device == "auto" else flags.device
    flags.compile = flags.compile or bool(plain.get("compile"))
    told = plain.get("config", {})
    try:
        return TrainConfig.from_settings({**told, **told["training"], **told["network"]})
    except (KeyError, TypeError, AttributeError) as cause:
        raise TrainingError(
            f"{run.folder} holds no settings of a run; start it afresh with --overwrite."
        ) from cause


def _check_startable(flags: argparse.Namespace, run: RunFolder) -> dict[str, Any] | None:
    """What the run's folder says of it, if it lets this training begin or go on.

    Raises:
        ExplorerError: if the run is over, or an unfinished one would be lost.
    """
    if flags.resume is None:
        if flags.overwrite:
            return None
        plain = run.load()
        if plain is not None and plain["status"] == TRAINING:
            raise ConfigError(
                f"There is an unfinished run {run.name} in {run.folder.parent}: --resume "
                f"{run.name} goes on with it, --overwrite drops it."
            )
        return plain
    plain = run.load()
    if plain is None:
        raise TrainingError(f"The run {run.name} is gone; start it afresh.")
    if plain["status"] == FINISHED:
        raise TrainingError(
            f"The run {run.name} is finished, its checkpoint is {plain['checkpoint']}; to train "
            "longer, start it afresh with more --epochs and another --name."
        )
    if plain["status"] == DIVERGED:
        raise TrainingError(
            f"The run {run.name} diverged, and would again; start it afresh with a smaller "
            "--learning-rate."
        )
    return plain


def _begin(
    flags: argparse.Namespace, config: TrainConfig, images: ImageSet, run: RunFolder
) -> dict[str, Any]:
    """Write down, or read, what the run is.

    Raises:
        ExplorerError: if an unfinished run would be lost, or the images are others.
    """
    plain = _check_startable(flags, run)
    if flags.resume is not None:
        assert plain is not None
        if plain["fingerprint"] != images.fingerprint:
            raise TrainingError(
                f"The images of {images.name} are not those that the run {run.name} began with; "
                "bring them back, or start it afresh."
            )
        return plain
    plain = {
        "status": TRAINING,
        "config": config.to_dict(),
        "command": command_line(flags),
        "fingerprint": images.fingerprint,
        "threads": 0,
        "replace": bool(flags.overwrite),
        "checkpoint": None,
        "device": flags.device,
        "compile": bool(flags.compile),
    }
    run.begin(plain)
    return plain


def _set_threads(asked: int, trainer: Trainer, plain: dict[str, Any]) -> None:
    """As many threads as asked for, as the run had before, or as are fastest here and now."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cores = cores or 1
    if asked or plain.get("threads"):
        torch.set_num_threads(asked or plain["threads"])
    elif trainer.processes.count > 1:
        here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        torch.set_num_threads(max(1, cores // here))
    elif trainer.processes.device.type == "cpu":
        trainer.calibrate_threads(tuple(sorted({1, min(cores, 4), cores})))
    # Another number of threads sums in another order: a run that goes on keeps its number.
    plain["threads"] = torch.get_num_threads()


class Session:
    """One sitting of a training, from where the run stands to its end or to Ctrl-C.

    Args:
        flags: the command line's.
        around: what it lends.
        trainer: ready to go on.
        run: its folder, locked.
        plain: run.json; {} in all processes but the first.
    """

    def __init__(
        self,
        flags: argparse.Namespace,
        around: Surroundings,
        trainer: Trainer,
        run: RunFolder,
        plain: dict[str, Any],
    ) -> None:
        self._around = around
        self._trainer = trainer
        self._run = run
        self._plain = plain
        self._first = trainer.processes.first
        self._folder: Path = flags.out / trainer.config.name
        self._go_on = f"python train_vae.py --resume {trainer.config.name}"
        if flags.out != SHIPPED:
            self._go_on += f" --out {shlex.quote(str(flags.out))}"
        self._log: TensorBoardLog | None = None
        if flags.tensorboard and self._first:
            self._log = TensorBoardLog(run.folder / TENSORBOARD, len(trainer.history) + 1)

    def run(self) -> int:
        """Train and save.

        Returns:
            The exit status: 0 if a checkpoint was saved or the run can go on, 143 after SIGTERM.

        Raises:
            ExplorerError: if the run diverges, or the checkpoint cannot be written.
        """
        trainer, say = self._trainer, self._around.say
        self._keep(lambda: self._run.save(self._plain))
        answer = "\nStopping after this batch; Ctrl-C again ends at once."
        with Stop(lambda: self._around.warn(answer)) as stopped:
            diverged = self._train(stopped)
        if self._log is not None:
            self._log.close()
        if not self._first:
            return 0
        best = trainer.best
        if diverged is not None:
            if best is None:
                self._keep(lambda: self._run.save({**self._plain, "status": DIVERGED}))
                raise diverged
        elif not trainer.done:
            say(f"Stopped in epoch {len(trainer.history) + 1}. Go on with: {self._go_on}")
            if stopped.terminated:
                return TERMINATED
            if best is None:
                return 0
            say(f"Epoch {best.epoch}, the best so far, is kept as a checkpoint meanwhile.")
        elif len(trainer.history) < trainer.config.epochs:
            say(f"Ended early: {trainer.config.patience} epochs brought no lower held-out loss.")
        return self._save_checkpoint(diverged)

    def _train(self, stopped: Stop) -> TrainingError | None:
        """Train with a bar to the end or the stop; a divergence is returned, not raised."""
        trainer, config = self._trainer, self._trainer.config
        saved = time.monotonic()
        with tqdm(
            total=config.epochs * len(trainer.images.train_index),
            initial=trainer.images_done,
            unit=" images",
            unit_scale=True,
            dynamic_ncols=True,
            disable=not self._first,
            file=Forgiving(sys.stderr),
        ) as bar:

            def on_batch(count: int, terms: LossTerms) -> None:
                nonlocal saved
                bar.set_postfix_str(f"{self._describe(terms)} nats", refresh=False)
                bar.update(count)
                if time.monotonic() - saved > SAVE_EVERY:
                    self._keep(lambda: self._run.save_state(trainer))
                    saved = time.monotonic()

            upcoming = min(len(trainer.history) + 1, config.epochs)
            bar.set_description(f"epoch {upcoming}/{config.epochs}")
            try:
                for report in trainer.epochs(on_batch, stopped):
                    self._tell(report)
                    upcoming = min(report.epoch + 1, config.epochs)
                    bar.set_description(f"epoch {upcoming}/{config.epochs}")
            except TrainingError as error:
                return error
            self._keep(lambda: self._run.save_state(trainer))
        return None

    def _keep(self, write: Callable[[], None]) -> bool:
        """Write into the run's folder; a disk that is full costs the safety, not the training.

        Returns:
            Whether it was written.
        """
        if not self._first:
            return False
        try:
            write()
        except CheckpointError as error:
            self._around.say(
                f"{error} The training goes on, but could not be taken up again from here."
            )
            return False
        return True

    def _describe(self, terms: LossTerms) -> str:
        told = f"reconstruction {terms.reconstruction_nll:.2f}"
        if self._trainer.config.kind != "ae":
            told += f" + KL {terms.kl:.2f}"
        if self._trainer.config.kind == "infovae":
            told += f", MMD {terms.mmd:.5f}"
        return told

    def _tell(self, report: EpochReport) -> None:
        """One epoch, to all who follow: the terminal, the run's folder, TensorBoard."""
        config, held_out = self._trainer.config, report.held_out
        active = "" if config.kind == "ae" else f", {report.active_units} active"
        self._around.say(
            f"epoch {report.epoch:>4}/{config.epochs}  "
            f"train {report.train.loss:8.2f}  held-out {held_out.loss:8.2f} nats "
            f"({self._describe(held_out)}{active}){'  best' if report.best else ''}"
        )
        warning = describe_collapse(config, self._trainer.history, self._trainer.steps_an_epoch)
        if warning:
            self._around.say(warning)
        self._keep(lambda: self._run.record(self._trainer, report))
        if self._log is not None:
            self._log.write(report)

    def _save_checkpoint(self, diverged: TrainingError | None) -> int:
        """Save the checkpoint of the best epoch and write down that the run is over, if it is.

        Raises:
            ExplorerError: if the run had diverged, or the checkpoint cannot be written.
        """
        trainer, plain = self._trainer, self._plain
        best = trainer.best
        assert best is not None
        # What an earlier part of this run saved is its own to replace.
        place = str(self._folder.resolve())
        for left in self._folder.parent.glob(f".{self._folder.name}.new-*"):
            shutil.rmtree(left, ignore_errors=True)  # of a part of this run that was killed
        own = plain["replace"] or plain["checkpoint"] == place
        if not self._folder.exists():
            # Ours from now on, also if we are killed between saving it and saying so.
            plain["checkpoint"] = place
            self._keep(lambda: self._run.save(plain))
        try:
            with (
                Stop(lambda: self._around.warn("\nSaving, wait; Ctrl-C again ends it.")),
                # numpy's threads spin too, and beside another busy process crawl.
                threadpool_limits(torch.get_num_threads(), user_api="blas"),
            ):
                folder = self._around.finish(trainer, self._folder, plain["command"], own)
        except CheckpointError as error:
            raise CheckpointError(
                f"{error} What was trained is kept: make room, then {self._go_on}"
            ) from error
        except KeyboardInterrupt:
            self._around.say(f"No checkpoint was saved; the run is kept: {self._go_on}")
            return INTERRUPTED
        status = DIVERGED if diverged else FINISHED if trainer.done else TRAINING
        checkpoint = {"status": status, "checkpoint": str(folder.resolve())}
        written = self._keep(lambda: self._run.save({**plain, **checkpoint}))
        if written and status != TRAINING:
            self._run.forget_state()
        chosen = describe_choice(best.epoch, len(trainer.history))
        self._around.say(
            f"Saved {folder}: held-out loss {best.held_out.loss:.2f} nats per image, {chosen}."
        )
        # Of a run that was stopped it is known that it is not over.
        if status == FINISHED and (fault := self._around.diagnose(folder)):
            self._around.say(fault)
        if diverged is not None:
            raise TrainingError(f"{diverged} What epoch {best.epoch} had learned is saved.")
        return 0

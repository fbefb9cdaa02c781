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
from functools import partial
from pathlib import Path
from typing import Any

import torch
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from explorer.errors import CheckpointError, ConfigError, DataError, TrainingError
from explorer.images.dataset import ImageSet
from explorer.models.checkpoint import check_replaceable
from explorer.models.library import SHIPPED
from explorer.models.objectives import LossTerms
from explorer.storage import check_writable
from explorer.training.collapse import describe_collapse
from explorer.training.config import TrainConfig
from explorer.training.extension import describe_extension, start_from
from explorer.training.flags import command_line, read_config, replace_flag
from explorer.training.loop import EpochReport, Trainer
from explorer.training.naming import checkpoint_name
from explorer.training.processes import is_out_of_memory, join_processes
from explorer.training.run import check_result
from explorer.training.runs import (
    DIVERGED,
    FINISHED,
    HISTORY,
    RUN,
    STATE,
    TENSORBOARD,
    TRAINING,
    RunFolder,
    open_run,
    runs_folder,
    spare_folders,
)
from explorer.training.signals import Stop
from explorer.training.streams import Forgiving
from explorer.training.tensorboard import TensorBoardLog, check_tensorboard

SAVE_EVERY = 30.0  # seconds of training that a crash may cost in time; it never costs a result
FIRST = int(os.environ.get("RANK", "0")) == 0  # of the processes that torchrun starts
SIGNALLED = 128  # and the signal's number: the exit status after SIGTERM or SIGHUP
INTERRUPTED = 130
MOST_CLASSES_NAMED = 12
MOST_LOOKED_AT = 1000  # images
DARK = 32  # of 255: a set without a brighter pixel is questioned


@dataclass(frozen=True)
class Surroundings:
    """What the command line lends to a training.

    Attributes:
        say: prints a line, of the first process alone.
        warn: prints a line at once, in the midst of a bar, of the first process alone.
        load_data: the images of a spec and a size, with a bar.
        finish: encodes, projects, measures and saves the best epoch: (trainer, folder, command,
            whether a checkpoint there may be replaced) -> where it went.
    """

    say: Callable[[str], None]
    warn: Callable[[str], None]
    load_data: Callable[[str, tuple[int, int] | None], ImageSet]
    finish: Callable[[Trainer, Path, str, bool], Path]


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

    known = (run.load() or {}) if flags.resume is not None else {}
    with ExitStack() as stack:
        processes = stack.enter_context(join_processes(flags.device))
        # The first process downloads, draws and caches; the others find it done.
        load = partial(_load_data, flags, config, around)
        images = load() if processes.first else None
        processes.wait()
        if images is None:
            images = load()
        config = replace(config, data=images.name)
        # Now, and not after an hour of training.
        check_result(config, images)
        check_writable(flags.out)
        # All that can be refused is, before the run is written down.
        trainer = Trainer(config, images, processes, compiled=flags.compile)
        if flags.resume is None and flags.init:
            trainer.init = start_from(trainer, flags.init, flags.out)
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
        for line in describe_images(images):
            around.say(line)
        _set_threads(flags.threads, trainer, plain)
        stored = flags.resume is not None and run.load_state(trainer)
        for line in _extend(flags, trainer, known, stored):
            around.say(line)
        trainer.init = trainer.init or known.get("init", "")
        if trainer.init and not stored:
            start_from(trainer, trainer.init, flags.out)
            around.say(f"It begins with the weights of {trainer.init}.")
        if processes.first:
            _write_down(plain, config, trainer)
        session = Session(flags, around, trainer, run, plain)
        if stored:
            session.stored = (len(trainer.history), trainer.images_done)
        try:
            return session.run()
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise TrainingError(
                "There is not enough memory for this training: close other programs, or start it "
                "with a smaller --batch-size, --hidden-dims, --width or --size, or fewer "
                f"--importance-samples. {session.what_is_kept()}"
            ) from error


def describe_images(images: ImageSet) -> list[str]:
    """The classes of a set of images, and what was passed over, a sentence a line."""
    names = [*images.classes[:MOST_CLASSES_NAMED]]
    more = len(images.classes) - len(names)
    classes = f"{len(images.classes):,} classes: {', '.join(names)}"
    lines = [f"{classes} and {more:,} more" if more > 0 else classes] if names else []
    first = images.images[images.train_index[:MOST_LOOKED_AT]]
    brightest = int(first.max())
    if brightest < DARK:
        lines.append(
            f"The brightest pixel of the first {len(first):,} images is {brightest} of 255, so "
            f"they are nearly black: if {brightest} is meant to be white, save them scaled."
        )
    return [*lines, *images.notes]


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
        config = TrainConfig.from_settings({**told, **told["training"], **told["network"]})
    except (KeyError, TypeError, AttributeError) as cause:
        raise TrainingError(
            f"{run.folder} holds no settings of a run; start it afresh with --overwrite."
        ) from cause
    changes = {key: getattr(flags, key) for key in ("data", "epochs")}
    return replace(config, **{key: one for key, one in changes.items() if one is not None})


def _load_data(flags: argparse.Namespace, config: TrainConfig, around: Surroundings) -> ImageSet:
    try:
        return around.load_data(config.data, config.size)
    except DataError as error:
        if flags.resume is None or flags.data is not None:
            raise
        raise DataError(
            f"{error} If the images of this run were moved, say where they are: --resume "
            f"{flags.resume} --data PATH."
        ) from error


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
    if plain["status"] == FINISHED and flags.epochs is None:
        raise TrainingError(
            f"The run {run.name} is finished, its checkpoint is {plain['checkpoint']}; to train "
            f"it longer: --resume {run.name} --epochs MORE."
        )
    if plain["status"] == DIVERGED:
        raise TrainingError(
            f"The run {run.name} diverged, and would again; start it afresh with a smaller "
            "--learning-rate."
        )
    return plain


def _extend(
    flags: argparse.Namespace, trainer: Trainer, known: dict[str, Any], stored: bool
) -> list[str]:
    """Let a run have more epochs than it began with, and say what that changes.

    Raises:
        TrainingError: it has them already, or its state is gone.
    """
    trainer.patience_from = int(known.get("patience_from", 0))
    if flags.resume is None or flags.epochs is None:
        return []
    done, finished = len(trainer.history), known["status"] == FINISHED
    if finished and not stored:
        raise TrainingError(
            f"The state of the finished run {flags.resume} is not there any more; begin another "
            f"one with its weights: --init {flags.resume} --name ANOTHER, with its flags."
        )
    if flags.epochs <= done:
        raise TrainingError(
            f"epochs is {flags.epochs}, but the run {flags.resume} has {done} behind it; give more."
        )
    if finished:
        trainer.patience_from = done
    before = int(known["config"]["training"]["epochs"])
    return describe_extension(trainer.config, before, done) if before != flags.epochs else []


def _write_down(plain: dict[str, Any], config: TrainConfig, trainer: Trainer) -> None:
    """Note in run.json's content what is another than when the run began."""
    plain["status"] = TRAINING
    if config.epochs != plain["config"]["training"]["epochs"]:
        plain["config"]["training"]["epochs"] = config.epochs
        plain["command"] = replace_flag(plain["command"], "--epochs", str(config.epochs))
    plain["patience_from"] = trainer.patience_from
    if trainer.init:
        plain["init"] = trainer.init


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
                "bring them back, say with --data where they are, or start it afresh."
            )
        if config.data != plain["config"]["data"]:
            plain["config"]["data"] = config.data
            plain["command"] = replace_flag(plain["command"], "--data", config.data)
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
        self.stored: tuple[int, int] | None = None  # epochs and images of the state on the disk
        self._failing: set[str] = set()
        self._log: TensorBoardLog | None = None
        if flags.tensorboard and self._first:
            self._log = TensorBoardLog(run.folder / TENSORBOARD, len(trainer.history) + 1)

    def run(self) -> int:
        """Train and save.

        Returns:
            The exit status: 0 if a checkpoint was saved or the run can go on, 143 after SIGTERM,
            129 after SIGHUP.

        Raises:
            ExplorerError: if the run diverges, or the checkpoint cannot be written.
        """
        trainer, say = self._trainer, self._around.say
        self._keep(RUN, lambda: self._run.save(self._plain))
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
                self._keep(RUN, lambda: self._run.save({**self._plain, "status": DIVERGED}))
                raise diverged
        elif not trainer.done:
            say(f"Stopped in epoch {len(trainer.history) + 1}. {self._how_to_go_on()}")
            if stopped.terminated:
                return SIGNALLED + stopped.ended_by
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
                    self._keep_state()
                    saved = time.monotonic()

            upcoming = min(len(trainer.history) + 1, config.epochs)
            bar.set_description(f"epoch {upcoming}/{config.epochs}")
            try:
                for report in trainer.epochs(on_batch, stopped):
                    self._tell(report)
                    # The first at once, and where there was no room as soon as there is some.
                    if self.stored is None or STATE in self._failing:
                        self._keep_state()
                    upcoming = min(report.epoch + 1, config.epochs)
                    bar.set_description(f"epoch {upcoming}/{config.epochs}")
            except TrainingError as error:
                return error
            self._keep_state()
        return None

    def _keep(self, name: str, write: Callable[[], None]) -> bool:
        """Write into the run's folder; a disk that is full costs the safety, not the training.

        Args:
            name: of what is written; that it cannot be is said once, and once that it can again.
            write: writes it.

        Returns:
            Whether it was written.
        """
        if not self._first:
            return False
        try:
            write()
        except (CheckpointError, MemoryError) as error:
            if name not in self._failing:
                self._failing.add(name)
                what = str(error) or f"There is not enough memory to write {name}."
                then = {
                    STATE: f"and it is tried again. {self._what_is_stored()}",
                    HISTORY: "and what later epochs bring is tried again.",
                }.get(name, "and it is tried again at its end.")
                self._around.say(f"{what} The training goes on, {then}")
            return False
        if name in self._failing:
            self._failing.remove(name)
            self._around.say(f"{name} can be written again, and was.")
        return True

    def _keep_state(self) -> bool:
        trainer = self._trainer
        written = self._keep(STATE, lambda: self._run.save_state(trainer))
        if written:
            self.stored = (len(trainer.history), trainer.images_done)
        return written

    def _what_is_stored(self) -> str:
        """What a crash would leave."""
        if self.stored is None:
            return "No state of this run is on the disk yet: make room."
        return f"The state on the disk is that after epoch {self.stored[0]}: make room."

    def _how_to_go_on(self) -> str:
        if self.stored is not None and self.stored[1] == self._trainer.images_done:
            return f"Go on with: {self._go_on}"
        return self.what_is_kept()

    def what_is_kept(self) -> str:
        """What of this training can be gone on with, and how; written elsewhere if need be."""
        trainer, place = self._trainer, self._run.folder / STATE
        if self.stored is not None and self.stored[1] == trainer.images_done:
            return f"What was trained is kept: make room, then {self._go_on}"
        for folder in spare_folders(self._run.name):
            try:
                self._run.save_state(trainer, folder)
            except (CheckpointError, MemoryError, RuntimeError):
                continue
            return (
                f"What was trained is kept in {folder / STATE}: make room, move that file to "
                f"{place}, then {self._go_on}"
            )
        if self.stored is not None:
            return (
                f"No more could be written, here or elsewhere, than the state after epoch "
                f"{self.stored[0]}: make room, then {self._go_on} goes on from there."
            )
        return "Its state could be written neither here nor elsewhere: make room, and start again."

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
        if warning := describe_collapse(config, self._trainer.history):
            self._around.say(warning)
        self._keep(HISTORY, lambda: self._run.record(self._trainer, report))
        if self._log is not None:
            try:
                self._log.write(report)
            except OSError as error:
                self._log = None
                self._around.say(f"TensorBoard's files end here: {error.strerror or error}.")

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
            self._keep(RUN, lambda: self._run.save(plain))
        try:
            with (
                Stop(lambda: self._around.warn("\nSaving, wait; Ctrl-C again ends it.")),
                # numpy's threads spin too, and beside another busy process crawl.
                threadpool_limits(torch.get_num_threads(), user_api="blas"),
            ):
                folder = self._around.finish(trainer, self._folder, plain["command"], own)
        except CheckpointError as error:
            raise CheckpointError(f"{error} {self.what_is_kept()}") from error
        except KeyboardInterrupt:
            self._around.say(f"No checkpoint was saved. {self._how_to_go_on()}")
            return INTERRUPTED
        except Exception as error:  # whatever it is, hours of training are not lost to it
            raise CheckpointError(
                f"No checkpoint could be made ({type(error).__name__}: {error}). "
                f"{self.what_is_kept()}"
            ) from error
        status = DIVERGED if diverged else FINISHED if trainer.done else TRAINING
        checkpoint = {"status": status, "checkpoint": str(folder.resolve())}
        written = self._keep(RUN, lambda: self._run.save({**plain, **checkpoint}))
        if written and status == DIVERGED:
            self._run.forget_state()
        self._around.say(f"Saved {folder}: held-out loss {best.held_out.loss:.2f} nats per image.")
        if diverged is not None:
            raise TrainingError(f"{diverged} What epoch {best.epoch} had learned is saved.")
        return 0

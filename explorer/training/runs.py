"""The run folder: all that a training needs to go on, and what it left on its way."""

import csv
import hashlib
import io
import json
import os
import pickle
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import torch
from numpy.typing import NDArray

from explorer.errors import CheckpointError, ConfigError, TrainingError
from explorer.storage import check_writable, read_regular, save_arrays, write_file
from explorer.training.config import NAME_PATTERN
from explorer.training.loop import TERMS, EpochReport, Trainer

FORMAT = 1
ENTRIES = (
    "format",
    "status",
    "config",
    "command",
    "fingerprint",
    "threads",
    "replace",
    "checkpoint",
)
DIGEST_BYTES = 32
RUN, STATE, LOCK, HISTORY = "run.json", "state.pt", "lock", "history.csv"
TENSORBOARD = "tensorboard"
FORMING = "forming"  # the folder of what the latent space looked like, epoch by epoch
MOST_KEPT = 200  # epochs whose codes are kept, about, however long the run
EARLY = 20  # epochs that are kept in any case: the space forms early
TRAINING, FINISHED, DIVERGED = "training", "finished", "diverged"


def runs_folder(out: Path) -> Path:
    """Where the runs lie whose checkpoints go to `out`: in the folder runs beside it."""
    return out.expanduser().resolve().parent / "runs"


class RunFolder:
    """One run's folder, `runs/<name>`.

    Holds run.json (every setting, the command, the threads, how far it is), state.pt (weights,
    optimiser, generators, also of a finished run), history.csv and forming/ (the codes of the
    same images and the decoder's answers to the same codes, epoch by epoch).

    Args:
        folder: where.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run; the lock goes when the process does, however it ends.

        Raises:
            TrainingError: if another process trains it.
            ConfigError: if the folder cannot be written.
        """
        check_writable(self.folder)
        lock = filelock.FileLock(self.folder / LOCK)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout as cause:
            raise TrainingError(
                f"{self.name} is being trained by another process at this moment; wait for it, or "
                "give another --name."
            ) from cause
        try:
            for name in (RUN, STATE, HISTORY):
                for left in self.folder.glob(f".{name}.*"):
                    left.unlink(missing_ok=True)  # of a process that was killed while it wrote
            yield
        finally:
            lock.release()

    def load(self) -> dict[str, Any] | None:
        """run.json, or None if there is no run here.

        Raises:
            TrainingError: if it cannot be read or is of another format.
        """
        path = self.folder / RUN
        try:
            plain = json.loads(read_regular(path))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as cause:
            raise TrainingError(
                f"{path} cannot be read ({cause}); start the run afresh with --overwrite."
            ) from cause
        missing = set(ENTRIES) - set(plain) if isinstance(plain, dict) else set(ENTRIES)
        if missing or plain["format"] != FORMAT or not isinstance(plain["config"], dict):
            raise TrainingError(
                f"{path} is damaged or of another version of the trainer; start the run afresh "
                "with --overwrite."
            )
        return dict(plain)

    def begin(self, plain: Mapping[str, Any]) -> None:
        """Start afresh: nothing of an earlier run of this name stays.

        Raises:
            CheckpointError: if nothing can be written.
        """
        for name in (STATE, HISTORY):
            if (self.folder / name).exists():
                (self.folder / name).unlink()
        for name in (FORMING, TENSORBOARD):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        self.save(plain)

    def save(self, plain: Mapping[str, Any]) -> None:
        """Write run.json, whole or not at all.

        Raises:
            CheckpointError: if it cannot be written.
        """
        text = json.dumps({"format": FORMAT, **plain}, indent=2) + "\n"
        write_file(self.folder / RUN, lambda file: file.write(text.encode()))

    def save_state(self, trainer: Trainer, folder: Path | None = None) -> None:
        """Write what the training needs to go on, whole or not at all.

        Args:
            trainer: the training.
            folder: where, if not into the run's own.

        Raises:
            CheckpointError: if it cannot be written; the state before it is still there.
        """
        # In memory first: of a disk that is full torch would say something else.
        file = io.BytesIO()
        torch.save(trainer.state(), file)
        state = file.getvalue()
        # A disk may give back other bits than it was given, and no training is to go on with them.
        digest = hashlib.blake2b(state, digest_size=DIGEST_BYTES).digest()
        write_file((folder or self.folder) / STATE, lambda out: out.write(digest + state))

    def load_state(self, trainer: Trainer) -> bool:
        """Let a trainer go on from where the run was.

        Returns:
            False if nothing was saved yet.

        Raises:
            TrainingError: if the state is damaged or not of this run.
        """
        path = self.folder / STATE
        if not os.path.lexists(path):
            return False
        damaged = f"{path} is damaged; start the run afresh with --overwrite."
        try:
            stored = read_regular(path)
            digest, state = stored[:DIGEST_BYTES], stored[DIGEST_BYTES:]
            if hashlib.blake2b(state, digest_size=DIGEST_BYTES).digest() != digest:
                raise TrainingError(damaged)
            plain = torch.load(io.BytesIO(state), map_location="cpu", weights_only=True)
        except (
            RuntimeError,
            OSError,
            ValueError,
            EOFError,
            KeyError,
            pickle.UnpicklingError,
        ) as why:
            raise TrainingError(damaged) from why
        trainer.load_state(plain)
        return True

    def forget_state(self) -> None:
        """Drop the state of a run that cannot go on: its checkpoint has the weights."""
        (self.folder / STATE).unlink(missing_ok=True)

    def record(self, trainer: Trainer, report: EpochReport) -> None:
        """Keep what an epoch brought: a row of history.csv, and codes and pictures in forming/.

        Raises:
            CheckpointError: if it cannot be written.
        """
        try:
            self._record(trainer, report)
        except OSError as cause:
            raise CheckpointError(
                f"{self.folder / FORMING} cannot be written: {cause.strerror or cause}."
            ) from cause

    def _record(self, trainer: Trainer, report: EpochReport) -> None:
        write_history(self.folder / HISTORY, trainer.history)
        total = trainer.config.epochs
        every = max(1, total // MOST_KEPT)
        if report.epoch > EARLY and report.epoch % every and report.epoch != total:
            return
        forming = self.folder / FORMING
        forming.mkdir(exist_ok=True)
        watched = forming / "watched.npz"
        if not watched.is_file():
            arrays: dict[str, NDArray[Any]] = {
                "index": trainer.watched_index,
                "fixed_codes": trainer.fixed_codes,
            }
            if trainer.images.labels is not None:
                arrays["labels"] = trainer.images.labels[trainer.watched_index]
            save_arrays(watched, arrays)
        save_arrays(
            forming / f"epoch-{report.epoch:06d}.npz",
            {"codes": report.codes.astype(np.float16), "samples": report.samples},
        )


def spare_folders(name: str) -> Iterator[Path]:
    """New folders for what cannot be written where it belongs: at home, here, or a temporary one.

    Each is removed again when the next one is asked for, unless something was put into it.
    """
    for parent in (Path.home, Path.cwd, lambda: Path(tempfile.gettempdir())):
        try:
            folder = Path(tempfile.mkdtemp(prefix=f"latent-explorer-{name}-", dir=parent()))
        except (OSError, RuntimeError):  # no home
            continue
        yield folder
        with suppress(OSError):
            folder.rmdir()


def open_run(out: Path, name: str) -> RunFolder:
    """The folder of a run that is there.

    Raises:
        ConfigError: if there is none of that name, naming those that are there.
    """
    parent = runs_folder(out)
    run = RunFolder(parent / name)
    if NAME_PATTERN.fullmatch(name) and (run.folder / RUN).is_file():
        return run
    names = sorted(path.parent.name for path in parent.glob(f"*/{RUN}"))
    there = f"there are {', '.join(names)}" if names else "there are none"
    raise ConfigError(f"There is no run {name!r} in {parent}; {there}.")


def write_history(path: Path, history: Sequence[EpochReport]) -> None:
    """history.csv: a row an epoch, each term apart, nats per image (mmd has no unit).

    Raises:
        CheckpointError: if it cannot be written.
    """
    splits = ("train", "held_out")
    columns = [f"{split}_{term}" for split in splits for term in TERMS]
    rows = [
        ["epoch", *columns, "active_units", "kl_weight", "learning_rate", "images_per_second",
         "seconds", "best"]
    ]  # fmt: skip
    axes = len(history[0].kl_per_axis) if history else 0
    rows[0] += [f"kl_{axis}" for axis in range(axes)]
    for report in history:
        terms = [getattr(getattr(report, split), term) for split in splits for term in TERMS]
        rows.append(
            [
                str(report.epoch),
                *(f"{value:.5g}" if abs(value) < 1 else f"{value:.4f}" for value in terms),
                str(report.active_units),
                f"{report.kl_weight:g}",
                f"{report.learning_rate:.6g}",
                f"{report.images_per_second:.0f}",
                f"{report.seconds:.2f}",
                str(int(report.best)),
                *(f"{value:.4f}" for value in report.kl_per_axis),
            ]
        )

    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    write_file(path, lambda file: file.write(text.getvalue().encode()))

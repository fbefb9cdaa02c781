"""One worker thread decodes for everybody: newest request wins, and models are batched."""

import logging
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explorer.errors import CheckpointError, ExplorerError
from explorer.live.model import Cycle, OpenedModel
from explorer.live.protocol import write_decoded
from explorer.live.views import View

LARGEST_BATCH = 16  # codes a pass
# Pictures go before truths; but where they never stop coming, a pass of truths is let in between
# once in this many seconds, which takes a few per cent of their rate.
TRUTH_PATIENCE = 0.25

PINNED, GHOSTED, TRUTHS = "pinned", "ghost", "truth"


@dataclass(frozen=True, eq=False, slots=True)
class PictureJob:
    """A code, or a spot on a view, to be decoded.

    Attributes:
        model: the checkpoint.
        view: on which the code's place is wanted, and on which the spot lies.
        header: of the answer.
        deliver: is called with the whole answer, or with what went wrong, on the worker thread.
        latents: (D,), or None for a spot.
        spot: (2,).
        held: (D,), NaN where an axis is free; None if all are.
    """

    model: OpenedModel
    view: View
    header: bytes
    deliver: Callable[[bytes | ExplorerError], None]
    latents: NDArray[np.float32] | None = None
    spot: NDArray[np.float32] | None = None
    held: NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False, slots=True)
class TruthJob:
    """A code to be decoded and encoded again.

    Attributes:
        model: the checkpoint.
        latents: (D,).
        deliver: is called with what came back, or with what went wrong, on the worker thread.
    """

    model: OpenedModel
    latents: NDArray[np.float32]
    deliver: Callable[[Cycle | ExplorerError], None]


Job = PictureJob | TruthJob


class Engine:
    """Decodes codes as they come; each sender has a few places, each of which its newest job takes.

    A sender has one place for the pinned picture, one for the picture under the pointer and one for
    the truth about a code. Places are served in turn, whoever asks more often.
    """

    def __init__(self) -> None:
        self._pictures: dict[tuple[Hashable, str], PictureJob] = {}
        self._truths: dict[tuple[Hashable, str], TruthJob] = {}
        self._last_truth = -np.inf
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def submit(self, sender: Hashable, job: Job, *, ghost: bool = False) -> None:
        """Ask for one job to be done.

        Args:
            sender: who asks; a job of theirs that still waits at the same place is dropped.
            job: what to do.
            ghost: whether a picture is the one under the pointer.
        """
        with self._changed:
            if isinstance(job, TruthJob):
                self._truths[sender, TRUTHS] = job
            else:
                self._pictures[sender, GHOSTED if ghost else PINNED] = job
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="live-decoder", daemon=True)
                self._thread.start()
            self._changed.notify()

    def withdraw(self, sender: Hashable) -> None:
        """Drop all that this sender still waits for."""
        with self._changed:
            self._pictures.pop((sender, PINNED), None)
            self._pictures.pop((sender, GHOSTED), None)
            self._truths.pop((sender, TRUTHS), None)

    def _take(self) -> Sequence[Job]:
        with self._changed:
            while not self._pictures and not self._truths:
                self._changed.wait()
            if self._truths:
                now = time.monotonic()
                if not self._pictures or now - self._last_truth >= TRUTH_PATIENCE:
                    self._last_truth = now
                    return _take_batch(self._truths)
            return _take_batch(self._pictures)

    def _work(self) -> None:
        import torch

        # The count is each thread's own. One is fastest for single pictures, and leaves the other
        # cores to the pages.
        torch.set_num_threads(1)
        while True:
            jobs = self._take()
            for job, answer in zip(jobs, _answer(jobs), strict=True):
                job.deliver(answer)
            # Until the next batch, nothing of this one is kept: its model may be a large one.
            del jobs, job, answer


def _take_batch(waiting: dict[tuple[Hashable, str], Any]) -> list[Any]:
    """Take the jobs of the model whose turn it is, those that wait longest first."""
    first = next(iter(waiting.values()))
    places = [place for place, job in waiting.items() if job.model is first.model]
    return [waiting.pop(place) for place in places[:LARGEST_BATCH]]


def _answer(jobs: Sequence[Job]) -> Sequence[Any]:
    """The answer to each job of a batch, or its error."""
    try:
        if isinstance(jobs[0], TruthJob):
            return jobs[0].model.cycle(np.stack([job.latents for job in jobs]))  # type: ignore[misc]
        return _decode(jobs)  # type: ignore[arg-type]
    except Exception as error:
        # One sender's job must not fail the others'.
        if len(jobs) > 1:
            return [answer for job in jobs for answer in _answer([job])]
        if isinstance(error, ExplorerError):
            return [error]
        logging.getLogger(__name__).exception("decoding failed")
        return [CheckpointError(f"The model could not decode: {error}")]


def _decode(jobs: Sequence[PictureJob]) -> list[bytes]:
    model = jobs[0].model
    latents = np.empty((len(jobs), model.latent_dim), np.float32)
    by_view: dict[View, list[int]] = {}
    for row, job in enumerate(jobs):
        by_view.setdefault(job.view, []).append(row)
        if job.latents is not None:
            latents[row] = job.latents
    for view, rows in by_view.items():
        spots = {row: spot for row in rows if (spot := jobs[row].spot) is not None}
        if spots:
            latents[list(spots)] = view.spot_codes.codes(np.stack(list(spots.values())))
    for row, job in enumerate(jobs):
        if job.held is not None:
            latents[row] = np.where(np.isnan(job.held), latents[row], job.held)
    pixels = model.codec.decode_pixels(latents)
    places = np.zeros((len(jobs), 3), np.float32)
    for view, rows in by_view.items():
        places[rows, : view.dims] = view.place(latents[rows])
    return write_decoded([job.header for job in jobs], places, latents, pixels)

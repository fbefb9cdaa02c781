"""One worker thread decodes for everybody: newest request wins, sessions take turns."""

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
from explorer.live.threads import use_one_thread
from explorer.live.turns import Turns
from explorer.live.views import View

LARGEST_BATCH = 16  # codes a pass
LARGEST_SHARE = 4  # of them, of one session: what others wait for behind it
# Pictures go before truths; but where they never stop coming, a pass of truths is let in between
# once in this many seconds, which takes a few per cent of their rate. The same for many pictures
# at once, which are decoded in slices that take about so long.
TRUTH_PATIENCE = 0.25
BULK_PATIENCE = 0.1
SLICE_SECONDS = 0.005
FIRST_SLICE, LARGEST_SLICE = 4, 64  # codes

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
    the truth about a code. Sessions are served in turn, however many senders they have and whoever
    asks more often.
    """

    def __init__(self) -> None:
        self._pictures: Turns[PictureJob] = Turns()
        self._truths: Turns[TruthJob] = Turns()
        self._last_truth = -np.inf
        lock = threading.Lock()
        self._changed = threading.Condition(lock)
        self._idle = threading.Condition(lock)
        self._decoding = False
        self._thread: threading.Thread | None = None

    def submit(
        self, sender: Hashable, job: Job, *, ghost: bool = False, session: Hashable = None
    ) -> None:
        """Ask for one job to be done.

        Args:
            sender: who asks; a job of theirs that still waits at the same place is dropped.
            job: what to do.
            ghost: whether a picture is the one under the pointer.
            session: of the sender; by default they are a session of their own.
        """
        session = sender if session is None else session
        with self._changed:
            if isinstance(job, TruthJob):
                self._truths.put(session, (sender, TRUTHS), job)
            else:
                self._pictures.put(session, (sender, GHOSTED if ghost else PINNED), job)
            self._wake()

    def withdraw(self, sender: Hashable, session: Hashable = None) -> None:
        """Drop all that this sender still waits for."""
        session = sender if session is None else session
        with self._changed:
            self._pictures.withdraw(session, (sender, PINNED))
            self._pictures.withdraw(session, (sender, GHOSTED))
            self._truths.withdraw(session, (sender, TRUTHS))

    def decode(self, model: OpenedModel, latents: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Many codes (k, D) as pictures, (k, H, W, C), on the calling thread; drags go first.

        Raises:
            CheckpointError: if the model cannot be used.
        """
        use_one_thread()
        parts, done, size = [], 0, FIRST_SLICE
        while done < len(latents):
            with self._changed:
                self._idle.wait_for(
                    lambda: not self._pictures and not self._decoding, BULK_PATIENCE
                )
            start = time.monotonic()
            parts.append(model.codec.decode_pixels(latents[done : done + size]))
            done += size
            share = SLICE_SECONDS / max(time.monotonic() - start, 1e-6)
            size = int(np.clip(size * min(share, 4.0), 1, LARGEST_SLICE))
        return np.concatenate(parts)

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="live-decoder", daemon=True)
            self._thread.start()
        self._changed.notify()

    def _take(self) -> Sequence[Job]:
        with self._changed:
            self._decoding = False
            while not self._pictures and not self._truths:
                self._idle.notify_all()
                self._changed.wait()
            now = time.monotonic()
            if self._truths and (not self._pictures or now - self._last_truth >= TRUTH_PATIENCE):
                self._last_truth = now
                return _take_batch(self._truths)
            self._decoding = True
            return _take_batch(self._pictures)

    def _work(self) -> None:
        import torch

        # The count is each thread's own. One is fastest for single pictures, and leaves the other
        # cores to the pages.
        torch.set_num_threads(1)
        while True:
            jobs = self._take()
            for job, answer in zip(jobs, _answer(jobs), strict=True):
                _deliver(job.deliver, answer)
            # Until the next batch, nothing of this one is kept: its model may be a large one.
            del jobs, job, answer


def _deliver(deliver: Callable[[Any], None], answer: object) -> None:
    """Hand an answer over; whoever cannot take it leaves the thread at work for the others."""
    try:
        deliver(answer)
    except Exception:
        logging.getLogger(__name__).exception("an answer was not delivered")


def _take_batch(waiting: Turns[Any]) -> list[Any]:
    """Take the jobs of the model whose turn it is, one of each session by turns."""
    return waiting.take_alike(LARGEST_BATCH, LARGEST_SHARE, lambda job: job.model)


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

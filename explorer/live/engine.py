"""One worker thread decodes for everybody: newest request wins, and models are batched."""

import logging
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from explorer.errors import CheckpointError, ExplorerError
from explorer.live.model import OpenedModel

LARGEST_BATCH = 16  # codes a pass


@dataclass(frozen=True, eq=False)
class Decoded:
    """One decoded code.

    Attributes:
        pixels: H x W x C uint8.
        place: (2,), where the code lies on the map.
    """

    pixels: bytes
    place: NDArray[np.float32]


Deliver = Callable[[Decoded | ExplorerError], None]


@dataclass(frozen=True, eq=False)
class _Job:
    model: OpenedModel
    latents: NDArray[np.float32]
    deliver: Deliver


class Engine:
    """Decodes codes as they come; each sender has one place, which its newest code takes."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, _Job] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def submit(
        self, sender: Hashable, model: OpenedModel, latents: NDArray[np.float32], deliver: Deliver
    ) -> None:
        """Ask for one code to be decoded.

        Args:
            sender: who asks; a code of theirs that still waits is dropped.
            model: the checkpoint.
            latents: (D,).
            deliver: is called with the answer, or with what went wrong, on the worker thread.
        """
        with self._changed:
            self._waiting[sender] = _Job(model, latents, deliver)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="live-decoder", daemon=True)
                self._thread.start()
            self._changed.notify()

    def withdraw(self, sender: Hashable) -> None:
        """Drop what this sender still waits for."""
        with self._changed:
            self._waiting.pop(sender, None)

    def _take(self) -> list[_Job]:
        with self._changed:
            while not self._waiting:
                self._changed.wait()
            first = next(iter(self._waiting.values()))
            senders = [key for key, job in self._waiting.items() if job.model is first.model]
            return [self._waiting.pop(sender) for sender in senders[:LARGEST_BATCH]]

    def _work(self) -> None:
        import torch

        # The count is each thread's own. One is fastest for single pictures, and leaves the other
        # cores to the pages.
        torch.set_num_threads(1)
        while True:
            jobs = self._take()
            model = jobs[0].model
            latents = np.stack([job.latents for job in jobs])
            try:
                pixels = model.codec.decode_pixels(latents)
                places = model.placement.place(latents)
                answers: list[Decoded | ExplorerError] = [
                    Decoded(picture.tobytes(), place)
                    for picture, place in zip(pixels, places, strict=True)
                ]
            except ExplorerError as error:
                answers = [error] * len(jobs)
            except Exception as error:
                logging.getLogger(__name__).exception("decoding failed")
                answers = [CheckpointError(f"The model could not decode: {error}")] * len(jobs)
            for job, answer in zip(jobs, answers, strict=True):
                job.deliver(answer)

"""The training loop: minimises the objective and reports each epoch."""

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from explorer.errors import TrainingError
from explorer.images.dataset import ImageSet
from explorer.models.autoencoder import Autoencoder
from explorer.models.codec import model_weights
from explorer.models.objectives import LossTerms, objective_terms
from explorer.training.config import TrainConfig

EVALUATION_CHUNK = 1000  # images a pass over the held-out split
LARGE_SIDE = 64  # pixels from which channels_last pays


@dataclass(frozen=True)
class EpochReport:
    """What one epoch brought.

    Attributes:
        epoch: from 1.
        train: mean terms over the epoch's batches, nats per image, while the weights moved.
        held_out: mean terms over the held-out images after the epoch.
        images_per_second: of the training pass.
        seconds: of the whole epoch, evaluation included.
        best: whether this is the lowest held-out loss so far.
    """

    epoch: int
    train: LossTerms
    held_out: LossTerms
    images_per_second: float
    seconds: float
    best: bool


OnBatch = Callable[[int, LossTerms], None]


class Trainer:
    """Trains one model on one set of images.

    Args:
        config: the run's settings.
        images: what to train on and to evaluate with.

    Attributes:
        model: the model as it stands.
        history: a report an epoch.
        best_weights: the weights of the epoch with the lowest held-out loss; {} before the first.
    """

    def __init__(self, config: TrainConfig, images: ImageSet) -> None:
        self.config = config
        self.images = images
        torch.manual_seed(config.seed)
        self.model = Autoencoder(config.kind, config.network, images.image_shape)
        self._format = torch.contiguous_format
        if min(images.image_shape[1:]) >= LARGE_SIDE and config.network.architecture == "conv":
            self._format = torch.channels_last
            self.model = self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._train = torch.from_numpy(images.images[images.train_index])
        self._held_out = torch.from_numpy(images.images[images.held_out_index])
        # Two generators: the order of the batches must not depend on how many draws a kind makes.
        self._order = torch.Generator().manual_seed(config.seed)
        self._noise = torch.Generator().manual_seed(config.seed + 1)
        self._optimizer = torch.optim.Adam(
            self.model.parameters(), lr=config.learning_rate, fused=True
        )
        self.history: list[EpochReport] = []
        self.best_weights: dict[str, NDArray[np.float32]] = {}

    @property
    def best(self) -> EpochReport | None:
        """The report of the epoch whose weights are kept."""
        return next((report for report in reversed(self.history) if report.best), None)

    def epochs(
        self,
        on_batch: OnBatch | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[EpochReport]:
        """Train, an epoch a step.

        Args:
            on_batch: is told the number of images and the terms of each batch.
            should_stop: asked after each batch; an epoch that is cut short is not reported.

        Yields:
            A report after each whole epoch.

        Raises:
            TrainingError: if the loss is no longer finite.
        """
        for epoch in range(len(self.history) + 1, self.config.epochs + 1):
            start = time.perf_counter()
            train = self._train_epoch(epoch, on_batch, should_stop)
            if train is None:
                return
            trained = time.perf_counter()
            held_out = self.evaluate()
            self._check(epoch, "held-out ", held_out)
            best = self.best
            report = EpochReport(
                epoch=epoch,
                train=train,
                held_out=held_out,
                images_per_second=len(self._train) / (trained - start),
                seconds=time.perf_counter() - start,
                best=best is None or held_out.loss < best.held_out.loss,
            )
            if report.best:
                self.best_weights = model_weights(self.model)
            self.history.append(report)
            yield report

    def _floats(self, pixels: Tensor) -> Tensor:
        return pixels.to(torch.float32).div_(255).contiguous(memory_format=self._format)

    def _step(self, batch: Tensor) -> LossTerms:
        nll, kl = objective_terms(self.model, batch, self._noise)
        mean_nll, mean_kl = nll.mean(), kl.mean()
        loss = mean_nll + self.config.beta * mean_kl
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        return LossTerms(mean_nll.item(), mean_kl.item(), loss.item())

    def _train_epoch(
        self, epoch: int, on_batch: OnBatch | None, should_stop: Callable[[], bool]
    ) -> LossTerms | None:
        self.model.train()
        nll = kl = 0.0
        order = torch.randperm(len(self._train), generator=self._order)
        for start in range(0, len(order), self.config.batch_size):
            picked = order[start : start + self.config.batch_size]
            terms = self._step(self._floats(self._train[picked]))
            self._check(epoch, "", terms)
            nll += terms.reconstruction_nll * len(picked)
            kl += terms.kl * len(picked)
            if on_batch is not None:
                on_batch(len(picked), terms)
            if should_stop():
                return None
        nll, kl = nll / len(order), kl / len(order)
        return LossTerms(nll, kl, nll + self.config.beta * kl)

    @torch.inference_mode()
    def evaluate(self) -> LossTerms:
        """Mean terms over the held-out images, one posterior draw an image, always the same one."""
        self.model.eval()
        generator = torch.Generator().manual_seed(self.config.seed)
        nll = kl = 0.0
        for start in range(0, len(self._held_out), EVALUATION_CHUNK):
            chunk = self._held_out[start : start + EVALUATION_CHUNK]
            chunk_nll, chunk_kl = objective_terms(self.model, self._floats(chunk), generator)
            nll += chunk_nll.sum().item()
            kl += chunk_kl.sum().item()
        nll, kl = nll / len(self._held_out), kl / len(self._held_out)
        return LossTerms(nll, kl, nll + self.config.beta * kl)

    def _check(self, epoch: int, which: str, terms: LossTerms) -> None:
        for name in ("reconstruction_nll", "kl"):
            value = getattr(terms, name)
            if not math.isfinite(value):
                raise TrainingError(
                    f"The {which}{name} became {value} in epoch {epoch}; try a smaller "
                    f"--learning-rate than {self.config.learning_rate:g}."
                )

    def calibrate_threads(self, candidates: tuple[int, ...], steps: int = 8) -> int:
        """Pick the thread count that trains fastest here and now, and set it.

        With another busy process beside it, more threads can be many times slower than one.

        Args:
            candidates: thread counts to try.
            steps: optimiser steps timed for each, on a copy of the model.

        Returns:
            The thread count that is set now.
        """
        twin = copy.copy(self)
        twin.model = copy.deepcopy(self.model)
        twin._noise = torch.Generator().manual_seed(0)
        twin._optimizer = torch.optim.Adam(twin.model.parameters(), lr=0.0, fused=True)
        batch = self._floats(self._train[: self.config.batch_size])
        seconds = {}
        for count in candidates:
            torch.set_num_threads(count)
            twin._step(batch)
            start = time.perf_counter()
            for _ in range(steps):
                twin._step(batch)
            seconds[count] = time.perf_counter() - start
        fastest = min(seconds, key=seconds.__getitem__)
        torch.set_num_threads(fastest)
        return fastest

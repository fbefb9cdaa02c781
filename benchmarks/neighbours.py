"""The training beside busy processes; run by itself it is a worker that trains when it is asked.

Ours trains as `train_vae.py` does, with waiting threads that sleep (`OMP_WAIT_POLICY`) and as many
as are fastest there and then (`calibrate_threads`); the same training with torch's defaults stands
beside it. Each of the two is its own process, for the first setting is read when torch is loaded.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from benchmarks.passes import MLP, NETWORKS, fit_pass, load_pictures, make_config
from explorer.training.loop import Trainer

SPIN = "while True: pass"

OURS = "ours, calibrated"
DEFAULTS = "torch's defaults"

Passes = dict[str, dict[str, list[dict[str, float]]]]
"""Images per second and threads of each pass, by settings and by "alone" or "beside"."""


def count_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def busy_neighbours(count: int) -> Iterator[None]:
    """Processes that do nothing but keep a core each busy."""
    spinning = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(count)]
    try:
        time.sleep(0.5)  # until each spins
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


@dataclass(eq=False)
class Worker:
    """A process that trains a pass when it is asked.

    Attributes:
        settings: "calibrated" or "defaults".
        seconds: that its pass takes when nothing is beside it.
    """

    settings: str
    seconds: float

    def __enter__(self) -> "Worker":
        environment = {
            name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"
        }
        if self.settings == "calibrated":
            environment["OMP_WAIT_POLICY"] = "PASSIVE"
        command = [sys.executable, "-m", "benchmarks.neighbours", self.settings]
        self._process = subprocess.Popen(
            [*command, str(self.seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def train(self) -> dict[str, float]:
        """Images per second of a pass here and now, and the number of threads."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print("go", file=self._process.stdin, flush=True)
        return dict(json.loads(self._process.stdout.readline()))


def serve(settings: str, seconds: float) -> None:
    """Be a worker: a pass for each line that comes in."""
    network, images = NETWORKS[MLP], load_pictures()
    trainer = Trainer(make_config(network), fit_pass(network, images, seconds))
    passes = trainer.epochs()
    for _ in sys.stdin:
        if settings == "calibrated":
            cores = count_cores()
            trainer.calibrate_threads(tuple(sorted({1, min(cores, 4), cores})))
        rate = next(passes).images_per_second
        print(json.dumps({"images_per_second": rate, "threads": torch.get_num_threads()}))
        sys.stdout.flush()


def measure_neighbours(seconds: float, rounds: int) -> Passes:
    """Train by turns with and without a spinning process for each core.

    Args:
        seconds: that a pass takes when nothing is beside it.
        rounds: passes of each.
    """
    passes: Passes = {}
    with Worker("calibrated", seconds) as ours, Worker("defaults", seconds) as defaults:
        workers = {OURS: ours, DEFAULTS: defaults}
        for name, worker in workers.items():
            worker.train()
            passes[name] = {"alone": [], "beside": []}
        for _ in range(rounds):
            for name, worker in workers.items():
                passes[name]["alone"].append(worker.train())
                with busy_neighbours(count_cores()):
                    passes[name]["beside"].append(worker.train())
    return passes


if __name__ == "__main__":
    serve(sys.argv[1], float(sys.argv[2]))

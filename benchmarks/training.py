"""Training: images per second beside pythae's trainer, a plain DataLoader loop and the hardware.

Each of the three trains the same layers on the same images, with the same batch size and number of
threads, and they take turns, a short pass each. Ours is told by `EpochReport.images_per_second`:
the training pass of `Trainer.epochs`, its checks and sums included. pythae runs `train_step` of its
own trainer, without the progress bar and the files that it would write. The plain loop is that of
PyTorch's VAE example: a DataLoader over a data set that turns each image into floats, binary
cross-entropy of the sigmoid, Adam as it comes. A ratio is the median over the rounds, each round's
figures having been taken beside each other.

The bound: as many images per second as there would be if the model's own matrix products, forward
and backward, were all there is to do, each at the best rate that `torch.mm` shows on square
matrices of any of `SIDES`. Counted are the multiplications that are needed: no gradient to the
images, and no products of a convolution with the zeros around an image.

Beside a busy neighbour: one process that only spins for each core, and the training pass beside
them relative to the pass without them. Ours trains as `train_vae.py` does, with waiting threads
that sleep (`OMP_WAIT_POLICY`) and as many as are fastest there and then (`calibrate_threads`); the
same training with torch's defaults stands beside it. Each of the two is its own process.

    python -m benchmarks.training
"""

import argparse
import importlib.util
import statistics
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import torch

from benchmarks.neighbours import OURS, count_cores, measure_neighbours
from benchmarks.passes import (
    BATCH,
    MLP,
    NETWORKS,
    SIDE,
    fit_pass,
    load_pictures,
    train_ours,
    train_plainly,
    train_pythae,
)
from benchmarks.products import SIDES, count_flops, time_products
from benchmarks.result import print_table, save_result
from explorer.images.dataset import ImageSet
from explorer.models.autoencoder import Autoencoder

TARGET_PYTHAE = 1.5
TARGET_BOUND = 0.45
TARGET_NEIGHBOUR = 0.40


def take_turns(measures: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Call each once a round, another one first every time."""
    names = list(measures)
    figures: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            figures[name].append(measures[name]())
    return figures


def median_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median over the rounds of ours / theirs."""
    return statistics.median(one / other for one, other in zip(ours, theirs, strict=True))


def verdict(figure: float, target: float | None) -> str:
    """A target and whether it is reached."""
    if target is None:
        return ""
    return f">= {target:g}, {'reached' if figure >= target else 'missed'}"


def measure_network(
    name: str, images: ImageSet, seconds: float, rounds: int, side: int
) -> dict[str, Any]:
    """Train one network by turns in every way, print the table and return the figures.

    Args:
        name: of `NETWORKS`.
        images: the whole set.
        seconds: that a pass of ours takes.
        rounds: how often each gets its turn.
        side: of the square matrices that the bound is taken from.
    """
    network = NETWORKS[name]
    flops = count_flops(Autoencoder("vae", network, images.image_shape))
    chosen = fit_pass(network, images, seconds)
    with tempfile.TemporaryDirectory() as folder:
        measures: dict[str, Callable[[], float]] = {
            "Latent Explorer": train_ours(network, chosen),
            "plain DataLoader loop": train_plainly(network, chosen),
            "bound": lambda: time_products(side, seconds) / flops,
        }
        if importlib.util.find_spec("pythae"):
            measures["pythae 0.1.2"] = train_pythae(network, chosen, folder)
        for measure in measures.values():
            measure()
        figures = take_turns(measures, rounds)
    ours = figures["Latent Explorer"]
    targets = {"bound": TARGET_BOUND, "pythae 0.1.2": TARGET_PYTHAE if name == MLP else None}
    ratios = {other: median_ratio(ours, rates) for other, rates in figures.items()}
    print_table(
        f"{name}, batches of {BATCH}, {torch.get_num_threads()} thread(s): images/s, "
        f"median of {rounds} passes of {len(chosen.train_index):,} images",
        ["", "images/s", "lowest to highest", "ours / it", "target"],
        [
            [
                other,
                f"{statistics.median(rates):,.0f}",
                f"{min(rates):,.0f} to {max(rates):,.0f}",
                "" if other == "Latent Explorer" else f"{ratios[other]:.2f}",
                verdict(ratios[other], targets.get(other)),
            ]
            for other, rates in figures.items()
        ],
    )
    return {
        "images_a_pass": len(chosen.train_index),
        "flops_per_image": flops,
        "images_per_second": figures,
        "ours_over": {other: ratio for other, ratio in ratios.items() if other in list(ratios)[1:]},
    }


def measure_beside(seconds: float, rounds: int) -> dict[str, Any]:
    """Train beside busy processes, print the table and return the figures."""
    cores = count_cores()
    passes = measure_neighbours(seconds, rounds)

    def rates(name: str, when: str) -> list[float]:
        return [one["images_per_second"] for one in passes[name][when]]

    def threads(name: str, when: str) -> str:
        return ", ".join(
            str(count) for count in sorted({one["threads"] for one in passes[name][when]})
        )

    shares = {name: median_ratio(rates(name, "beside"), rates(name, "alone")) for name in passes}
    print_table(
        f"{MLP} beside {cores} spinning process(es), one for each core: images/s, "
        f"median of {rounds}",
        ["", "alone", "threads", "beside them", "threads", "share kept", "target"],
        [
            [
                name,
                f"{statistics.median(rates(name, 'alone')):,.0f}",
                threads(name, "alone"),
                f"{statistics.median(rates(name, 'beside')):,.0f}",
                threads(name, "beside"),
                f"{shares[name]:.2f}",
                verdict(shares[name], TARGET_NEIGHBOUR if name == OURS else None),
            ]
            for name in passes
        ],
    )
    return {"processes": cores, "passes": passes, "share_kept": shares}


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description="Time the training.")
    parser.add_argument(
        "--seconds", type=float, default=0.5, help="that a pass of ours takes (default: 0.5)"
    )
    parser.add_argument(
        "--rounds", type=int, default=12, help="passes of each (default: 12; beside neighbours: 5)"
    )
    parser.add_argument("--threads", type=int, default=1, help="of each but the last (default: 1)")
    flags = parser.parse_args()

    torch.set_num_threads(flags.threads)
    images = load_pictures()
    print(f"{len(images.train_index):,} training images of {images.name}, {SIDE} x {SIDE}")
    if not importlib.util.find_spec("pythae"):
        print("Without pythae: pip install --no-deps -r requirements-bench.txt")
    rates = {side: time_products(side, 0.3) for side in SIDES}
    side = max(rates, key=rates.__getitem__)
    print(f"torch.mm is fastest at {side} x {side}: {rates[side] / 1e9:.0f} GFLOP/s")
    networks = {
        name: measure_network(name, images, flags.seconds, flags.rounds, side) for name in NETWORKS
    }
    neighbours = measure_beside(flags.seconds, min(flags.rounds, 5))
    save_result(
        "training",
        {
            "unit": "images per second",
            "images": images.name,
            "batch_size": BATCH,
            "threads": flags.threads,
            "torch": torch.__version__,
            "mm_flops_per_second": rates,
            "networks": networks,
            "neighbours": neighbours,
        },
    )


if __name__ == "__main__":
    main()

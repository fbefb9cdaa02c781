"""Directions learned from labels and factors: does each move what it says, and what else?

A direction is learned from one half of a checkpoint's held-out codes and tried on the other half,
one step either way, beside random directions of the same length drawn as the codes lie. Of MNIST,
classes and what can be measured on the pixels of its images (thickness, slant); of drawn sets,
every factor.

    python -m benchmarks.directions
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from benchmarks.result import print_table, save_result
from explorer.encode.effects import Effect, measure_effect
from explorer.encode.traits import all_traits, class_name, measure_slant, measure_thickness
from explorer.errors import DataNotAtHandError, ExplorerError
from explorer.images.dataset import ImageSet
from explorer.latent.directions import (
    Direction,
    direction_between,
    direction_of_label,
    direction_of_values,
)
from explorer.models.checkpoint import Encodings, load_config, load_encodings
from explorer.models.codec import Codec
from explorer.models.library import SHIPPED
from explorer.models.pictures import images_at_hand

MODELS = ("mnist-vae-16", "mnist-ae-16", "faces-vae-16", "faces-ae-16")
PIXELS: dict[str, Callable[[NDArray[np.floating]], NDArray[np.float64]]] = {
    "thickness": measure_thickness,
    "slant": measure_slant,
}


def learn(
    images: ImageSet, encodings: Encodings, rows: NDArray[np.int64]
) -> Iterator[tuple[str, Direction]]:
    """Directions, each with the trait that it is to move.

    Args:
        images: the checkpoint's data set.
        encodings: the checkpoint's.
        rows: of the encodings, those to learn from.
    """
    codes, index = encodings.mean[rows], encodings.index[rows]
    if not images.factors:
        labels = encodings.labels
        assert labels is not None
        for label, name in enumerate(images.classes):
            yield class_name(name), direction_of_label(codes, labels[rows], label)
        ink = images.floats(index)[:, 0]
        for name, measure in PIXELS.items():
            yield name, direction_of_values(codes, measure(ink))
    for factor in images.factors:
        values = factor.values[index]
        if not factor.discrete:
            yield factor.name, direction_of_values(codes, values)
        elif len(factor.choices) == 2:
            name = f"{factor.name}: {factor.choices[1]}"
            yield name, direction_between(codes[values == 0], codes[values == 1])


def measure_model(name: str, seed: int) -> dict[str, Effect]:
    """The effect of each direction, by the trait that it is to move.

    Raises:
        ExplorerError: the checkpoint cannot be used, or its images are not at hand.
    """
    folder = SHIPPED / name
    config = load_config(folder)
    encodings = load_encodings(folder, config)
    codec = Codec.from_folder(folder)
    images = images_at_hand(config.data)
    if images is None:
        raise DataNotAtHandError(f"The images of {config.data.name} are not at hand.")
    order = np.random.default_rng([6, seed]).permutation(len(encodings.mean))
    learned, tried = np.array_split(order, 2)
    traits = all_traits(config, encodings, images.factors)
    return {
        target: measure_effect(codec, direction, encodings.mean[tried], traits, seed=seed)
        for target, direction in learn(images, encodings, learned)
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=MODELS, metavar="NAME")
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args(arguments)
    figures = {}
    try:
        for name in flags.models:
            effects = measure_model(name, flags.seed)
            rows = []
            for target, effect in effects.items():
                own = effect.of(target)
                beside = [one for one in effect.traits if one is not own and one.moves]
                beside.sort(key=lambda one: -abs(one.effect))
                rows.append(
                    [
                        target,
                        f"{own.effect:+.2f}",
                        f"{own.low:+.2f} to {own.high:+.2f}",
                        f"{own.random:.2f}",
                        "yes" if own.moves and own.effect > 0 else "no",
                        ", ".join(f"{one.name} {one.effect:+.2f}" for one in beside[:4]),
                    ]
                )
            any_effect = next(iter(effects.values()))
            print_table(
                f"{name}: one step either way, {any_effect.n} held-out codes, "
                f"{any_effect.randoms} random directions; standard deviations of the trait",
                ("direction", "effect", "95 % interval", "random", "moves", "what else"),
                rows,
            )
            figures[name] = {target: asdict(effect) for target, effect in effects.items()}
    except ExplorerError as error:
        parser.error(str(error))
    save_result("directions", {"seed": flags.seed, "models": figures})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Photographs of digits: does an upload reach the neighbourhood that the clean digit has?

Two hundred held-out MNIST digits, drawn from a seed, are written on paper and
photographed (`benchmarks/camera.py` documents how, from one seed a photograph). Each photograph
goes through `prepare_upload`, as in the app, and is encoded by a checkpoint. Its class is taken
from its nearest codes among the held-out images that were not photographed; the clean originals'
class is taken from the same codes. The figure is the ratio of the two shares of right classes, by
the nearest code (k = 1) and by the vote of the twelve nearest, with a bootstrap interval over the
digits.

Beside it stands the plain intake that demos have: upright by EXIF, grey, inverted, the middle
cropped to a square and resized. `hard` photographs have the edge of a shadow and ruled paper too;
no target was set for them.

    python -m benchmarks.photos
"""

import argparse
import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from benchmarks.camera import photograph
from benchmarks.result import print_table, save_result
from explorer.encode.codes import vote
from explorer.errors import ExplorerError
from explorer.images.dataset import ImageSet
from explorer.images.intake import ModelInput, prepare_upload
from explorer.images.registry import load_images
from explorer.latent.neighbours import nearest
from explorer.models.checkpoint import load_config
from explorer.models.codec import Codec
from explorer.models.library import SHIPPED

TARGET = 0.9
VOTES = (1, 12)
RESAMPLES = 2000


def choose_digits(images: ImageSet, count: int, seed: int) -> NDArray[np.int64]:
    """Held-out rows to be photographed."""
    rng = np.random.default_rng([1, seed])
    return np.sort(rng.choice(images.held_out_index, count, replace=False))


def prepare_plainly(data: bytes, target: ModelInput) -> NDArray[np.float32]:
    """What a demo does: upright, grey, inverted, the middle square, resized."""
    _, height, width = target.image_shape
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("L")
    fitted = ImageOps.fit(ImageOps.invert(upright), (width, height), Image.Resampling.LANCZOS)
    return np.asarray(fitted, np.float32)[None] / np.float32(255)


def measure_photos(
    images: ImageSet,
    rows: NDArray[np.int64],
    codec: Codec,
    target: ModelInput,
    *,
    all_kinds: bool = True,
) -> dict[str, NDArray[np.bool_]]:
    """Whether each digit's class is right, (n,), by "clean", "photographs", ... and k.

    Args:
        images: the digits.
        rows: (n,), those photographed.
        codec: the model.
        target: what it takes.
        all_kinds: whether hard photographs are taken too.
    """
    digits, labels = images.images[rows, 0], images.labels
    assert labels is not None
    others = np.setdiff1d(images.held_out_index, rows)
    codes, _ = codec.encode(images.floats(others))

    inputs = {"clean": images.floats(rows)}
    for name, hard in (("photographs", False), ("hard photographs", True))[: 1 + all_kinds]:
        files = [
            photograph(digit, int(row), hard=hard) for digit, row in zip(digits, rows, strict=True)
        ]
        inputs[name] = np.stack([prepare_upload(data, name, target).image for data in files])
        inputs[f"{name}, plain intake"] = np.stack(
            [prepare_plainly(data, target) for data in files]
        )
    right = {}
    for name, pictures in inputs.items():
        _, index = nearest(codec.encode(pictures)[0], codes, max(VOTES))
        for k in VOTES:
            right[f"{name}, k = {k}"] = vote(labels[others][index[:, :k]]) == labels[rows]
    return right


def bound_ratio(
    right: NDArray[np.bool_], clean: NDArray[np.bool_], seed: int
) -> tuple[float, float]:
    """95 % bootstrap interval of the ratio of two shares over the same digits."""
    rng = np.random.default_rng([3, seed])
    drawn = rng.integers(0, len(right), (RESAMPLES, len(right)))
    ratios = right[drawn].mean(axis=1) / clean[drawn].mean(axis=1)
    low, high = np.quantile(ratios, (0.025, 0.975))
    return float(low), float(high)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; 1 if the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200, help="digits (default: 200)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoint", default="mnist-vae-16")
    flags = parser.parse_args(arguments)
    try:
        images = load_images("mnist")
        config = load_config(SHIPPED / flags.checkpoint)
        codec = Codec.from_folder(SHIPPED / flags.checkpoint)
    except ExplorerError as error:
        parser.error(str(error))
    target = ModelInput(config.data.image_shape, config.data.background)
    rows = choose_digits(images, flags.count, flags.seed)
    right = measure_photos(images, rows, codec, target)

    table, figures, met = [], {}, True
    for name, found in right.items():
        clean = right[f"clean, k = {name.rpartition(' ')[2]}"]
        ratio = float(found.mean() / clean.mean())
        low, high = bound_ratio(found, clean, flags.seed)
        figures[name] = {"right": float(found.mean()), "ratio": ratio, "interval": [low, high]}
        table.append([name, f"{found.mean():.3f}", f"{ratio:.3f}", f"{low:.3f} to {high:.3f}"])
        if name.startswith("photographs, k"):
            met = met and ratio >= TARGET
    print_table(
        f"{flags.count} digits, {flags.checkpoint}: nearest class right, target {TARGET}",
        ("input", "right", "of clean", "95 % interval"),
        table,
    )
    save_result(
        "photos",
        {
            "checkpoint": flags.checkpoint,
            "count": flags.count,
            "seed": flags.seed,
            "target": TARGET,
            "met": met,
            "inputs": figures,
        },
    )
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())

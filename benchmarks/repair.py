"""Damage undone by the checkpoints that were trained to: how near is it to the whole picture?

Held-out digits, drawn from a seed, are damaged as each checkpoint's training images were, and once
in the middle, where a digit has most of its ink. Of a part that is hidden, only what is hidden is
replaced. The baseline is the damaged picture as it is: PSNR and SSIM against the whole one, mean
and standard error over the digits.

    python -m benchmarks.repair
"""

import argparse
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.result import print_table, save_result
from explorer.encode.repair import DOWNSAMPLE, MASK, NOISE, damage, hide, repair
from explorer.errors import ExplorerError
from explorer.images.quality import psnr, ssim
from explorer.images.registry import load_images
from explorer.models.codec import Codec
from explorer.models.library import SHIPPED
from explorer.training.corruption import HIDDEN

DENOISER, INPAINTER, UPSCALER = "mnist-denoise-32", "mnist-inpaint-32", "mnist-superres-32"
COUNT = 1000


def damaged_ways(
    whole: NDArray[np.float32], seed: int
) -> list[tuple[str, str, NDArray[np.float32], NDArray[np.bool_] | None]]:
    """A checkpoint, the damage in words, the damaged pictures, and what of them is hidden.

    Args:
        whole: (N, C, 28, 28).
        seed: of the noise and of the squares' places.
    """
    middle = np.zeros(whole.shape[2:], np.bool_)
    middle[8:20, 8:20] = True
    anywhere = damage(whole, MASK, 0.5, seed=seed)
    # No digit has that grey of its own: its pixels are bytes.
    hidden = (anywhere == np.float32(HIDDEN)).all(axis=1)
    return [
        (DENOISER, "Gaussian noise of 0.5", damage(whole, NOISE, 0.5, seed=seed), None),
        (INPAINTER, "a square of 14 x 14, anywhere", anywhere, hidden),
        (INPAINTER, "the middle 12 x 12", hide(whole, middle), middle),
        (UPSCALER, "7 x 7 pixels", damage(whole, DOWNSAMPLE, 4), None),
    ]


def measure_quality(
    pictures: NDArray[np.float32], whole: NDArray[np.float32]
) -> dict[str, tuple[float, float]]:
    """PSNR in dB and SSIM, each with its standard error over the pictures."""
    return {
        name: (float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))))
        for name, values in (("psnr", psnr(pictures, whole)), ("ssim", ssim(pictures, whole)))
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; 1 if a repair is no better than what it was given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=COUNT, help=f"digits (default: {COUNT:,})")
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args(arguments)
    figures: list[dict[str, object]] = []
    rows, met = [], True
    try:
        images = load_images("mnist")
        drawn = np.random.default_rng([8, flags.seed]).permutation(images.held_out_index)
        whole = images.floats(np.sort(drawn[: flags.count]))
        for name, words, damaged, hidden in damaged_ways(whole, flags.seed):
            repaired = repair(Codec.from_folder(SHIPPED / name), damaged, mask=hidden)
            before, after = measure_quality(damaged, whole), measure_quality(repaired, whole)
            met = met and all(after[key][0] > before[key][0] for key in before)
            figures.append(
                {"checkpoint": name, "damage": words, "damaged": before, "repaired": after}
            )
            rows.append(
                [
                    name,
                    words,
                    *(
                        f"{mean:.{digits}f} ± {error:.{digits}f}"
                        for key, digits in (("psnr", 2), ("ssim", 3))
                        for mean, error in (before[key], after[key])
                    ),
                ]
            )
    except ExplorerError as error:
        parser.error(str(error))
    print_table(
        f"{len(whole):,} held-out digits, mean ± standard error",
        ("checkpoint", "damage", "PSNR, dB: damaged", "repaired", "SSIM: damaged", "repaired"),
        rows,
    )
    save_result("repair", {"seed": flags.seed, "count": len(whole), "met": met, "repairs": figures})
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())

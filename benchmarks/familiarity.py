"""Pictures that are not of the data set: how often does a model say so, and how often of its own?

Each model's held-out images were scored once (`heldout.npz`: 3,000 of 10,000). Given to it are:
held-out images that were not among those; the other set of the same size (Fashion-MNIST to a model
of digits, digits to a model of clothes, which is the pair that Nalisnick et al. found reversed);
blank pictures of every grey; uniform noise; its own images inverted, and mirrored; and letters. No
library at hand has letters, so they are drawn with the font that comes with Pillow, both cases,
turned, sheared and of several weights, and prepared as uploads are; some are digits to the eye (O,
I, l, S, Z, B), as are some mirrored digits (0, 1, 8).

Beside our rule, at the same 5 % on held-out images: the bound alone (its upper tail); the
typical-set test (Nalisnick et al. 2019, arXiv:1906.02994, for one picture: how far the bound lies
from the mean bound, either way); and the bound minus the complexity (Serrà et al. 2020,
arXiv:1909.11480).

    python -m benchmarks.familiarity
"""

import argparse
import io
import string
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.stats import betabinom, ks_2samp

from benchmarks.result import print_table, save_result
from explorer.encode.familiarity import Familiarity, open_familiarity
from explorer.encode.heldout import Scores
from explorer.encode.verdicts import FALSE_ALARMS, SCORES
from explorer.errors import ExplorerError
from explorer.images.dataset import ImageSet
from explorer.images.intake import ModelInput, prepare_upload
from explorer.images.registry import load_images
from explorer.models.checkpoint import load_config, load_encodings
from explorer.models.codec import Codec
from explorer.models.library import SHIPPED

MODELS = ("mnist-vae-16", "mnist-ae-16", "mnist-vae-2", "fashion-mnist-vae-16")
OTHER = {"mnist": "fashion-mnist", "fashion-mnist": "mnist"}
CHUNK = 200
HELD_OUT = "held-out images"

Rule = Callable[[Scores], NDArray[np.bool_]]


def draw_letters(count: int, seed: int) -> list[bytes]:
    """PNG files of letters, dark on light paper; the alphabets in turn, each letter another way."""
    generator = np.random.default_rng([4, seed])
    files = []
    for number in range(count):
        letter = string.ascii_letters[number % len(string.ascii_letters)]
        size, weight = int(generator.integers(110, 150)), int(generator.integers(0, 6))
        turn, lean = generator.uniform(-12, 12), generator.uniform(-0.25, 0.25)
        page = Image.new("L", (256, 256), 255)
        ImageDraw.Draw(page).text(
            (128, 128),
            letter,
            font=ImageFont.load_default(size),
            fill=30,
            anchor="mm",
            stroke_width=weight,
            stroke_fill=30,
        )
        page = page.rotate(turn, Image.Resampling.BICUBIC, fillcolor=255)
        page = page.transform(
            page.size,
            Image.Transform.AFFINE,
            (1, lean, -128 * lean, 0, 1, 0),
            Image.Resampling.BICUBIC,
            fillcolor=255,
        )
        buffer = io.BytesIO()
        page.save(buffer, "PNG")
        files.append(buffer.getvalue())
    return files


def make_pictures(
    own: ImageSet,
    fresh: NDArray[np.int64],
    other: ImageSet,
    target: ModelInput,
    count: int,
    seed: int,
) -> dict[str, NDArray[np.float32]]:
    """What is given to a model, by name, (n, C, H, W) each.

    Args:
        own: the model's data set.
        fresh: rows of held-out images that have no scores yet.
        other: another data set of the same size.
        target: what the model takes.
        count: pictures of each kind; of held-out images four times as many.
        seed: of the draws.
    """
    generator = np.random.default_rng([5, seed])
    rows = generator.permutation(fresh)[: 4 * count]
    some = own.floats(np.sort(rows[:count]))
    shape = target.image_shape
    greys = np.linspace(0, 1, 256, dtype=np.float32)
    letters = [prepare_upload(data, "letter", target).image for data in draw_letters(count, seed)]
    return {
        HELD_OUT: own.floats(np.sort(rows)),
        other.name: other.floats(
            np.sort(generator.choice(other.held_out_index, count, replace=False))
        ),
        "blank": np.broadcast_to(greys[:, None, None, None], (256, *shape)).copy(),
        "noise": generator.random((count, *shape), dtype=np.float32),
        "inverted": 1 - some,
        "mirrored": some[..., ::-1].copy(),
        "letters": np.stack(letters),
    }


def make_rules(known: Familiarity) -> dict[str, Rule]:
    """Which pictures are flagged, by rule; every rule flags 5 % of the held-out images."""
    held = known.held_out
    typical = float(held.bound.mean(dtype=np.float64))

    def beyond(measure: Callable[[Scores], NDArray[np.floating]]) -> Rule:
        limit = np.quantile(measure(held), 1 - FALSE_ALARMS)
        return lambda scores: np.asarray(measure(scores) > limit)

    return {
        "all four scores": lambda scores: np.asarray(known.combined(scores) <= FALSE_ALARMS),
        "bound alone": beyond(lambda scores: scores.bound),
        "typical set": beyond(lambda scores: np.abs(scores.bound - typical)),
        "bound - complexity": beyond(lambda scores: scores.bound - scores.complexity),
    }


def score(known: Familiarity, codec: Codec, pictures: NDArray[np.float32]) -> Scores:
    """Scores of many pictures, some at a time."""
    parts = [
        known.score(codec, pictures[start : start + CHUNK])
        for start in range(0, len(pictures), CHUNK)
    ]
    names = ("reconstruction_nll", "kl", "distance", "cycle", "complexity")
    joined = {
        name: None
        if getattr(parts[0], name) is None
        else np.concatenate([getattr(part, name) for part in parts])
        for name in names
    }
    return Scores(**joined)


def measure_model(name: str, count: int, seed: int) -> dict[str, object]:
    """Rates of flags, by kind of picture and rule, and how uniform the percentiles are.

    Raises:
        ExplorerError: the checkpoint cannot be used, or its images are not at hand.
    """
    folder = SHIPPED / name
    config = load_config(folder)
    own, other = load_images(config.data.name), load_images(OTHER[config.data.name])
    encodings = load_encodings(folder, config)
    codec = Codec.from_folder(folder)
    known = open_familiarity(folder, config, encodings)
    if known is None:
        raise ExplorerError(f"{name} has no held-out scores: python -m explorer.encode.familiarity")
    fresh = np.delete(encodings.index, known.held_out.rows)
    target = ModelInput(config.data.image_shape, config.data.background)
    pictures = make_pictures(own, fresh, other, target, count, seed)
    rules = make_rules(known)
    rates: dict[str, dict[str, float]] = {}
    sizes, uniform, percentiles = {}, {}, {}
    alone: dict[str, dict[str, float]] = {}
    for kind, given in pictures.items():
        scores = score(known, codec, given)
        sizes[kind] = len(given)
        rates[kind] = {rule: float(flag(scores).mean()) for rule, flag in rules.items()}
        if kind == HELD_OUT:
            uniform = {
                key: float(ks_2samp(known.held_out.of(key), scores.of(key)).pvalue)
                for key in SCORES
            }
        p_values = known.p_values(scores)
        alone[kind] = {key: float((p_values[key] <= FALSE_ALARMS).mean()) for key in SCORES}
        percentiles[kind] = float(np.median(known.held_out.percentile("bound", scores.bound)))
    n = sizes[HELD_OUT]
    # The references are drawn as well: given them, the rate itself is a draw from a beta.
    rank = int(FALSE_ALARMS * (known.n + 1))
    low, high = betabinom.ppf([0.025, 0.975], n, rank, known.n + 1 - rank) / n
    return {
        "references": known.n,
        "pictures": sizes,
        "rates": rates,
        "each_score_alone": alone,
        "median_percentile_of_the_bound": percentiles,
        "kolmogorov_smirnov_p": uniform,
        "nominal_interval": [float(low), float(high)],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; 1 if false alarms are not as stated."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=MODELS, metavar="NAME")
    parser.add_argument("--count", type=int, default=500, help="of each kind (default: 500)")
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args(arguments)
    figures: dict[str, dict[str, object]] = {}
    met = True
    try:
        for name in flags.models:
            found = measure_model(name, flags.count, flags.seed)
            figures[name] = found
            rates = found["rates"]
            rules = list(rates[HELD_OUT])
            low, high = found["nominal_interval"]
            print_table(
                f"{name}: share flagged; 5 % of held-out images by design "
                f"({low:.3f} to {high:.3f} for so many)",
                ("given", *rules, *(f"{key} only" for key in SCORES[1:]), "bound's place", "n"),
                [
                    [
                        kind,
                        *(f"{rates[kind][rule]:.3f}" for rule in rules),
                        *(f"{found['each_score_alone'][kind][key]:.3f}" for key in SCORES[1:]),
                        f"{found['median_percentile_of_the_bound'][kind]:.0f}",
                        str(found["pictures"][kind]),
                    ]
                    for kind in rates
                ],
            )
            told = ", ".join(
                f"{key} {value:.2f}" for key, value in found["kolmogorov_smirnov_p"].items()
            )
            print(f"Percentiles of fresh held-out images uniform (Kolmogorov-Smirnov p): {told}")
            met = met and low <= rates[HELD_OUT]["all four scores"] <= high
    except ExplorerError as error:
        parser.error(str(error))
    save_result("familiarity", {"seed": flags.seed, "met": met, "models": figures})
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())

"""The headline measures of a checkpoint: seconds and peak memory beside a pass of its images.

Every round is a process of its own, so that its peak memory is its own. It opens the checkpoint,
loads the feature space (trained the first time, which is timed apart: later measurements of the
same data find it), then encodes and decodes the measured images once before and once after the
measuring. The ratio is the measuring over the mean of the two passes: how many times longer it
takes than only looking at each image once.

    EXPLORER_DATA=... python -m benchmarks.regularity
"""

import argparse
import itertools
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.result import print_table, save_result

TARGET_SECONDS = 60.0
TARGET_GB = 2.0


def timed(work: Callable[[], object]) -> float:
    """Seconds that something takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def peak_bytes() -> int:
    """The most memory that this process ever held."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def measure_once(name: str, details: bool) -> dict[str, Any]:
    """Measure a checkpoint in this process."""
    from explorer.models.library import find_checkpoint
    from explorer.regularity.measuring import FAMILIES, HEADLINE_FAMILIES, measure_all
    from explorer.regularity.subject import ModelUnderTest

    subject = ModelUnderTest.from_folder(find_checkpoint(name))

    def look_once() -> None:
        for chunk in subject.chunks():
            subject.decode(subject.encode(subject.images(chunk))[0])

    feature_space = timed(subject.load_extractor)
    look_once()
    before = timed(look_once)
    told: list[tuple[str, float]] = []
    seconds = timed(
        lambda: measure_all(
            subject,
            families=FAMILIES if details else HEADLINE_FAMILIES,
            progress=lambda words, _share: told.append((words, time.perf_counter())),
        )
    )
    after = timed(look_once)
    parts: dict[str, float] = {}
    for (words, start), (_, end) in itertools.pairwise(told):
        parts[words] = parts.get(words, 0.0) + end - start
    return {
        "images": subject.n,
        "latents": subject.latent_dim,
        "seconds": seconds,
        "pass_seconds": [before, after],
        "ratio": seconds / statistics.mean((before, after)),
        "feature_space_seconds": feature_space,
        "peak_bytes": peak_bytes(),
        "parts": parts,
    }


def measure_apart(name: str, details: bool) -> dict[str, Any]:
    """Measure a checkpoint in a process of its own."""
    words = [sys.executable, "-m", "benchmarks.regularity", name, "--worker"]
    found = subprocess.run(
        [*words, *(["--details"] if details else [])], stdout=subprocess.PIPE, check=True
    )
    return dict(json.loads(found.stdout))


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description="Time the measuring of a checkpoint.")
    parser.add_argument("name", nargs="?", default="mnist-vae-16", help="(default: mnist-vae-16)")
    parser.add_argument("--rounds", type=int, default=3, help="processes (default: 3)")
    parser.add_argument("--details", action="store_true", help="all measures, not the headline")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.worker:
        print(json.dumps(measure_once(flags.name, flags.details)))
        return

    rounds = [measure_apart(flags.name, flags.details) for _ in range(flags.rounds)]
    what = "all measures" if flags.details else "headline measures"

    def median(key: str) -> float:
        return statistics.median(one[key] for one in rounds)

    def target(words: str, most: float) -> str:
        return "" if flags.details else words.format(most)

    parts = {
        words: statistics.median(one["parts"][words] for one in rounds)
        for words in rounds[0]["parts"]
    }
    print_table(
        f"{what} of {flags.name}, {rounds[0]['images']:,} images, median of {len(rounds)}",
        ["", "figure", "target"],
        [
            ["seconds", f"{median('seconds'):.1f}", target("<= {:g}", TARGET_SECONDS)],
            ["encode and decode once, seconds (baseline)", _passes(rounds), ""],
            ["ratio", f"{median('ratio'):.1f}", ""],
            [
                "peak memory, GB",
                f"{median('peak_bytes') / 1e9:.2f}",
                target("<= {:g}", TARGET_GB),
            ],
            ["opening the feature space, seconds", f"{median('feature_space_seconds'):.1f}", ""],
            *([f"  {words}", f"{seconds:.1f}", ""] for words, seconds in parts.items()),
        ],
    )
    save_result(
        "regularity",
        {
            "unit": "seconds",
            "checkpoint": flags.name,
            "measures": what,
            "baseline": "encode and decode the same images once",
            "seconds": median("seconds"),
            "ratio": median("ratio"),
            "peak_bytes": median("peak_bytes"),
            "targets": {"seconds": TARGET_SECONDS, "peak_bytes": TARGET_GB * 1e9},
            "rounds": rounds,
        },
    )


def _passes(rounds: list[dict[str, Any]]) -> str:
    return f"{statistics.median(statistics.mean(one['pass_seconds']) for one in rounds):.1f}"


if __name__ == "__main__":
    main()

"""Is a picture like the training data? Each score as a held-out percentile, and one verdict.

python -m explorer.encode.familiarity mnist-vae-16 faces-vae-16
python -m explorer.encode.familiarity                    # every checkpoint that has no scores yet

Asking needs the checkpoint's heldout.npz alone; the command that writes it needs the data set.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explorer.encode.heldout import (
    FEWEST,
    HeldOutScores,
    Scores,
    load_held_out,
    measure_held_out,
    measure_scores,
    same_distance,
    save_held_out,
)
from explorer.encode.verdicts import EXPLANATION as EXPLANATION
from explorer.encode.verdicts import FALSE_ALARMS as FALSE_ALARMS
from explorer.encode.verdicts import SCORES as SCORES
from explorer.encode.verdicts import Score as Score
from explorer.encode.verdicts import Verdict as Verdict
from explorer.encode.verdicts import combined_p_values, judge_one, tails
from explorer.errors import DataNotAtHandError
from explorer.models.bound import Bounds
from explorer.models.checkpoint import HELD_OUT, Encodings, load_config, load_encodings
from explorer.models.codec import Codec
from explorer.models.config import CheckpointConfig
from explorer.models.library import checkpoint_folders, find_checkpoint, list_checkpoints
from explorer.models.pictures import explain_missing, images_at_hand
from explorer.storage import check_writable
from explorer.training.streams import Forgiving, measure_each

_PROGRAM = "python -m explorer.encode.familiarity"


@dataclass(frozen=True, eq=False)
class Familiarity:
    """Answers, for one checkpoint, whether pictures are like the training data.

    Attributes:
        held_out: the scores that pictures are held against.
        codes: of all held-out images, (N, D), among which the nearest are looked for.
    """

    held_out: HeldOutScores
    codes: NDArray[np.float32]

    @property
    def n(self) -> int:
        """Held-out images that a picture is held against."""
        return len(self.held_out)

    def score(
        self, codec: Codec, images: NDArray[np.floating[Any]], bounds: Bounds | None = None
    ) -> Scores:
        """Score images as the held-out ones were scored; one of those is not its own neighbour.

        Args:
            codec: the model.
            images: (N, C, H, W) in [0, 1].
            bounds: what `measure_bounds(codec, images)` gives, if it is known.

        Raises:
            CheckpointError: images of another shape.
        """
        return measure_scores(
            codec, images, self.codes, bounds=bounds, same=same_distance(self.held_out)
        )

    def judge(
        self, codec: Codec, images: NDArray[np.floating[Any]], bounds: Bounds | None = None
    ) -> list[Verdict]:
        """The verdict on each image.

        Args:
            codec: the model.
            images: (N, C, H, W) in [0, 1].
            bounds: as for `score`.

        Raises:
            CheckpointError: images of another shape.
        """
        return self.judge_scores(self.score(codec, images, bounds))

    def judge_scores(self, scores: Scores) -> list[Verdict]:
        """The verdict on images of these scores."""
        p_values = self.p_values(scores)
        percentiles = {key: self.held_out.percentile(key, scores.of(key)) for key in SCORES}
        together = self.combined(scores)
        return [
            judge_one(
                {
                    key: (
                        float(scores.of(key)[row]),
                        float(percentiles[key][row]),
                        float(p_values[key][row]),
                    )
                    for key in SCORES
                },
                p_value=float(together[row]),
                n=self.n,
                variational=scores.kl is not None,
            )
            for row in range(len(scores))
        ]

    def p_values(self, scores: Scores) -> dict[str, NDArray[np.float64]]:
        """Of each score, the share of held-out images and this one that are as odd, (Q,)."""
        return {key: tails(scores.of(key), self.held_out.ranked[key], key) for key in SCORES}

    def combined(self, scores: Scores) -> NDArray[np.float64]:
        """The share of held-out images and the image itself that are as odd in all, (Q,)."""
        return combined_p_values(
            {key: scores.of(key) for key in SCORES},
            {key: self.held_out.ranked[key] for key in SCORES},
        )


def open_familiarity(
    folder: Path, config: CheckpointConfig, encodings: Encodings
) -> Familiarity | None:
    """Read a checkpoint's held-out scores; None where it has none.

    Args:
        folder: the checkpoint.
        config: its own.
        encodings: its own.

    Raises:
        CheckpointError: they are there, but damaged or of another model.
    """
    found = load_held_out(folder, config.kind, encodings)
    return None if found is None else Familiarity(found, encodings.mean)


def measure_familiarity(
    codec: Codec,
    config: CheckpointConfig,
    encodings: Encodings,
    progress: Callable[[float], None] = lambda _share: None,
) -> Familiarity | None:
    """Score the held-out images anew; None where they are not at hand.

    Args:
        codec: the model.
        config: the checkpoint's.
        encodings: the checkpoint's.
        progress: told the share that is done.

    Raises:
        LatentError: too few held-out images.
    """
    images = images_at_hand(config.data)
    if images is None or encodings.index.max() >= len(images.images):
        return None
    found = measure_held_out(codec, encodings, images, progress=progress)
    return Familiarity(found, encodings.mean)


def explain_no_scores(name: str, held_out: int) -> str:
    """Why a checkpoint has no scores of its held-out images, and what gives it some.

    Args:
        name: the checkpoint's.
        held_out: how many held-out images it has.
    """
    if held_out < FEWEST:
        return (
            f"{name} has {held_out} held-out images; to hold a picture against them takes "
            f"{FEWEST}: train with more images (a tenth of them is held out, so {10 * FEWEST} are "
            "enough)."
        )
    return (
        f"{name} has no scores of its held-out images: python -m explorer.encode.familiarity "
        f"{name} measures them, where the data set is at hand."
    )


def measure_folder(folder: Path, progress: Callable[[float], None]) -> int:
    """Score a checkpoint's held-out images and put the scores into its folder.

    Returns:
        How many images were scored.

    Raises:
        ExplorerError: the checkpoint cannot be used or written to, or its images are not at hand.
    """
    check_writable(folder)
    config = load_config(folder)
    found = measure_familiarity(
        Codec.from_folder(folder), config, load_encodings(folder, config), progress
    )
    if found is None:
        raise DataNotAtHandError(explain_missing(config.data))
    save_held_out(folder / HELD_OUT, found.held_out)
    return found.n


def build_parser() -> argparse.ArgumentParser:
    """The flags of `python -m explorer.encode.familiarity`."""
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        description=f"Score a checkpoint's held-out images and write {HELD_OUT} into its folder, "
        "so that the app and python -m explorer.encode can say whether a picture is like the "
        "training data. The images must be at hand: nothing is downloaded.",
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="a checkpoint's name, or its folder (default: all without scores)",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        The exit status: 0 if all were measured, 2 if the user has to mend something, 130 after
        Ctrl-C.
    """
    from tqdm import tqdm

    flags = build_parser().parse_args(arguments)
    names = flags.names or [
        one.name
        for one in list_checkpoints(checkpoint_folders())
        if one.error is None and not (one.folder / HELD_OUT).exists()
    ]
    if not names:
        Forgiving(sys.stdout).write(
            "Every checkpoint has held-out scores; name one to measure it anew.\n"
        )

    def measure(name: str) -> str:
        with tqdm(
            total=1.0,
            desc=name,
            bar_format="{desc} {bar} {percentage:3.0f}% {elapsed}",
            leave=False,
            file=Forgiving(sys.stderr),
        ) as bar:
            count = measure_folder(find_checkpoint(name), lambda share: bar.update(share - bar.n))
        return f"{name}: {count:,} held-out images scored\n"

    return measure_each(_PROGRAM, names, measure)


if __name__ == "__main__":
    sys.exit(main())

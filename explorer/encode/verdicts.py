"""From scores to words: how odd a picture is among held-out images, and which score says so.

One question is asked of each score, and one of all together: of the held-out images and this one,
how many are at least as odd? If the picture is drawn as they were, every answer is as likely as any
other, whatever the scores' distributions: 5 in a hundred such pictures are among the oddest 5.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FALSE_ALARMS = 0.05  # held-out images that are flagged
RARE = 0.01  # those of them that are called unlike

FAMILIAR, UNUSUAL, UNLIKE = "familiar", "unusual", "unlike"

BOUND, DISTANCE, CYCLE, COMPLEXITY = "bound", "distance", "cycle", "complexity"
SCORES = (BOUND, DISTANCE, CYCLE, COMPLEXITY)

EXPLANATION = """\
Four scores are taken of the picture and of held-out images, which the model did not learn from
either: what it costs (the bound), how far its code lies from its fifth nearest, how far the code
moves when it is decoded and encoded again, and how much a lossless compressor needs for it. Each
percentile says where the picture stands among the held-out images. The verdict asks how many of
them are as odd in all four together, so it has a known rate of false alarms: 5 in 100 held-out
images are flagged too.

**The trap.** A good bound does not make a picture familiar. Simple pictures are cheap for every
model: one trained on clothes finds digits *more* likely than clothes, and a blank page more likely
still (Nalisnick et al., 2019, arXiv:1810.09136). So a picture that is much simpler or much busier
than the training data is flagged however good its bound is (after Serrà et al., 2020,
arXiv:1909.11480).

Nor is a verdict a proof: a letter that looks like a digit passes as one.
"""


@dataclass(frozen=True)
class Score:
    """One score of one picture, among the held-out images.

    Attributes:
        key: of `SCORES`.
        title: its name.
        unit: "nats", or "" for latent units.
        value: in its unit.
        percentile: how many in a hundred held-out images have less, half of the equal ones.
        p_value: the share of held-out images and this one that are at least as odd.
        two_sided: whether too little is odd as well as too much.
        meaning: a sentence for a student.
    """

    key: str
    title: str
    unit: str
    value: float
    percentile: float
    p_value: float
    two_sided: bool
    meaning: str


@dataclass(frozen=True)
class Verdict:
    """Whether a picture is like the training data.

    Attributes:
        word: "familiar", "unusual" (flagged) or "unlike" (flagged, and as 1 in 100 at most).
        flagged: whether `p_value` is at most 0.05.
        p_value: the share of held-out images and this one that are at least as odd in all scores
            together.
        scores: in the order of `SCORES`.
        leading: the score that is oddest.
        sentence: the verdict in words.
        trap: of a flagged picture, a sentence where the bound alone would mislead; else "".
    """

    word: str
    flagged: bool
    p_value: float
    scores: tuple[Score, ...]
    leading: Score
    sentence: str
    trap: str


@dataclass(frozen=True, eq=False)
class Ranked:
    """Held-out values of one score, sorted once for all that is asked of them.

    Attributes:
        values: as they were given, (n,).
        ordered: ascending, (n,).
        above: of each value, how many are at least as large, itself among them, (n,).
        below: of each value, how many are at most as large, itself among them, (n,).
    """

    values: NDArray[np.floating[Any]]
    ordered: NDArray[np.floating[Any]]
    above: NDArray[np.int64]
    below: NDArray[np.int64]

    @classmethod
    def of(cls, values: NDArray[np.floating[Any]]) -> "Ranked":
        """Sort values, (n,)."""
        ordered = np.sort(values)
        above = len(values) - np.searchsorted(ordered, values, side="left")
        return cls(values, ordered, above, np.searchsorted(ordered, values, side="right"))

    def __len__(self) -> int:
        return len(self.values)


def tails(values: NDArray[np.floating[Any]], held_out: Ranked, key: str) -> NDArray[np.float64]:
    """How odd values are, (Q,): the share of n + 1 images at least so far out; > 0, at most 1."""
    n = len(held_out)
    above = n - np.searchsorted(held_out.ordered, values, side="left")
    up = (1.0 + above) / (n + 1)
    if key != COMPLEXITY:
        return np.asarray(up)
    low = (1.0 + np.searchsorted(held_out.ordered, values, side="right")) / (n + 1)
    return np.asarray(np.minimum(1.0, 2 * np.minimum(up, low)))


def combined_p_values(
    scores: Mapping[str, NDArray[np.floating[Any]]],
    held_out: Mapping[str, Ranked],
) -> NDArray[np.float64]:
    """How odd images are by all scores together.

    Oddness is the generalised mean of the scores' shares with the exponent -1/2: one score far out
    is enough, as with their minimum, and several a little out add up, as in their product. It is
    ranked among the held-out images: the scores are not independent, so no table's distribution
    holds. The image is counted into the shares of the others too, which makes the rank exact.

    Args:
        scores: of each image, (Q,) each.
        held_out: of the held-out images, n each.

    Returns:
        (Q,), > 0, at most 1: at most alpha with probability at most alpha if the image is drawn as
        the held-out ones were.

    Source: Vovk, Gammerman & Shafer 2005, "Algorithmic learning in a random world", section 2.2
    (full conformal prediction); Bates et al. 2023, arXiv:2104.08279, for outliers; Vovk & Wang
    2020, arXiv:1212.4966, for means of such shares.
    """
    n = len(next(iter(held_out.values())))
    count = len(next(iter(scores.values())))
    found = np.empty(count)
    for row in range(count):
        theirs, mine = np.zeros(n), 0.0
        for key, ranked in held_out.items():
            values, value = ranked.values, scores[key][row]
            out = ranked.above + (value >= values)
            out_mine: float = 1 + int(np.count_nonzero(values >= value))
            if key == COMPLEXITY:
                low = ranked.below + (value <= values)
                low_mine = 1 + int(np.count_nonzero(values <= value))
                out = np.minimum(n + 1, 2 * np.minimum(out, low))
                out_mine = min(n + 1, 2 * out_mine, 2 * low_mine)
            theirs += out**-0.5
            mine += float(out_mine**-0.5)
        # Equal ranks give equal sums but for rounding.
        found[row] = (1 + np.count_nonzero(theirs >= mine - 1e-9)) / (n + 1)
    return found


_TITLES = {
    BOUND: "Bound",
    DISTANCE: "Distance to the nearest codes",
    CYCLE: "Cycle error",
    COMPLEXITY: "Complexity",
}
_MEANINGS = {
    BOUND: "What the picture costs the model, reconstruction and KL together: more means that the "
    "model describes it badly.",
    DISTANCE: "How far its code lies from its fifth nearest held-out code: more means that the "
    "model has seen little around there.",
    CYCLE: "How far the code moves when it is decoded and encoded again: more means that encoder "
    "and decoder do not agree about it.",
    COMPLEXITY: "What a lossless compressor needs for it, without knowing the data: too little is "
    "as odd as too much.",
}
_AE_BOUND = (
    "What the picture costs the model, its reconstruction NLL (an autoencoder has no KL): more "
    "means that the model describes it badly."
)


def judge_one(
    figures: Mapping[str, tuple[float, float, float]],
    *,
    p_value: float,
    n: int,
    variational: bool,
) -> Verdict:
    """Put one image's figures into words.

    Args:
        figures: value, percentile and share at least as odd, by score.
        p_value: of all together.
        n: held-out images.
        variational: whether the model has a KL.
    """
    scores = tuple(
        Score(
            key=key,
            title="Reconstruction NLL" if key == BOUND and not variational else _TITLES[key],
            unit="nats" if key in (BOUND, COMPLEXITY) else "",
            value=value,
            percentile=percentile,
            p_value=share,
            two_sided=key == COMPLEXITY,
            meaning=_AE_BOUND if key == BOUND and not variational else _MEANINGS[key],
        )
        for key, (value, percentile, share) in figures.items()
    )
    leading = min(scores, key=lambda score: score.p_value)
    flagged = p_value <= FALSE_ALARMS
    beyond = leading.p_value <= (2 if leading.two_sided else 1) / (n + 1)
    word = FAMILIAR if not flagged else UNLIKE if p_value <= RARE or beyond else UNUSUAL
    return Verdict(
        word=word,
        flagged=flagged,
        p_value=p_value,
        scores=scores,
        leading=leading,
        sentence=_sentence(word, p_value, leading, n),
        trap=_trap(scores) if flagged else "",
    )


def _sentence(word: str, p_value: float, leading: Score, n: int) -> str:
    as_odd = max(0, round(p_value * (n + 1)) - 1)
    how_many = f"{as_odd:,}" if as_odd else "none"
    among = f"{how_many} of {n:,} held-out images {'are' if as_odd > 1 else 'is'}"
    if word == FAMILIAR:
        return f"It looks like the training data: {among} at least as odd."
    start = "It is unlike the training data" if word == UNLIKE else "It is unusual"
    if leading.p_value > FALSE_ALARMS:
        return f"{start}: {among} as odd, by all four scores together, none of them far out alone."
    return f"{start}: {among} as odd. {_standing(leading)} says so most."


def _standing(score: Score) -> str:
    title = _named(score)
    if score.percentile >= 100:
        return f"{title}, higher than that of all of them,"
    if score.percentile <= 0:
        return f"{title}, lower than that of all of them,"
    if score.percentile >= 50:
        return f"{title}, higher than that of {score.percentile:.1f} % of them,"
    return f"{title}, lower than that of {100 - score.percentile:.1f} % of them,"


def _named(score: Score) -> str:
    return f"Its {score.title[0].lower()}{score.title[1:]}"


def _trap(scores: tuple[Score, ...]) -> str:
    bound, complexity = (
        next(score for score in scores if score.key == key) for key in (BOUND, COMPLEXITY)
    )
    simple = complexity.percentile < 50 and complexity.p_value <= FALSE_ALARMS
    if not simple or bound.percentile >= 50:
        return ""
    return (
        f"{_named(bound)} is better than that of {100 - bound.percentile:.0f} % of the held-out "
        "images because it is simple, not because it is familiar: simple pictures are cheap for "
        "any model."
    )

"""What the figures of several models allow to be said, and nothing stronger.

A model is called better in a measure only where its 95 % interval lies apart from every other's;
overlapping intervals are a tie. (That is stricter than a 95 % test of the difference: some true
differences are called ties.)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from explorer.regularity.definitions import HIGHER, LOWER, NEAR_IDEAL, NO_PRIOR
from explorer.regularity.estimate import Estimate

# What makes a latent space regular: the prior's mass and the codes' agree, and what lies between
# and around codes decodes to something real. Reconstruction and neighbours are other virtues.
REGULARITY = (
    "prior_match", "hole_rate", "escape_rate", "coverage_ratio", "midpoint_realism", "class_kept",
)  # fmt: skip
SEVERAL = 2


@dataclass(frozen=True)
class Standing:
    """How several models stand in one measure.

    Attributes:
        measures: one a model.
        best: the model that is better than every other; None for a tie, or where no side of the
            measure is the better one.
    """

    measures: tuple[Estimate, ...]
    best: int | None


def judge(measures: Sequence[Estimate]) -> Standing:
    """Who is better in one measure.

    Args:
        measures: of one key and column, one a model.
    """
    return Standing(tuple(measures), _best(measures))


def _best(measures: Sequence[Estimate]) -> int | None:
    spans = [_span(measure) for measure in measures]
    if len(spans) < SEVERAL:
        return None
    known = [span for span in spans if span is not None]
    if len(known) < len(spans):
        return None
    for place, (_, worst) in enumerate(known):
        if all(worst < best for other, (best, _) in enumerate(known) if other != place):
            return place
    return None


def _span(measure: Estimate) -> tuple[float, float] | None:
    """The interval as a cost, (least, most): the lower the better; None where there is none."""
    low, high = measure.low, measure.high
    if low is None or high is None:
        return None
    if measure.definition.direction == LOWER:
        return low, high
    if measure.definition.direction == HIGHER:
        return -high, -low
    if measure.definition.direction == NEAR_IDEAL and measure.ideal is not None:
        ends = abs(low - measure.ideal), abs(high - measure.ideal)
        within = low <= measure.ideal <= high
        return (0.0 if within else min(ends)), max(ends)
    return None


def standings(reports: Sequence[Sequence[Estimate]], column: str) -> dict[str, Standing]:
    """The headline measures that all models have, in the order of the first one's.

    Args:
        reports: the measures of each model.
        column: "as built" or "scale-fair", for those that the prior enters.
    """
    found = [
        {one.key: one for one in measures if one.headline and one.column in (column, NO_PRIOR)}
        for measures in reports
    ]
    keys = [key for key in found[0] if all(key in one for one in found)]
    return {key: judge([one[key] for one in found]) for key in keys}


def write_verdict(names: Sequence[str], found: dict[str, Standing]) -> list[str]:
    """The verdict in sentences.

    Args:
        names: of the models, in the order of the measures.
        found: from `standings`.

    Returns:
        Sentences, the answer first.
    """
    told = [_more_regular(names, found)]
    words = {
        "hole_rate": ("leaves {} of the prior empty", percent),
        "escape_rate": ("keeps {} of its images out of the prior's reach", percent),
        "coverage_ratio": (
            "draws from the prior what covers {} of what it can reconstruct",
            percent,
        ),
        "reconstruction_nll": ("reconstructs at {} nats an image", _one_digit),
    }
    told += [_compare(names, found[key], *words[key]) for key in words if key in found]
    return told


def _more_regular(names: Sequence[str], found: dict[str, Standing]) -> str:
    judged = [found[key] for key in REGULARITY if key in found]
    if not judged:
        return "None of the measures of regularity is at hand for all of these models."
    wins = [sum(one.best == place for one in judged) for place in range(len(names))]
    ties = sum(one.best is None for one in judged)
    most = max(wins)
    leaders = [place for place, count in enumerate(wins) if count == most]
    count = f"{len(judged)} measures of regularity"
    tied = f", {ties} {'is a tie' if ties == 1 else 'are ties'}" if ties else ""
    if most == 0:
        return f"No model is the more regular one: all {count} are ties."
    others = ", ".join(
        f"{names[place]} in {number}" for place, number in enumerate(wins) if place not in leaders
    )
    if len(leaders) == 1 and 2 * most <= len(judged):
        return (
            f"Undecided: of {count}, {names[leaders[0]]} is better in {most}"
            + (f", {others}" if others else "")
            + f"{tied}."
        )
    if len(leaders) > 1:
        joined = " and ".join(names[place] for place in leaders)
        return f"Undecided: of {count}, {joined} are each better in {most}{tied}."
    return (
        f"{names[leaders[0]]} is the more regular: better in {most} of {count}"
        + (f", {others}" if others else "")
        + f"{tied}."
    )


def _compare(
    names: Sequence[str], standing: Standing, words: str, form: Callable[[float], str]
) -> str:
    figures = [form(measure.value) for measure in standing.measures]
    parts = [
        f"{name} {words.format(figure) if place == 0 else figure}"
        for place, (name, figure) in enumerate(zip(names, figures, strict=True))
    ]
    line = ", ".join(parts)
    if standing.best is None:
        return f"{line}: a tie within the intervals."
    if standing.measures[0].key == "reconstruction_nll":
        values = [measure.value for measure in standing.measures]
        rest = min(value for place, value in enumerate(values) if place != standing.best)
        gain = rest - values[standing.best]
        return f"{line}: {names[standing.best]} is better by {gain:.1f} nats."
    return f"{line}."


def percent(value: float) -> str:
    """A share as it is written: whole percents, a digit more below 9.5 %."""
    return f"{100 * value:.0f} %" if value >= 0.095 or value == 0 else f"{100 * value:.1f} %"


def _one_digit(value: float) -> str:
    return f"{value:.1f}"

"""The sentences of a verdict, derived from how the models stand."""

from collections.abc import Mapping, Sequence

from explorer.models.library import differences
from explorer.regularity.comparability import find_obstacles
from explorer.regularity.definitions import FAR_SHARE, NEAR_IDEAL
from explorer.regularity.difference import FEWEST_TRAININGS
from explorer.regularity.estimate import Estimate
from explorer.regularity.verdict import (
    AT_CHANCE,
    FAULTY,
    NOT_CLEAR,
    TIE,
    UNKNOWN,
    ComparedModel,
    Standing,
    group_models,
)

# What makes a latent space regular: the prior's mass and the encodings' agree, and what lies
# between and around encodings decodes to something real. Reconstruction and neighbours are other
# virtues.
REGULARITY = (
    "prior_match", "hole_rate", "escape_rate", "coverage_ratio", "midpoint_realism", "class_kept",
)  # fmt: skip
# Metrics that get a sentence of their own.
SPOKEN = ("hole_rate", "escape_rate", "coverage_ratio", "reconstruction_nll")


def write_verdict(models: Sequence[ComparedModel], found: Mapping[str, Standing]) -> list[str]:
    """The verdict in sentences.

    Args:
        models: as they were judged.
        found: from `standings`.

    Returns:
        Sentences, the most important first: faults, what does not compare, which model is the more
        regular, how far that holds, and the metrics one by one.
    """
    names = [one.name for one in models]
    told = [f"{one.name}: {one.severe.sentence}" for one in models if one.severe]
    told += [_write_rest_of_faults(one) for one in models if one.severe]
    obstacles = find_obstacles([one.config for one in models])
    healthy = sum(one.severe is None for one in models)
    if obstacles:
        told.append(_write_obstacles(found, obstacles))
    elif healthy < len(models):
        told.append(
            "No model is called the more regular: the figures of a model with such a fault say "
            "nothing of how regular a latent space is."
        )
    else:
        told.append(_write_headline(names, found))
    told += [
        f"{one.name}: {fault.sentence} {fault.advice}"
        for one in models
        for fault in one.faults
        if not fault.severe and one.severe is None
    ]
    spoken = [found[key] for key in SPOKEN if key in found and found[key].pairs]
    if spoken or not obstacles:
        told.append(_write_trainings(models))
    return told + [write_metric(names, standing) for standing in spoken]


def _write_rest_of_faults(model: ComparedModel) -> str:
    """What else is the matter with a model, and each advice once."""
    severe = [fault for fault in model.faults if fault.severe]
    words = [
        *(fault.sentence for fault in severe[1:]),
        *dict.fromkeys(one.advice for one in severe),
    ]
    return f"{model.name}: {' '.join(words)}"


def _write_obstacles(found: Mapping[str, Standing], obstacles: dict[str, str]) -> str:
    judged = [one.measures[0].definition.title for one in found.values() if one.pairs]
    what = " and ".join(obstacles.values())
    verb = "differs" if len(obstacles) == 1 and "images" not in what else "differ"
    if not judged:
        return f"No metric of this table compares all of these models, since {what} {verb}."
    return (
        f"No model is called the more regular, since {what} {verb}; only these compare: "
        f"{', '.join(judged)}."
    )


def _write_headline(names: Sequence[str], found: Mapping[str, Standing]) -> str:
    judged = [found[key] for key in REGULARITY if key in found and found[key].pairs]
    if not judged:
        return "None of the metrics of regularity is available for all of these models."
    total = f"{len(judged)} metric{'s' if len(judged) > 1 else ''} of regularity"
    scope = f"Of these {_number(len(names))} trainings"
    if all(one.over_trainings for one in judged):
        counts = {one[1] for standing in judged for one in standing.trainings if one is not None}
        scope = f"Over {counts.pop()} trainings each" if len(counts) == 1 else "Over all trainings"

    def wins(i: int, j: int) -> int:
        return sum(one.pair(i, j).winner == 0 for one in judged)

    if len(names) == 2:
        return _write_pair_headline(names, judged, scope, total, (wins(0, 1), wins(1, 0)))
    groups = group_models(len(names), lambda i, j: 2 * wins(i, j) > len(judged))
    if len(groups) == 1:
        return (
            f"{scope}, none is clearly the most regular: no order holds in more than half of "
            f"{total}."
        )
    order = ", then ".join(_together([names[place] for place in group]) for group in groups)
    return (
        f"{scope}, most regular first: {order} (each of a group is better than each of a later "
        f"group in more than half of {total})."
    )


def _write_pair_headline(
    names: Sequence[str],
    judged: Sequence[Standing],
    scope: str,
    total: str,
    wins: tuple[int, int],
) -> str:
    rest = []
    for outcome, one, several in (
        (TIE, "1 tie", "{} ties"),
        (NOT_CLEAR, "1 not clear", "{} not clear"),
        (AT_CHANCE, "1 at chance level", "{} at chance level"),
        (UNKNOWN, "1 without interval", "{} without intervals"),
    ):
        count = sum(standing.pair(0, 1).outcome == outcome for standing in judged)
        if count:
            rest.append(one if count == 1 else several.format(count))
    tail = f"; {', '.join(rest)}" if rest else ""
    for place in (0, 1):
        if 2 * wins[place] > len(judged):
            other = 1 - place
            return (
                f"{scope}, {names[place]} is the more regular: better in {wins[place]} of {total}, "
                f"{names[other]} in {wins[other]}{tail}."
            )
    return (
        f"{scope}, neither is clearly the more regular: of {total}, {names[0]} is better in "
        f"{wins[0]}, {names[1]} in {wins[1]}{tail}."
    )


def _write_trainings(models: Sequence[ComparedModel]) -> str:
    """How far the verdict holds for other seeds."""
    counts = [1 + len(one.other_trainings) for one in models]
    if min(counts) >= FEWEST_TRAININGS:
        each = f"{counts[0]} trainings each" if len(set(counts)) == 1 else "all trainings"
        return f"Judged over {each} that differ in the seed: means with 95 % t intervals."
    seeds = [one.name for one in models if any(_is_reseeded(one, other) for other in models)]
    if seeds:
        return (
            f"{_together(seeds)} differ from one another in the seed alone: what differs between "
            "them is training noise, which the intervals do not hold."
        )
    if max(counts) == 1:
        return "One training each: another seed may differ by more than the intervals show."
    few = _together(
        [one.name for one, count in zip(models, counts, strict=True) if count < FEWEST_TRAININGS]
    )
    return (
        f"Fewer than {FEWEST_TRAININGS} trainings of {few}: how much another seed would differ is "
        "not known."
    )


def _is_reseeded(one: ComparedModel, other: ComparedModel) -> bool:
    found = differences(one.config, other.config)
    return (
        one.config.kind == other.config.kind
        and bool(found)
        and all(line.startswith("training seed:") for line in found)
    )


def write_metric(names: Sequence[str], standing: Standing) -> str:
    """One sentence: the figures of one metric, and how the models stand to each other.

    Args:
        names: of the models.
        standing: of a metric that was judged.
    """
    first = standing.measures[0]
    title = first.definition.title
    values = [one.value for one in standing.measures]
    if standing.over_trainings:
        counts = {found[1] for found in standing.trainings if found is not None}
        title += f", mean over {counts.pop()} trainings" if len(counts) == 1 else ", mean"
        values = [found[0].value for found in standing.trainings if found is not None]
    shown = ", ".join(
        f"{name} {_figure(first, value)}" for name, value in zip(names, values, strict=True)
    )
    expected = ""
    if first.definition.direction == NEAR_IDEAL and first.ideal is not None:
        expected = f" ({_figure(first, first.ideal)} expected)"
    told = _write_pair(names, standing) if len(names) == 2 else _write_groups(names, standing)
    return f"{title}: {shown} {_unit(first)}{expected}: {told}."


def _write_groups(names: Sequence[str], standing: Standing) -> str:
    near = standing.measures[0].definition.direction == NEAR_IDEAL
    if len(standing.groups) > 1:
        order = ", then ".join(
            _together([names[place] for place in group]) for group in standing.groups
        )
        return f"{'nearest' if near else 'best'} first, {order}"
    claims = [
        f"{names[i]} {'lies nearer' if near else 'is better'} than {names[j]}"
        for i in range(len(names))
        for j in range(len(names))
        if i != j and standing.pair(i, j).winner == 0
    ]
    if claims:
        return f"no order of all, but {_together(claims)}"
    if all(one.outcome == TIE for one in standing.pairs.values()):
        return "all are ties"
    return "no order is clear"


def _write_pair(names: Sequence[str], standing: Standing) -> str:
    pair, first = standing.pair(0, 1), standing.measures[0]
    near, difference = first.definition.direction == NEAR_IDEAL, pair.difference
    if difference is None:
        return "not judged, since an interval is missing"
    if pair.winner is not None:
        name = names[pair.winner]
        if near:
            return f"{name} lies nearer to {_figure(first, first.ideal or 0.0)}"
        ends = sorted(abs(end) for end in (difference.low, difference.high))
        return f"{name} is better by {_change(first, abs(difference.value))} ({_span(first, ends)})"
    leader = 0 if difference.value > 0 else 1
    if pair.outcome == FAULTY:
        return f"no winner, for a model with a fault ({names[leader]}) wins nothing"
    if pair.outcome == AT_CHANCE:
        chance = standing.measures[leader].chance or 0.0
        return (
            f"no winner, for {names[leader]} is no better than the chance level "
            f"({_figure(first, chance)})"
        )
    if near and _on_opposite_sides(standing):
        sides = f"on opposite sides of {_figure(first, first.ideal or 0.0)}"
        if pair.outcome == TIE:
            return f"a tie, both about as far from the ideal, {sides}"
        return f"not clear which lies nearer, {sides}"
    span = _span(first, (difference.low, difference.high))
    of = "the difference of the distances from it" if near else "the difference"
    if pair.outcome == TIE:
        return f"a tie, since the 95 % interval of {of} ({span}) holds 0"
    return f"not clear, since {of} ({span}) does not stand among so many comparisons"


def _on_opposite_sides(standing: Standing) -> bool:
    intervals = [standing.interval(place) for place in (0, 1)]
    ideal = standing.measures[0].ideal
    if ideal is None or intervals[0] is None or intervals[1] is None:
        return False
    below, above = sorted(intervals, key=lambda one: one.value if one else 0.0)
    assert below is not None
    assert above is not None
    return below.high < ideal < above.low


def _together(words: Sequence[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last


def _number(count: int) -> str:
    return {2: "two", 3: "three", 4: "four"}.get(count, str(count))


def _is_share(estimate: Estimate) -> bool:
    return estimate.unit.startswith(("share of", "of the"))


def _unit(estimate: Estimate) -> str:
    """What stands behind the figures."""
    if estimate.key == "hole_rate":
        return "of prior samples fall far from every encoding"
    return estimate.unit.removeprefix("share ")


def _figure(estimate: Estimate, value: float) -> str:
    if _is_share(estimate):
        return "5 %" if value == FAR_SHARE else percent(value)
    return _digits(value)


def _change(estimate: Estimate, value: float) -> str:
    return f"{_digits(100 * value if _is_share(estimate) else value)} {_unit_of_change(estimate)}"


def _span(estimate: Estimate, ends: Sequence[float]) -> str:
    scale = 100 if _is_share(estimate) else 1
    low, high = (_digits(scale * end) for end in ends)
    return f"{low} to {high} {_unit_of_change(estimate)}"


def _unit_of_change(estimate: Estimate) -> str:
    return "percentage points" if _is_share(estimate) else estimate.unit.split()[0]


def _digits(value: float) -> str:
    """One decimal, and two digits that count below 1."""
    if abs(value) >= 1:
        return f"{value:.1f}"
    return f"{value:.2g}"


def percent(value: float) -> str:
    """A share as it is written: whole percents, a digit more below 9.5 %."""
    return f"{100 * value:.0f} %" if value >= 0.095 or value == 0 else f"{100 * value:.1f} %"

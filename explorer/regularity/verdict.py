"""What the figures of several models allow to be said, and nothing stronger.

A figure is first held against its chance level and its ideal value, and its model against what
can be wrong with a model; then two models are called different where the 95 % interval of their
difference leaves out 0 and still does after Holm's correction for all comparisons of the table.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from explorer.models.config import CheckpointConfig
from explorer.models.library import differences
from explorer.regularity.comparability import compares, find_obstacles
from explorer.regularity.definitions import DESCRIBES, FAR_SHARE, NEAR_IDEAL, NO_PRIOR
from explorer.regularity.difference import (
    FEWEST_TRAININGS,
    LEVEL,
    Difference,
    Interval,
    beats_chance,
    compare_estimates,
    compare_trainings,
    holm,
    interval_of,
    training_interval,
)
from explorer.regularity.estimate import Estimate
from explorer.regularity.health import Fault, severe_fault

# What makes a latent space regular: the prior's mass and the encodings' agree, and what lies
# between and around encodings decodes to something real. Reconstruction and neighbours are other
# virtues.
REGULARITY = (
    "prior_match", "hole_rate", "escape_rate", "coverage_ratio", "midpoint_realism", "class_kept",
)  # fmt: skip
# Metrics that get a sentence of their own.
SPOKEN = ("hole_rate", "escape_rate", "coverage_ratio", "reconstruction_nll")

BETTER, TIE, NOT_CLEAR = "better", "a tie", "not clear"
AT_CHANCE, FAULTY, UNKNOWN = "no better than chance", "at fault", "not known"


@dataclass(frozen=True)
class ComparedModel:
    """One model of a comparison, and all that a verdict may rest on.

    Attributes:
        name: what it is called by.
        config: of its checkpoint.
        estimates: of its report.
        faults: of the model itself; one with a severe fault wins nothing.
        other_trainings: the estimates of trainings that differ in the seed alone.
    """

    name: str
    config: CheckpointConfig
    estimates: Sequence[Estimate]
    faults: Sequence[Fault] = ()
    other_trainings: Sequence[Sequence[Estimate]] = ()

    @property
    def severe(self) -> Fault | None:
        """The fault beside which no word of praise holds; None where there is none."""
        return severe_fault(self.faults)

    def estimate(self, key: str, column: str) -> Estimate | None:
        """Of a metric, under a prior or where no prior enters it."""
        return _of(self.estimates, key, column)

    def values(self, key: str, column: str) -> list[float]:
        """Of this training and of the others, where all have the metric; else of this one."""
        found = [
            _of(estimates, key, column) for estimates in (self.estimates, *self.other_trainings)
        ]
        known = [one.value for one in found if one is not None]
        return known if len(known) == len(found) else known[:1]


@dataclass(frozen=True)
class Pair:
    """How two models stand in one metric.

    Attributes:
        difference: positive where the first is better; None where it is not known.
        outcome: BETTER, TIE (the interval of the difference holds 0), NOT_CLEAR (it does not, but
            not every such claim of the table can be kept), AT_CHANCE or FAULTY (the better figure
            is no better than chance, or of a model with a fault) or UNKNOWN.
        winner: which of the two, 0 or 1; None unless the outcome is BETTER.
    """

    difference: Difference | None
    outcome: str
    winner: int | None = None

    def turned(self) -> "Pair":
        """The same with the models exchanged."""
        one = self.difference
        return Pair(
            one
            and Difference(
                -one.value if one.value else 0.0, -one.high, -one.low, one.p, one.correlation
            ),
            self.outcome,
            None if self.winner is None else 1 - self.winner,
        )


@dataclass(frozen=True)
class Standing:
    """How several models stand in one metric.

    Attributes:
        measures: the estimates, one a model.
        pairs: of models i < j, by (i, j); empty where the metric is not judged.
        groups: of models, best first; within a group none was told apart.
        left_out: why the metric is not judged; "" where it is.
        trainings: of each model, its mean over at least three trainings with the t interval, or
            None; and of how many.
        over_trainings: whether the differences are those of trainings, not of one training's
            images.
    """

    measures: tuple[Estimate, ...]
    pairs: Mapping[tuple[int, int], Pair] = field(default_factory=dict)
    groups: tuple[tuple[int, ...], ...] = ()
    left_out: str = ""
    trainings: tuple[tuple[Interval, int] | None, ...] = ()
    over_trainings: bool = False

    @property
    def best(self) -> int | None:
        """The model that is better than every other; None where there is none."""
        count = len(self.measures)
        for place in range(count):
            others = [other for other in range(count) if other != place]
            if self.pairs and all(self.pair(place, other).winner == 0 for other in others):
                return place
        return None

    def pair(self, first: int, second: int) -> Pair:
        """How two of the models stand, the first first."""
        if (first, second) in self.pairs:
            return self.pairs[first, second]
        return self.pairs[second, first].turned()

    def interval(self, place: int) -> Interval | None:
        """The interval that a model was judged by."""
        if self.over_trainings:
            found = self.trainings[place]
            return None if found is None else found[0]
        return interval_of(self.measures[place])


def standings(models: Sequence[ComparedModel], column: str) -> dict[str, Standing]:
    """The headline metrics that all models have, in the order of the first one's.

    Args:
        models: two to four.
        column: "as built" or "scale-fair", for the metrics that the prior enters.
    """
    found: dict[str, Standing] = {}
    obstacles = find_obstacles([one.config for one in models])
    for first in models[0].estimates:
        key = first.key
        if not first.headline or first.column not in (column, NO_PRIOR):
            continue
        estimates = [one.estimate(key, column) for one in models]
        measures = tuple(one for one in estimates if one is not None)
        if len(measures) == len(models):
            found[key] = _prepare(models, measures, obstacles)
    return _decide(models, found)


def _prepare(
    models: Sequence[ComparedModel], measures: tuple[Estimate, ...], obstacles: dict[str, str]
) -> Standing:
    """The differences of all pairs in one metric, not yet judged."""
    first = measures[0]
    values = [one.values(first.key, first.column) for one in models]
    trainings = tuple(
        (_trained(first, some), len(some)) if len(some) >= FEWEST_TRAININGS else None
        for some in values
    )
    left_out = ""
    if first.fixed:
        left_out = first.fixed
    elif first.definition.direction == DESCRIBES:
        left_out = "it describes; no side is better"
    elif not compares(first.key, obstacles):
        left_out = f"{' and '.join(obstacles.values())} differ"
    if left_out:
        return Standing(measures, left_out=left_out, trainings=trainings)
    over_trainings = all(trainings)
    same_images = len({one.config.data.fingerprint for one in models}) == 1
    pairs = {}
    for i in range(len(models)):
        for j in range(i + 1, len(models)):
            difference = (
                compare_trainings(
                    values[i],
                    values[j],
                    direction=first.definition.direction,
                    ideal=first.ideal,
                )
                if over_trainings
                else compare_estimates(measures[i], measures[j], same_images=same_images)
            )
            pairs[i, j] = Pair(difference, UNKNOWN)
    return Standing(measures, pairs, trainings=trainings, over_trainings=over_trainings)


def _trained(estimate: Estimate, values: Sequence[float]) -> Interval:
    """The mean over trainings and its t interval, of a share within 0 and 1."""
    found = training_interval(values)
    if not estimate.unit.startswith("share of"):
        return found
    return Interval(found.value, max(found.low, 0.0), min(found.high, 1.0))


def _decide(models: Sequence[ComparedModel], found: dict[str, Standing]) -> dict[str, Standing]:
    """The outcome of every pair, after Holm's correction for all of them."""
    asked = [
        (key, pair, one.difference)
        for key, standing in found.items()
        for pair, one in standing.pairs.items()
        if one.difference is not None
    ]
    adjusted = holm([difference.p for _, _, difference in asked])
    outcomes = {
        (key, pair): _outcome(models, found[key], pair, difference, p)
        for (key, pair, difference), p in zip(asked, adjusted, strict=True)
    }
    return {
        key: _grouped(
            replace(
                standing,
                pairs={
                    pair: outcomes.get((key, pair), one) for pair, one in standing.pairs.items()
                },
            )
        )
        for key, standing in found.items()
    }


def _grouped(standing: Standing) -> Standing:
    if not standing.pairs:
        return standing
    groups = group_models(
        len(standing.measures), lambda one, other: standing.pair(one, other).winner == 0
    )
    return replace(standing, groups=groups)


def _outcome(
    models: Sequence[ComparedModel],
    standing: Standing,
    pair: tuple[int, int],
    difference: Difference,
    adjusted: float,
) -> Pair:
    if difference.holds_zero:
        return Pair(difference, TIE)
    if adjusted >= LEVEL:
        return Pair(difference, NOT_CLEAR)
    winner = 0 if difference.value > 0 else 1
    if models[pair[winner]].severe:
        return Pair(difference, FAULTY)
    place = pair[winner]
    if not beats_chance(standing.interval(place), standing.measures[place]):
        return Pair(difference, AT_CHANCE)
    return Pair(difference, BETTER, winner)


def group_models(count: int, better: Callable[[int, int], bool]) -> tuple[tuple[int, ...], ...]:
    """Models in groups, best first: every model is better than every one of a later group.

    Args:
        count: of models.
        better: whether model i was found better than model j.

    Returns:
        The finest such order; one group where there is none.
    """
    groups: list[tuple[int, ...]] = []
    left = set(range(count))
    while left:
        group: tuple[int, ...] | None = None
        # The smallest set of models that beats all the others.
        wins = sorted(
            left, key=lambda one: (-sum(better(one, other) for other in left if other != one), one)
        )
        for size in range(1, len(wins) + 1):
            head, rest = wins[:size], wins[size:]
            if all(better(one, other) for one in head for other in rest):
                group = tuple(sorted(head))
                break
        assert group is not None
        groups.append(group)
        left -= set(group)
    return tuple(groups)


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
    told = [_write_faults(one) for one in models if one.severe]
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


def _write_faults(model: ComparedModel) -> str:
    """What is the matter with a model, and each advice once."""
    severe = [fault for fault in model.faults if fault.severe]
    advice = dict.fromkeys(fault.advice for fault in severe)
    return f"{model.name}: {' '.join(fault.sentence for fault in severe)} {' '.join(advice)}"


def _write_obstacles(found: Mapping[str, Standing], obstacles: dict[str, str]) -> str:
    judged = [one.measures[0].definition.title for one in found.values() if one.pairs]
    what = " and ".join(obstacles.values())
    verb = "differs" if len(obstacles) == 1 and "images" not in what else "differ"
    if not judged:
        return f"Nothing in this table compares, since {what} {verb}."
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
        told = ", ".join(f"{one.name} {count}" for one, count in zip(models, counts, strict=True))
        return (
            f"Judged over trainings with other seeds ({told}): means with 95 % t intervals over "
            "the trainings."
        )
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


def _of(estimates: Sequence[Estimate], key: str, column: str) -> Estimate | None:
    return next(
        (one for one in estimates if one.key == key and one.column in (column, NO_PRIOR)), None
    )

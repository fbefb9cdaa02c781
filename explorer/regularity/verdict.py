"""What the figures of several models allow to be said, and nothing stronger.

A figure is first held against its chance level and its ideal value, and its model against what
can be wrong with a model; then two models are called different where the 95 % interval of their
difference leaves out 0 and still does after Holm's correction for all comparisons of the table.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from explorer.models.config import CheckpointConfig
from explorer.regularity.comparability import compares, find_obstacles
from explorer.regularity.definitions import DESCRIBES, NO_PRIOR
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
    """The mean over trainings and its t interval; a share stays within 0 and 1."""
    found = training_interval(values)
    if estimate.unit.startswith("share of"):
        return Interval(found.value, max(found.low, 0.0), min(found.high, 1.0))
    if estimate.unit.startswith("of the"):
        return Interval(found.value, max(found.low, 0.0), found.high)
    return found


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


def _of(estimates: Sequence[Estimate], key: str, column: str) -> Estimate | None:
    return next(
        (one for one in estimates if one.key == key and one.column in (column, NO_PRIOR)), None
    )

"""Every sentence of a verdict is read again and held against the figures that it is made of."""

import re
from dataclasses import replace
from itertools import chain, permutations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from explorer.regularity.definitions import (
    AS_BUILT,
    DEFINITIONS,
    HIGHER,
    LOWER,
    NEAR_IDEAL,
    SCALE_FAIR,
)
from explorer.regularity.difference import compare_estimates
from explorer.regularity.health import HARDLY_TRAINED, Fault
from explorer.regularity.sentences import REGULARITY, write_metric, write_verdict
from explorer.regularity.verdict import (
    BETTER,
    TIE,
    standings,
)
from tests.unit.regularity.reports import CHANCE, DEAD, USUAL, model, report

UNTRAINED = Fault(HARDLY_TRAINED, "The model is hardly trained: 3 steps.", "Train it longer.")
OTHER_DATA = {"data": {"fingerprint": "blake2b:" + "f" * 32, "name": "others"}}
NAMES = ("Ann", "Ben", "Cid", "Dot")
TITLES = {DEFINITIONS[key].title: key for key in USUAL}
CHANGES = (
    {},
    OTHER_DATA,
    {"network": {"likelihood": "gaussian"}},
    {"network": {"latent_dim": 3}},
    {"data": {"image_shape": (3, 8, 8)}},
)


@st.composite
def figures(draw):
    """The values of one report: usual, at chance, untrained, or scaled beyond all measure."""
    kind = draw(st.sampled_from(["usual", "usual", "chance", "dead", "scaled"]))
    values = {
        key: value * draw(st.sampled_from([1.0, 1.0, 0.5, 1.03, 0.2, 1.1]))
        for key, value in USUAL.items()
    }
    if kind == "chance":
        values |= CHANCE
    elif kind == "dead":
        values |= {"hole_rate": 0.05, "escape_rate": 0.05, "class_kept": 1.0}
        values |= {"coverage_ratio": 1.6, "midpoint_realism": 1.2}
    elif kind == "scaled":
        values = {
            key: value * 1e6 if DEFINITIONS[key].unit.startswith("nats") else value
            for key, value in values.items()
        }
    return kind, values


@st.composite
def comparisons(draw):
    """Two to four models, and the column."""
    column = draw(st.sampled_from([AS_BUILT, SCALE_FAIR]))
    count = draw(st.integers(2, 4))
    half = draw(st.sampled_from([0.0005, 0.005, 0.05]))
    trainings = draw(st.sampled_from([0, 0, 1, 2]))
    alike = draw(st.booleans())
    models = []
    for name in NAMES[:count]:
        kind, values = draw(figures())
        faults = {"dead": [DEAD]}.get(kind, draw(st.sampled_from([[], [], [UNTRAINED]])))
        models.append(
            model(
                name,
                report(column, half, **values),
                faults=faults,
                training={"seed": draw(st.integers(0, 1))},
                other_trainings=[
                    report(column, half, **{
                        key: value * draw(st.floats(0.9, 1.1)) for key, value in values.items()
                    })
                    for _ in range(trainings)
                ],
                **({} if alike else draw(st.sampled_from(CHANGES))),
            )
        )  # fmt: skip
    return models, column


def better_of(key, one, other):
    """Whether the first value is truly the better one, reckoned here by itself."""
    definition = DEFINITIONS[key]
    if definition.direction == NEAR_IDEAL:
        return abs(one - definition.ideal) < abs(other - definition.ideal)
    if definition.direction == HIGHER:
        return min(one, definition.ideal) > min(other, definition.ideal)
    assert definition.direction == LOWER
    return one < other


def judged_value(one, key, column, over_trainings):
    values = one.values(key, column)
    return sum(values) / len(values) if over_trainings else values[0]


def distance(one, key, column):
    """The mean goodness by which trainings are compared."""
    ideal = DEFINITIONS[key].ideal
    values = one.values(key, column)
    if DEFINITIONS[key].direction == NEAR_IDEAL:
        return sum(abs(value - ideal) for value in values) / len(values)
    if DEFINITIONS[key].direction == HIGHER:
        return -sum(min(value, ideal) for value in values) / len(values)
    return sum(values) / len(values)


def check_winner(winner, loser, key, column, standing):
    """A model that a sentence calls better is better, sound and beyond chance."""
    if standing.over_trainings:
        assert distance(winner, key, column) < distance(loser, key, column)
    else:
        first, second = (one.estimate(key, column) for one in (winner, loser))
        assert better_of(key, first.value, second.value)
        assert not compare_estimates(first, second).holds_zero
        if first.chance is not None:
            assert not first.low <= first.chance <= first.high
            assert better_of(key, first.value, first.chance)
    assert not winner.severe
    assert not first_fixed(winner, key, column)


def first_fixed(one, key, column):
    return one.estimate(key, column).fixed


def read_percent(text):
    return float(text.removesuffix(" %")) / 100 if text.endswith("%") else float(text)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(comparisons())
def test_no_sentence_says_more_than_its_figures(drawn):
    models, column = drawn
    by_name = {one.name: one for one in models}
    found = standings(models, column)
    told = write_verdict(models, found)
    names = list(by_name)
    alike = all(
        (one.config.data.fingerprint, one.config.data.image_shape) ==
        (models[0].config.data.fingerprint, models[0].config.data.image_shape)
        for one in models
    )  # fmt: skip
    same_likelihood = len({one.config.network.likelihood for one in models}) == 1
    same_dimension = len({one.config.network.latent_dim for one in models}) == 1

    faulty = [one.name for one in models if one.severe]
    assert [line.split(":")[0] for line in told[: len(faulty)]] == faulty
    text = " ".join(told)
    if faulty or not (alike and same_likelihood and same_dimension):
        assert "is the more regular" not in text
        assert "most regular first" not in text
    if not (alike and same_likelihood):
        assert "nats" not in text.replace("nats per latent", "")

    for line in told:
        title = line.split(":")[0].split(", mean")[0]
        if title not in TITLES:
            continue
        key = TITLES[title]
        standing = found[key]
        assert not standing.left_out
        if key in ("hole_rate", "escape_rate"):
            assert same_dimension
        else:
            assert alike
        _, figures_told, claim = re.match(r"(.*?): (.*?): (.*)\.$", line).groups()
        for name in names:
            shown = re.search(rf"{name} (-?[0-9.e+]+( %)?)", figures_told)[1]
            value = judged_value(by_name[name], key, column, standing.over_trainings)
            # As written: whole percents, or one decimal of nats.
            step = 0.0051 if shown.endswith("%") else 0.051
            assert abs(read_percent(shown) - value) <= step
        for name in re.findall(rf"({'|'.join(names)}) (?:is better|lies nearer)(?! than)", claim):
            (other,) = set(names) - {name}
            check_winner(by_name[name], by_name[other], key, column, standing)
        for name, other in re.findall(r"(\w+) (?:is better|lies nearer) than (\w+)", claim):
            check_winner(by_name[name], by_name[other], key, column, standing)
        if "first, " in claim:
            groups = [re.findall("|".join(names), part) for part in claim.split(", then ")]
            assert sorted(chain.from_iterable(groups)) == sorted(names)
            for place, group in enumerate(groups):
                for later in groups[place + 1 :]:
                    for one in group:
                        for other in later:
                            check_winner(by_name[one], by_name[other], key, column, standing)
        if claim.startswith("a tie") or claim == "all are ties":
            assert all(pair.difference.holds_zero for pair in standing.pairs.values())
        if "no better than the chance level" in claim:
            assert "is better" not in claim

    headline = re.search(
        r"(\w+) is the more regular: better in (\d+) of (\d+) metrics? of regularity, (\w+) in "
        r"(\d+)",
        text,
    )
    if headline:
        name, wins, total, other, losses = headline.groups()
        judged = [found[key] for key in REGULARITY if key in found and found[key].pairs]
        assert int(total) == len(judged)
        assert int(wins) == sum(one.best == names.index(name) for one in judged)
        assert int(losses) == sum(one.best == names.index(other) for one in judged)
        assert 2 * int(wins) > len(judged)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(comparisons())
def test_who_is_better_does_not_depend_on_the_order_of_the_models(drawn):
    models, column = drawn

    def claims(order):
        found = standings(order, column)
        return {
            (key, order[i].name, order[j].name)
            for key, one in found.items()
            for i in range(len(order))
            for j in range(len(order))
            if one.pairs and i != j and one.pair(i, j).winner == 0
        }

    first = claims(models)
    for order in list(permutations(models))[1:4]:
        assert claims(list(order)) == first
    for key, better, worse in first:
        assert (key, worse, better) not in first


@settings(max_examples=30, deadline=None)
@given(figures(), st.integers(2, 4), st.sampled_from([AS_BUILT, SCALE_FAIR]))
def test_identical_reports_tie_everywhere(drawn, count, column):
    _, values = drawn
    models = [model(name, report(column, **values)) for name in NAMES[:count]]
    found = standings(models, column)
    for standing in found.values():
        assert all(pair.outcome == TIE for pair in standing.pairs.values())
        assert standing.best is None
        if standing.pairs:
            assert len(standing.groups) == 1
            assert "better" not in write_metric(NAMES[:count], standing)
    told = write_verdict(models, found)
    assert "is the more regular:" not in told[0]


def test_the_check_catches_a_verdict_that_lies():
    models = [model("Ann", report(hole_rate=0.4)), model("Ben", report(hole_rate=0.1))]
    found = standings(models, SCALE_FAIR)
    pair = found["hole_rate"].pairs[0, 1]
    assert pair.outcome == BETTER
    lie = replace(found["hole_rate"], pairs={(0, 1): replace(pair, winner=1 - pair.winner)})
    claim = write_metric(NAMES[:2], lie).rsplit(": ", 1)[1]
    assert claim.startswith("Ann lies nearer")
    try:
        check_winner(models[0], models[1], "hole_rate", SCALE_FAIR, lie)
    except AssertionError:
        return
    raise AssertionError("the lie was not caught")

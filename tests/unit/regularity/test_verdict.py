"""What is said of several models, from figures that are chosen here."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.models.checkpoint import REPORT, load_config
from explorer.models.library import SHIPPED
from explorer.regularity.comparability import NEEDS, find_obstacles
from explorer.regularity.definitions import AS_BUILT, DEFINITIONS, SCALE_FAIR
from explorer.regularity.report import load_report
from explorer.regularity.sentences import write_verdict
from explorer.regularity.verdict import (
    AT_CHANCE,
    BETTER,
    FAULTY,
    NOT_CLEAR,
    TIE,
    ComparedModel,
    group_models,
    standings,
)
from tests.unit.regularity.reports import DEAD, estimate, model, report


def verdict(*models, column=SCALE_FAIR):
    found = standings(models, column)
    return write_verdict(models, found), found


def sentence(told, title):
    return next(line for line in told if line.startswith(title))


def test_the_more_regular_model_is_named_with_what_it_rests_on():
    told, found = verdict(
        model("A", report(hole_rate=0.1, coverage_ratio=0.8, midpoint_realism=0.9)),
        model("B", report(hole_rate=0.5, coverage_ratio=0.4, midpoint_realism=0.7)),
    )
    assert told[0] == (
        "Of these two trainings, A is the more regular: better in 3 of 5 metrics of regularity, "
        "B in 0; 2 ties."
    )
    assert "One training each: another seed may differ by more than the intervals show." in told
    assert sentence(told, "Prior holes") == (
        "Prior holes: A 10 %, B 50 % of prior samples fall far from every encoding (5 % expected): "
        "A lies nearer to 5 %."
    )
    assert found["hole_rate"].best == 0


def test_what_holds_by_construction_is_not_counted():
    _, found = verdict(model("A"), model("B"))
    assert found["prior_match"].left_out.startswith("0 by construction")
    assert found["prior_match"].pairs == {}
    told, _ = verdict(
        model("A", report(hole_rate=0.1, coverage_ratio=0.8, midpoint_realism=0.9)),
        model("B", report(hole_rate=0.5, coverage_ratio=0.4, midpoint_realism=0.7)),
    )
    # Three of six would decide nothing.
    assert "better in 3 of 5" in told[0]


def test_a_dead_model_is_called_dead_first_and_wins_nothing():
    told, found = verdict(
        model("dead", report(hole_rate=0.05, coverage_ratio=1.6), faults=[DEAD]),
        model("living", report(hole_rate=0.6, coverage_ratio=0.4)),
    )
    assert told[0] == "dead: The posterior has collapsed."
    assert told[1] == "dead: Train it again with a lower --beta."
    assert told[2].startswith("No model is called the more regular")
    assert found["hole_rate"].pairs[0, 1].outcome == FAULTY
    assert all(standing.best != 0 for standing in found.values())
    assert "no winner, for a model with a fault (dead)" in sentence(told, "Prior holes")


def test_a_figure_no_better_than_chance_wins_nothing():
    told, found = verdict(
        model("A", report(coverage_ratio=0.024)), model("B", report(coverage_ratio=0.001))
    )
    assert found["coverage_ratio"].pairs[0, 1].outcome == AT_CHANCE
    assert "A is no better than the chance level (2.0 %)" in sentence(told, "Coverage")


def test_ten_and_zero_percent_are_as_far_from_the_five_expected():
    ten = estimate("escape_rate", 0.10, low=0.087, high=0.107, column=SCALE_FAIR)
    none = estimate("escape_rate", 0.0, low=0.0, high=0.0004, column=SCALE_FAIR)
    told, found = verdict(
        model("A", (*report()[:-4], ten)),
        model("B", (*report()[:-4], none)),
    )
    assert found["escape_rate"].pairs[0, 1].outcome == TIE
    assert "on opposite sides of 5 %" in sentence(told, "Encodings outside")
    assert "within the intervals" not in " ".join(told)


def test_intervals_that_lie_apart_are_no_tie():
    _, found = verdict(
        model("A", report(hole_rate=0.20, half=0.01)), model("B", report(hole_rate=0.25, half=0.01))
    )
    assert found["hole_rate"].pairs[0, 1].outcome == BETTER
    assert found["hole_rate"].best == 0


def test_between_a_tie_and_a_claim_it_is_not_clear():
    # z = 2.2: it would stand alone, and does not among the comparisons of the table.
    _, found = verdict(
        model("A", report(hole_rate=0.20, half=0.01)),
        model("B", report(hole_rate=0.2159, half=0.01)),
    )
    assert found["hole_rate"].pairs[0, 1].outcome == NOT_CLEAR


def test_of_four_models_the_one_that_stands_apart_is_said_to():
    three = [
        model(f"vae{seed}", report(hole_rate=0.1 + 0.001 * seed), training={"seed": seed})
        for seed in range(3)
    ]
    told, found = verdict(*three, model("ae", report(hole_rate=1.0)))
    assert found["hole_rate"].groups == ((0, 1, 2), (3,))
    assert "nearest first, vae0, vae1 and vae2, then ae" in sentence(told, "Prior holes")
    assert any("differ from one another in the seed alone" in line for line in told)


def test_three_trainings_each_are_judged_by_what_differs_between_trainings():
    def trained(name, values):
        first, *others = (report(hole_rate=value, half=0.001) for value in values)
        return model(name, first, other_trainings=others)

    told, found = verdict(trained("A", [0.08, 0.20, 0.14]), trained("B", [0.22, 0.12, 0.3]))
    # Each pair of intervals over images lies far apart; over trainings nothing is clear.
    assert found["hole_rate"].over_trainings
    assert found["hole_rate"].pairs[0, 1].outcome == TIE
    assert found["hole_rate"].trainings[0][1] == 3
    assert "mean over 3 trainings: A 14 %, B 21 %" in sentence(told, "Prior holes")
    assert "Judged over 3 trainings each that differ in the seed" in " ".join(told)
    told, found = verdict(trained("A", [0.08, 0.09, 0.10]), trained("B", [0.5, 0.51, 0.52]))
    assert found["hole_rate"].best == 0


def test_fewer_than_three_trainings_are_said_to_be_too_few():
    told, found = verdict(model("A", other_trainings=[report(), report()]), model("B"))
    assert not found["hole_rate"].over_trainings
    assert "Fewer than 3 trainings of B: how much another seed would differ is not known." in told


@pytest.mark.parametrize(
    ("change", "words", "compared"),
    [
        ({"data": {"fingerprint": "blake2b:" + "0" * 32}}, "the images", {"hole_rate"}),
        ({"data": {"image_shape": (1, 9, 9)}}, "the images", {"hole_rate"}),
        (
            {"network": {"likelihood": "gaussian"}},
            "the likelihood",
            {"hole_rate", "reconstruction_mse"},
        ),
        ({"network": {"latent_dim": 4}}, "the number of latents", {"reconstruction_nll"}),
    ],
)
def test_only_what_compares_is_compared_and_nobody_is_called_more_regular(change, words, compared):
    told, found = verdict(
        model("A", report(hole_rate=0.1, reconstruction_nll=10.0)),
        model("B", report(hole_rate=0.6, reconstruction_nll=-14000.0), **change),
    )
    assert told[0].startswith(("No model is called the more regular", "No metric of this table"))
    assert words in told[0]
    judged = {key for key, one in found.items() if one.pairs}
    assert compared <= judged
    if "reconstruction_nll" not in judged:
        assert "nats" not in " ".join(told)
    for key, one in found.items():
        assert bool(one.pairs) != bool(one.left_out), key


def test_a_learned_sigma_and_another_sigma():
    plain, other, learned = (
        model("m", network={"likelihood": "gaussian", "sigma": sigma, "learn_sigma": learn}).config
        for sigma, learn in ((0.1, False), (0.2, False), (0.1, True))
    )
    assert "σ = 0.1 against Gaussian, σ = 0.2" in find_obstacles([plain, other])["likelihood"]
    assert "σ learned" in find_obstacles([plain, learned])["likelihood"]
    assert find_obstacles([plain, plain]) == {}


def test_every_metric_that_ranks_says_what_it_needs_to_compare():
    ranked = {key for key, one in DEFINITIONS.items() if one.headline_columns}
    assert ranked <= set(NEEDS)
    assert set(NEEDS) <= set(DEFINITIONS)


@given(st.integers(1, 4).flatmap(lambda n: st.tuples(st.just(n), st.permutations(range(n)))))
def test_a_strict_order_gives_groups_of_one(drawn):
    count, order = drawn
    rank = {one: place for place, one in enumerate(order)}
    found = group_models(count, lambda i, j: rank[i] < rank[j])
    assert found == tuple((one,) for one in order)
    assert group_models(count, lambda _i, _j: False) == (tuple(range(count)),)


def shipped(name, *seeds):
    reports = [load_report(SHIPPED / one / REPORT).estimates for one in (name, *seeds)]
    return ComparedModel(name, load_config(SHIPPED / name), reports[0], other_trainings=reports[1:])


def test_the_shipped_mnist_pair_is_judged_alike_whichever_comes_first():
    pair = [shipped("mnist-vae-16"), shipped("mnist-ae-16")]
    for column in (AS_BUILT, SCALE_FAIR):
        told, found = verdict(*pair, column=column)
        assert "mnist-vae-16 is the more regular" in told[0]
        turned, back = verdict(*pair[::-1], column=column)
        assert "mnist-vae-16 is the more regular" in turned[0]
        for key, standing in found.items():
            assert (standing.best is None) == (back[key].best is None)
            if standing.best is not None:
                assert standing.best == 1 - back[key].best


def test_the_shipped_digits_are_judged_over_their_three_seeds():
    pair = [
        shipped(*(f"digits-{kind}-8{seed}" for seed in ("", "-seed1", "-seed2")))
        for kind in ("vae", "ae")
    ]
    told, found = verdict(*pair)
    assert told[0].startswith("Over 3 trainings each, digits-vae-8 is the more regular")
    assert np.isfinite(found["hole_rate"].trainings[0][0].high)
    one, _ = verdict(replace(pair[0], other_trainings=()), pair[1])
    assert one[0].startswith("Of these two trainings")

"""A verdict says no more than the intervals allow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.regularity.definitions import (
    AS_BUILT,
    HEADLINE,
    HIGHER,
    LOWER,
    NEAR_NULL,
    NO_DIRECTION,
    SCALE_FAIR,
    Measure,
)
from explorer.regularity.verdict import judge, standings, write_verdict


def measure(value, half=0.01, better=LOWER, key="hole_rate", null=0.05, column=AS_BUILT, **more):
    return Measure(
        key=key, column=column, title=key, value=value, low=value - half, high=value + half,
        null=null, unit="", better=better, n=100, seed=0, student="", researcher="", source="",
        group=HEADLINE, headline=True, **more,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("values", "better", "best"),
    [
        ((0.1, 0.2), LOWER, 0),
        ((0.1, 0.2), HIGHER, 1),
        ((0.2, 0.1), LOWER, 1),
        ((0.1, 0.115), LOWER, None),  # the intervals overlap
        ((0.1, 0.12), HIGHER, None),  # and here they touch
        ((0.06, 0.2), NEAR_NULL, 0),
        ((0.0, 0.2), NEAR_NULL, 0),  # 0.05 away on the one side, 0.15 on the other
        ((0.0, 0.1), NEAR_NULL, None),
        ((0.1, 0.2), NO_DIRECTION, None),
        ((0.3, 0.1, 0.2), LOWER, 1),
        ((0.1, 0.105, 0.4), LOWER, None),  # two share the lead: nobody is best
    ],
)
def test_a_model_is_better_only_where_its_interval_lies_apart(values, better, best):
    assert judge([measure(value, better=better) for value in values]).best == best


def test_without_an_interval_nobody_is_better():
    bare = Measure(**{**vars(measure(0.2)), "low": None, "high": None})
    assert judge([measure(0.1), bare]).best is None


@given(st.floats(-5, 5), st.floats(0, 1), st.floats(-5, 5), st.floats(0, 1))
def test_overlapping_intervals_are_always_a_tie(one, one_half, other, other_half):
    pair = [measure(one, one_half), measure(other, other_half)]
    overlap = one - one_half <= other + other_half and other - other_half <= one + one_half
    assert (judge(pair).best is None) == overlap


def report(hole, escape, nll, column=AS_BUILT):
    return [
        measure(nll, 0.3, key="reconstruction_nll", column=""),
        measure(hole, better=NEAR_NULL, column=column),
        measure(escape, better=NEAR_NULL, key="escape_rate", column=column),
    ]


def test_the_verdict_names_the_winner_the_shares_and_where_the_other_one_wins():
    found = standings([report(0.18, 0.06, 70.0), report(0.45, 0.3, 63.0)], AS_BUILT)
    told = write_verdict(["VAE", "AE"], found)
    assert told[0] == "VAE is the more regular: better in 2 of 2 measures of regularity, AE in 0."
    assert "VAE leaves 18 % of the prior empty, AE 45 %." in told
    assert told[-1] == (
        "VAE reconstructs at 70.0 nats an image, AE 63.0: AE is better by 7.0 nats."
    )


def test_a_tie_is_called_a_tie():
    found = standings([report(0.18, 0.06, 63.1), report(0.185, 0.061, 63.0)], AS_BUILT)
    told = write_verdict(["VAE", "AE"], found)
    assert told[0] == "No model is the more regular one: all 2 measures of regularity are ties."
    assert all("tie" in line for line in told)


def test_a_draw_of_wins_is_undecided():
    found = standings([report(0.18, 0.3, 63.0), report(0.45, 0.06, 63.0)], AS_BUILT)
    assert write_verdict(["VAE", "AE"], found)[0] == (
        "Undecided: of 2 measures of regularity, VAE and AE are each better in 1."
    )


def test_one_win_beside_ties_decides_nothing():
    found = standings([report(0.18, 0.06, 63.0), report(0.45, 0.061, 63.0)], AS_BUILT)
    assert write_verdict(["VAE", "AE"], found)[0] == (
        "Undecided: of 2 measures of regularity, VAE is better in 1, AE in 0, 1 is a tie."
    )


def test_only_what_all_models_have_of_this_column_is_compared():
    found = standings([report(0.1, 0.1, 1.0), report(0.1, 0.1, 1.0, SCALE_FAIR)], AS_BUILT)
    assert list(found) == ["reconstruction_nll"]
    told = write_verdict(["one", "two"], found)
    assert "None of the measures of regularity" in told[0]

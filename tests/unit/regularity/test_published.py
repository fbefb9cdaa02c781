"""What is published of AEs and VAEs is said of a pair only as far as its own intervals go."""

from dataclasses import replace

import pytest

from explorer.models.library import SHIPPED
from explorer.regularity.definitions import AS_BUILT, MIXTURE, NO_PRIOR, SCALE_FAIR
from explorer.regularity.estimate import Estimate
from explorer.regularity.published import (
    AGREES,
    DIFFERS,
    ERROR,
    FRECHET,
    TIE,
    UNCLEAR,
    hold_against_published,
)
from explorer.regularity.report import load_report


def figure(key, column, value, share=0.05):
    return Estimate(
        key=key, column=column, value=value, low=value * (1 - share), high=value * (1 + share),
        chance=None, ideal=None, n=100, seed=0,
    )  # fmt: skip


def model(error, single, mixture, *, column):
    return [
        figure(ERROR, NO_PRIOR, error),
        figure(FRECHET, column, single),
        figure(FRECHET, MIXTURE, mixture),
    ]


def verdicts(ae, vae):
    return [
        claim.verdict
        for claim in hold_against_published(
            model(*ae, column=SCALE_FAIR), model(*vae, column=AS_BUILT)
        )
    ]


@pytest.mark.parametrize(
    ("ae", "vae", "told"),
    [
        # The paper's own MNIST figures (reconstructions stand in for the error).
        ((12.95, 58.73, 10.66), (18.26, 19.21, 17.66), [AGREES, AGREES, AGREES]),
        ((18.26, 19.21, 17.66), (12.95, 58.73, 10.66), [DIFFERS, DIFFERS, DIFFERS]),
        ((10.0, 20.0, 5.0), (10.2, 20.5, 5.1), [TIE, TIE, TIE]),
        ((10.0, 30.0, 15.0), (12.0, 20.0, 9.2), [AGREES, AGREES, TIE]),
    ],
)
def test_the_order_decides_where_the_difference_is_clear(ae, vae, told):
    assert verdicts(ae, vae) == told


def test_intervals_that_overlap_are_no_tie_where_their_difference_is_clear():
    # 9.5 % apart with 5 % either way: the intervals overlap, the difference is clear.
    assert verdicts((10.0, 21.9, 5.0), (30.0, 20.0, 9.0))[1] == AGREES
    # Alone this one would be clear too, with two other claims beside it that it must stand among.
    assert verdicts((10.0, 21.6, 5.0), (10.1, 20.0, 5.0))[1] == UNCLEAR


def test_an_interval_that_begins_at_zero_is_no_finding():
    ae, vae = model(10.0, 20.0, 5.0, column=SCALE_FAIR), model(12.0, 40.0, 20.0, column=AS_BUILT)
    assert hold_against_published(ae, vae)[2].verdict == AGREES
    wide = replace(ae[1], low=0.0, high=45.0)
    claims = hold_against_published([ae[0], wide, ae[2]], vae)
    assert [claim.verdict for claim in claims] == [AGREES, TIE]  # a factor needs what is above 0


def test_without_the_figures_nothing_is_said():
    assert hold_against_published([], []) == []
    alone = [figure(ERROR, NO_PRIOR, 1.0)]
    assert [c.verdict for c in hold_against_published(alone, [figure(ERROR, NO_PRIOR, 2.0)])] == [
        AGREES
    ]


@pytest.mark.parametrize(
    ("pair", "told"),
    [
        ("mnist-{}-16", [AGREES, AGREES, AGREES]),
        ("fashion-mnist-{}-16", [AGREES, AGREES, AGREES]),
        ("faces-{}-16", [DIFFERS, DIFFERS, DIFFERS]),
        ("sprites-{}-10", [AGREES, DIFFERS, DIFFERS]),
        ("digits-{}-8", [AGREES, DIFFERS, TIE]),
    ],
)
def test_the_gallery_is_told_as_docs_regularity_tells_it(pair, told):
    ae, vae = (
        load_report(SHIPPED / pair.format(kind) / "regularity.json").estimates
        for kind in ("ae", "vae")
    )
    assert [claim.verdict for claim in hold_against_published(ae, vae)] == told

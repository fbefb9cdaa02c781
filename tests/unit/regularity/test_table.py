"""A report as a table of text."""

from dataclasses import replace

from explorer.regularity.estimate import Estimate
from explorer.regularity.report import RegularityReport
from explorer.regularity.table import format_table

HOLES = Estimate(
    key="hole_rate",
    column="as built",
    value=0.1274,
    low=0.12,
    high=0.1351,
    chance=None,
    ideal=0.05,
    n=10_000,
    seed=3,
)


def table(*estimates):
    return format_table("some-vae", RegularityReport(estimates, n=10_000, seed=3)).split("\n")


def test_the_columns_of_a_metric_stand_in_its_line():
    fair = replace(HOLES, column="scale-fair", value=0.1, low=0.09, high=0.11)
    title, header, group, row = table(HOLES, fair)
    assert title == "some-vae: 10,000 held-out images, seed 3, 95 % intervals"
    assert " ".join(header.split()) == "Prior N(0, I) Fitted Gaussian chance ideal better unit"
    assert group == "headline"
    assert row.split("  ")[1] == "Prior holes"
    for cell in ("0.1274 [0.12, 0.1351]", "0.1 [0.09, 0.11]", "0.05", "share of prior samples"):
        assert cell in row
    assert row.index("0.1 [") == header.index("Fitted Gaussian")


def test_a_key_in_two_groups_has_a_line_in_each():
    lines = table(HOLES, replace(HOLES, column="mixture"))
    assert [line for line in lines if line in ("headline", "prior")] == ["headline", "prior"]
    assert lines[-1].index("0.1274") == lines[1].index("Fitted mixture")


def test_what_is_missing_is_told_by_its_absence():
    lone = replace(HOLES, value=-23_456.7, low=None, high=None, ideal=None, note="None.")
    row = table(lone)[-1]
    assert "[" not in row
    assert " ".join(row.split()) == "Prior holes -23457 - - near the ideal share of prior samples"


def test_ideal_values_that_differ_are_both_given():
    fair = replace(HOLES, column="scale-fair", ideal=0.07)
    assert "0.05 | 0.07" in table(HOLES, fair)[-1]


def test_what_holds_by_construction_is_called_that():
    fixed = replace(HOLES, key="prior_match", column="scale-fair", value=0.0, low=0.0, high=0.0)
    assert "0 by construction" in table(fixed)[-1]

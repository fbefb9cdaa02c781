"""A report as a table of text."""

from dataclasses import replace

from explorer.regularity.definitions import Measure
from explorer.regularity.report import RegularityReport
from explorer.regularity.table import format_table

HOLES = Measure(
    key="hole_rate",
    column="as built",
    title="Holes",
    value=0.1274,
    low=0.12,
    high=0.1351,
    null=0.05,
    unit="share of prior draws",
    better="near null",
    n=10_000,
    seed=3,
    student="How many.",
    researcher="P(far).",
    source="our definition",
    group="headline",
    headline=True,
)


def table(*measures):
    return format_table("some-vae", RegularityReport(measures, n=10_000, seed=3)).split("\n")


def test_the_columns_of_a_measure_stand_in_its_line():
    fair = replace(HOLES, column="scale-fair", value=0.1, low=0.09, high=0.11)
    title, header, group, row = table(HOLES, fair)
    assert title == "some-vae: 10,000 held-out images, seed 3, 95 % intervals"
    assert " ".join(header.split()) == "as built / no prior scale-fair null better unit"
    assert group == "headline"
    assert row.split("  ")[1] == "Holes"
    for cell in ("0.1274 [0.12, 0.1351]", "0.1 [0.09, 0.11]", "0.05", "share of prior draws"):
        assert cell in row
    assert row.index("0.1 [") == header.index("scale-fair")


def test_a_key_in_two_groups_has_a_line_in_each():
    mixed = replace(HOLES, column="mixture", group="prior", headline=False)
    lines = table(HOLES, mixed)
    assert [line for line in lines if line in ("headline", "prior")] == ["headline", "prior"]
    assert lines[-1].index("0.1274") == lines[1].index("mixture")


def test_what_is_missing_is_told_by_its_absence():
    lone = replace(HOLES, column="", value=-23_456.7, low=None, high=None, null=None, note="None.")
    row = table(lone)[-1]
    assert "[" not in row
    assert " ".join(row.split()) == "Holes -23457 - near null share of prior draws"


def test_nulls_that_differ_are_both_given():
    fair = replace(HOLES, column="scale-fair", null=0.07)
    assert "0.05 | 0.07" in table(HOLES, fair)[-1]

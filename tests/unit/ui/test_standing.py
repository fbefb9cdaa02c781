from dataclasses import replace

import pytest

from explorer.models.library import SHIPPED, list_checkpoints
from explorer.regularity.definitions import HEADLINE, LOWER, NO_PRIOR, Measure
from explorer.regularity.verdict import judge
from explorer.ui.comparing.comparison import other_seeds
from explorer.ui.comparing.standing import figure, table_html

ERROR = Measure(
    key="reconstruction_nll",
    column=NO_PRIOR,
    title="Error <b>",
    value=3.0,
    low=2.0,
    high=4.0,
    null=9.0,
    unit="nats",
    better=LOWER,
    n=100,
    seed=0,
    student="How bad & how good.",
    researcher="",
    source="",
    group=HEADLINE,
    headline=True,
)


def table(*values, **options):
    measures = [replace(ERROR, value=value, low=value - 1, high=value + 1) for value in values]
    names = [f"model {place} <i>" for place in range(len(values))]
    return table_html(names, {"reconstruction_nll": judge(measures)}, **options)


def test_the_winner_alone_is_marked():
    html = table(3.0, 7.0)
    assert html.count('class="best"') == 1
    assert html.index('class="best"') < html.index(">7<")


def test_overlapping_intervals_mark_nobody():
    assert 'class="best"' not in table(3.0, 4.0)


def test_words_from_files_are_escaped():
    html = table(3.0, 7.0)
    assert "<b>" not in html
    assert "<i>" not in html
    assert "&amp; how good" in html


def test_only_rows_with_pictures_can_be_opened():
    assert "data-row" not in table(3.0, 7.0)
    assert 'data-row="reconstruction_nll"' in table(3.0, 7.0, openable=["reconstruction_nll"])


def test_every_seed_is_a_point_within_the_plot():
    seeds = [{"reconstruction_nll": [2.5, 30.0]}, {}]
    html = table(3.0, 7.0, seeds=seeds)
    assert html.count('class="seed"') == 2
    assert "other seeds: 2.5, 30" in html
    lefts = [float(part.split("%")[0]) for part in html.split("left:")[1:]]
    assert all(0 <= left <= 100 for left in lefts)


def test_a_model_without_interval_says_why():
    measures = [replace(ERROR, low=None, high=None, note="one image alone")] * 2
    html = table_html(["a", "b"], {"reconstruction_nll": judge(measures)})
    assert "one image alone" in html
    assert "whisker" not in html


def test_seeds_of_a_shipped_model_are_found_and_other_models_are_not():
    listings = list_checkpoints([SHIPPED])
    by_name = {one.name: one for one in listings}
    found = other_seeds(by_name["digits-vae-8"], listings)
    assert [one.name for one in found] == ["digits-vae-8-seed1", "digits-vae-8-seed2"]
    found = other_seeds(by_name["digits-vae-8-seed2"], listings)
    assert [one.name for one in found] == ["digits-vae-8", "digits-vae-8-seed1"]
    assert other_seeds(by_name["mnist-vae-16"], listings) == []


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"),
        (0.12345, "0.123"),
        (97.26, "97.3"),
        (-14183.1, "-14,183"),
        (1234.5, "1,234"),
        (0.00012345, "0.00012"),
        (3.2e9, "3.2e+09"),
    ],
)
def test_a_number_keeps_the_digits_that_count(value, shown):
    assert figure(value) == shown

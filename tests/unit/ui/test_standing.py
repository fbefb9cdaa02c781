"""The table of a comparison."""

import re
from dataclasses import replace

import pytest

from explorer.models.library import SHIPPED, list_checkpoints
from explorer.regularity.definitions import SCALE_FAIR
from explorer.regularity.verdict import standings
from explorer.ui.comparing.comparison import describe_match, other_seeds
from explorer.ui.comparing.standing import figure, table_html
from tests.unit.regularity.reports import estimate, model, report


def table(*values, **options):
    names = [f"model {place} <i>" for place in range(len(values))]
    models = [
        model(name, [estimate("reconstruction_nll", value, 1.0)])
        for name, value in zip(names, values, strict=True)
    ]
    return table_html(names, standings(models, SCALE_FAIR), **options)


def test_the_winner_alone_is_marked():
    html = table(3.0, 7.0)
    assert html.count('class="best"') == 1
    assert html.index('class="best"') < html.index(">7<")


def test_overlapping_intervals_mark_nobody():
    assert 'class="best"' not in table(3.0, 4.0)


def test_words_from_files_are_escaped():
    html = table(3.0, 7.0)
    assert "model 0 <i>" not in html
    assert "model 0 &lt;i&gt;" in html


def test_only_rows_with_pictures_can_be_opened():
    assert "data-row" not in table(3.0, 7.0)
    assert 'data-row="reconstruction_nll"' in table(3.0, 7.0, openable=["reconstruction_nll"])


def test_every_seed_is_a_point_within_the_plot():
    seeds = [{"reconstruction_nll": [2.5, 30.0]}, {}]
    html = table(3.0, 7.0, seeds=seeds)
    assert len(re.findall('<div class="seed"', html)) == 2
    assert "other seeds: 2.5, 30" in html
    lefts = [float(part.split("%")[0]) for part in html.split(' style="left:')[1:]]
    assert all(0 <= left <= 100 for left in lefts)


def test_a_model_without_interval_says_why():
    bare = replace(estimate("reconstruction_nll", 3.0), low=None, high=None, note="one image alone")
    models = [model(name, [bare]) for name in "ab"]
    html = table_html(["a", "b"], standings(models, SCALE_FAIR))
    assert "one image alone" in html
    assert "whisker" not in html


def test_chance_level_and_ideal_value_are_two_lines_and_the_legend_names_both():
    models = [model("a"), model("b")]
    html = table_html(["a", "b"], standings(models, SCALE_FAIR))

    def row(titled):
        return next(part for part in html.split("<tr") if titled in part)

    accuracy, holes, error = (
        row(one) for one in ("k-NN", "Prior holes", "Reconstruction error\u00a0<")
    )
    assert (accuracy.count('class="chance"'), accuracy.count('class="ideal"')) == (1, 1)
    assert (holes.count('class="chance"'), holes.count('class="ideal"')) == (0, 1)
    assert (error.count('class="chance"'), error.count('class="ideal"')) == (1, 0)
    legend = html.split("</table>")[1]
    assert "chance level" in legend
    assert "ideal value" in legend
    assert "null" not in html


def test_what_holds_by_construction_is_said_and_not_drawn():
    models = [model("a"), model("b")]
    html = table_html(["a", "b"], standings(models, SCALE_FAIR))
    row = next(part for part in html.split("<tr") if "KL(q(z)" in part)
    assert row.count("0 by construction") >= 2
    assert 'class="dot"' not in row
    assert "best" not in row


def test_the_interval_over_trainings_stands_with_their_number():
    models = [
        model(name, report(), other_trainings=[report(hole_rate=0.12), report(hole_rate=0.14)])
        for name in "ab"
    ]
    html = table_html(["a", "b"], standings(models, SCALE_FAIR))
    row = next(part for part in html.split("<tr") if "Prior holes" in part)
    assert row.count("k = 3: 0.0703 to 0.17") == 2
    assert row.count('class="trainings" style') == 2


def test_a_metric_that_does_not_compare_is_shown_and_marks_nobody():
    models = [
        model("a", report(reconstruction_nll=10.0)),
        model("b", report(reconstruction_nll=-9000.0), network={"likelihood": "gaussian"}),
    ]
    html = table_html(["a", "b"], standings(models, SCALE_FAIR))
    row = next(part for part in html.split("<tr") if "Reconstruction error\u00a0<" in part)
    assert "Not compared" in row
    assert 'class="best"' not in row


def test_models_that_differ_in_the_model_type_alone_are_a_matched_pair():
    by_name = {one.name: one.config for one in list_checkpoints([SHIPPED])}

    def told(*names):
        return describe_match([by_name[name] for name in names], names)

    assert told("mnist-vae-16", "mnist-ae-16") == (
        True,
        "A matched pair, VAE and AE: the same data, network, epochs, batches and seed; only the "
        "model type differs.",
    )
    matched, words = told("mnist-ae-16", "mnist-vae-16-beta4")
    assert matched
    assert "β = 4" in words
    matched, words = told("digits-vae-8", "digits-vae-8-seed1")
    assert not matched
    assert "digits-vae-8-seed1: training seed: 0 against 1" in words


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

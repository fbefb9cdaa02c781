import csv
import io
import json
from dataclasses import replace

import pytest

from explorer.live.hub import shared_hub
from explorer.models.checkpoint import REPORT
from explorer.models.library import list_checkpoints
from explorer.plots.page import Heading, Html, Words
from explorer.regularity.definitions import AS_BUILT
from explorer.regularity.report import load_report
from explorer.ui.comparing.comparison import Comparison
from explorer.ui.comparing.figures_file import write_csv, write_json
from explorer.ui.comparing.page_parts import opening


@pytest.fixture
def comparison(checkpoints):
    listings = list_checkpoints([checkpoints])
    reports = [load_report(one.folder / REPORT) for one in listings]
    return Comparison(
        listings=listings,
        models=[shared_hub().open(one.folder, one.stamp) for one in listings],
        names=[one.name for one in listings],
        colours=["#111111", "#222222"],
        column=AS_BUILT,
        reports=reports,
        seeds=[{f"{listings[0].name}-seed1": reports[0]}, {}],
        faults=[(), ()],
    )


def test_the_csv_holds_every_figure_of_every_model_and_seed(comparison):
    rows = list(csv.DictReader(io.StringIO(write_csv(comparison))))
    first, second = (len(report.estimates) for report in comparison.reports)
    assert len(rows) == 2 * first + second
    assert rows[0]["model"] == "bars-ae"
    assert float(rows[0]["value"]) == comparison.reports[0].estimates[0].value
    assert {"low", "high", "chance", "ideal", "unit", "n", "seed", "source"} <= set(rows[0])


def test_names_that_begin_like_a_formula_are_text_in_the_csv(comparison):
    named = replace(comparison, names=["=HYPERLINK(1)", "@bars"])
    rows = list(csv.DictReader(io.StringIO(write_csv(named))))
    assert {"'=HYPERLINK(1)", "'@bars"} <= {row["model"] for row in rows}
    lows = [float(row["low"]) for row in rows if row["low"]]
    assert len(lows) > 10


def test_the_json_says_what_differs_and_gives_the_verdict(comparison):
    content = json.loads(write_json(comparison))
    assert [one["name"] for one in content["models"]] == ["bars-ae", "bars-vae"]
    assert content["differences"] == {"bars-vae": []}
    assert content["verdict"] == comparison.verdict
    by_key = {one["metric"]: one for one in content["comparisons"]}
    assert set(by_key) == {key for key, one in comparison.found.items() if one.pairs}
    for key, one in by_key.items():
        best = comparison.found[key].best
        assert one["better"] == (None if best is None else comparison.names[best])
    assert {one["model"] for one in content["figures"]} == {"bars-ae", "bars-ae-seed1", "bars-vae"}


def test_seeds_are_figures_of_the_model_that_they_belong_to(comparison):
    first, second = comparison.seed_figures()
    value = comparison.reports[0].estimate("hole_rate", AS_BUILT).value
    assert first["hole_rate"] == [value]
    assert second["hole_rate"] == []


def test_the_page_to_keep_says_what_the_file_says(comparison):
    parts = list(opening(comparison))
    told = [part.text for part in parts if isinstance(part, Heading | Words)]
    verdict = json.loads(write_json(comparison))["verdict"]
    start = told.index(verdict[0])
    assert told[start : start + len(verdict)] == verdict
    (table,) = [part.html for part in parts if isinstance(part, Html)]
    assert "chance level" in table
    assert "ideal value" in table
    assert table.count('class="best"') == sum(
        standing.best is not None for standing in comparison.found.values()
    )

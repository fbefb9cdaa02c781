"""What docs/RESULTS.md says is what was measured."""

import csv
import json
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
RESULTS = (DOCS / "RESULTS.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "figure"),
    [
        ("example", "negative_elbo"),
        ("example", "nll"),
        ("static", "nll"),
        ("static-2x400", "nll"),
        ("mnist-vae-16", "nll"),
        ("mnist-infovae-16", "nll"),
    ],
)
def test_a_figure_and_its_error_are_those_of_the_evaluation(name, figure):
    plain = json.loads((DOCS / "results" / f"{name}.json").read_text())
    found = plain["nats_per_image"][figure]
    assert f"{found['value']:.2f} ± {found['standard_error']:.2f}" in RESULTS
    assert plain["samples"] == 200


@pytest.mark.parametrize("name", ["burda-k1", "burda-k5"])
def test_a_run_that_goes_on_is_told_as_far_as_it_got(name):
    with (DOCS / "results" / f"{name}.csv").open(newline="") as file:
        last = list(csv.DictReader(file))[-1]
    told = f"**{float(last['held_out_loss']):.2f}** after {last['epoch']} of 3,280 epochs"
    assert told in RESULTS
    curves = (DOCS / "burda.svg").read_text()
    assert f"{float(last['held_out_loss']):.2f} after {last['epoch']} epochs" in curves

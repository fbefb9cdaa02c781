"""What docs/RESULTS.md says is what was measured."""

import csv
import json
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
RESULTS = (DOCS / "RESULTS.md").read_text(encoding="utf-8")


def read(name):
    return json.loads((DOCS / "results" / f"{name}.json").read_text())


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
    found = read(name)["nats_per_image"][figure]
    assert f"{found['value']:.2f} ± {found['standard_error']:.2f}" in RESULTS


@pytest.mark.parametrize("name", ["mnist-vae-16", "mnist-infovae-16"])
def test_an_nll_stands_beside_its_proposal_and_effective_sample_size(name):
    plain = read(name)
    draws = plain["effective_samples"]
    assert plain["claimed"]
    assert plain["proposal"] == "laplace"
    (row,) = (line for line in RESULTS.splitlines() if line.startswith(f"| `{name}` | mixture"))
    assert f"| {draws['median']:.0f} of {plain['samples']} |" in row
    assert f"| {draws['small_share']:.1%} |" in row.replace(" %", "%")
    assert f"| {plain['images']:,} of {plain['images_available']:,} |" in row


def test_what_draws_from_the_encoder_alone_give_is_told_as_a_bound():
    plain = read("mnist-infovae-16-posterior")
    assert plain["proposal"] == "posterior"
    assert not plain["claimed"]
    assert "nll" not in plain["nats_per_image"]
    found = plain["nats_per_image"]["log_likelihood_at_least"]
    (row,) = (
        line for line in RESULTS.splitlines() if line.startswith("| `mnist-infovae-16` | q(z")
    )
    assert f"≤ {-found['value']:.2f}, not claimed" in row
    assert f"| {plain['effective_samples']['median']:.1f} of {plain['samples']} |" in row


def test_no_information_beyond_the_logarithm_of_the_images_is_claimed():
    assert "carry 89" not in RESULTS
    assert "log N" in RESULTS


def test_grey_images_under_a_bernoulli_are_told_to_have_no_density():
    assert "no density of grey images" in " ".join(RESULTS.split())
    assert "1907.06845" in RESULTS


@pytest.mark.parametrize("name", ["burda-k1", "burda-k5"])
def test_a_run_that_goes_on_is_told_as_far_as_it_got(name):
    with (DOCS / "results" / f"{name}.csv").open(newline="") as file:
        last = list(csv.DictReader(file))[-1]
    told = f"**{float(last['held_out_loss']):.2f}** after {last['epoch']} of 3,280 epochs"
    assert told in RESULTS
    curves = (DOCS / "burda.svg").read_text()
    assert f"{float(last['held_out_loss']):.2f} after {last['epoch']} epochs" in curves

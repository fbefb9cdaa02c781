"""Measuring a latent space as a whole, and the report's file."""

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from explorer.errors import CheckpointError, LatentError
from explorer.regularity import subject as subject_module
from explorer.regularity.definitions import DEFINITIONS
from explorer.regularity.estimate import Estimate
from explorer.regularity.measuring import ENCODING_FAMILIES, measure_all
from explorer.regularity.report import RegularityReport, load_report, save_report
from explorer.regularity.subject import EncodedImages, HeldOut


def held_out(n=120, dim=3, variational=True, labelled=True):
    rng = np.random.default_rng(0)
    return HeldOut(
        mean=rng.normal(size=(n, dim)).astype(np.float32),
        log_var=np.full((n, dim), -2.0, np.float32) if variational else None,
        labels=rng.integers(0, 3, size=n) if labelled else None,
        reconstruction_nll=rng.gamma(2.0, 40.0, size=n).astype(np.float32),
        reconstruction_mse=rng.gamma(2.0, 0.01, size=n).astype(np.float32),
        null_nll=206.8,
        null_mse=0.067,
    )


def measure(data, seed=0, progress=None):
    return measure_all(
        EncodedImages(data, seed=seed), families=ENCODING_FAMILIES, progress=progress
    )


@pytest.fixture(scope="module")
def measured():
    return measure(held_out(), seed=4)


def test_every_measure_comes_with_all_that_reads_it(measured):
    assert [(m.key, m.column) for m in measured.estimates] == [
        ("reconstruction_nll", ""),
        ("reconstruction_mse", ""),
        ("knn_accuracy", ""),
        ("prior_match", "as built"),
        ("prior_match", "scale-fair"),
        ("hole_rate", "as built"),
        ("escape_rate", "as built"),
        ("hole_rate", "scale-fair"),
        ("escape_rate", "scale-fair"),
    ]
    for one in measured.estimates:
        assert one.low <= one.value <= one.high
        assert one.n == measured.n == 120
        assert one.seed == measured.seed == 4
        assert one.key in DEFINITIONS
        few = one.fixed or one.key == "knn_accuracy"  # too few images for subsets of them
        assert len(one.resamples) == (0 if few else 200)


def test_reconstruction_is_the_mean_over_images_beside_chance(measured):
    data = held_out()
    nll, mse = measured.estimates[:2]
    assert nll.value == pytest.approx(data.reconstruction_nll.mean(), rel=1e-5)
    assert mse.value == pytest.approx(data.reconstruction_mse.mean(), rel=1e-5)
    assert (nll.chance, mse.chance) == (206.8, 0.067)
    assert (nll.ideal, mse.ideal) == (None, 0.0)
    assert nll.unit == "nats per image"


def test_the_same_seed_gives_the_same_report(measured):
    assert measure(held_out(), seed=4) == measured
    assert measure(held_out(), seed=5) != measured


def test_a_vae_is_measured_by_samples_and_an_ae_by_its_codes():
    # The posterior is the prior: the means are a point, their samples the prior itself.
    collapsed = replace(
        held_out(400, 2), mean=np.zeros((400, 2)), log_var=np.zeros((400, 2)), labels=None
    )
    by_key = {(m.key, m.column): m for m in measure(collapsed).estimates}
    assert by_key["hole_rate", "as built"].value < 0.15
    assert by_key["prior_match", "as built"].value < 0.03
    point = {(m.key, m.column): m for m in measure(replace(collapsed, log_var=None)).estimates}
    assert point["hole_rate", "as built"].value == 1.0
    assert point["prior_match", "as built"].value > 5.0


def test_without_labels_there_is_no_knn_accuracy():
    keys = [m.key for m in measure(held_out(labelled=False)).estimates]
    assert "knn_accuracy" not in keys
    assert len(keys) == 8


def test_thirty_images_do():
    assert measure(held_out(30, 16, variational=False)).n == 30


def test_more_images_than_needed_are_sub_sampled(monkeypatch):
    monkeypatch.setattr(subject_module, "MOST_IMAGES", 50)
    measured = measure(held_out())
    assert measured.n == 50
    assert {m.n for m in measured.estimates} == {50}
    assert "50 of the 120 held-out images" in measured.estimates[0].note


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mean": np.zeros((19, 3))}, "19 held-out images; .* needs at least 20"),
        ({"mean": np.zeros((120, 130))}, "120 held-out .* 130 latent axes needs at least 132"),
        ({"mean": np.full((120, 3), np.nan)}, "120 of 120 posterior means are not finite"),
        ({"log_var": np.zeros((120, 2))}, r"log_var has shape \(120, 2\).*need \(120, 3\)"),
        ({"log_var": np.full((120, 3), np.inf)}, "posterior log variances are not finite"),
        ({"labels": np.zeros(119, int)}, "labels has shape"),
        ({"labels": np.zeros(120)}, "labels must be whole numbers"),
        ({"reconstruction_nll": np.zeros((120, 1))}, "reconstruction_nll has shape"),
        ({"reconstruction_mse": np.full(120, np.nan)}, "reconstruction_mse are not finite"),
        ({"null_nll": float("nan")}, "null_nll is nan"),
    ],
)
def test_bad_arrays_are_told(change, said):
    with pytest.raises(LatentError, match=said):
        measure(replace(held_out(), **change))


def test_round_trip(tmp_path, measured):
    assert RegularityReport.from_json(measured.to_json()) == measured
    path = tmp_path / "regularity.json"
    save_report(path, measured)
    assert load_report(path) == measured
    assert [file.name for file in tmp_path.iterdir()] == ["regularity.json"]


def test_round_trip_with_examples_and_gaps(measured):
    rich = replace(
        measured,
        estimates=(
            *measured.estimates,
            replace(
                measured.estimates[0],
                key="linear_probe",
                low=None,
                high=None,
                chance=None,
                note="Only one was measured.",
            ),
        ),
        examples={"hole_rate": [{"z": [0.25, -1.0], "row": 3, "near": None}], "none": [], "s": [1]},
        inputs={"model": "abc"},
    )
    text = rich.to_json()
    assert RegularityReport.from_json(text) == rich
    assert '{"z": [0.25, -1.0], "row": 3, "near": null}' in text
    assert rich.estimate("linear_probe", "").chance is None
    assert rich.estimate("linear_probe", "as built") is None


OLD = Path(__file__).parent / "reports"


@pytest.mark.parametrize("number", [1, 2])
def test_a_report_of_an_earlier_format_is_read(number):
    """Copies of reports that earlier versions wrote: of format 1, and of format 2."""
    path = OLD / f"format-{number}.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    report = load_report(path)
    assert len(report.estimates) == len(content["measures"])
    for one, old in zip(report.estimates, content["measures"], strict=True):
        assert (one.value, one.low, one.high) == (old["value"], old["low"], old["high"])
        assert (one.key, one.column, one.n, one.resamples) == (
            old["key"], old["column"], old["n"], (),
        )  # fmt: skip
    # What was one null is a chance level of some and an ideal value of others.
    assert report.estimate("knn_accuracy", "").chance == pytest.approx(0.1, abs=0.02)
    holes = report.estimate("hole_rate", "as built")
    assert (holes.chance, holes.ideal) == (None, pytest.approx(0.05))
    prior = report.estimate("prior_match", "as built")
    assert (prior.chance, prior.ideal) == (None, 0.0)
    assert "bias" in prior.note
    assert load_report(path) == RegularityReport.from_json(report.to_json())


SHIPPED = Path(__file__).resolve().parents[3] / "pretrained"


@pytest.mark.parametrize("folder", sorted(SHIPPED.iterdir()), ids=lambda folder: folder.name)
def test_the_shipped_reports_are_read(folder):
    report = load_report(folder / "regularity.json")
    assert {"reconstruction_nll", "hole_rate"} <= {one.key for one in report.estimates}


def damaged(measured, **changes):
    content = json.loads(measured.to_json())
    for name, value in changes.items():
        target = content if name in content else content["estimates"][0]
        if value is KeyError:
            del target[name]
        else:
            target[name] = value
    return json.dumps(content)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": 4}, "format 1 to 3; this one is 4"),
        ({"format": True}, "format 1 to 3; this one is True"),
        ({"format": [1]}, r"format 1 to 3; this one is \[1\]"),
        ({"format": KeyError}, "format 1 to 3; this one is None"),
        ({"format": 1}, "lacks 'measures'"),
        ({"n": KeyError}, "lacks 'n'"),
        ({"n": 1.5}, "'n' must be a whole number"),
        ({"seed": -1}, "'seed' must be a whole number"),
        ({"seed": True}, "'seed' must be a whole number"),
        ({"estimates": {}}, "'estimates' must be a list"),
        ({"estimates": [3]}, "is 3, no object"),
        ({"value": KeyError}, "'reconstruction_nll' lacks 'value'"),
        ({"extra": 1}, "holds 'extra', which is not part"),
        ({"value": "high"}, "'value' must be a number; it is 'high'"),
        ({"value": True}, "'value' must be a number"),
        ({"value": float("nan")}, "'value' is nan, not finite"),
        ({"high": float("inf")}, "'high' is inf, not finite"),
        ({"chance": 10**400}, "'chance' is 1000.*not finite"),
        ({"value": -5.0}, "lies outside its interval"),
        ({"note": 4}, "'note' must be text"),
        ({"key": "beauty"}, "there is no such metric"),
        ({"column": "cooked"}, "'column' is 'cooked', none of"),
        ({"resamples": 4}, "'resamples' must be a list of at most 1,000"),
        ({"resamples": [0.0] * 1001}, "'resamples' must be a list of at most 1,000"),
        ({"resamples": [None]}, "'resamples' must be a number; it is None"),
        ({"low": None}, "its interval has one end"),
        ({"low": None, "high": None}, "it has no interval, and 'note' does not say why"),
        ({"value": None}, "'value' must be a number; it is None"),
        ({"examples": []}, "'examples' must be an object"),
        ({"examples": {"hole_rate": 4}}, "examples of 'hole_rate' must be a list"),
        ({"examples": {"a": [[[[[[1]]]]]]}}, "examples of 'a' are nested deeper than 4"),
        ({"examples": {"a": [float("nan")]}}, "examples of 'a' hold nan, which is not finite"),
        ({"examples": {"a": [2**60]}}, "examples of 'a' hold 1152921504606846976"),
        ({"examples": {"a": [0] * 2001}}, "hold 2,001 entries; 2,000 are allowed"),
        ({"examples": {"a": ["a" * 2001]}}, "hold a text of 2,001 characters"),
        ({"inputs": 4}, "'inputs' must be an object"),
        ({"inputs": {"model": 4}}, "'model' must be text; it is 4"),
        ({"key": "reconstruction_mse"}, "'reconstruction_mse' '' twice"),
    ],
)
def test_a_foreign_report_is_told(tmp_path, measured, changes, said):
    path = tmp_path / "regularity.json"
    path.write_text(damaged(measured, **changes), encoding="utf-8")
    with pytest.raises(CheckpointError, match=said) as told:
        load_report(path)
    assert str(path) in str(told.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, "NaN"])
def test_what_is_no_report_is_told(text):
    with pytest.raises(CheckpointError, match="regularity report"):
        RegularityReport.from_json(text)


def test_a_file_that_cannot_be_read_or_written_is_told(tmp_path, measured):
    with pytest.raises(CheckpointError, match="is missing"):
        load_report(tmp_path / "none.json")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_report(tmp_path)
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CheckpointError, match="not UTF-8"):
        load_report(tmp_path / "binary.json")
    (tmp_path / "large.json").write_bytes(b" " * 1_000_001)
    with pytest.raises(CheckpointError, match="1,000,001 bytes"):
        load_report(tmp_path / "large.json")
    with pytest.raises(CheckpointError, match="cannot be written"):
        save_report(tmp_path / "no" / "r.json", measured)


def test_the_file_holds_numbers_and_no_prose(measured):
    content = json.loads(measured.to_json())
    assert set(content["estimates"][0]) == {field.name for field in fields(Estimate)}
    for definition in DEFINITIONS.values():
        assert definition.plain_words not in measured.to_json()

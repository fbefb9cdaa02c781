"""All measures of one model, in order."""

from dataclasses import replace

import numpy as np
import pytest

from explorer.errors import LatentError
from explorer.models.codec import Codec, load_model
from explorer.regularity.definitions import GROUPS
from explorer.regularity.measuring import (
    ENCODING_FAMILIES,
    FAMILIES,
    HEADLINE_FAMILIES,
    measure_all,
)
from explorer.regularity.report import RegularityReport
from explorer.regularity.subject import EncodedImages, ModelUnderTest


class BarPlaces:
    """Where a bar is bright: the brightest of blurred rows and columns; class 1 lies."""

    accuracy = 0.75
    note = ""

    def features(self, images):
        return np.column_stack(
            [images.mean(axis=(1, axis)) @ np.arange(images.shape[5 - axis]) for axis in (2, 3)]
        ).astype(np.float32)

    def classify(self, images):
        along, down = (images.mean(axis=(1, axis)).std(axis=1) for axis in (2, 3))
        return (down > along).astype(np.int64)


class NoClasses(BarPlaces):
    accuracy = None
    note = "where the bar is bright"

    def classify(self, images):
        return None


class NeverAsked:
    """An extractor that must not be touched."""

    def __getattr__(self, name):
        raise AssertionError(f"{name} was asked for")


def opened(folder, kind="vae", extractor=None, **more):
    return ModelUnderTest.from_folder(
        folder / f"seen-{kind}", extractor=extractor or BarPlaces(), **more
    )


@pytest.fixture(scope="module")
def reports(measurable):
    return {kind: measure_all(opened(measurable, kind, seed=5)) for kind in ("vae", "ae")}


HEADLINE = {
    ("reconstruction_nll", ""),
    ("reconstruction_mse", ""),
    ("knn_accuracy", ""),
    ("prior_match", "as built"),
    ("prior_match", "scale-fair"),
    ("hole_rate", "as built"),
    ("hole_rate", "scale-fair"),
    ("escape_rate", "as built"),
    ("escape_rate", "scale-fair"),
    ("coverage_ratio", "as built"),
    ("coverage_ratio", "scale-fair"),
    ("coverage_ratio", "mixture"),
    ("midpoint_realism", ""),
    ("class_kept", ""),
}


@pytest.mark.parametrize("kind", ["vae", "ae"])
def test_the_headline_is_whole_and_comes_first(reports, kind):
    estimates = reports[kind].estimates
    first = [one for one in estimates if one.headline]
    assert {(one.key, one.column) for one in first} == HEADLINE
    assert list(estimates[: len(first)]) == first
    assert {one.definition.group_in(one.column) for one in first} == {"headline"}


@pytest.mark.parametrize("kind", ["vae", "ae"])
def test_every_figure_has_all_that_reads_it(reports, kind):
    report = reports[kind]
    for one in report.estimates:
        assert np.isfinite(one.value), one
        assert one.low is None or one.low <= one.value <= one.high, one
        assert one.note or one.low is not None, one
        assert one.seed == report.seed == 5
        assert one.n > 0
        assert one.definition.group_in(one.column) in GROUPS
        assert one.column in one.definition.columns
    assert RegularityReport.from_json(report.to_json()) == report
    assert {"hole_rate", "midpoint_realism", "class_kept", "coverage_ratio"} >= {
        key for key in report.examples if key not in ("axes", "escape_rate")
    }
    assert {one["column"] for one in report.examples["hole_rate"]} == {
        "as built", "scale-fair", "mixture",
    }  # fmt: skip


def test_an_autoencoder_has_no_kl(reports):
    keys = {kind: {one.key for one in report.estimates} for kind, report in reports.items()}
    assert {"kl", "mutual_information", "total_correlation"} <= keys["vae"] - keys["ae"]


def test_the_report_says_what_it_rests_on(reports):
    assert reports["vae"].inputs["model"] == "seen-vae"
    assert reports["vae"].inputs["data"].startswith("blake2b:")
    assert "75.0 %" in reports["vae"].inputs["features"]


def test_the_headline_alone_gives_the_same_figures(measurable, reports):
    alone = measure_all(opened(measurable, seed=5), families=HEADLINE_FAMILIES)
    assert list(alone.estimates) == [one for one in reports["vae"].estimates if one.headline]


def test_the_trainers_quick_report_gives_the_same_figures(measurable, reports):
    quick = measure_all(
        EncodedImages(opened(measurable, seed=5).held_out, seed=5), families=ENCODING_FAMILIES
    )
    for one in quick.estimates:
        assert reports["vae"].estimate(one.key, one.column) == one


def test_without_classes_there_is_nothing_about_them(measurable):
    subject = opened(measurable, extractor=NoClasses())
    subject.image_set = replace(subject.image_set, labels=None, classes=())
    report = measure_all(subject)
    keys = {one.key for one in report.estimates}
    assert not keys & {"knn_accuracy", "class_kept", "linear_probe"}
    assert "midpoint_realism" in keys
    assert report.inputs["features"] == NoClasses.note


def test_a_sub_sample_is_said_with_every_figure(measurable):
    subject = opened(measurable, most=22)
    report = measure_all(subject, families=HEADLINE_FAMILIES)
    assert report.n == 22
    for one in report.estimates:
        assert one.note.count(subject.note) == 1


def test_progress_only_rises_and_ends_at_one(measurable):
    told = []
    measure_all(opened(measurable), progress=lambda words, share: told.append((words, share)))
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert (shares[0], told[-1]) == (0.0, ("measured", 1.0))
    assert {family.words for family in FAMILIES} < {words for words, _ in told}


def test_it_can_be_stopped(measurable):
    told = []

    def stop(words, share):
        told.append(words)
        if len(told) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_all(opened(measurable), progress=stop)
    assert len(told) == 4


def test_too_few_images_are_told_before_a_feature_space_is_made(measurable):
    with pytest.raises(LatentError, match="19 held-out images"):
        measure_all(opened(measurable, extractor=NeverAsked(), most=19))


@pytest.mark.parametrize("factor", [0.0, 1e-3])
def test_a_dead_model_is_measured_or_told(measurable, factor):
    config, model = load_model(measurable / "seen-ae")
    for weights in model.parameters():
        weights.data *= factor
    seen = opened(measurable, "ae")
    subject = ModelUnderTest(config, Codec(model), seen.image_set, seen.rows, extractor=BarPlaces())
    report = measure_all(subject)
    assert RegularityReport.from_json(report.to_json()) == report


def test_a_broken_model_is_told(measurable):
    config, model = load_model(measurable / "seen-ae")
    for weights in model.parameters():
        weights.data *= float("nan")
    seen = opened(measurable, "ae")
    subject = ModelUnderTest(
        config, Codec(model), seen.image_set, seen.rows, extractor=NeverAsked()
    )
    with pytest.raises(LatentError, match="not finite"):
        measure_all(subject)

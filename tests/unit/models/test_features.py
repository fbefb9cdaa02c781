"""The feature space: a classifier trained once, kept strictly, or random weights."""

from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from explorer.errors import DataError
from explorer.models import features as module
from explorer.models.features import (
    WIDTH,
    FeatureNet,
    classifier_folder,
    load_extractor,
    train_classifier,
)
from tests.conftest import make_images


@pytest.fixture(scope="module")
def kept(tmp_path_factory, bars):
    folder = tmp_path_factory.mktemp("classifiers")
    return folder, load_extractor(bars, cache=folder)


def refuse(*_, **__):
    raise AssertionError("it was trained again")


def test_bars_are_told_apart(kept, bars):
    _, extractor = kept
    assert extractor.accuracy > 0.9
    assert extractor.note == ""
    images = bars.floats(bars.held_out_index)
    named = extractor.classify(images)
    assert (named == bars.labels[bars.held_out_index]).mean() == extractor.accuracy
    found = extractor.features(images)
    assert found.shape == (24, WIDTH)
    assert found.dtype == np.float32
    assert (found >= 0).all()


def test_a_kept_classifier_is_not_trained_again(kept, bars, monkeypatch):
    folder, extractor = kept
    monkeypatch.setattr(module, "train_classifier", refuse)
    again = load_extractor(bars, cache=folder)
    images = bars.floats(bars.held_out_index)
    np.testing.assert_array_equal(again.features(images), extractor.features(images))
    assert again.accuracy == extractor.accuracy
    assert [path.name for path in folder.iterdir()] == [f"{bars.fingerprint[8:]}.safetensors"]
    with pytest.raises(AssertionError, match="again"):
        load_extractor(bars, cache=folder / "elsewhere")


@pytest.mark.parametrize("damage", ["truncated", "format", "extra", "shape", "nan", "accuracy"])
def test_a_damaged_file_is_trained_anew(tmp_path, kept, bars, damage):
    source = next(kept[0].iterdir())
    path = tmp_path / source.name
    arrays = load_file(source)
    about = {"format": str(module.FORMAT), "accuracy": "0.5"}
    if damage == "format":
        about["format"] = "0"
    elif damage == "accuracy":
        about["accuracy"] = "nan"
    elif damage == "extra":
        arrays["more"] = np.zeros(2, np.float32)
    elif damage == "shape":
        arrays["head.bias"] = np.zeros(3, np.float32)
    elif damage == "nan":
        arrays["head.bias"][0] = np.nan
    save_file(arrays, path, metadata=about)
    if damage == "truncated":
        path.write_bytes(source.read_bytes()[:-9])
    again = load_extractor(bars, cache=tmp_path)
    assert again.accuracy == kept[1].accuracy
    mended, whole = load_file(path), load_file(source)
    assert mended.keys() == whole.keys()
    assert all(np.array_equal(mended[name], whole[name]) for name in whole)


def test_progress_counts_to_its_end_and_may_stop(tmp_path, bars):
    told = []
    load_extractor(bars, cache=tmp_path, progress=lambda *step: told.append(step))
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0

    class StoppedError(Exception):
        pass

    def stop(words, share):
        raise StoppedError

    with pytest.raises(StoppedError):
        load_extractor(bars, cache=tmp_path / "other", progress=stop)
    assert not (tmp_path / "other").exists()


def test_the_same_seed_gives_the_same_weights(bars):
    few = replace(bars, train_index=bars.train_index[:8])
    first, again = (train_classifier(few).state_dict() for _ in range(2))
    assert all((first[name] == again[name]).all() for name in first)


def test_without_classes_the_weights_are_random(tmp_path, bars):
    bare = replace(bars, labels=None, classes=())
    extractor = load_extractor(bare, cache=tmp_path)
    assert extractor.accuracy is None
    assert "random weights" in extractor.note
    images = bars.floats(bars.held_out_index)
    assert extractor.classify(images) is None
    found = extractor.features(images)
    assert found.shape == (24, WIDTH)
    assert found.std(axis=0).max() > 0
    np.testing.assert_array_equal(load_extractor(bare).features(images), found)
    assert not list(tmp_path.iterdir())


def test_one_class_alone_teaches_nothing(tmp_path, bars):
    one = replace(bars, labels=np.zeros_like(bars.labels), classes=("bar",))
    assert load_extractor(one, cache=tmp_path).accuracy is None


def test_a_folder_that_cannot_be_written_only_costs_time(tmp_path, bars):
    (tmp_path / "file").write_text("")
    few = replace(bars, train_index=bars.train_index[:8])
    assert load_extractor(few, cache=tmp_path / "file" / "inside").accuracy is not None


def test_images_of_another_shape_are_told(kept):
    with pytest.raises(DataError, match=r"\(1, 9, 12\) do not fit .* \(1, 10, 12\)"):
        kept[1].features(np.zeros((2, 1, 9, 12), np.float32))


def test_no_images_have_no_features(kept):
    assert kept[1].features(np.zeros((0, 1, 10, 12), np.float32)).shape == (0, WIDTH)


def test_the_folder_is_where_the_setting_says(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPLORER_CACHE", str(tmp_path))
    assert classifier_folder() == tmp_path / "classifiers"
    monkeypatch.delenv("EXPLORER_CACHE")
    assert classifier_folder().name == "classifiers"


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 64, 64), (1, 28, 28), (3, 128, 8), (1, 9, 100)])
def test_images_of_any_allowed_size_do(shape):
    images = make_images(24, shape)
    net = FeatureNet(shape, 2)
    weights = sum(one.numel() for one in net.parameters())
    assert weights < 3_000_000
    assert load_extractor(replace(images, labels=None)).features(
        images.floats(slice(0, 3))
    ).shape == (3, WIDTH)

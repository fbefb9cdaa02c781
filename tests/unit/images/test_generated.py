import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from explorer.errors import DataError, DataNotAtHandError
from explorer.images import generated
from explorer.images.dataset import Factor, ImageSet, split_images
from explorer.images.faces import FACES
from explorer.images.generated import (
    DEFAULT_COUNT,
    QUICK_COUNT,
    FactorSpec,
    Scheme,
    load_generated,
    parse_count,
)
from explorer.images.registry import DATA_SETS, load_images
from explorer.images.sprites import SPRITES


@pytest.fixture
def dots():
    """A scheme of one light pixel an image, quickly drawn, and the rows that it was drawn for."""
    drawn = []

    def draw(factors):
        drawn.append(factors.tolist())
        image = np.zeros((1, 64, 64), np.uint8)
        image[0, int(factors[0]), 5] = 100 + int(factors[1])
        return image

    factors = (FactorSpec("y", 0, 63.9, unit="px"), FactorSpec("shade", choices=("dim", "light")))
    scheme = Scheme(
        name="dots",
        title="dots",
        version=3,
        seed=1,
        factors=factors,
        label="shade",
        channels=1,
        draw=draw,
    )
    return scheme, drawn


@pytest.mark.parametrize("scheme", [SPRITES, FACES], ids=lambda scheme: scheme.name)
def test_a_smaller_set_is_the_beginning_of_a_larger_one(scheme, tmp_path):
    small = load_generated(scheme, 40, tmp_path)
    large = load_generated(scheme, 90, tmp_path)
    assert np.array_equal(small.images, large.images[:40])
    assert np.array_equal(small.labels, large.labels[:40])
    for one, other in zip(small.factors, large.factors, strict=True):
        assert np.array_equal(one.values, other.values[:40])
    # Not because all of them are alike.
    assert len(np.unique(large.images, axis=0)) == 90


@pytest.mark.parametrize("scheme", [SPRITES, FACES], ids=lambda scheme: scheme.name)
def test_each_image_is_drawn_from_the_factors_beside_it(scheme, tmp_path):
    image_set = load_generated(scheme, 30, tmp_path)
    assert [factor.name for factor in image_set.factors] == [spec.name for spec in scheme.factors]
    row = np.array([factor.values[17] for factor in image_set.factors])
    assert np.array_equal(image_set.images[17], scheme.draw(row))
    label = next(factor for factor in image_set.factors if factor.name == scheme.label)
    assert label.discrete
    assert image_set.classes == label.choices
    assert image_set.labels.tolist() == label.values.tolist()


@pytest.mark.parametrize("scheme", [SPRITES, FACES], ids=lambda scheme: scheme.name)
def test_factors_are_uniform_within_their_bounds_and_independent(scheme):
    values = scheme.factor_values(20_000)
    assert values.dtype == np.float32
    for spec, column in zip(scheme.factors, values.T, strict=True):
        if spec.choices:
            counts = np.bincount(column.astype(int), minlength=len(spec.choices))
            assert len(counts) == len(spec.choices)
            assert counts.min() > 0.9 * len(values) / len(counts)
        else:
            assert spec.low <= column.min()
            assert column.max() <= spec.high
            shares = np.histogram(column, bins=10, range=(spec.low, spec.high))[0] / len(values)
            assert shares.min() > 0.09
    correlations = np.corrcoef(values.T) - np.eye(values.shape[1])
    assert np.abs(correlations).max() < 0.03


def test_the_draws_never_change():
    _, second = SPRITES.factor_values(2).tolist()
    assert second == pytest.approx([0, 22.492094, 0.550464, 22.474295, 29.472068], abs=1e-5)


def test_a_second_load_reads_the_file_and_draws_nothing(dots, tmp_path):
    scheme, drawn = dots
    first = load_generated(scheme, 50, tmp_path / "new" / "dots")
    assert len(drawn) == 50
    second = load_generated(scheme, 50, tmp_path / "new" / "dots", allow_drawing=False)
    assert len(drawn) == 50
    assert np.array_equal(second.images, first.images)
    assert first.fingerprint == replace(first, images=first.images.copy()).fingerprint
    assert second.fingerprint == first.fingerprint
    for image_set in (first, second):
        assert isinstance(image_set.images, np.memmap)
        assert not image_set.images.flags.writeable


def test_the_file_is_a_plain_array_for_numpy_and_alone_in_its_folder(dots, tmp_path):
    images = load_generated(dots[0], 50, tmp_path).images
    [file] = tmp_path.iterdir()
    assert file.name == "v3-50.npy"
    assert np.array_equal(np.load(file, allow_pickle=False), images)
    assert np.array_equal(np.load(file, mmap_mode="r", allow_pickle=False), images)


def flip_a_bit(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def cut_off(file):
    file.write_bytes(file.read_bytes()[:-100])


def flip_a_bit_of_the_fingerprint(file):
    content = bytearray(file.read_bytes())
    content[-1] ^= 0x80
    file.write_bytes(content)


def append(file):
    file.write_bytes(file.read_bytes() + b"\0")


def save_other_shape(file):
    np.save(file, np.load(file)[:, :, :32])


def save_other_order(file):
    np.save(file, np.asfortranarray(np.load(file)))


def save_objects(file):
    np.save(file, np.array([print], dtype=object), allow_pickle=True)


def save_text(file):
    file.write_text("not an array")


def empty(file):
    file.write_bytes(b"")


@pytest.mark.parametrize(
    "damage",
    [
        flip_a_bit,
        flip_a_bit_of_the_fingerprint,
        cut_off,
        append,
        save_other_shape,
        save_other_order,
        save_objects,
        save_text,
        empty,
    ],
)
def test_a_damaged_file_is_drawn_again(damage, dots, tmp_path):
    scheme, drawn = dots
    whole = load_generated(scheme, 50, tmp_path).fingerprint
    file = tmp_path / "v3-50.npy"
    content = file.read_bytes()
    damage(file)
    assert load_generated(scheme, 50, tmp_path).fingerprint == whole
    assert len(drawn) == 100
    assert file.read_bytes() == content


def test_a_file_of_another_version_is_not_read(dots, tmp_path):
    scheme, drawn = dots
    load_generated(scheme, 50, tmp_path)
    load_generated(replace(scheme, version=4), 50, tmp_path)
    assert len(drawn) == 100


@pytest.mark.parametrize("obstacle", ["a file for the folder", "a folder for the file"])
def test_images_that_cannot_be_kept_are_given_all_the_same(obstacle, dots, tmp_path):
    scheme, drawn = dots
    folder = tmp_path / "dots"
    if obstacle == "a file for the folder":
        folder.write_text("in the way")
    else:
        (folder / "v3-50.npy").mkdir(parents=True)
    images = load_generated(scheme, 50, folder)
    assert len(drawn) == 50
    expected = np.stack([scheme.draw(row) for row in scheme.factor_values(50)])
    assert np.array_equal(images.images, expected)
    if folder.is_dir():
        assert [entry.name for entry in folder.iterdir()] == ["v3-50.npy"]


def test_many_images_are_not_drawn_while_a_page_waits(dots, tmp_path):
    scheme, drawn = dots
    with pytest.raises(
        DataNotAtHandError, match=r"20,001 images of dots:20001 .*--data dots:20001"
    ):
        load_generated(scheme, QUICK_COUNT + 1, tmp_path, allow_drawing=False)
    assert not drawn
    load_generated(scheme, 1000, tmp_path, allow_drawing=False)
    assert len(drawn) == 1000


def test_progress_counts_the_images_that_are_drawn(dots, tmp_path):
    scheme, _ = dots
    seen = []
    load_generated(scheme, 600, tmp_path, progress=lambda *step: seen.append(step))
    assert seen == [("Drawing dots", done, 600) for done in (250, 500, 600)]
    load_generated(scheme, 600, tmp_path, progress=lambda *step: seen.append(step))
    assert len(seen) == 3


def test_two_processes_that_draw_at_once_leave_one_whole_file(tmp_path):
    code = (
        "import sys; from pathlib import Path; from explorer.images.sprites import SPRITES; "
        "from explorer.images.generated import load_generated; "
        "print(load_generated(SPRITES, 300, Path(sys.argv[1])).fingerprint)"
    )
    root = Path(generated.__file__).parents[2]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)],
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    fingerprints = {process.communicate(timeout=60)[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0, 0]
    assert fingerprints == {load_generated(SPRITES, 300, tmp_path).fingerprint}
    assert [file.name for file in tmp_path.iterdir()] == ["v1-300.npy"]


@pytest.mark.parametrize(
    "spec",
    [
        "sprites:",
        "sprites:many",
        "sprites:999",
        "sprites:200001",
        "sprites:-5000",
        "sprites:5e3",
        "sprites:5_000",
        "sprites: 5000",
        "sprites:٥٠٠٠",
        "sprites:5000:2",
        "sprites:" + "9" * 5000,
        "faces:0",
    ],
)
def test_a_number_that_cannot_be_is_told(spec, own_data_folder):
    with pytest.raises(DataError, match=r"must lie from 1,000 to 200,000 .*: give e\.g\. ") as told:
        load_images(spec)
    assert len(str(told.value)) < 400
    assert not own_data_folder.exists()


def test_a_spec_carries_the_number_and_names_the_set_that_it_loads(monkeypatch, dots, tmp_path):
    assert parse_count(SPRITES, "sprites") == DEFAULT_COUNT == 20_000
    assert parse_count(SPRITES, "sprites:1000") == 1_000
    assert parse_count(FACES, "faces:200000") == 200_000
    monkeypatch.setattr(generated, "DEFAULT_COUNT", 30)
    assert load_generated(dots[0], 30, tmp_path).name == "dots"
    assert load_generated(dots[0], 31, tmp_path).name == "dots:31"


def test_a_drawn_set_comes_by_its_name(own_data_folder):
    assert {"sprites", "faces"} <= set(DATA_SETS)
    image_set = load_images("sprites:1000", allow_download=False)
    assert image_set.name == "sprites:1000"
    assert image_set.image_shape == (1, 64, 64)
    assert image_set.licence == "CC0 1.0"
    assert len(image_set.held_out_index) == 100
    assert np.array_equal(image_set.held_out_index, split_images(1000, 0.1)[1])
    assert (own_data_folder / "sprites" / "v1-1000.npy").is_file()
    assert load_images(image_set.name).fingerprint == image_set.fingerprint


def test_the_factors_survive_another_size():
    image_set = load_images("sprites:1000", size=(32, 32))
    assert image_set.image_shape == (1, 32, 32)
    assert [factor.name for factor in image_set.factors] == ["shape", "scale", "rotation", "x", "y"]


@pytest.mark.parametrize("name", ["sprites", "faces"])
def test_a_large_set_that_is_not_here_says_how_to_get_it(name, own_data_folder):
    with pytest.raises(DataNotAtHandError, match=f"30,000 images of {name}:30000 .*--data {name}"):
        load_images(f"{name}:30000", allow_download=False)
    assert not own_data_folder.exists()


def test_factors_of_another_length_are_refused():
    images = np.zeros((30, 1, 8, 8), np.uint8)
    train_index, held_out_index = split_images(30, 0.1)
    with pytest.raises(ValueError, match=r"\(29,\) values of x for 30 images"):
        ImageSet(
            "test",
            images,
            None,
            (),
            train_index,
            held_out_index,
            "",
            "",
            factors=(Factor("x", np.zeros(29, np.float32)),),
        )


def test_a_factor_is_discrete_if_it_has_choices():
    values = np.zeros(3, np.float32)
    assert Factor("shape", values, ("square", "star")).discrete
    assert not Factor("x", values).discrete

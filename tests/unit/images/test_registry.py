import gzip
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import platformdirs
import pytest
from PIL import Image

from explorer.errors import DataError, DataNotAtHandError
from explorer.images import dataset
from explorer.images.registry import DATA_SETS, data_folder, load_images

ROOT = Path(__file__).parents[3]


def test_the_digits_come_with_a_fixed_split():
    digits = load_images("digits")
    assert digits.name == "digits"
    assert digits.images.shape == (1797, 1, 8, 8)
    assert (digits.images.min(), digits.images.max()) == (0, 255)
    assert len(digits.held_out_index) == 359
    assert digits.classes == tuple("0123456789")
    assert digits.labels.tolist()[:10] == list(range(10))
    assert digits.licence == "CC BY 4.0"
    assert digits.fingerprint == load_images("digits").fingerprint


def test_the_data_folder_is_the_setting_or_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("EXPLORER_DATA", str(tmp_path))
    assert data_folder() == tmp_path
    monkeypatch.setenv("EXPLORER_DATA", "~/sets")
    assert data_folder() == Path.home() / "sets"
    monkeypatch.setenv("EXPLORER_DATA", "")
    assert data_folder() == platformdirs.user_cache_path("latent-explorer", appauthor=False)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("mnist", "mnist"),
        ("fashion-mnist", "fashion-mnist"),
        ("binarized-mnist", "binarized_mnist/binarized_mnist_packed.npz"),
        ("olivetti", "olivetti/olivetti.npz"),
    ],
)
def test_a_named_set_that_is_not_here_says_where_it_belongs(own_data_folder, name, place):
    with pytest.raises(DataNotAtHandError, match=f"not on this machine: {own_data_folder / place}"):
        load_images(name, allow_download=False)


def test_a_found_file_of_a_named_set_is_verified(own_data_folder):
    folder = own_data_folder / "mnist"
    folder.mkdir(parents=True)
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (folder / f"{name}-ubyte.gz").write_bytes(gzip.compress(b"not MNIST"))
    with pytest.raises(DataError, match="should be 6bbc9ace898e44ae57da46a324031adb; delete it"):
        load_images("mnist")


def test_a_folder_and_an_archive_of_the_same_images_are_alike(make_folder, tmp_path):
    folder = load_images(str(make_folder()))
    names = np.array(folder.classes)[folder.labels]
    np.savez(tmp_path / "set.npz", images=folder.images, labels=names)
    archive = load_images(str(tmp_path / "set.npz"))
    assert archive.fingerprint == folder.fingerprint
    assert np.array_equal(archive.held_out_index, folder.held_out_index)
    assert load_images(archive.name).fingerprint == archive.fingerprint


def test_a_folder_is_decoded_once_and_kept_in_the_data_folder(make_folder, own_data_folder):
    folder = make_folder()
    first = load_images(str(folder))
    assert len(list((own_data_folder / "folders").iterdir())) == 1
    assert isinstance(first.images, np.memmap)
    # A page asks with the size that a checkpoint was trained at.
    assert load_images(first.name, size=(16, 12)).fingerprint == first.fingerprint
    assert len(list((own_data_folder / "folders").iterdir())) == 1


def test_a_size_that_makes_a_set_too_large_is_refused(tmp_path, monkeypatch):
    np.savez(tmp_path / "set.npz", images=np.full((20, 16, 16), 9, np.uint8))
    monkeypatch.setattr(dataset, "MAX_BYTES", 20 * 32 * 32 - 1)
    with pytest.raises(DataError, match=r"set\.npz at the size asked for: 20 images of 32 x 32"):
        load_images(str(tmp_path / "set.npz"), size=(32, 32))


def test_a_size_resizes_any_set(tmp_path):
    images = np.zeros((20, 16, 16, 3), np.uint8)
    images[..., 1] = 90
    np.savez(tmp_path / "set.npz", images=images)
    seen = []
    image_set = load_images(
        str(tmp_path / "set.npz"), size=(8, 12), progress=lambda *step: seen.append(step)
    )
    assert image_set.image_shape == (3, 8, 12)
    assert image_set.images[5, :, 3, 3].tolist() == [0, 90, 0]
    assert seen[-1][1:] == (20, 20)


def test_a_size_that_it_has_changes_nothing(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (20, 16, 12), dtype=np.uint8)
    np.savez(tmp_path / "set.npz", images=images)
    spec = str(tmp_path / "set.npz")
    assert load_images(spec, size=(16, 12)).fingerprint == load_images(spec).fingerprint


def test_torchvisions_mnist_is_found_one_level_down(tmp_path, tiny_mnist):
    _, contents = tiny_mnist
    for name in ("MNIST", "FashionMNIST"):
        (tmp_path / "sets" / name / "raw").mkdir(parents=True)
        for file, content in contents.items():
            (tmp_path / "sets" / name / "raw" / file).write_bytes(content)
    image_set = load_images(str(tmp_path / "sets" / "MNIST"))
    assert len(image_set.train_index) == 30
    assert image_set.name == str(tmp_path / "sets" / "MNIST" / "raw")
    with pytest.raises(DataError, match=r"several sets of IDX files: .*FashionMNIST/raw, "):
        load_images(str(tmp_path / "sets"))
    shutil.rmtree(tmp_path / "sets" / "FashionMNIST")
    assert len(load_images(str(tmp_path / "sets")).train_index) == 30


def test_pillow_does_not_speak_before_our_sentence(tmp_path):
    for number in range(20):
        Image.new("1", (16, 16)).save(tmp_path / f"{number}.png")
    Image.new("1", (9_500, 10_000)).save(tmp_path / "huge.png")
    script = f"""if True:
        from explorer.images.registry import load_images
        from explorer.errors import DataError
        try:
            load_images({str(tmp_path)!r})
        except DataError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert "95,000,000 pixels, the limit is 40,000,000" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("spec", ["mnits", "", "no/such/folder", "gone.npz", "a\0b", "x" * 5000])
def test_an_unknown_spec_names_what_is_allowed(spec):
    with pytest.raises(DataError) as caught:
        load_images(spec)
    message = str(caught.value)
    assert repr(spec) in message
    assert all(name in message for name in DATA_SETS)
    assert "a folder of images or of IDX files, or of an .npz file" in message


def test_a_file_of_another_kind_is_told(tmp_path):
    (tmp_path / "set.csv").write_text("1,2")
    with pytest.raises(DataError, match=r"set\.csv is a file, but not an \.npz file: give digits"):
        load_images(str(tmp_path / "set.csv"))


def test_a_size_beyond_the_limits_is_refused_before_anything_is_read():
    with pytest.raises(DataError, match="The size asked for is 4 x 28"):
        load_images("mnist", size=(4, 28))

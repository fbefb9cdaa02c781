import hashlib
from dataclasses import dataclass

import joblib
import numpy as np
import pytest
from scipy.io import savemat
from sklearn.datasets import _olivetti_faces

from explorer.errors import DataError, DataNotAtHandError
from explorer.images.olivetti import load_olivetti
from explorer.images.registry import load_images


@pytest.fixture
def faces():
    """Pixels (400, 64, 64) with the published range, a person's photographs one after another."""
    pixels = np.random.default_rng(5).integers(0, 243, (400, 64, 64), dtype=np.uint8)
    pixels[0, 0, :2] = 0, 242
    return pixels


@dataclass
class Remote:
    """Where scikit-learn fetches the faces from."""

    url: str
    checksum: str
    filename: str = "olivettifaces.mat"


@pytest.fixture
def remote(faces, mirror, tmp_path, monkeypatch):
    """The published file at a server of this machine; scikit-learn is told to go there."""
    path = tmp_path / "published.mat"
    # Column by column, a photograph a column.
    savemat(path, {"faces": faces.transpose(0, 2, 1).reshape(400, -1).T})
    content = path.read_bytes()
    mirror.files = {"olivettifaces.mat": content}
    told = Remote(f"{mirror.url}olivettifaces.mat", hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(_olivetti_faces, "FACES", told)
    return mirror


def save(folder, images, labels):
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / "olivetti.npz", images=images, labels=labels)


def test_two_photographs_of_every_person_are_held_out(own_data_folder, faces):
    save(own_data_folder / "olivetti", faces, np.repeat(np.arange(40), 10))
    image_set = load_images("olivetti", allow_download=False)
    assert image_set.name == "olivetti"
    assert np.array_equal(image_set.images[:, 0], faces)
    assert image_set.classes == tuple(str(person) for person in range(1, 41))
    assert image_set.labels.tolist() == [row // 10 for row in range(400)]
    assert np.bincount(image_set.labels[image_set.held_out_index]).tolist() == [2] * 40
    assert image_set.held_out_index.tolist()[:4] == [8, 9, 18, 19]
    together = np.concatenate([image_set.train_index, image_set.held_out_index])
    assert sorted(together.tolist()) == list(range(400))
    assert "AT&T" in image_set.credit


def test_the_faces_are_fetched_once_and_kept_as_our_own_file(tmp_path, faces, remote):
    seen = []
    first = load_olivetti(tmp_path / "faces", progress=lambda *step: seen.append(step))
    assert np.array_equal(first.images[:, 0], faces)
    assert remote.asked == ["olivettifaces.mat"]
    assert seen == [("Olivetti faces", 0, 1), ("Olivetti faces", 1, 1)]
    # A pickle is not opened where there is our own file.
    (tmp_path / "faces" / "olivetti_py3.pkz").write_bytes(b"rubbish")
    second = load_olivetti(tmp_path / "faces", allow_download=False)
    assert second.fingerprint == first.fingerprint
    assert remote.asked == ["olivettifaces.mat"]


def test_what_scikit_learn_fetched_before_is_taken(tmp_path, faces):
    columns = faces.transpose(0, 2, 1).reshape(400, -1)
    joblib.dump(columns, tmp_path / "olivetti_py3.pkz", compress=6)
    image_set = load_olivetti(tmp_path, allow_download=False)
    assert np.array_equal(image_set.images[:, 0], faces)


def test_missing_faces_without_download_are_not_at_hand(tmp_path, remote):
    with pytest.raises(DataNotAtHandError, match=r"olivetti\.npz is missing; allow the download"):
        load_olivetti(tmp_path / "faces", allow_download=False)
    assert remote.asked == []
    assert not (tmp_path / "faces").exists()


@pytest.mark.filterwarnings("ignore:Retry downloading")
@pytest.mark.parametrize("fault", ["missing", "altered"])
def test_a_failed_download_says_what_to_do_and_keeps_nothing(tmp_path, remote, fault, monkeypatch):
    # scikit-learn waits a second before it tries again.
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    remote.files = {} if fault == "missing" else {"olivettifaces.mat": b"other"}
    with pytest.raises(DataError, match=r"could not be had from scikit-learn .*check the connect"):
        load_olivetti(tmp_path / "faces")
    assert not (tmp_path / "faces" / "olivetti.npz").exists()
    assert not (tmp_path / "faces" / "olivetti_py3.pkz").exists()


def test_a_damaged_pickle_says_to_delete_it(tmp_path):
    (tmp_path / "olivetti_py3.pkz").write_bytes(b"rubbish")
    with pytest.raises(DataError, match=r"olivetti_py3\.pkz, and they are downloaded again"):
        load_olivetti(tmp_path)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((400, 64, 63), np.uint8), np.repeat(np.arange(40), 10), "shape .*64, 63.*delete"),
        (np.zeros((400, 64, 64), bool), np.repeat(np.arange(40), 10), "are bool of shape"),
        (np.zeros((400, 64, 64), np.uint8), np.tile(np.arange(40), 10), "not 10 of each person"),
        (np.zeros((400, 64, 64), np.uint8), np.zeros(3, np.int64), "not 10 of each person"),
        (np.zeros((500, 64, 64), np.uint8), np.repeat(np.arange(40), 10), "bytes; .* are left"),
    ],
)
def test_a_file_that_holds_something_else_is_told(tmp_path, images, labels, message):
    save(tmp_path, images, labels)
    with pytest.raises(DataError, match=message):
        load_olivetti(tmp_path)


def test_a_damaged_file_says_to_delete_it(tmp_path):
    (tmp_path / "olivetti.npz").write_bytes(b"PK rubbish")
    with pytest.raises(DataError, match=r"olivetti\.npz is damaged .*: delete it, and the faces"):
        load_olivetti(tmp_path)

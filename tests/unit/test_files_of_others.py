"""A named pipe in the place of any file that is read is a sentence, and holds nobody up."""

import shutil

import numpy as np
import pytest

from explorer.encode.files import encode_files
from explorer.encode.heldout import load_held_out
from explorer.errors import CheckpointError, DataError
from explorer.images.archive import load_archive
from explorer.images.folder import load_folder
from explorer.images.idx_folder import load_idx_folder
from explorer.latent.mapcache import MapCache
from explorer.latent.projection import MapRequest, load_projection
from explorer.models.checkpoint import (
    CONFIG,
    ENCODINGS,
    HELD_OUT,
    PROJECTION,
    REPORT,
    WEIGHTS,
    load_config,
    load_encodings,
    read_weights_header,
)
from explorer.models.library import list_checkpoints
from explorer.regularity.report import load_report


@pytest.fixture
def folder(checkpoints, tmp_path):
    return shutil.copytree(checkpoints / "bars-vae", tmp_path / "bars-vae")


@pytest.mark.parametrize(
    ("name", "read"),
    [
        (CONFIG, lambda folder, _: load_config(folder)),
        (WEIGHTS, read_weights_header),
        (ENCODINGS, load_encodings),
        (PROJECTION, lambda folder, _: load_projection(folder / PROJECTION)),
        (REPORT, lambda folder, _: load_report(folder / REPORT)),
        (HELD_OUT, lambda folder, config: load_held_out(folder, config.kind, None)),
    ],
)
def test_of_a_checkpoint(folder, make_pipe, name, read):
    config = load_config(folder)
    make_pipe(folder / name)
    with pytest.raises(CheckpointError, match="regular file"):
        read(folder, config)


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS, ENCODINGS, PROJECTION])
def test_a_needed_file_that_is_a_pipe_is_not_called_missing(folder, make_pipe, name):
    make_pipe(folder / name)
    (listing,) = list_checkpoints([folder.parent])
    assert f"{name} of bars-vae must be a regular file" in listing.error


def test_of_a_folder_of_pictures(tmp_path, make_pipe, bars):
    make_pipe(tmp_path / "a.png")
    for number in range(24):
        make_pipe(tmp_path / f"{number}.png")
    with pytest.raises(DataError, match=r"holds no images \(it holds 25 .png\)"):
        load_folder(tmp_path)


def test_of_an_archive_and_of_idx_files(tmp_path, make_pipe):
    make_pipe(tmp_path / "set.npz")
    with pytest.raises(DataError, match="not a regular file"):
        load_archive(tmp_path / "set.npz")
    make_pipe(tmp_path / "train-images-idx3-ubyte")
    make_pipe(tmp_path / "train-labels-idx1-ubyte")
    with pytest.raises(DataError, match="not a regular file"):
        load_idx_folder(tmp_path)


def test_of_a_kept_map(tmp_path, make_pipe):
    cache = MapCache(tmp_path)
    codes, places = np.eye(9, dtype=np.float32), np.zeros((9, 2), np.float32)
    key = cache.key(codes, places, MapRequest())
    cache.save(key, places, MapRequest())
    assert cache.damaged_for(codes, places) == []
    make_pipe(tmp_path / f"{key}.npz")
    assert cache.load(key) is None
    (trouble,) = cache.damaged_for(codes, places)
    assert "not a regular file" in trouble


def test_of_a_picture_to_encode(checkpoints, tmp_path, make_pipe):
    make_pipe(tmp_path / "a.png")
    found = encode_files(checkpoints / "bars-vae", [tmp_path / "a.png"])
    assert "no file that ends" in found.refused[0].reason

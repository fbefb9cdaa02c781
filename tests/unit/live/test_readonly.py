"""EXPLORER_READ_ONLY: the app writes nothing into a checkpoint's folder."""

import json
import shutil

import pytest

from explorer.errors import CheckpointError
from explorer.live.hub import shared_hub
from explorer.live.measuring import Measuring
from explorer.live.model import OpenedModel
from explorer.live.readonly import VARIABLE, is_read_only
from explorer.live.route import PREFIX
from explorer.models.checkpoint import AXES
from explorer.models.library import list_checkpoints
from tests.unit.live.serving import refused, serve


@pytest.fixture
def folder(checkpoints, tmp_path):
    return shutil.copytree(checkpoints / "bars-vae", tmp_path / "bars-vae")


@pytest.fixture
def read_only(monkeypatch):
    monkeypatch.setenv(VARIABLE, "1")


@pytest.mark.parametrize(
    ("value", "expected"),
    [("", False), ("0", False), ("No", False), ("off", False), ("1", True), ("yes", True)],
)
def test_the_switch_is_on_for_anything_but_a_no(monkeypatch, value, expected):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert not is_read_only()
    monkeypatch.setenv(VARIABLE, value)
    assert is_read_only() is expected


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_read_only_server_stores_no_names_and_measures_nothing(folder, read_only):
    before = contents(folder)
    with pytest.raises(CheckpointError, match="read-only"):
        OpenedModel(folder).name_axes({0: "thickness"})
    with pytest.raises(CheckpointError, match="read-only"):
        Measuring({"bars-vae": folder})
    assert contents(folder) == before


def test_a_read_only_server_refuses_a_browsers_names(folder, read_only):
    (listing,) = list_checkpoints([folder.parent])
    hub = shared_hub()
    token = hub.issue_token()
    hub.allow(token, "bars-vae", listing.folder, listing.stamp)
    with serve() as host:
        status, words = refused(
            f"http://{host}{PREFIX}/names/bars-vae",
            {"X-Explorer-Token": token},
            json.dumps({"names": {"0": "thickness"}}).encode(),
        )
    hub.revoke(token)
    assert status == 422
    assert "read-only" in words
    assert not (folder / AXES).exists()

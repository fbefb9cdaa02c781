import json
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from explorer.errors import CheckpointError
from explorer.models.checkpoint import (
    AXES,
    LONGEST_AXIS_NAME,
    check_axis_names,
    check_replaceable,
    load_axis_names,
    load_config,
    save_axis_names,
)

NAMES = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=LONGEST_AXIS_NAME
)


@pytest.fixture
def folder(checkpoints, tmp_path):
    return shutil.copytree(checkpoints / "bars-vae", tmp_path / "bars-vae")


def test_a_checkpoint_has_no_names_of_axes_unless_somebody_gave_some(folder):
    assert load_axis_names(folder, 2) == {}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.integers(0, 7), NAMES))
def test_names_come_back_as_they_were_given_without_the_empty_ones(tmp_path, names):
    kept = {axis: name.strip() for axis, name in sorted(names.items()) if name.strip()}
    assert save_axis_names(tmp_path, names, 8) == kept
    assert load_axis_names(tmp_path, 8) == kept


def test_names_replace_those_before_them(folder):
    save_axis_names(folder, {0: "thickness", 1: "slant"}, 2)
    save_axis_names(folder, {1: "tilt", 0: ""}, 2)
    assert load_axis_names(folder, 2) == {1: "tilt"}


def test_a_checkpoint_with_names_is_still_one_and_may_be_replaced(folder):
    save_axis_names(folder, {0: "thickness"}, 2)
    assert load_config(folder).network.latent_dim == 2
    check_replaceable(folder)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], "must be an object"),
        ("thickness", "must be an object"),
        ({"2": "more"}, "no latent axis '2' to be named; there are 0 to 1"),
        ({"-1": "more"}, "no latent axis '-1'"),
        ({"01": "more"}, "no latent axis '01'"),
        ({"z": "more"}, "no latent axis 'z'"),
        ({"0": 3}, "name of axis 0 is 3; it must be a text"),
        ({"0": None}, "must be a text"),
        ({"0": "x" * 41}, "at most 40 characters"),
        ({"0": "two\nlines"}, "control character"),
        ({"0": "a\u2028b"}, "control character"),
        ({"0": "a\x00b"}, "control character"),
        ({"0": "a\ud800b"}, "control character"),
    ],
)
def test_names_that_are_not_allowed_are_refused_in_words(folder, names, words):
    with pytest.raises(CheckpointError, match=words):
        check_axis_names(names, 2)
    (folder / AXES).write_text(json.dumps({"format": 1, "names": names}))
    with pytest.raises(CheckpointError, match=words):
        load_axis_names(folder, 2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "is no JSON"),
        (b"{", "is no JSON"),
        (b"\xff\xfe", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b"[]", "must hold an object of format and names"),
        (b'{"names": {}}', "must hold an object of format and names"),
        (b'{"format": 1, "names": {}, "more": 1}', "must hold an object of format and names"),
        (b'{"format": 2, "names": {}}', "has format 2; this version reads format 1"),
        (b" " * (1 << 22) + b"{}", "none of ours"),
    ],
)
def test_a_file_of_another_format_is_refused_in_words(folder, text, words):
    (folder / AXES).write_bytes(text)
    with pytest.raises(CheckpointError, match=words):
        load_axis_names(folder, 2)


def test_a_folder_in_the_place_of_the_file_is_told(folder):
    (folder / AXES).mkdir()
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_axis_names(folder, 2)
    save_axis_names(folder, {0: "thickness"}, 2)
    assert load_axis_names(folder, 2) == {0: "thickness"}
    assert (folder / "axes.json.damaged-1").is_dir()


def test_a_damaged_file_of_names_is_kept_when_the_axes_are_named_again(folder):
    for number, content in enumerate((b"{", b'{"format": 9}'), start=1):
        (folder / AXES).write_bytes(content)
        with pytest.raises(CheckpointError) as told:
            load_axis_names(folder, 2)
        assert "axis names of bars-vae are not shown, axes.json is damaged" in str(told.value)
        assert f"stays beside it as axes.json.damaged-{number}" in str(told.value)
        save_axis_names(folder, {0: "thickness"}, 2)
        assert (folder / f"axes.json.damaged-{number}").read_bytes() == content
        assert load_axis_names(folder, 2) == {0: "thickness"}
    assert (folder / "axes.json.damaged-1").read_bytes() == b"{"
    check_replaceable(folder)


def test_a_pipe_in_the_place_of_the_names_holds_nobody_up(folder, make_pipe):
    make_pipe(folder / AXES)
    with pytest.raises(CheckpointError, match="not a regular file"):
        load_axis_names(folder, 2)
    save_axis_names(folder, {0: "thickness"}, 2)
    assert (folder / "axes.json.damaged-1").is_fifo()

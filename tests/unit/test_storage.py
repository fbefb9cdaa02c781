import ast
import socket
import zipfile
from pathlib import Path

import numpy as np
import pytest

from explorer.errors import CheckpointError, ConfigError
from explorer.storage import (
    NotRegularFileError,
    check_writable,
    load_arrays,
    open_regular,
    read_regular,
    table_cell,
    write_file,
    write_folder,
)


def test_a_folder_that_fails_half_way_leaves_the_old_one(tmp_path):
    folder = tmp_path / "kept"
    write_folder(folder, lambda target: (target / "a").write_text("old"))

    def fail(target):
        (target / "a").write_text("new")
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        write_folder(folder, fail)
    assert (folder / "a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_folder_is_replaced_whole(tmp_path):
    folder = tmp_path / "kept"
    write_folder(folder, lambda target: (target / "a").write_text("old"))
    write_folder(folder, lambda target: (target / "b").write_text("new"))
    assert [path.name for path in folder.iterdir()] == ["b"]
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_file_that_fails_half_way_leaves_the_old_one(tmp_path):
    path = tmp_path / "report.json"
    write_file(path, lambda file: file.write(b"old"))

    def fail(file):
        file.write(b"new")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        write_file(path, fail)
    assert path.read_text() == "old"
    assert [found.name for found in tmp_path.iterdir()] == ["report.json"]


def read(path, limit=1 << 20):
    return load_arrays(path, required=["x"], optional=["y"], max_bytes=limit)


def test_arrays_come_back(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.arange(5), y=np.eye(2))
    arrays = read(path)
    assert set(arrays) == {"x", "y"}
    np.testing.assert_array_equal(arrays["x"], np.arange(5))


def test_a_small_file_that_expands_far_is_refused_before_memory_is_taken(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.zeros(10_000_000, np.uint8))
    assert path.stat().st_size < 100_000
    with pytest.raises(CheckpointError, match=r"takes 10,000,000 bytes; 1,048,576 are"):
        read(path)


def test_python_objects_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(CheckpointError, match="holds Python objects"):
        read(path)


@pytest.mark.parametrize("content", [b"", b"not a zip at all"])
def test_a_foreign_file_is_refused(tmp_path, content):
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"damaged or is no \.npz file"):
        read(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"gone.npz is missing"):
        read(tmp_path / "gone.npz")


@pytest.mark.parametrize("shape", ["(-1, 8)", "(-2, -4)", "(True, 8)"])
def test_an_impossible_shape_is_refused_before_anything_is_read(tmp_path, shape):
    path = tmp_path / "a.npz"
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (63 - (10 + len(header)) % 64) + b"\n"
    with zipfile.ZipFile(path, "w") as archive:
        content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(64)
        archive.writestr("x.npy", content)
    with pytest.raises(CheckpointError, match=r"impossible shape|is damaged"):
        read(path)


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="Nothing can be written into"):
        check_writable(tmp_path / "file" / "below")
    with pytest.raises(CheckpointError, match="cannot be written"):
        write_folder(tmp_path / "file" / "below", lambda _: None)


def test_a_regular_file_is_opened_and_read(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    with open_regular(tmp_path / "a") as file:
        assert file.read() == b"12345"
    assert read_regular(tmp_path / "a", 3) == b"123"
    (tmp_path / "link").symlink_to("a")
    assert read_regular(tmp_path / "link") == b"12345"
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "b")


def test_a_pipe_a_folder_a_socket_and_a_device_are_not_opened(tmp_path, make_pipe):
    make_pipe(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        places = [tmp_path / "pipe", tmp_path / "link", tmp_path, tmp_path / "socket", "/dev/zero"]
        for place in places:
            with pytest.raises(NotRegularFileError, match="not a regular file"):
                open_regular(place)


def test_arrays_are_not_read_from_a_pipe(tmp_path, make_pipe):
    make_pipe(tmp_path / "arrays.npz")
    with pytest.raises(CheckpointError, match="not a regular file"):
        load_arrays(tmp_path / "arrays.npz", required=["a"], max_bytes=100)


# Files of the app's own package and of its dependencies, and one that the user names on the
# command line, where `<(...)` of a shell is a pipe and is meant.
OWN_FILES = {
    "plots/page.py", "ui/sources.py", "live/route.py", "training/flags.py",
}  # fmt: skip
READERS = {"read_text", "read_bytes", "open", "ZipFile", "GzipFile", "load_file", "safe_open"}


def test_files_that_others_control_are_opened_by_one_function():
    root = Path(__file__).parents[2] / "explorer"
    found = set()
    for path in sorted(root.rglob("*.py")):
        module = path.relative_to(root).as_posix()
        if module in OWN_FILES | {"storage.py"}:
            continue
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call):
                continue
            name = getattr(call.func, "attr", getattr(call.func, "id", ""))
            if name not in READERS:
                continue
            written = ast.unparse(call)
            # Writing, and opening what is open already.
            if "'w" in written or any(of in written for of in ALREADY_OPEN):
                continue
            found.add(f"{module}: {written}")
    assert found == LOOKED_AT_FIRST


ALREADY_OPEN = (
    "Image.open(source", "archive.open(", "gzip.open(raw", "ZipFile(raw", "io.BytesIO",
    "shared_hub().open", "os.open(os.devnull", "webbrowser.open",
)  # fmt: skip
# These map the file or unpack it as it comes; open_regular looked at it right before.
LOOKED_AT_FIRST = {
    "images/idx_folder.py: gzip.GzipFile(path)",
    "models/checkpoint.py: load_file(folder / WEIGHTS)",
    "models/features.py: safe_open(path, framework='numpy')",
}


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "-", "＝1", "-1_0"],
)
def test_text_that_a_spreadsheet_would_run_is_written_as_text(text):
    assert table_cell(text) == f"'{text}"


@pytest.mark.parametrize(
    "value", ["-1.2", "+3", "-1e-05", "-inf", "a=b", "", "'=1", -1.2, 3, None, np.float32(-2.5)]
)
def test_numbers_and_other_text_stay_as_they_are_in_a_table(value):
    assert table_cell(value) is value

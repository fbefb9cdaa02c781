import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from explorer.errors import DataError
from explorer.images import dataset
from explorer.images.cache import SCHEME, find_cached, look_at_folder
from explorer.images.folder import load_folder

ROOT = Path(__file__).parents[3]


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "data" / "folders"


def names(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def scramble(folder):
    """Put rubbish into every image without changing its size or time: whoever decodes it fails."""
    for path in folder.rglob("*.png"):
        status = path.stat()
        path.write_bytes(b"x" * status.st_size)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def start(script, *words):
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, words)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return json.loads(output)


def test_cached_images_are_mapped_and_the_same_as_in_memory(make_folder, cache):
    folder = make_folder(mode="RGB")
    mapped, held = load_folder(folder, cache=cache), load_folder(folder)
    assert isinstance(mapped.images, np.memmap)
    assert not isinstance(held.images, np.memmap)
    assert np.array_equal(mapped.images, held.images)
    assert mapped.fingerprint == held.fingerprint
    assert mapped.background == held.background
    assert np.array_equal(mapped.labels, held.labels)
    assert mapped.classes == held.classes
    assert np.array_equal(mapped.held_out_index, held.held_out_index)


def test_a_second_load_decodes_nothing(make_folder, cache):
    folder = make_folder()
    first = load_folder(folder, cache=cache)
    scramble(folder)
    seen = []
    second = load_folder(folder, cache=cache, progress=lambda *step: seen.append(step))
    assert second.fingerprint == first.fingerprint
    assert np.array_equal(second.images, first.images)
    assert seen == [("Reading pictures", 24, 24)]
    with pytest.raises(DataError, match="cannot be used"):
        load_folder(folder)


def test_the_stored_fingerprint_is_that_of_the_pixels(make_folder, cache):
    folder = make_folder(count=20, classes=None)
    load_folder(folder, cache=cache)
    stored = load_folder(folder, cache=cache)
    assert "fingerprint" in vars(stored)
    known = stored.fingerprint
    del vars(stored)["fingerprint"]
    assert stored.fingerprint == known


def test_what_is_written_into_the_images_stays_out_of_the_file(make_folder, cache):
    folder = make_folder()
    first = load_folder(folder, cache=cache)
    before = first.images[3].copy()
    first.images[3] ^= 255
    assert np.array_equal(load_folder(folder, cache=cache).images[3], before)


def test_both_stages_are_told(make_folder, cache):
    seen = []
    load_folder(make_folder(), cache=cache, progress=lambda *step: seen.append(step))
    assert seen == [
        (f"{stage} pictures", done, 24)
        for stage in ("Checking", "Reading")
        for done in range(1, 25)
    ]


@pytest.mark.parametrize("change", ["content", "added", "renamed", "removed", "touched"])
def test_a_changed_folder_is_decoded_again_and_its_old_cache_removed(make_folder, cache, change):
    folder = make_folder(count=20)
    old = load_folder(folder, cache=cache)
    (kept,) = names(cache)
    path = folder / "b" / "005.png"
    if change == "content":
        Image.fromarray(np.full((16, 12), 9, np.uint8)).save(path)
    elif change == "added":
        shutil.copy(path, folder / "b" / "new.png")
    elif change == "renamed":
        path.rename(folder / "a" / "moved.png")
    elif change == "removed":
        path.unlink()
    else:
        os.utime(path, ns=(0, 1))
    new = load_folder(folder, cache=cache)
    held = load_folder(folder)
    assert np.array_equal(new.images, held.images)
    assert new.fingerprint == held.fingerprint
    assert (new.fingerprint == old.fingerprint) == (change == "touched")
    assert len(names(cache)) == 1
    assert names(cache) != [kept]


def test_other_sizes_and_other_folders_keep_theirs(make_folder, cache, tmp_path):
    folder = make_folder()
    own = load_folder(folder, cache=cache)
    load_folder(folder, cache=cache, size=(8, 8))
    other = shutil.copytree(folder, tmp_path / "other")
    load_folder(other, cache=cache)
    assert len(names(cache)) == 3
    scramble(folder)
    scramble(other)
    assert load_folder(folder, cache=cache, size=(8, 8)).image_shape == (1, 8, 8)
    assert load_folder(folder, cache=cache).fingerprint == own.fingerprint
    assert load_folder(other, cache=cache).fingerprint == own.fingerprint


def test_asking_for_the_size_that_they_have_needs_no_second_cache(make_folder, cache):
    folder = make_folder()
    own = load_folder(folder, cache=cache)
    assert load_folder(folder, cache=cache, size=(16, 12)).fingerprint == own.fingerprint
    assert len(names(cache)) == 1
    assert load_folder(folder, size=(16, 12)).fingerprint == own.fingerprint


def overwrite(path, mode, content):
    with path.open(mode) as file:
        file.write(content)


def change_about(path, **changes):
    about = json.loads(path.read_text())
    path.write_text(json.dumps(about | changes))


@pytest.mark.parametrize(
    "damage",
    [
        lambda kept: (kept / "images.npy").write_bytes(b""),
        lambda kept: os.truncate(kept / "images.npy", 1000),
        lambda kept: overwrite(kept / "images.npy", "ab", b"x"),
        lambda kept: overwrite(kept / "images.npy", "r+b", b"\x93NUMPX"),
        lambda kept: np.save(kept / "images.npy", np.zeros((24, 1, 16, 12), np.uint8)),
        lambda kept: np.save(kept / "images.npy", np.zeros((24, 1, 16, 12), np.float32)),
        lambda kept: (kept / "images.npy").unlink(),
        lambda kept: (kept / "about.json").unlink(),
        lambda kept: (kept / "about.json").write_text("{"),
        lambda kept: (kept / "about.json").write_text("[]"),
        lambda kept: change_about(kept / "about.json", fingerprint=None),
        lambda kept: change_about(kept / "about.json", shape=[24, 1, 12, 16]),
        lambda kept: change_about(kept / "about.json", scheme=0),
    ],
)
def test_a_damaged_cache_is_made_again(make_folder, cache, damage):
    folder = make_folder()
    first = load_folder(folder, cache=cache)
    (kept,) = cache.iterdir()
    damage(kept)
    state = look_at_folder(folder, [f"{c}/{n:03}.png" for c in "ab" for n in range(12)])
    assert kept.name == state.key(None)
    assert find_cached(cache, state, None, 24) is None
    again = load_folder(folder, cache=cache)
    assert isinstance(again.images, np.memmap)
    assert again.fingerprint == first.fingerprint
    assert np.array_equal(again.images, load_folder(folder).images)
    assert find_cached(cache, state, None, 24) is not None


LOAD = """
import json, sys
from pathlib import Path
from explorer.images.folder import load_folder
images = load_folder(Path(sys.argv[1]), cache=Path(sys.argv[2]))
del vars(images)["fingerprint"]
print(json.dumps([type(images.images).__name__, images.fingerprint]))
"""


def test_processes_that_load_at_once_do_no_harm(make_folder, cache):
    folder = make_folder(count=200)
    running = [start(LOAD, folder, cache) for _ in range(3)]
    found = [finish(process) for process in running]
    expected = load_folder(folder).fingerprint
    assert found == [["memmap", expected]] * 3
    assert len(names(cache)) == 1
    scramble(folder)
    assert load_folder(folder, cache=cache).fingerprint == expected


def test_what_killed_processes_left_is_removed_after_a_day(make_folder, cache):
    for name in (".a.new-old", ".a.new-now"):
        (cache / name).mkdir(parents=True)
        (cache / name / "images.npy").write_bytes(b"x")
    yesterday = time.time() - 2 * 24 * 3600
    for path in (cache / ".a.new-old" / "images.npy", cache / ".a.new-old"):
        os.utime(path, (yesterday, yesterday))
    load_folder(make_folder(), cache=cache)
    assert [name for name in names(cache) if name.startswith(".")] == [".a.new-now"]


def test_a_cache_that_cannot_be_written_leaves_the_images_in_memory(make_folder, tmp_path):
    (tmp_path / "file").touch()
    folder = make_folder()
    image_set = load_folder(folder, cache=tmp_path / "file" / "folders")
    assert not isinstance(image_set.images, np.memmap)
    assert image_set.fingerprint == load_folder(folder).fingerprint


def test_images_that_fit_neither_are_told_with_the_reason(make_folder, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(dataset, "MAX_BYTES", 24 * 16 * 12 - 1)
    with pytest.raises(
        DataError,
        match=r"in memory, and .*file/folders cannot be written to \(.+\): make room, set EXPLORER",
    ):
        load_folder(make_folder(), cache=tmp_path / "file" / "folders")


def test_the_limit_of_memory_does_not_hold_for_mapped_images(make_folder, cache, monkeypatch):
    folder = make_folder()
    monkeypatch.setattr(dataset, "MAX_BYTES", 24 * 16 * 12 - 1)
    assert isinstance(load_folder(folder, cache=cache).images, np.memmap)
    with pytest.raises(DataError, match="24 images of 16 x 12 x 1 take"):
        load_folder(folder)


def test_too_little_room_is_seen_before_anything_is_written(make_folder, cache, monkeypatch):
    folder = make_folder()
    asked = []

    def usage(place):
        asked.append(place)
        return SimpleNamespace(free=24 * 16 * 12 - 1)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    assert not isinstance(load_folder(folder, cache=cache).images, np.memmap)
    assert asked
    assert names(cache) == []
    monkeypatch.setattr(dataset, "MAX_BYTES", 4000)
    with pytest.raises(DataError, match=r"take 0\.0 GiB, .*folders has only 0\.0 GiB free: make"):
        load_folder(folder, cache=cache)


FULL = """
import json, resource, sys
from pathlib import Path
import numpy as np
from explorer.images.folder import load_folder
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
seen = []
images = load_folder(
    Path(sys.argv[1]), cache=Path(sys.argv[2]), progress=lambda *step: seen.append(step)
)
assert seen[-1][1] == seen[-1][2]
print(json.dumps([isinstance(images.images, np.memmap), images.fingerprint]))
"""


@pytest.mark.parametrize(("room", "mapped"), [(24 * 64 * 64 // 2, False), (10**6, True)])
def test_a_disk_that_fills_up_leaves_the_images_in_memory_and_no_file(
    make_folder, cache, room, mapped
):
    folder = make_folder(size=(64, 64))
    assert finish(start(FULL, folder, cache, room)) == [mapped, load_folder(folder).fingerprint]
    assert len(names(cache)) == mapped


def test_a_broken_image_leaves_nothing_behind(make_folder, cache):
    folder = make_folder()
    path = folder / "b" / "005.png"
    path.write_bytes(path.read_bytes()[:120])
    with pytest.raises(DataError, match=r"b/005\.png cannot be used"):
        load_folder(folder, cache=cache)
    assert names(cache) == []


@pytest.mark.parametrize("when", ["Checking pictures", "Reading pictures"])
def test_images_that_change_while_they_are_read_are_not_kept(make_folder, cache, when):
    folder = make_folder()

    def change(what, done, total):
        if (what, done) == (when, 20):
            Image.fromarray(np.zeros((16, 12), np.uint8)).save(folder / "a" / "000.png")

    with pytest.raises(DataError, match="were changed while they were read: load it again"):
        load_folder(folder, cache=cache, progress=change)
    assert names(cache) == []


def test_an_interrupted_load_leaves_nothing_behind(make_folder, cache):
    def interrupt(what, done, total):
        if (what, done) == ("Reading pictures", 20):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_folder(make_folder(), cache=cache, progress=interrupt)
    assert names(cache) == []


def test_only_who_may_read_the_images_may_read_their_copy(make_folder, cache):
    load_folder(make_folder(), cache=cache)
    (kept,) = cache.iterdir()
    assert kept.stat().st_mode & 0o077 == 0


def test_more_than_the_memory_is_mapped(tmp_path, cache):
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    folder = tmp_path / "pictures"
    folder.mkdir()
    state = look_at_folder(folder, [])
    kept = cache / state.key(None)
    kept.mkdir(parents=True)
    shape = (3 * memory // 128**2, 1, 128, 128)
    with (kept / "images.npy").open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        # A hole, which takes no room.
        file.truncate(file.tell() + shape[0] * 128**2)
    changed = (kept / "images.npy").stat().st_mtime_ns
    about = {"scheme": SCHEME, "shape": shape, "changed_ns": changed, "fingerprint": "blake2b:0"}
    (kept / "about.json").write_text(json.dumps(about))
    found = find_cached(cache, state, None, shape[0])
    assert isinstance(found.images, np.memmap)
    assert found.images.nbytes > 2 * memory
    assert found.images[-1].max() == 0


def test_three_thousand_images(tmp_path, cache):
    folder = tmp_path / "pictures"
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (3000, 8, 9), dtype=np.uint8)
    for row, picture in enumerate(pixels):
        path = folder / f"{row // 1000}" / f"{row:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    first = load_folder(folder, cache=cache)
    scramble(folder)
    second = load_folder(folder, cache=cache)
    for image_set in (first, second):
        assert np.array_equal(image_set.images[:, 0], pixels)
        assert np.array_equal(image_set.labels, np.repeat([0, 1, 2], 1000))


GROW = """
import json, resource, sys
from pathlib import Path
from explorer.images.folder import load_folder

def peak():
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # What getrusage tells on Linux begins with the peak of the process that started this one.
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])

small, large, cache = map(Path, sys.argv[1:])
load_folder(small, cache=cache)
before = peak()
images = load_folder(large, cache=cache)
images.fingerprint
print(json.dumps([peak() - before, images.images.nbytes]))
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_images(tmp_path, cache):
    ramp = np.add.outer(np.arange(128), np.arange(128)).astype(np.uint8)
    for name, count in (("small", 20), ("large", 20_000)):
        (tmp_path / name).mkdir()
        first = tmp_path / name / "00000.png"
        Image.fromarray(ramp).save(first)
        for number in range(1, count):
            os.link(first, tmp_path / name / f"{number:05}.png")
    growth, size = finish(start(GROW, tmp_path / "small", tmp_path / "large", cache))
    assert size == 20_000 * 128 * 128
    assert growth < 32 * 2**20

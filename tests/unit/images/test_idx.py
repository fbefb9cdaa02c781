import gzip
import hashlib
from dataclasses import replace

import numpy as np
import pytest

from explorer.errors import DataError, DataNotAtHandError
from explorer.images.idx import FASHION_MNIST, MNIST, load_idx


def write(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def test_training_images_come_first_and_keep_their_labels(tmp_path, tiny_mnist):
    source, files = tiny_mnist
    write(tmp_path, files)
    image_set = load_idx(source, tmp_path, allow_download=False)
    assert image_set.name == "mnist"
    assert image_set.images.shape == (40, 1, 28, 28)
    assert image_set.train_index.tolist() == list(range(30))
    assert image_set.held_out_index.tolist() == list(range(30, 40))
    test_images = np.frombuffer(gzip.decompress(files["t10k-images-idx3-ubyte.gz"])[16:], np.uint8)
    assert np.array_equal(image_set.images[30:].reshape(-1), test_images)
    test_labels = gzip.decompress(files["t10k-labels-idx1-ubyte.gz"])[8:]
    assert image_set.labels[30:].tolist() == list(test_labels)
    assert image_set.licence == "CC BY-SA 3.0"
    assert image_set.classes == tuple("0123456789")


def test_the_published_sets_name_ten_classes_and_four_files_each():
    for source in (MNIST, FASHION_MNIST):
        assert len(source.classes) == 10
        assert len(source.md5) == 4
        assert all(mirror.endswith("/") for mirror in source.mirrors)


def test_missing_files_without_download_say_where_they_belong(tmp_path, tiny_mnist):
    source, files = tiny_mnist
    del files["t10k-images-idx3-ubyte.gz"]
    write(tmp_path, files)
    with pytest.raises(DataNotAtHandError, match=r"t10k-images-idx3-ubyte\.gz is missing; allow"):
        load_idx(source, tmp_path, allow_download=False)


def test_only_missing_files_are_fetched_and_the_progress_ends_at_the_total(
    tmp_path, tiny_mnist, mirror
):
    source, files = tiny_mnist
    mirror.files = dict(files)
    write(tmp_path / "mnist", {"train-images-idx3-ubyte.gz": files["train-images-idx3-ubyte.gz"]})
    seen = []
    load_idx(
        replace(source, mirrors=(mirror.url,)),
        tmp_path / "mnist",
        progress=lambda *step: seen.append(step),
    )
    assert mirror.asked == [name for name in files if name != "train-images-idx3-ubyte.gz"]
    size = len(files["t10k-labels-idx1-ubyte.gz"])
    assert seen[-1] == ("MNIST: t10k-labels-idx1-ubyte.gz", size, size)
    assert all(0 <= done <= total for _, done, total in seen)
    mirror.asked.clear()
    load_idx(replace(source, mirrors=(mirror.url,)), tmp_path / "mnist")
    assert mirror.asked == []


@pytest.mark.parametrize("fault", ["missing", "cut", "altered"])
def test_the_next_mirror_serves_when_one_fails(tmp_path, tiny_mnist, mirror, fault):
    source, files = tiny_mnist
    name = "train-images-idx3-ubyte.gz"
    mirror.files = {f"good-{file}": content for file, content in files.items()} | files
    if fault == "missing":
        del mirror.files[name]
    elif fault == "cut":
        mirror.cut = {name}
    else:
        mirror.files[name] = gzip.compress(b"another file")
    both = replace(source, mirrors=(mirror.url, f"{mirror.url}good-"))
    image_set = load_idx(both, tmp_path, allow_download=True)
    assert mirror.asked[:2] == [name, f"good-{name}"]
    assert len(image_set.images) == 40
    assert (tmp_path / name).read_bytes() == files[name]


def test_a_mirror_that_cuts_off_leaves_nothing_behind(tmp_path, tiny_mnist, mirror):
    source, files = tiny_mnist
    mirror.files, mirror.cut = dict(files), {"train-images-idx3-ubyte.gz"}
    with pytest.raises(DataError, match=r"could not be downloaded: .* check the connection"):
        load_idx(replace(source, mirrors=(mirror.url,)), tmp_path / "mnist")
    assert list((tmp_path / "mnist").iterdir()) == []


def test_an_interrupted_download_leaves_nothing_behind(tmp_path, tiny_mnist, mirror):
    source, files = tiny_mnist
    mirror.files = dict(files)

    def interrupt(what, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_idx(replace(source, mirrors=(mirror.url,)), tmp_path / "mnist", progress=interrupt)
    assert list((tmp_path / "mnist").iterdir()) == []


def test_a_mirror_with_another_file_is_told_with_both_sums(tmp_path, tiny_mnist, mirror):
    source, files = tiny_mnist
    name = "train-images-idx3-ubyte"
    mirror.files = {**files, f"{name}.gz": gzip.compress(b"other")}
    found = hashlib.md5(b"other").hexdigest()
    with pytest.raises(DataError, match=f"{name}.*MD5 is {found}, not {source.md5[name]}"):
        load_idx(replace(source, mirrors=(mirror.url,)), tmp_path / "mnist")
    assert list((tmp_path / "mnist").iterdir()) == []


def test_no_mirror_at_all_says_so(tmp_path, tiny_mnist):
    source, _ = tiny_mnist
    # Port 1 of this machine answers nobody.
    nowhere = replace(source, mirrors=("http://127.0.0.1:1/", "http://127.0.0.1:1/two/"))
    with pytest.raises(
        DataError, match=r"127\.0\.0\.1:1/ failed .*two/ failed .*put the file into"
    ):
        load_idx(nowhere, tmp_path)


def test_a_file_that_a_server_unpacked_is_taken(tmp_path, tiny_mnist, mirror):
    source, files = tiny_mnist
    mirror.files = {name: gzip.decompress(content) for name, content in files.items()}
    downloaded = load_idx(replace(source, mirrors=(mirror.url,)), tmp_path)
    assert load_idx(source, tmp_path, allow_download=False).fingerprint == downloaded.fingerprint


def test_a_found_file_with_a_wrong_checksum_names_both_sums(tmp_path, tiny_mnist):
    source, files = tiny_mnist
    name = "t10k-labels-idx1-ubyte"
    write(tmp_path, {**files, f"{name}.gz": gzip.compress(b"other")})
    found = hashlib.md5(b"other").hexdigest()
    with pytest.raises(
        DataError,
        match=f"{name}.gz is not the published file: .*{found}.*{source.md5[name]}; delete",
    ):
        load_idx(source, tmp_path)


def test_a_found_file_that_is_cut_off_says_to_delete_it(tmp_path, tiny_mnist):
    source, files = tiny_mnist
    name = "train-images-idx3-ubyte.gz"
    write(tmp_path, {**files, name: files[name][:500]})
    with pytest.raises(DataError, match=f"{name} cannot be unpacked .*: delete it"):
        load_idx(source, tmp_path)


def test_a_folder_that_cannot_be_made_names_the_setting(tmp_path, tiny_mnist):
    source, _ = tiny_mnist
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"cannot be saved in .*set EXPLORER_DATA"):
        load_idx(source, tmp_path / "file" / "mnist")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x00\x00\x08\x03\x00\x00\x00\x02", "not an IDX file of bytes"),
        (b"\x00\x00\x0d\x01\x00\x00\x00\x01" + bytes(4), "not an IDX file of bytes"),
        (b"", "not an IDX file of bytes"),
        (b"\x00\x00\x08\x01\x00\x00\x00\x05" + bytes(4), r"declares \(5,\) bytes but holds 4"),
    ],
)
def test_a_malformed_idx_file_is_told(tmp_path, tiny_mnist, content, message):
    source, files = tiny_mnist
    name = "train-images-idx3-ubyte"
    write(tmp_path, {**files, f"{name}.gz": gzip.compress(content)})
    changed = {**source.md5, name: hashlib.md5(content).hexdigest()}
    with pytest.raises(DataError, match=message):
        load_idx(replace(source, md5=changed), tmp_path)

"""Files in, codes out: from Python and from the terminal."""

import csv
import io
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from explorer.encode.__main__ import main
from explorer.encode.codes import measure_codes, nearest_classes, to_csv, vote
from explorer.encode.familiarity import Familiarity
from explorer.encode.files import encode_files
from explorer.encode.heldout import measure_held_out, save_held_out
from explorer.errors import CheckpointError, ConfigError
from explorer.images.intake import ModelInput, prepare_upload
from explorer.images.preparation import Preparation
from explorer.models.checkpoint import HELD_OUT, load_config, load_encodings
from explorer.models.codec import Codec
from tests.conftest import train_checkpoint


@pytest.fixture
def named(checkpoints, monkeypatch):
    """The checkpoints where the library looks for them."""
    monkeypatch.setenv("EXPLORER_CHECKPOINTS", str(checkpoints))
    return checkpoints


@pytest.fixture
def pictures(tmp_path, bars):
    """Held-out bars as files of the model's size, and what they hold."""
    rows = bars.held_out_index[:5]
    paths = [tmp_path / f"{row}.png" for row in rows]
    for row, path in zip(rows, paths, strict=True):
        Image.fromarray(bars.images[row, 0]).save(path)
    return paths, rows


def test_files_get_the_codes_that_their_pixels_have(named, pictures, bars):
    paths, rows = pictures
    found = encode_files("bars-vae", paths)
    codec = Codec.from_folder(named / "bars-vae")
    mean, log_var = codec.encode(bars.floats(rows))
    assert np.allclose(found.codes.mean, mean, atol=1e-5)
    assert np.allclose(found.codes.log_var, log_var, atol=1e-5)
    assert found.names == tuple(map(str, paths))
    assert found.refused == ()
    assert np.allclose(found.codes.negative_elbo, found.codes.reconstruction_nll + found.codes.kl)
    own = encode_files(named / "bars-vae", paths)
    assert np.array_equal(own.codes.mean, found.codes.mean)


def test_the_bound_is_a_mean_over_draws_and_no_matter_of_the_neighbours(named, bars):
    codec = Codec.from_folder(named / "bars-vae")
    images = bars.floats(bars.held_out_index[:6])
    together = measure_codes(codec, images)
    alone = [measure_codes(codec, images[row : row + 1]) for row in range(6)]
    assert np.allclose(together.reconstruction_nll, [one.reconstruction_nll[0] for one in alone])
    draws = np.stack([codec.bound_terms(images, seed=seed)[0] for seed in range(200)])
    spread = draws.std(axis=0) / np.sqrt(32)
    assert (abs(together.reconstruction_nll - draws.mean(axis=0)) < 5 * spread + 1e-3).all()


def test_an_ae_has_no_posterior_and_no_bound(named, pictures):
    found = encode_files("bars-ae", pictures[0])
    assert found.codes.log_var is None
    assert found.codes.kl is None
    assert found.codes.negative_elbo is None
    header = to_csv(found.names, found.codes).partition("\n")[0]
    assert header == "file,mean_0,mean_1,reconstruction_nll,nearest_class"


def test_held_out_scores_add_percentiles_and_verdicts(named, pictures, bars, tmp_path):
    folder = train_checkpoint(tmp_path / "bars-vae", bars, "vae", epochs=60)
    encodings = load_encodings(folder, load_config(folder))
    codec = Codec.from_folder(folder)
    held_out = measure_held_out(codec, encodings, bars)
    save_held_out(folder / HELD_OUT, held_out)
    found = encode_files(folder, pictures[0])
    verdicts = Familiarity(held_out, encodings.mean).judge(codec, bars.floats(pictures[1]))
    assert found.codes.familiarity == tuple(verdict.word for verdict in verdicts)
    assert np.allclose(found.codes.familiarity_p, [verdict.p_value for verdict in verdicts])
    own = held_out.percentile("bound", found.codes.negative_elbo)
    assert np.allclose(found.codes.bound_percentile, own)
    header = to_csv(found.names, found.codes).partition("\n")[0]
    assert header.endswith(",nearest_class,bound_percentile,familiarity,familiarity_p")
    assert encode_files("bars-vae", pictures[0]).codes.familiarity is None


def test_the_choices_are_handed_on(named, pictures, bars):
    config = load_config(named / "bars-vae")
    target = ModelInput(config.data.image_shape, config.data.background)
    preparation = Preparation(polarity="invert", turn="180")
    path = pictures[0][0]
    found = encode_files("bars-vae", [path], preparation=preparation)
    prepared = prepare_upload(path.read_bytes(), "a", target, preparation)
    mean, _ = Codec.from_folder(named / "bars-vae").encode(prepared.image[None])
    assert np.allclose(found.codes.mean, mean, atol=1e-5)


def test_what_cannot_be_used_is_refused_and_the_others_are_encoded(named, pictures, tmp_path):
    paths, _ = pictures
    packed = tmp_path / "packed.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(paths[1], "x/one.png")
        archive.writestr("x/two.png", b"no picture")
        archive.writestr("__MACOSX/._one.png", b"")
    text = tmp_path / "text.png"
    text.write_text("no picture")
    counted, told = [], []
    files = [paths[0], text, tmp_path / "missing.png", tmp_path, packed, "a\0b", paths[2]]
    found = encode_files("bars-vae", files, progress=counted.append, refuse=told.append)
    assert found.names == (str(paths[0]), f"{packed}/x/one.png", str(paths[2]))
    assert counted == list(range(1, 8))
    assert tuple(told) == found.refused
    reasons = {one.path: one.reason for one in told if not one.skipped}
    assert list(reasons) == [
        str(text),
        str(tmp_path / "missing.png"),
        str(tmp_path),
        f"{packed}/x/two.png",
        "a\0b",
    ]
    assert "it cannot be read (No such file or directory)" in reasons[str(files[2])]
    assert reasons[str(tmp_path)] == "this is a folder: give the files in it."
    assert [one.path for one in told if one.skipped] == [f"{packed}/__MACOSX/._one.png"]


def test_more_than_are_held_at_once_stay_in_order(named, bars, tmp_path):
    packed = tmp_path / "packed.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for row in range(70):
            buffer = io.BytesIO()
            Image.fromarray(bars.images[row, 0]).save(buffer, "PNG")
            archive.writestr(f"{row}.png", buffer.getvalue())
    found = encode_files("bars-vae", [packed])
    mean, _ = Codec.from_folder(named / "bars-vae").encode(bars.floats(np.arange(70)))
    assert np.allclose(found.codes.mean, mean, atol=1e-5)
    assert len(found.codes.nearest_class) == 70


def test_no_checkpoint_of_that_name_is_told(named):
    with pytest.raises(CheckpointError, match=r"There is no checkpoint 'nobody': there are .*bars"):
        encode_files("nobody", [])


def test_nothing_encoded_is_not_written(named, tmp_path):
    found = encode_files("bars-vae", [])
    assert found.codes is None
    with pytest.raises(ConfigError, match="nothing to write"):
        found.save(tmp_path / "codes.csv")


def test_the_table_as_csv_is_read_back_the_same(named, pictures, tmp_path):
    found = encode_files("bars-vae", pictures[0])
    path = tmp_path / "codes.csv"
    found.save(path)
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "file",
        "mean_0",
        "mean_1",
        "log_var_0",
        "log_var_1",
        "reconstruction_nll",
        "kl",
        "negative_elbo",
        "nearest_class",
    ]
    for axis in range(2):
        read = np.array([row[f"mean_{axis}"] for row in rows], np.float32)
        assert np.array_equal(read, found.codes.mean[:, axis])
    assert {row["nearest_class"] for row in rows} <= {"standing", "lying"}
    assert [row["file"] for row in rows] == list(found.names)


def test_the_table_as_npz_needs_no_pickle(named, pictures, tmp_path):
    found = encode_files("bars-vae", pictures[0])
    path = tmp_path / "codes.npz"
    found.save(path)
    with np.load(path, allow_pickle=False) as arrays:
        assert np.array_equal(arrays["mean"], found.codes.mean)
        assert np.array_equal(arrays["log_var"], found.codes.log_var)
        assert arrays["files"].tolist() == list(found.names)
        assert arrays["nearest_class"].tolist() == list(found.codes.nearest_class)


def test_the_nearest_class_of_a_held_out_image_is_its_neighbours(named, bars):
    encodings = load_encodings(named / "bars-vae", load_config(named / "bars-vae"))
    own = nearest_classes(encodings.mean, encodings.mean, encodings.labels, 1)
    assert np.array_equal(own, encodings.labels)
    few = nearest_classes(encodings.mean, encodings.mean[:3], encodings.labels[:3])
    assert set(few) <= set(encodings.labels[:3].tolist())


@given(
    hnp.arrays(
        np.int64,
        st.tuples(st.integers(1, 5), st.integers(1, 9)),
        elements={"min_value": 0, "max_value": 3},
    )
)
def test_a_vote_goes_to_the_most_frequent_and_then_the_nearest(votes):
    for row, winner in zip(votes, vote(votes), strict=True):
        counts = {label: (row == label).sum() for label in row}
        best = max(counts.values())
        assert winner == next(label for label in row if counts[label] == best)


def run(arguments, capsys):
    status = main([str(one) for one in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_the_command_writes_the_table(named, pictures, tmp_path, capsys):
    out = tmp_path / "new" / "codes.csv"
    status, said, _ = run(["--checkpoint", "bars-vae", *pictures[0], "--out", out], capsys)
    assert status == 0
    assert said == f"5 encoded, 0 refused; written to {out}\n"
    found = encode_files("bars-vae", pictures[0])
    assert out.read_text(encoding="utf-8") == to_csv(found.names, found.codes)


def test_the_command_goes_on_after_a_bad_file(named, pictures, tmp_path, capsys):
    bad = tmp_path / "bad\n.png"
    bad.write_bytes(b"")
    out = tmp_path / "codes.npz"
    arguments = ["--checkpoint", "bars-vae", bad, pictures[0][0], "--out", out]
    status, said, told = run(arguments, capsys)
    assert status == 1
    assert "1 encoded, 1 refused" in said
    assert "bad?.png: the file is empty (0 bytes): choose another one." in told
    assert out.is_file()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--checkpoint": "nobody"}, "There is no checkpoint 'nobody'"),
        ({"--out": "codes.txt"}, "must end in .csv or .npz"),
        ({"--crop": "1,2"}, "crop is"),
        ({"--crop": "left"}, "four shares from 0 to 1"),
        ({"file": "missing.png"}, "none of the files could be encoded"),
    ],
)
def test_the_command_says_what_is_wrong_and_writes_nothing(
    change, message, named, pictures, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    flags = {"--checkpoint": "bars-vae", "--out": "codes.csv", "file": pictures[0][0], **change}
    arguments = [flags.pop("file"), *(part for flag in flags.items() for part in flag)]
    status, _, told = run(arguments, capsys)
    assert status == 2
    assert message in told
    assert not Path("codes.csv").exists()


def test_the_command_runs_as_a_module(named, pictures, tmp_path):
    out = tmp_path / "codes.csv"
    command = [
        sys.executable,
        "-m",
        "explorer.encode",
        "--checkpoint",
        "bars-ae",
        "--out",
        str(out),
    ]
    choices = ["--framing", "pad", "--crop", "0,0,0.5,1"]
    done = subprocess.run(
        [*command, *choices, *map(str, pictures[0])], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert len(out.read_text(encoding="utf-8").splitlines()) == 6
    assert " files" in done.stderr  # the bar


def test_of_a_hardly_trained_model_no_picture_is_called_familiar(
    named, pictures, bars, tmp_path, capsys
):
    folder = shutil.copytree(named / "bars-vae", tmp_path / "bars-vae")
    encodings = load_encodings(folder, load_config(folder))
    held_out = measure_held_out(Codec.from_folder(folder), encodings, bars)
    save_held_out(folder / HELD_OUT, held_out)
    out = tmp_path / "codes.csv"
    files = [str(one) for one in pictures[0]]
    assert main(["--checkpoint", str(folder), "--out", str(out), *files]) == 0
    header = out.read_text().partition("\n")[0]
    assert header.endswith(",nearest_class,bound_percentile")
    told = capsys.readouterr().err
    assert "The model is hardly trained: 8 steps in 2 epochs." in told
    assert "Train it again with --epochs 750." in told
    assert "does not say whether the pictures are like the training data" in told

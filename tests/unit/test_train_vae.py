"""The trainer's command line, as a user runs it."""

import dataclasses
import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from explorer.models.config import NetworkConfig
from explorer.models.library import list_checkpoints
from explorer.training.config import TrainConfig

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "train_vae.py"


def start(*flags, cwd):
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *map(str, flags)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def train(*flags, cwd):
    process = start(*flags, cwd=cwd)
    output, _ = process.communicate(timeout=280)
    return process.returncode, output


def write_npz(path, count):
    generator = np.random.default_rng(0)
    images = generator.integers(0, 40, (count, 10, 12), dtype=np.uint8)
    images[::2, 4:6] = 230
    np.savez(path, images=images, labels=np.arange(count) % 2)
    return path


@pytest.fixture
def tiny(tmp_path):
    """Images in an .npz file, enough to measure with."""
    return write_npz(tmp_path / "tiny.npz", 240)


def test_help_names_every_setting_with_its_default():
    text = subprocess.run(
        [sys.executable, str(SCRIPT), "--help"], capture_output=True, text=True, check=True
    ).stdout
    names = {
        field.name for kind in (TrainConfig, NetworkConfig) for field in dataclasses.fields(kind)
    }
    for name in names - {"network"}:
        assert f"--{name.replace('_', '-')}" in text, name
    assert "nats per image" in text
    assert "Ctrl-C" in text
    for field in dataclasses.fields(TrainConfig):
        if isinstance(field.default, int | float):
            assert f"(default: {field.default})" in " ".join(text.split())


def test_a_run_makes_a_checkpoint_that_the_app_lists(tiny, tmp_path):
    code, output = train(
        "--data", tiny, "--latent-dim", 2, "--epochs", 2, "--name", "mine",
        "--out", tmp_path / "out", cwd=tmp_path,
    )  # fmt: skip
    assert code == 0, output
    assert "images/s" in output
    assert "nats (reconstruction" in output
    assert "KL" in output
    (listing,) = list_checkpoints([tmp_path / "out"])
    assert listing.error is None
    assert listing.config.data.image_shape == (1, 10, 12)
    assert {path.name for path in listing.folder.iterdir()} == {
        "model.safetensors", "config.json", "history.csv", "encodings.npz", "projection.npz",
        "regularity.json", "CARD.md",
    }  # fmt: skip
    assert all(path.stat().st_mode & 0o044 for path in listing.folder.iterdir())


@pytest.mark.slow
def test_the_cards_command_trains_the_same_model_again(tiny, tmp_path):
    code, output = train(
        "--data", tiny, "--kind", "ae", "--latent-dim", 2, "--epochs", 2, "--hidden-dims", 24, 12,
        "--likelihood", "gaussian", "--seed", 3, "--threads", 1, "--name", "mine", "--out", "first",
        cwd=tmp_path,
    )  # fmt: skip
    assert code == 0, output
    card = (tmp_path / "first" / "mine" / "CARD.md").read_text()
    command = next(line for line in card.splitlines() if line.startswith("python train_vae.py"))
    flags = shlex.split(command)[2:]
    code, output = train(*flags, "--threads", 1, "--out", "again", cwd=tmp_path)
    assert code == 0, output
    one, two = (load_file(tmp_path / out / "mine/model.safetensors") for out in ("first", "again"))
    assert set(one) == set(two)
    assert all(np.array_equal(one[name], two[name]) for name in one)


@pytest.mark.slow
def test_ctrl_c_keeps_the_best_epoch_so_far(tiny, tmp_path):
    process = start(
        "--data", tiny, "--latent-dim", 2, "--epochs", 100_000, "--name", "cut", "--out", "out",
        cwd=tmp_path,
    )  # fmt: skip
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "held-out" in line and "epoch" in line:
            process.send_signal(signal.SIGINT)
            break
    rest, _ = process.communicate(timeout=120)
    assert process.returncode == 0, "".join(lines) + rest
    assert "the best so far, is kept" in rest
    config = json.loads((tmp_path / "out" / "cut" / "config.json").read_text())
    assert 1 <= config["training"]["epochs_run"] < 100_000


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--data", "nothing"], "digits, mnist, fashion-mnist"),
        (["--data", "digits", "--latent-dim", "0"], "latent_dim is 0; it must lie from 1 to 512"),
        (["--data", "digits", "--name", "../up"], "it becomes a folder's name"),
        (["--data", "digits", "--threads", "-1"], "threads is -1"),
        (["--data", "empty"], "no image"),
        (["--kind", "gan"], "invalid choice: 'gan'"),
        (["--data", "digits", "--out", "taken/below"], "Nothing can be written into"),
        (["--size", "big"], "'big' is no size; give HEIGHTxWIDTH"),
    ],
)
def test_a_bad_flag_is_one_sentence_and_saves_nothing(flags, words, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "taken").write_text("a file")
    code, output = train("--out", "out", *flags, cwd=tmp_path)
    assert code == 2
    assert words in output
    assert "Traceback" not in output
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_taken_name_is_refused_unless_it_is_to_be_replaced(tiny, tmp_path):
    flags = ["--data", tiny, "--latent-dim", 2, "--epochs", 1, "--name", "mine", "--out", "out"]
    assert train(*flags, cwd=tmp_path)[0] == 0
    code, output = train(*flags, cwd=tmp_path)
    assert code == 2
    assert "give another --name, or --overwrite" in output
    code, output = train(*flags, "--overwrite", cwd=tmp_path)
    assert code == 0, output


@pytest.mark.slow
def test_too_few_images_to_measure_with_lose_no_training(tmp_path):
    data = write_npz(tmp_path / "few.npz", 40)
    code, output = train(
        "--data", data, "--latent-dim", 2, "--epochs", 1, "--name", "few", "--out", "out",
        cwd=tmp_path,
    )  # fmt: skip
    assert code == 0, output
    assert "Not measured: There are 4 held-out images" in output
    (listing,) = list_checkpoints([tmp_path / "out"])
    assert listing.error is None
    assert not (listing.folder / "regularity.json").exists()


@pytest.mark.slow
def test_a_folder_of_images_is_brought_to_size(tmp_path):
    generator = np.random.default_rng(0)
    for label in ("red", "blue"):
        (tmp_path / "images" / label).mkdir(parents=True)
        for number in range(110):
            pixels = generator.integers(0, 90, (40, 30, 3), dtype=np.uint8)
            pixels[..., 0 if label == "red" else 2] += 150
            Image.fromarray(pixels).save(tmp_path / "images" / label / f"{number}.png")
    code, output = train(
        "--data", "images", "--size", "16x12", "--architecture", "conv", "--width", 4,
        "--latent-dim", 2, "--epochs", 1, "--name", "colours", "--out", "out", cwd=tmp_path,
    )  # fmt: skip
    assert code == 0, output
    (listing,) = list_checkpoints([tmp_path / "out"])
    assert listing.config.data.image_shape == (3, 16, 12)
    assert listing.config.data.classes == ("blue", "red")


@pytest.mark.slow
def test_a_folder_that_is_no_checkpoint_is_never_replaced(tiny, tmp_path):
    (tmp_path / "out" / "mine" / "sub").mkdir(parents=True)
    (tmp_path / "out" / "mine" / "thesis.txt").write_text("years of work")
    code, output = train(
        "--data", tiny, "--epochs", 1, "--name", "mine", "--out", "out", "--overwrite", cwd=tmp_path
    )
    assert code == 2
    assert "it is not replaced" in output
    assert (tmp_path / "out" / "mine" / "thesis.txt").read_text() == "years of work"


@pytest.mark.slow
def test_a_reader_that_leaves_does_not_end_the_training(tiny, tmp_path):
    command = (
        f"{sys.executable} {SCRIPT} --data {tiny} --latent-dim 2 --epochs 30 --name piped --out out"
        " 2>errors | head -1"
    )
    subprocess.run(command, shell=True, cwd=tmp_path, check=True, timeout=280)
    assert "Traceback" not in (tmp_path / "errors").read_text()
    assert (tmp_path / "out" / "piped" / "config.json").is_file()

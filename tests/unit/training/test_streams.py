"""Words that cannot be written end no work, whatever is wrong with the stream."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tqdm import tqdm

import train_vae
from explorer.encode.__main__ import main as encode
from explorer.encode.familiarity import main as score
from explorer.images.registry import load_images
from explorer.models.checkpoint import load_config, load_encodings
from explorer.regularity.__main__ import main as measure
from explorer.training.streams import Forgiving

FULL = Path("/dev/full")
ROOT = Path(__file__).parents[3]
# Chinese, which Windows' Western encoding lacks, and a byte of Latin-1, which is no UTF-8.
NAME = os.fsdecode("数据".encode() + b"-Caf\xe9")


def write_pictures(folder, count=60):
    generator = np.random.default_rng(0)
    for label in (os.fsdecode(b"gr\xfcn"), "红"):
        (folder / label).mkdir(parents=True)
        for row in range(count // 2):
            pixels = generator.integers(0, 60, (10, 12), dtype=np.uint8)
            pixels[3:6] = 230 if label == "红" else 90
            Image.fromarray(pixels).save(folder / label / f"{row}.png")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with pictures under NAME, and what the trainer made of them and said."""
    place = tmp_path_factory.mktemp("names")
    write_pictures(place / NAME, 220)
    with (place / "log.txt").open("wb") as log:
        done = subprocess.run(
            [sys.executable, ROOT / "train_vae.py", "--data", NAME, "--latent-dim", "2",
             "--hidden-dims", "8", "--epochs", "1", "--threads", "1", "--name", "mine",
             "--out", "数据"],
            cwd=place, stdout=log, stderr=subprocess.PIPE, timeout=280,
            env={**os.environ, "PYTHONIOENCODING": "cp1252", "EXPLORER_DATA": str(place / "data")},
        )  # fmt: skip
    return place, done, (place / "log.txt").read_text("cp1252")


def test_a_folder_of_any_name_is_trained_on_under_an_encoding_that_lacks_it(trained):
    place, done, log = trained
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert r"\u6570\u636e" in log
    folder = place / "数据" / "mine"
    config = load_config(folder)
    assert config.data.name == str(place / "数据-Caf") + r"\xe9"
    assert config.data.classes == (r"gr\xfcn", "红")
    load_encodings(folder, config)
    images = load_images(config.data.name)
    assert images.fingerprint == config.data.fingerprint
    card = (folder / "CARD.md").read_text("utf-8")
    assert r"--data '数据-Caf\xe9'" in card


def open_stream(kind):
    if kind == "cp1252":
        return io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    if kind == "closed":
        stream = io.StringIO()
        stream.close()
        return stream
    if kind == "none":
        return None
    if not FULL.exists():
        pytest.skip("there is no /dev/full here")
    return FULL.open("w", encoding="utf-8", buffering=1)


@pytest.mark.filterwarnings("ignore:Exception ignored in")
@pytest.mark.parametrize("kind", ["cp1252", "closed", "none", "full"])
def test_each_command_succeeds_whatever_is_wrong_with_its_streams(
    kind, trained, monkeypatch, tmp_path
):
    place, _, _ = trained
    folder = str(place / "数据" / "mine")
    picture = next((place / NAME / "红").iterdir())
    table = tmp_path / "数据.csv"
    monkeypatch.setenv("EXPLORER_CACHE", str(tmp_path / "cache"))
    out, err = open_stream(kind), open_stream(kind)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    codes = [
        encode([str(picture), "--checkpoint", folder, "--out", str(table)]),
        measure([folder, "--headline-only"]),
        score([folder]),
        train_vae.main(["evaluate", folder, "--samples", "2"]),
        train_vae.main(["gallery", "no-such-model"]),
    ]
    monkeypatch.undo()
    if kind == "full":
        for stream in (out, err):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            stream.close()
    assert codes == [0, 0, 0, 0, 2]
    assert table.is_file()
    if kind == "cp1252":
        out.flush()
        assert r"written to" in out.buffer.getvalue().decode("cp1252")
        assert r"\u6570\u636e" in out.buffer.getvalue().decode("cp1252")


def test_a_line_does_not_stand_behind_a_bar(monkeypatch):
    terminal = io.StringIO()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr(sys, "stderr", terminal)
    with tqdm(total=3, file=Forgiving(sys.stderr), ncols=40, mininterval=0) as bar:
        bar.update()
        train_vae.say("a line")
    before = terminal.getvalue().partition("a line")[0]
    assert before.endswith("\r")
    assert before.rstrip("\r").rpartition("\r")[2].strip() == ""


def test_a_stream_that_can_be_written_again_is_written_to_again():
    class Filling(io.StringIO):
        full = True

        def write(self, text):
            if self.full:
                raise OSError(28, "No space left on device")
            return super().write(text)

    stream = Filling()
    forgiving = Forgiving(stream)
    forgiving.write("lost\n")
    stream.full = False
    forgiving.write("kept\n")
    assert stream.getvalue() == "kept\n"


def test_a_program_whose_output_has_no_room_ends_with_its_own_status():
    if not FULL.exists():
        pytest.skip("there is no /dev/full here")
    script = (
        "import sys; from explorer.training.streams import Forgiving; "
        "out = Forgiving(sys.stdout); out.write('x'); out.flush()"
    )
    with FULL.open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, stdout=full, stderr=subprocess.PIPE
        )
    assert done.returncode == 0, done.stderr

"""The trainer's command line, as a user runs it."""

import csv
import dataclasses
import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from explorer.errors import ConfigError, TrainingError
from explorer.images.registry import load_images
from explorer.models.config import NetworkConfig
from explorer.models.library import list_checkpoints
from explorer.training.config import TrainConfig
from explorer.training.console import Surroundings
from explorer.training.console import train as train_in_console
from explorer.training.flags import command_line, parse_flags, read_config
from explorer.training.runs import RunFolder

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "train_vae.py"

# A trainer in whose process torch is loaded. Each line of JSON that it reads is one command line,
# run in a fork: as a process of its own, which can be killed the moment it is about to touch the
# n-th file, or find the disk full, or its reader gone.
SERVER = """
import contextlib, importlib, json, os, resource, sys, tempfile, traceback
sys.path.insert(0, sys.argv[1])
import train_vae
from explorer.training import console
for name in ("images.registry", "latent.projection", "regularity.report", "training.evaluation",
             "training.run"):
    importlib.import_module("explorer." + name)
TOUCHING = ("os.rename", "os.remove", "os.mkdir", "os.chmod", "tempfile.mkstemp", "shutil.rmtree")

def train(asked, output, touched):
    os.chdir(asked["cwd"])
    console.SAVE_EVERY = asked["save_every"]
    # A pipe of its own has no reader once this process closes the other end.
    read, write = os.pipe()
    for number in (1, 2):
        os.dup2(write if asked["leaves"] else output, number)
    os.close(write)
    os.close(output)
    paths = []

    def watch(event, arguments):
        if event == "open":
            writes = isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            if not writes:
                return
        elif event not in TOUCHING:
            return
        path = os.path.abspath(arguments[1] if event == "os.rename" else arguments[0])
        if not path.startswith(asked["cwd"]):
            return
        paths.append(os.path.relpath(path, asked["cwd"]))
        if len(paths) == asked["at"]:
            if asked["leaves"]:
                os.close(read)
            if asked["signal"]:
                os.kill(os.getpid(), asked["signal"])

    sys.addaudithook(watch)
    if asked["limit"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (asked["limit"], asked["limit"]))
    try:
        code = train_vae.main(asked["flags"])
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 99
    if asked["limit"] is None:
        touched.write(json.dumps(paths).encode())
        touched.flush()
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
    os._exit(code)

for line in sys.stdin:
    read, write = os.pipe()
    with tempfile.TemporaryFile() as touched:
        child = os.fork()
        if not child:
            try:
                os.close(read)
                train(json.loads(line), write, touched)
            finally:
                os._exit(98)
        os.close(write)
        with open(read, encoding="utf-8", newline="") as output:
            text = output.read()
        _, status = os.waitpid(child, 0)
        touched.seek(0)
        paths = json.loads(touched.read() or "[]")
        answer = {"code": os.waitstatus_to_exitcode(status), "output": text, "touched": paths}
        print(json.dumps(answer), flush=True)
"""


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


def write_npz(path, count, seed=0):
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 40, (count, 10, 12), dtype=np.uint8)
    images[::2, 4:6] = 230
    np.savez(path, images=images, labels=np.arange(count) % 2)
    return path


def read_result(folder):
    """The weights of a checkpoint and its losses, without what a clock had a part in."""
    weights = {
        name: values.tobytes() for name, values in load_file(folder / "model.safetensors").items()
    }
    with (folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        del row["seconds"], row["images_per_second"]
    return weights, rows


@pytest.fixture(scope="module")
def forked():
    """Runs the trainer in a fork, see SERVER: -> code, output, touched."""
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(ROOT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def run(*flags, cwd, send=0, at=0, limit=None, save_every=0.0, leaves=False):
        asked = {
            "flags": list(map(str, flags)),
            "cwd": str(cwd),
            "signal": int(send),
            "at": at,
            "limit": limit,
            "save_every": save_every,
            "leaves": leaves,
        }
        server.stdin.write(json.dumps(asked) + "\n")
        server.stdin.flush()
        return SimpleNamespace(**json.loads(server.stdout.readline()))

    with server:
        yield run
        server.stdin.close()


# 63 training images, batches of 20, 20, 20 and 3.
FLAGS = [
    "--data", "tiny.npz", "--latent-dim", 2, "--hidden-dims", 8, "--epochs", 3, "--batch-size", 20,
    "--threads", 1, "--name", "mine", "--out", "out",
]  # fmt: skip
RESUME = ["--resume", "mine", "--out", "out"]
LADEN = [
    "--ema", 0.9, "--binarize", "--corrupt", "mask", "--schedule", "cosine", "--clip", 5,
    "--free-bits", 0.1, "--patience", 20,
]  # fmt: skip


@pytest.fixture
def place(tmp_path):
    """An empty folder with a few images in it."""
    write_npz(tmp_path / "tiny.npz", 70)
    return tmp_path


def clear(place):
    """Take away what was trained."""
    for name in ("out", "runs"):
        subprocess.run(["rm", "-rf", str(place / name)], check=True)


def first_epoch_of(done):
    """The moment at which the first epoch had just been recorded."""
    return done.touched.index("runs/mine/forming/watched.npz") + 1


def go_on(forked, place, flags=FLAGS):
    """Resume, or begin where nothing was begun yet."""
    done = forked(*RESUME, cwd=place)
    if done.code == 2 and "There is no run 'mine'" in done.output:
        done = forked(*flags, cwd=place)
    assert "Traceback" not in done.output, done.output
    assert done.code == 0 or "The run mine is finished" in done.output, done.output


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
        if isinstance(field.default, int | float) and not isinstance(field.default, bool):
            assert f"(default: {field.default})" in " ".join(text.split())
    assert len(text.splitlines()) <= 90
    assert max(map(len, text.splitlines())) <= 100


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
        "regularity.json", "heldout.npz", "CARD.md",
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
        (
            ["--data", "digits", "--hidden-dims", "8192", "8192", "8192", "--latent-dim", "512"],
            "model.safetensors would take 1,1",
        ),
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
    assert "Not scored: There are 4 held-out images" in output
    (listing,) = list_checkpoints([tmp_path / "out"])
    assert listing.error is None
    assert not (listing.folder / "regularity.json").exists()
    assert not (listing.folder / "heldout.npz").exists()


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


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_run_stopped_at_any_moment_goes_on_to_the_same_bits(number, forked, place):
    whole = forked(*FLAGS, cwd=place)
    assert whole.code == 0, whole.output
    expected = read_result(place / "out" / "mine")
    moments = range(1, len(whole.touched) + 1, 11)
    assert len(moments) > 10
    for at in moments:
        clear(place)
        stopped = forked(*FLAGS, cwd=place, send=number, at=at)
        assert "Traceback" not in stopped.output, stopped.output
        go_on(forked, place)
        assert read_result(place / "out" / "mine") == expected, whole.touched[at - 1]


@pytest.mark.slow
def test_a_run_killed_again_and_again_goes_on_to_the_same_bits(forked, place):
    flags = [*FLAGS, *LADEN]
    assert forked(*flags, cwd=place).code == 0
    expected = read_result(place / "out" / "mine")
    clear(place)
    generator = np.random.default_rng(0)
    forked(*flags, cwd=place, send=signal.SIGKILL, at=50)
    for _ in range(12):
        at = int(generator.integers(20, 60))
        forked(*RESUME, cwd=place, send=signal.SIGKILL, at=at)
    go_on(forked, place)
    assert read_result(place / "out" / "mine") == expected


@pytest.mark.slow
def test_a_kill_while_a_checkpoint_is_moved_into_place_makes_no_second_one(forked, place):
    whole = forked(*FLAGS, cwd=place)
    moved = len(whole.touched) - whole.touched[::-1].index("out/mine")
    for at in range(moved, len(whole.touched) + 1):
        clear(place)
        assert forked(*FLAGS, cwd=place, send=signal.SIGKILL, at=at).code == -signal.SIGKILL
        go_on(forked, place)
        assert [path.name for path in (place / "out").glob("[!.]*")] == ["mine"]


def test_ctrl_c_saves_the_run_and_says_how_to_go_on(forked, place):
    whole = forked(*FLAGS, cwd=place, save_every=1000)
    first_epoch = first_epoch_of(whole)
    expected = read_result(place / "out" / "mine")
    clear(place)
    stopped = forked(*FLAGS, cwd=place, save_every=1000, send=signal.SIGINT, at=first_epoch)
    assert stopped.code == 0, stopped.output
    assert "Stopping after this batch; Ctrl-C again ends at once." in stopped.output
    assert "Stopped in epoch 2. Go on with: python train_vae.py --resume mine" in stopped.output
    assert "the best so far, is kept" in stopped.output
    assert (place / "runs" / "mine" / "state.pt").is_file()
    assert len(read_result(place / "out" / "mine")[1]) == 1
    command = stopped.output.split("Go on with: python train_vae.py ")[1].splitlines()[0]
    assert forked(*shlex.split(command), cwd=place).code == 0
    assert read_result(place / "out" / "mine") == expected
    assert [path.name for path in (place / "out").iterdir()] == ["mine"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_sigterm_or_a_closed_terminal_saves_the_run_and_ends_at_once(number, code, forked, place):
    first_epoch = first_epoch_of(forked(*FLAGS, cwd=place, save_every=1000))
    clear(place)
    stopped = forked(*FLAGS, cwd=place, save_every=1000, send=number, at=first_epoch)
    assert stopped.code == code
    assert "Stopped in epoch 2. Go on with:" in stopped.output
    assert (place / "runs" / "mine" / "state.pt").is_file()
    assert not (place / "out" / "mine").exists()


def test_the_first_state_is_written_after_the_first_epoch(forked, place):
    whole = forked(*FLAGS, cwd=place, save_every=1000)
    states = [at for at, path in enumerate(whole.touched) if path == "runs/mine/state.pt"]
    second = whole.touched.index("runs/mine/forming/epoch-000002.npz")
    assert any(at < second for at in states)


def test_ctrl_c_with_its_reader_saves_the_run_too(forked, place):
    """As with `2>&1 | tee log`: the terminal stops both."""
    whole = forked(*FLAGS, cwd=place, save_every=1000)
    expected = read_result(place / "out" / "mine")
    first_epoch = first_epoch_of(whole)
    clear(place)
    forked(
        *FLAGS, cwd=place, save_every=1000, send=signal.SIGINT, at=first_epoch, leaves=True
    )  # fmt: skip
    assert (place / "runs" / "mine" / "state.pt").is_file()
    go_on(forked, place)
    assert read_result(place / "out" / "mine") == expected


def test_a_reader_of_all_that_leaves_does_not_end_the_training(forked, place):
    """As with `2>&1 | head`."""
    first_epoch = first_epoch_of(forked(*FLAGS, cwd=place, save_every=1000))
    clear(place)
    done = forked(*FLAGS, cwd=place, save_every=1000, at=first_epoch, leaves=True)
    assert done.code == 0
    assert (place / "out" / "mine" / "config.json").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("limit", [0, 100, 1500, 4000, 20_000])
def test_a_disk_that_is_full_loses_nothing(limit, forked, place):
    assert forked(*FLAGS, cwd=place).code == 0
    expected = read_result(place / "out" / "mine")
    clear(place)
    assert forked(*FLAGS, cwd=place, send=signal.SIGKILL, at=80).code == -signal.SIGKILL
    full = forked(*RESUME, cwd=place, limit=limit)
    assert full.code in (0, 2)
    if full.code:
        assert not (place / "out" / "mine").exists()
    go_on(forked, place)
    assert read_result(place / "out" / "mine") == expected
    assert [path.name for path in (place / "out").glob("[!.]*")] == ["mine"]


def test_a_full_disk_is_one_sentence_each_time(forked, place):
    assert forked(*FLAGS, cwd=place, send=signal.SIGKILL, at=80).code == -signal.SIGKILL
    sentence = "state.pt cannot be written: File too large. The training goes on"
    assert sentence in forked(*RESUME, cwd=place, limit=20_000).output


def test_a_run_that_diverges_keeps_what_it_had_learned(forked, place):
    flags = [*FLAGS, "--batch-size", 100, "--learning-rate", 3, "--epochs", 40]
    done = forked(*flags, cwd=place)
    assert done.code == 2
    assert "became inf in epoch 2; try a smaller --learning-rate than 3" in done.output
    assert "What epoch 1 had learned is saved." in done.output
    (listing,) = list_checkpoints([place / "out"])
    assert listing.error is None
    assert "The run mine diverged" in forked(*RESUME, cwd=place).output
    for last in (0, 1):  # killed before the checkpoint is there, and on a full disk
        clear(place)
        saving = next(i for i, path in enumerate(done.touched, 1) if path.startswith("out/.mine"))
        if last:
            forked(*flags, cwd=place, limit=4000)
        else:
            forked(*flags, cwd=place, send=signal.SIGKILL, at=saving)
        assert not (place / "out" / "mine").exists()
        again = forked(*RESUME, cwd=place)
        assert "What epoch 1 had learned is saved." in again.output
        assert (place / "out" / "mine").exists()


def test_a_second_trainer_of_one_run_is_refused(forked, place):
    forked(*FLAGS, cwd=place, send=signal.SIGKILL, at=80)
    before = (place / "runs" / "mine" / "state.pt").read_bytes()
    with RunFolder(place / "runs" / "mine").locked():
        for flags in (RESUME, FLAGS, [*FLAGS, "--overwrite"], [*FLAGS, "--out", "other"]):
            done = forked(*flags, cwd=place)
            assert done.code == 2
            assert "mine is being trained by another process at this moment" in done.output
    assert (place / "runs" / "mine" / "state.pt").read_bytes() == before


def test_a_run_that_another_trainer_finishes_meanwhile_is_not_trained_again(forked, place):
    forked(*FLAGS, cwd=place, send=signal.SIGKILL, at=80)

    def load_slowly(spec, size):
        assert forked(*RESUME, cwd=place).code == 0
        return load_images(spec, size=size)

    flags = parse_flags(["--resume", "mine", "--out", str(place / "out")])
    around = Surroundings(print, print, load_slowly, lambda *_: pytest.fail("trained again"))
    with pytest.raises(TrainingError, match="The run mine is finished"):
        train_in_console(flags, around)


def test_an_unfinished_run_is_not_lost_to_the_same_command(forked, place):
    forked(*FLAGS, cwd=place, send=signal.SIGKILL, at=80)
    done = forked(*FLAGS, cwd=place)
    assert done.code == 2
    assert "There is an unfinished run mine" in done.output
    assert "--resume mine goes on with it" in done.output
    assert forked(*FLAGS, "--overwrite", cwd=place).code == 0


def test_the_same_command_after_ctrl_c_is_told_of_resume(forked, place):
    first_epoch = first_epoch_of(forked(*FLAGS, cwd=place, save_every=1000))
    clear(place)
    forked(*FLAGS, cwd=place, save_every=1000, send=signal.SIGINT, at=first_epoch)
    assert (place / "out" / "mine").exists()
    done = forked(*FLAGS, cwd=place)
    assert done.code == 2
    assert "--resume mine" in done.output


def test_images_that_changed_since_are_noticed(forked, place):
    forked(*FLAGS, cwd=place, send=signal.SIGKILL, at=80)
    write_npz(place / "tiny.npz", 70, seed=1)
    done = forked(*RESUME, cwd=place)
    assert done.code == 2
    assert "are not those that the run mine began with" in done.output


def test_a_finished_run_says_where_its_checkpoint_is(forked, place):
    assert forked(*FLAGS, cwd=place).code == 0
    done = forked(*RESUME, cwd=place)
    assert done.code == 2
    assert f"finished, its checkpoint is {place / 'out' / 'mine'};" in done.output


@pytest.mark.parametrize(
    "text", ["", "{", '{"format": 1}', '{"format": 2}', '{"format": 1, "status": "training"}']
)
def test_a_damaged_run_is_replaced_with_overwrite(text, forked, place):
    forked(*FLAGS, cwd=place, send=signal.SIGKILL, at=80)
    (place / "runs" / "mine" / "run.json").write_text(text)
    for flags in (RESUME, FLAGS):
        done = forked(*flags, cwd=place)
        assert done.code == 2
        assert "--overwrite" in done.output
        assert "Traceback" not in done.output
    assert forked(*FLAGS, "--overwrite", cwd=place).code == 0


def test_checkpoints_are_not_saved_among_the_runs(forked, place):
    done = forked(*FLAGS, "--out", "runs", cwd=place)
    assert done.code == 2
    assert "runs" in done.output
    assert not (place / "runs" / "mine").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--batch-size", "5"], "--batch-size cannot be given with --resume"),
        (["--init", "other"], "--init cannot be given with --resume"),
        (["--seed", "0", "--data", "digits"], "--seed cannot be given with --resume"),
        (["--overwrite"], "--overwrite cannot be given with --resume"),
    ],
)
def test_a_setting_beside_resume_is_refused(flags, words):
    with pytest.raises(ConfigError, match=words):
        parse_flags(["--resume", "mine", *flags])


def test_where_and_how_to_compute_can_be_told_anew_at_resume():
    told = ["--threads", "2", "--device", "cpu", "--out", "there", "--compile", "--tensorboard"]
    assert parse_flags(["--resume", "mine", *told]).threads == 2


def test_an_empty_name_to_resume_is_no_new_training():
    with pytest.raises((ConfigError, SystemExit)):
        parse_flags(["--resume", "", "--data", "nothing"])


MANY = [
    "--data", "tiny.npz", "--size", "12x8", "--binarize", "--corrupt", "mask", "--corrupt-amount",
    0.4, "--latent-dim", 3, "--hidden-dims", 8, 6, "--activation", "tanh", "--likelihood",
    "gaussian", "--sigma", 0.3, "--learn-sigma", "--beta", 0.5, "--kl-cycles", 2, "--free-bits",
    0.05, "--epochs", 4, "--batch-size", 20, "--learning-rate", 0.002, "--adam-epsilon", 1e-7,
    "--schedule", "step", "--milestones", 2, 3, "--gamma", 0.5, "--clip", 4.5, "--ema", 0.9,
    "--patience", 50, "--seed", 7, "--name", "mine",
]  # fmt: skip


def test_a_run_of_many_flags_is_repeated_by_its_card_and_by_its_config(forked, place):
    assert forked(*MANY, "--threads", 1, "--out", "first/out", cwd=place).code == 0
    first = place / "first" / "out" / "mine"
    expected = read_result(first)
    card = (first / "CARD.md").read_text()
    command = next(line for line in card.splitlines() if line.startswith("python train_vae.py"))
    assert parse_flags(shlex.split(command)[2:]) == parse_flags(list(map(str, MANY)))
    part = place / "training.json"
    part.write_text(json.dumps(json.loads((first / "config.json").read_text())["training"]))
    rest = ["--data", "tiny.npz", "--latent-dim", 3, "--hidden-dims", 8, 6, "--activation", "tanh"]
    rest += ["--likelihood", "gaussian", "--sigma", 0.3, "--learn-sigma", "--name", "mine"]
    for number, flags in enumerate(
        (
            shlex.split(command)[2:],
            ["--config", first / "config.json", "--name", "mine"],
            ["--config", part, *rest],
        )
    ):
        out = place / str(number) / "out"
        done = forked(*flags, "--threads", 1, "--out", out, cwd=place)
        assert done.code == 0, done.output
        assert read_result(out / "mine") == expected


@pytest.mark.parametrize(
    "words",
    [
        ["--kind", "infovae", "--info-alpha", "-0.00001"],
        ["--kind", "infovae", "--info-alpha=-3", "--info-lambda", "1e7"],
        ["--data", "a folder/with a space", "--size", "8x128"],
        ["--data=-dashed.npz"],
        ["--learning-rate", "1e-8", "--beta", "3.3333333333333335"],
    ],
)
def test_the_command_told_gives_the_same_settings(words):
    flags = parse_flags(words)
    assert read_config(parse_flags(shlex.split(command_line(flags))[2:])) == read_config(flags)


def test_flags_go_before_the_config_file(tmp_path):
    path = tmp_path / "training.json"
    settings = {"epochs": 7, "binarize": True, "schedule": "step", "milestones": [2, 4]}
    path.write_text(json.dumps({**settings, "size": [10, 12], "epochs_run": 3}))
    config = read_config(parse_flags(["--config", str(path), "--epochs", "5"]))
    assert (config.epochs, config.binarize, config.milestones) == (5, True, (2, 4))
    assert config.size == (10, 12)


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "3", "null", '{"a": 1}', '{"epochs": "3"}', '{"epochs": true}', '{"epochs": 3.0}',
        '{"epochs": 1e400}', '{"learning_rate": NaN}', '{"learning_rate": null}', '{"training": 3}',
        '{"training": {}}', '{"training": {}, "data": 3, "kind": "vae"}', '{"name": "x"}',
        '{"training": {}, "data": "digits", "kind": "gan"}', '{"binarize": 1}', '{"size": [8]}',
        '{"training": {}, "data": "digits", "kind": "vae", "network": 3}', '{"size": [8, 8, 8]}',
        '{"hidden_dims": [1, "a"]}', '{"hidden_dims": []}', '{"hidden_dims": null}',
        '{"milestones": null}', '{"size": []}', '{"corrupt": "nix"}', '{"activation": null}',
        '{"seed": 1' + "0" * 5000 + "}", "[" * 100_000, "\x00\x01",
    ],
)  # fmt: skip
def test_a_config_file_that_is_none_is_one_sentence(text, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(ConfigError):
        read_config(parse_flags(["--config", str(path)]))


DISTRIBUTED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import train_vae
from explorer.training import console

console.SAVE_EVERY = 0.0
place, at = Path(sys.argv[2]), int(sys.argv[3])
if os.environ["RANK"] == "1":
    (place / "other").write_text(str(os.getpid()))
seen = []

def watch(event, arguments):
    if event == "os.rename" and os.environ["RANK"] == "0":
        seen.append(event)
        if len(seen) == at:
            os.kill(int((place / "other").read_text()), signal.SIGKILL)

sys.addaudithook(watch)
sys.exit(train_vae.main(sys.argv[4:]))
"""


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_processes(forked, place):
    flags = [*FLAGS, "--epochs", 6]
    assert forked(*flags, cwd=place).code == 0
    _, expected = read_result(place / "out" / "mine")
    clear(place)
    (place / "worker.py").write_text(DISTRIBUTED)

    def together(at, *flags):
        launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "worker.py"]
        return subprocess.run(
            [sys.executable, *launch, ROOT, place, str(at), *map(str, flags)],
            cwd=place,
            capture_output=True,
            text=True,
            timeout=120,
        )

    # The other process is killed while the first one saves: the run stays as it was saved.
    assert together(12, *flags).returncode != 0
    assert (place / "runs" / "mine" / "state.pt").is_file()
    assert not (place / "out" / "mine").exists()
    alone = forked(*RESUME, cwd=place, send=signal.SIGINT, at=40)
    assert "Stopped in epoch" in alone.output, alone.output
    last = together(0, *RESUME)
    assert last.returncode == 0, last.stderr
    assert last.stdout.count("Saved out/mine") == 1
    assert last.stdout.count("epoch    6/6") == 1
    _, rows = read_result(place / "out" / "mine")
    for row, whole in zip(rows, expected, strict=True):
        for term in ("train_loss", "held_out_loss", "held_out_kl", "train_reconstruction_nll"):
            assert float(row[term]) == pytest.approx(float(whole[term]), rel=1e-4)


def test_the_first_lines_name_the_classes_and_what_is_passed_over(forked, place):
    for label in ("red", "blue"):
        (place / "images" / label).mkdir(parents=True)
        for number in range(20):
            pixels = np.full((10, 12), 9 * number, np.uint8)
            Image.fromarray(pixels).save(place / "images" / label / f"{number}.png")
    (place / "images" / "red" / "phone.heic").write_bytes(b"x")
    (place / "images" / "blue" / "3.png").write_bytes(b"no picture")
    flags = ["--data", "images", *FLAGS[2:], "--epochs", 1]
    refused = forked(*flags, cwd=place)
    assert refused.code == 2
    assert "blue/3.png cannot be used: this is not an image" in refused.output
    assert "--skip-bad" in refused.output
    done = forked(*flags, "--skip-bad", cwd=place)
    assert done.code == 0, done.output
    first = done.output.split("epoch")[0]
    assert "2 classes: blue, red" in first
    assert "1 .heic" in first
    assert "1 of 40 files (blue/3.png)" in first
    card = (place / "out" / "mine" / "CARD.md").read_text()
    assert "--skip-bad" in card
    assert forked("evaluate", "out/mine", "--samples", 2, cwd=place).code == 0


def test_a_set_that_is_nearly_black_is_questioned(forked, place):
    images = np.random.default_rng(0).integers(0, 17, (70, 10, 12), dtype=np.uint8)
    np.savez(place / "tiny.npz", images=images)
    done = forked(*FLAGS, "--epochs", 1, cwd=place)
    assert done.code == 0
    assert "is 16 of 255, so they are nearly black" in done.output


def test_a_run_whose_images_were_moved_goes_on_where_they_are_now(forked, place):
    assert forked(*FLAGS, cwd=place).code == 0
    expected = read_result(place / "out" / "mine")
    clear(place)
    forked(*FLAGS, cwd=place, send=signal.SIGKILL, at=80)
    (place / "there").mkdir()
    (place / "tiny.npz").rename(place / "there" / "moved.npz")
    lost = forked(*RESUME, cwd=place)
    assert lost.code == 2
    assert "--resume mine --data PATH" in lost.output
    write_npz(place / "other.npz", 70, seed=3)
    other = forked(*RESUME, "--data", "other.npz", cwd=place)
    assert other.code == 2
    assert "are not those that the run mine began with" in other.output
    done = forked(*RESUME, "--data", "there/moved.npz", cwd=place)
    assert done.code == 0, done.output
    assert read_result(place / "out" / "mine") == expected
    config = json.loads((place / "out" / "mine" / "config.json").read_text())
    assert config["data"]["name"] == str(place / "there" / "moved.npz")
    assert str(place / "there" / "moved.npz") in (place / "out" / "mine" / "CARD.md").read_text()


def test_a_checkpoints_images_are_found_where_explorer_data_points(forked, place, monkeypatch):
    assert forked(*FLAGS, cwd=place).code == 0
    (place / "there").mkdir()
    (place / "tiny.npz").rename(place / "there" / "tiny.npz")
    words = [sys.executable, SCRIPT, "evaluate", "out/mine", "--samples", "2"]
    for folder, code in (("nowhere", 2), ("there", 0)):
        done = subprocess.run(
            words, cwd=place, capture_output=True, text=True,
            env={**os.environ, "EXPLORER_DATA": str(place / folder)},
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        if code:
            assert f"There is no data set '{place}/tiny.npz'" in done.stderr
            assert "set EXPLORER_DATA to the folder that holds tiny.npz now" in done.stderr


@pytest.mark.parametrize("more", [[], ["--ema", 0.9, "--clip", 5]])
def test_a_finished_run_is_trained_further_to_the_same_bits(more, forked, place):
    flags = [*FLAGS, *more]
    assert forked(*flags, "--epochs", 6, cwd=place).code == 0
    expected = read_result(place / "out" / "mine")
    clear(place)
    assert forked(*flags, cwd=place).code == 0
    done = forked(*RESUME, "--epochs", 6, cwd=place)
    assert done.code == 0, done.output
    assert "epoch    4/6" in done.output
    assert read_result(place / "out" / "mine") == expected
    assert [path.name for path in (place / "out").iterdir()] == ["mine"]
    card = (place / "out" / "mine" / "CARD.md").read_text()
    assert "--epochs 6" in card
    fewer = forked(*RESUME, "--epochs", 6, cwd=place)
    assert fewer.code == 2
    assert "epochs is 6, but the run mine has 6 behind it; give more." in fewer.output


def test_what_more_epochs_do_to_the_schedules_is_said(forked, place):
    flags = [*FLAGS, "--schedule", "cosine", "--kl-cycles", 2, "--patience", 3]
    assert forked(*flags, cwd=place).code == 0
    done = forked(*RESUME, "--epochs", 6, cwd=place)
    assert done.code == 0, done.output
    assert "falls to 0 over 6 epochs instead of 3" in done.output
    assert "the learning rate goes on at 0.0005, it was at 0." in done.output
    assert "The 2 KL cycles now take 3 epochs each instead of 1.5" in done.output
    assert "is counted from epoch 3 on" in done.output


def test_a_run_that_ended_early_is_trained_further(forked, place):
    flags = [*FLAGS, "--patience", 1, "--learning-rate", 1, "--epochs", 40, "--clip", 1]
    early = forked(*flags, cwd=place)
    assert early.code == 0, early.output
    assert "Ended early" in early.output
    before = len(read_result(place / "out" / "mine")[1])
    done = forked(*RESUME, "--epochs", 41, cwd=place)
    assert done.code == 0, done.output
    assert len(read_result(place / "out" / "mine")[1]) > before


def test_a_training_begins_with_a_checkpoints_weights(forked, place):
    assert forked(*FLAGS, "--epochs", 20, cwd=place).code == 0
    last = read_result(place / "out" / "mine")[1][-1]
    flags = [*FLAGS, "--name", "next", "--epochs", 1, "--init", "mine", "--ema", 0.9]
    done = forked(*flags, cwd=place)
    assert done.code == 0, done.output
    assert f"It begins with the weights of {place / 'out' / 'mine'}" in done.output
    (first,) = read_result(place / "out" / "next")[1]
    assert float(first["held_out_loss"]) < 1.1 * float(last["held_out_loss"])
    config = json.loads((place / "out" / "next" / "config.json").read_text())
    assert config["training"]["init"] == str(place / "out" / "mine")
    assert "--init mine" in (place / "out" / "next" / "CARD.md").read_text()
    for more, words in (
        (["--latent-dim", 3], "has the shape (8, 2), this model has the shape (8, 3)"),
        (["--kind", "ae"], "this model has "),
        (["--activation", "tanh"], "--activation relu"),
        (["--init", "nobody"], "There is no checkpoint 'nobody'"),
    ):
        refused = forked(*flags, "--name", "other", *more, cwd=place)
        assert refused.code == 2
        assert words in refused.output
        assert not (place / "runs" / "other" / "run.json").exists()
        assert "Traceback" not in refused.output

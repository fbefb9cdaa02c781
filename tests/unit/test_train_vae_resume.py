"""A training that is stopped in any way goes on to the very bits of an uninterrupted one."""

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from explorer.training.runs import RUN, STATE
from tests.unit.test_train_vae import ROOT, SCRIPT, write_npz

FLAGS = (
    "--latent-dim", 2, "--epochs", 12, "--batch-size", 16, "--binarize", "--ema", 0.9,
    "--threads", 1,
)  # fmt: skip
# The same program, which writes its state at every chance instead of twice a minute.
EAGER = (
    "import sys; sys.argv[0] = 'train_vae.py'; sys.path.insert(0, sys.argv.pop(1)); "
    "import train_vae; from explorer.training import console; console.SAVE_EVERY = 0.0; "
    "sys.exit(train_vae.main())"
)


def start(*flags, cwd, **more):
    return subprocess.Popen(
        [sys.executable, "-c", EAGER, str(ROOT), *map(str, flags)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        **more,
    )


def run(*flags, cwd, **more):
    process = start(*flags, cwd=cwd, **more)
    output, _ = process.communicate(timeout=280)
    return process.returncode, output


def read_until(process, words):
    lines = []
    for line in process.stdout:
        lines.append(line)
        if words in line:
            return "".join(lines)
    raise AssertionError(f"ended without {words!r}: {''.join(lines)}")


def assert_same(one: Path, other: Path):
    first, second = (load_file(folder / "model.safetensors") for folder in (one, other))
    assert set(first) == set(second)
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name], err_msg=name)
    untimed = []
    for folder in (one, other):
        rows = (folder / "history.csv").read_text().splitlines()
        names = rows[0].split(",")
        kept = [place for place, name in enumerate(names) if "second" not in name]
        untimed.append([[row.split(",")[place] for place in kept] for row in rows])
    assert untimed[0] == untimed[1]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_npz(tmp_path_factory.mktemp("data") / "tiny.npz", 400)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("whole")
    code, output = run("--data", data, *FLAGS, "--name", "run", "--out", "out", cwd=folder)
    assert code == 0, output
    assert not (folder / "runs" / "run" / STATE).exists()
    return folder / "out" / "run"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_kill_minus_nine_at_any_moment(seed, data, uninterrupted, tmp_path):
    """Also while state.pt is written, which here is most of the time, and while it is saved."""
    chance = random.Random(seed)
    flags = ["--data", data, *FLAGS, "--name", "run"]
    killed = 0
    for _ in range(4):
        process = start(*flags, "--out", "out", cwd=tmp_path)
        read_until(process, "training and")
        time.sleep(chance.uniform(0.0, 1.2))
        process.kill()
        process.communicate()
        killed += process.returncode == -signal.SIGKILL
        if (tmp_path / "out" / "run" / "config.json").exists():
            break
        flags = ["--resume", "run", "--threads", 1]
    assert killed
    plain = json.loads((tmp_path / "runs" / "run" / RUN).read_text())
    if plain["status"] != "finished":
        code, output = run("--resume", "run", "--out", "out", cwd=tmp_path)
        assert code == 0, output
    assert_same(tmp_path / "out" / "run", uninterrupted)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_polite_stop_says_how_to_go_on(number, data, uninterrupted, tmp_path):
    process = start("--data", data, *FLAGS, "--name", "run", "--out", "out", cwd=tmp_path)
    read_until(process, "epoch    3/12")
    process.send_signal(number)
    rest, _ = process.communicate(timeout=120)
    assert process.returncode == (0 if number == signal.SIGINT else 143), rest
    assert "Go on with: python train_vae.py --resume run --out out" in rest
    assert (tmp_path / "out" / "run").exists() == (number == signal.SIGINT)
    code, output = run("--resume", "run", "--out", "out", cwd=tmp_path)
    assert code == 0, output
    assert_same(tmp_path / "out" / "run", uninterrupted)
    code, output = run("--resume", "run", "--out", "out", cwd=tmp_path)
    assert code == 2
    assert "is finished, its checkpoint is" in output


@pytest.mark.slow
def test_a_full_disk_loses_no_training(data, uninterrupted, tmp_path):
    def fill_the_disk():
        # Files may grow to 20 kB: run.json can be written, the state and the weights cannot.
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    flags = ["--data", data, *FLAGS, "--name", "run", "--out", "out"]
    process = start(*flags, cwd=tmp_path)
    read_until(process, "epoch    2/12")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    shutil.rmtree(tmp_path / "runs" / "run" / "forming")
    code, output = run("--resume", "run", "--out", "out", cwd=tmp_path, preexec_fn=fill_the_disk)
    assert code == 2
    assert "Traceback" not in output
    assert "could not be taken up again from here" in output
    assert "make room, then python train_vae.py --resume run" in output
    assert not (tmp_path / "out" / "run").exists()
    code, output = run("--resume", "run", "--out", "out", cwd=tmp_path)
    assert code == 0, output
    assert_same(tmp_path / "out" / "run", uninterrupted)


@pytest.mark.slow
def test_a_second_trainer_on_one_name_is_refused(data, tmp_path):
    flags = ["--data", data, "--epochs", 100_000, "--name", "run", "--out", "out", "--threads", 1]
    first = start(*flags, cwd=tmp_path)
    try:
        read_until(first, "epoch    1/")
        for second in (["--overwrite", *flags], ["--resume", "run", "--out", "out"]):
            code, output = run(*second, cwd=tmp_path)
            assert code == 2
            assert "run is being trained by another process at this moment" in output
        assert first.poll() is None
    finally:
        first.kill()
        first.communicate()
    code, output = run(*flags, cwd=tmp_path)
    assert code == 2
    assert "There is an unfinished run run" in output
    assert "--resume run goes on with it" in output


@pytest.mark.slow
def test_a_diverging_run_keeps_the_last_good_epoch_and_says_so(data, tmp_path):
    code, output = run(
        "--data", data, "--hidden-dims", 64, 64, "--learning-rate", 10, "--epochs", 50,
        "--batch-size", 16, "--name", "wild", "--out", "out", "--threads", 1,
        cwd=tmp_path,
    )  # fmt: skip
    assert code == 2
    assert "Traceback" not in output
    assert "try a smaller --learning-rate than 10" in output
    assert json.loads((tmp_path / "runs" / "wild" / RUN).read_text())["status"] == "diverged"
    code, output = run("--resume", "wild", "--out", "out", cwd=tmp_path)
    assert code == 2
    assert "The run wild diverged, and would again" in output


@pytest.mark.slow
def test_other_images_damage_and_foreign_settings_are_told(data, tmp_path):
    own = shutil.copy(data, tmp_path / "own.npz")
    process = start("--data", own, *FLAGS, "--name", "run", "--out", "out", cwd=tmp_path)
    read_until(process, "epoch    2/12")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    cases = [(["--resume", "other"], "There is no run 'other'"), (["--resume", "../up"], "no run")]
    cases += [(["--resume", "run", "--beta", 4], "--beta cannot be given with --resume")]
    for flags, words in cases:
        code, output = run(*flags, "--out", "out", cwd=tmp_path)
        assert code == 2
        assert words in output
        assert "Traceback" not in output
    state = tmp_path / "runs" / "run" / STATE
    whole = state.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"no state at all"):
        state.write_bytes(damaged)
        code, output = run("--resume", "run", "--out", "out", cwd=tmp_path)
        assert code == 2
        assert "state.pt is damaged" in output
        assert "Traceback" not in output
    state.write_bytes(whole)
    write_npz(Path(own), 380)
    code, output = run("--resume", "run", "--out", "out", cwd=tmp_path)
    assert code == 2
    assert "are not those that the run run began with" in output


@pytest.mark.slow
def test_a_config_json_repeats_the_run(data, uninterrupted, tmp_path):
    code, output = run(
        "--config", uninterrupted / "config.json", "--name", "again", "--threads", 1,
        "--out", "out", cwd=tmp_path,
    )  # fmt: skip
    assert code == 0, output
    assert_same(tmp_path / "out" / "again", uninterrupted)
    card = (tmp_path / "out" / "again" / "CARD.md").read_text()
    assert "--binarize" in card
    assert "--ema 0.9" in card


def torchrun(*flags, cwd, count=2):
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node",
         str(count), str(SCRIPT), *map(str, flags)],
        cwd=cwd, capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        ("--free-bits", 0.2),
        ("--kind", "infovae"),
        ("--importance-samples", 3, "--corrupt", "mask", "--binarize"),
        ("--kind", "ae", "--batch-size", 119),  # 357 training images: the last batch is even
        ("--batch-size", 89),  # the last batch is one image, for two processes
    ],
    ids=str,
)
def test_two_processes_reach_the_loss_of_one(changes, data, tmp_path):
    flags = ["--data", data, "--latent-dim", 2, "--epochs", 2, "--threads", 1, *changes]
    code, output = run(*flags, "--name", "one", "--out", "out", cwd=tmp_path)
    assert code == 0, output
    done = torchrun(*flags, "--name", "two", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    histories = [
        np.genfromtxt(tmp_path / "out" / name / "history.csv", delimiter=",", names=True)
        for name in ("one", "two")
    ]
    for term in ("train_loss", "held_out_loss", "train_reconstruction_nll", "held_out_kl"):
        one, two = (history[term] for history in histories)
        np.testing.assert_allclose(two, one, rtol=2e-4, atol=1e-4, err_msg=term)
    assert done.stdout.count("Saved ") == 1


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_processes(data, tmp_path):
    flags = ["--data", data, "--latent-dim", 2, "--epochs", 6, "--threads", 1, "--batch-size", 16]
    code, output = run(*flags, "--name", "whole", "--out", "out", cwd=tmp_path)
    assert code == 0, output
    process = start(*flags, "--name", "run", "--out", "out", cwd=tmp_path)
    read_until(process, "epoch    2/6")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    done = torchrun("--resume", "run", "--out", "out", "--threads", 1, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    losses = [
        np.genfromtxt(tmp_path / "out" / name / "history.csv", delimiter=",", names=True)
        for name in ("whole", "run")
    ]
    np.testing.assert_allclose(losses[0]["held_out_loss"], losses[1]["held_out_loss"], rtol=1e-4)

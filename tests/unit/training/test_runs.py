import csv
import io
import json
import pickle
import resource
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from explorer.errors import CheckpointError, ConfigError, TrainingError
from explorer.models.config import NetworkConfig
from explorer.training.config import TrainConfig
from explorer.training.loop import Trainer
from explorer.training.runs import TRAINING, RunFolder, open_run, runs_folder

NETWORK = NetworkConfig(latent_dim=2, hidden_dims=(8,))
CONV = NetworkConfig(architecture="conv", latent_dim=2, hidden_dims=(8,), width=2)
LEARNED = NetworkConfig(latent_dim=2, hidden_dims=(8,), likelihood="gaussian", learn_sigma=True)
SETTINGS = {
    "vae": {},
    "ae": {"kind": "ae"},
    "infovae": {"kind": "infovae", "ema": 0.9},
    "free bits": {"free_bits": 0.2, "kl_warmup": 2, "clip": 1.0},
    "importance-weighted": {"importance_samples": 3, "schedule": "cosine"},
    "corrupted": {"corrupt": "mask", "binarize": True, "ema": 0.9},
    "noisy": {"corrupt": "noise", "kl_cycles": 2, "schedule": "step", "milestones": (1, 2)},
    "convolutions": {"network": CONV},
    "learned sigma": {"network": LEARNED},
    "patient": {"patience": 1, "learning_rate": 0.3, "epochs": 5},
}


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "runs" / "mine"
    folder.mkdir(parents=True)
    return RunFolder(folder)


def make_trainer(images, **changes):
    settings = {"data": "bars", "network": NETWORK, "epochs": 3, "batch_size": 16, **changes}
    return Trainer(TrainConfig(**settings), images)


def train_for(trainer, batches):
    """Train on for so many batches."""
    done = []
    list(trainer.epochs(lambda count, _terms: done.append(count), lambda: len(done) >= batches))
    return len(done)


def losses(trainer):
    return [
        (one.epoch, one.train, one.held_out, one.kl_per_axis, one.best) for one in trainer.history
    ]


def assert_same(one, other):
    assert losses(one) == losses(other)
    assert one.best_weights.keys() == other.best_weights.keys()
    for name, values in one.best_weights.items():
        np.testing.assert_array_equal(values, other.best_weights[name])
    ours, theirs = one.model.state_dict(), other.model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@contextmanager
def full_disk(limit):
    """No file can grow over so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_a_run_taken_up_after_any_batch_goes_on_to_the_same_bits(bars, run, settings):
    whole = make_trainer(bars, **settings)
    batches = train_for(whole, 1000)
    assert whole.done
    for stop in range(1, batches + 1):
        cut = make_trainer(bars, **settings)
        assert train_for(cut, stop) == stop
        run.save_state(cut)
        taken_up = make_trainer(bars, **settings)
        assert run.load_state(taken_up)
        assert taken_up.images_done == cut.images_done
        train_for(taken_up, 1000)
        assert_same(taken_up, whole)


def test_a_state_saved_in_the_midst_of_an_epoch_does_not_move_the_training(bars, run):
    whole, watched = make_trainer(bars, ema=0.5), make_trainer(bars, ema=0.5)
    list(whole.epochs())
    list(watched.epochs(lambda _count, _terms: run.save_state(watched)))
    assert_same(watched, whole)


def test_a_stop_at_the_last_batch_leaves_no_rate_below_nought(bars, run):
    cut = make_trainer(bars, epochs=1)
    train_for(cut, cut.steps_an_epoch)
    assert not cut.history
    run.save_state(cut)
    taken_up = make_trainer(bars, epochs=1)
    run.load_state(taken_up)
    (report,) = taken_up.epochs()
    assert report.images_per_second >= 0


def test_a_run_without_a_state_begins_at_the_beginning(bars, run):
    trainer = make_trainer(bars)
    assert not run.load_state(trainer)
    assert trainer.images_done == 0


def test_a_disk_that_is_full_leaves_the_state_before(bars, run):
    trainer, whole = make_trainer(bars), make_trainer(bars)
    train_for(trainer, 5)
    run.save_state(trainer)
    size = (run.folder / "state.pt").stat().st_size
    train_for(trainer, 2)
    for limit in (0, 100, 5000, size // 2, size - 1):
        with full_disk(limit), pytest.raises(CheckpointError, match="cannot be written"):
            run.save_state(trainer)
        assert [path.name for path in run.folder.iterdir()] == ["state.pt"]
    taken_up = make_trainer(bars)
    run.load_state(taken_up)
    assert taken_up.images_done < trainer.images_done
    list(taken_up.epochs())
    list(whole.epochs())
    assert_same(taken_up, whole)


def as_state(value):
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def flip(good):
    """One bit in the midst of the numbers, where torch does not look."""
    middle = len(good) // 2
    return good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :]


DAMAGED = {
    "empty": lambda _good: b"",
    "cut in half": lambda good: good[: len(good) // 2],
    "without its end": lambda good: good[:-1],
    "noughts": lambda good: bytes(len(good)),
    "text": lambda _good: b"hello world",
    "JSON": lambda _good: b"{}",
    "noise": lambda _good: b"\x00garbage" * 50,
    "a pickle": lambda _good: pickle.dumps({"step": 1}),
    "a list": lambda _good: as_state([1, 2]),
    "nothing": lambda _good: as_state({}),
    "one bit": flip,
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_state_is_one_sentence(bars, run, damage):
    trainer = make_trainer(bars)
    train_for(trainer, 5)
    run.save_state(trainer)
    path = run.folder / "state.pt"
    good = path.read_bytes()
    path.write_bytes(damage(good))
    assert path.read_bytes() != good
    with pytest.raises(TrainingError, match="afresh with --overwrite"):
        run.load_state(make_trainer(bars))


@pytest.mark.parametrize(
    "other",
    [
        {"network": NetworkConfig(latent_dim=3, hidden_dims=(8,))},
        {"network": CONV},
        {"network": LEARNED},
        {"kind": "ae"},
        {"ema": 0.9},
    ],
)
def test_a_state_of_another_model_is_refused(bars, run, other):
    trainer = make_trainer(bars)
    train_for(trainer, 2)
    run.save_state(trainer)
    with pytest.raises(TrainingError, match="does not fit its settings"):
        run.load_state(make_trainer(bars, **other))


def test_a_run_that_another_process_holds_is_refused(run):
    code = (
        "import filelock, sys\n"
        "lock = filelock.FileLock(sys.argv[1])\n"
        "lock.acquire()\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(run.folder / "lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(TrainingError, match="mine is being trained by another"), run.locked():
            pass
        holder.kill()
        holder.wait()
        with run.locked():
            assert (run.folder / "lock").exists()


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"format": 2}', '{"format": 1}', "\x00", "[" * 100_000],
    ids=["empty", "cut", "list", "no format", "format 2", "format alone", "noise", "deep"],
)
def test_a_damaged_run_is_one_sentence_that_says_how_to_go_on(run, text):
    (run.folder / "run.json").write_text(text)
    with pytest.raises(TrainingError, match=r"run\.json .*--overwrite"):
        run.load()


def test_no_run_is_none(run):
    assert run.load() is None


def test_a_run_begun_afresh_keeps_nothing_of_the_one_before(bars, run):
    trainer = make_trainer(bars)
    for report in trainer.epochs():
        run.record(trainer, report)
    run.save_state(trainer)
    run.begin({"status": TRAINING})
    assert [path.name for path in run.folder.iterdir()] == ["run.json"]
    assert json.loads((run.folder / "run.json").read_text())["status"] == TRAINING


def test_a_run_leaves_its_losses_its_codes_and_its_pictures(bars, run):
    trainer = make_trainer(bars)
    for report in trainer.epochs():
        run.record(trainer, report)
    with (run.folder / "history.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2", "3"]
    with np.load(run.folder / "forming" / "watched.npz") as watched:
        np.testing.assert_array_equal(watched["labels"], bars.labels[watched["index"]])
        assert set(watched["index"]) <= set(bars.held_out_index)
        assert watched["fixed_codes"].shape == (16, 2)
    with np.load(run.folder / "forming" / "epoch-000003.npz") as last:
        np.testing.assert_array_equal(last["codes"], report.codes.astype(np.float16))
        np.testing.assert_array_equal(last["samples"], report.samples)


def test_a_long_run_keeps_its_early_epochs_and_about_200(bars, run):
    trainer = make_trainer(bars, epochs=1000)
    report = next(trainer.epochs())
    for epoch in (*range(1, 51), 999, 1000):
        run.record(trainer, replace(report, epoch=epoch))
    kept = sorted(int(path.stem[-6:]) for path in (run.folder / "forming").glob("epoch-*"))
    assert kept == [*range(1, 21), 25, 30, 35, 40, 45, 50, 1000]


def test_codes_that_cannot_be_kept_are_one_sentence(bars, run):
    trainer = make_trainer(bars)
    report = next(trainer.epochs())
    (run.folder / "forming").write_text("where the folder would be")
    with pytest.raises(CheckpointError, match="cannot be written"):
        run.record(trainer, report)


@pytest.mark.parametrize(
    "name",
    ["../x", "..", ".", "", "mine/", "mine/../mine", "a b", "é", "-x", "x" * 300, "*", "nul"],
)
def test_a_run_that_is_not_there_is_told_with_those_that_are(run, name):
    run.begin({"status": TRAINING})
    (run.folder.parent.parent / "x").mkdir()
    (run.folder.parent.parent / "x" / "run.json").write_text('{"format": 1}')
    out = run.folder.parent.parent / "out"
    with pytest.raises(ConfigError, match=r"There is no run .*; there are mine\."):
        open_run(out, name)
    assert open_run(out, "mine").folder == run.folder


def test_runs_lie_beside_the_checkpoints(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert runs_folder(tmp_path / "out") == tmp_path / "runs"
    assert runs_folder(tmp_path / "out" / ".." / "other") == tmp_path / "runs"
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert runs_folder(Path()) == tmp_path / "runs"

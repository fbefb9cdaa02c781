import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from explorer.errors import ConfigError
from explorer.models.config import NetworkConfig
from explorer.training.config import TrainConfig
from explorer.training.loop import Trainer
from explorer.training.processes import Processes, check_precision, pick_device
from tests.conftest import make_images

ROOT = Path(__file__).parents[3]
NETWORK = NetworkConfig(latent_dim=3, hidden_dims=(8,))
CONV = NetworkConfig(architecture="conv", latent_dim=2, hidden_dims=(8,), width=2)
SETTINGS = {
    "vae": {},
    "ae": {"kind": "ae"},
    "infovae": {"kind": "infovae", "ema": 0.9},
    "free bits": {"free_bits": 0.2, "kl_warmup": 2},
    "importance-weighted": {"importance_samples": 3, "schedule": "cosine"},
    "corrupted": {"corrupt": "mask", "binarize": True, "clip": 1.0},
    "convolutions": {"network": CONV},
    "image by image": {"batch_size": 1, "epochs": 1},
}
WORKER = """
import json, sys
from pathlib import Path
import torch
sys.path.insert(0, sys.argv[1])
from tests.unit.training.test_processes import SETTINGS, STOP, make_trainer, read_losses, train_for
from explorer.training.processes import join_processes

folder = Path(sys.argv[2])
torch.set_num_threads(1)
with join_processes("cpu") as processes:
    found = {}
    for number, (name, changes) in enumerate(SETTINGS.items()):
        trainer = make_trainer(processes, **changes)
        list(trainer.epochs())
        found[name] = {"whole": read_losses(trainer)}
        trainer = make_trainer(processes, **changes)
        train_for(trainer, STOP)
        if processes.first:
            torch.save(trainer.state(), folder / f"two-{number}.pt")
        trainer = make_trainer(processes, **changes)
        trainer.load_state(torch.load(folder / f"one-{number}.pt", weights_only=True))
        list(trainer.epochs())
        found[name]["taken up"] = read_losses(trainer)
    if processes.first:
        (folder / "losses.json").write_text(json.dumps(found))
"""
PARTING = """
import os, sys
sys.path.insert(0, sys.argv[1])
import torch
from tests.unit.training.test_processes import make_trainer
from explorer.training.processes import join_processes

def sit():
    with join_processes("cpu") as processes:
        trainer = make_trainer(processes, epochs=1)
        list(trainer.epochs())

torch.set_num_threads(1)
for port in sys.argv[2:]:
    os.environ["MASTER_PORT"] = port
    sit()
"""
STOP = 8  # steps, as often as several processes ask each other; in the midst of an epoch


def make_trainer(processes=None, **changes):
    """57 training images: batches of 16, 16, 16 and 9, which no two processes share evenly."""
    images = make_images(count=81)
    settings = {"data": "bars", "network": NETWORK, "epochs": 4, "batch_size": 16, **changes}
    if settings["batch_size"] == 16 and settings["network"] is CONV:
        # The last batch is one image: a process has none.
        images = replace(images, train_index=images.train_index[:49])
    return Trainer(TrainConfig(**settings), images, processes)


def train_for(trainer, steps):
    """Train on for so many steps."""
    done = []
    list(trainer.epochs(lambda count, _terms: done.append(count), lambda: len(done) >= steps))
    assert trainer.images_done == sum(done)


def read_losses(trainer):
    """Every term of every epoch."""
    return [
        [*vars(one.train).values(), *vars(one.held_out).values(), *one.kl_per_axis]
        for one in trainer.history
    ]


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """What two processes came to, by setting, and the states they left."""
    folder = tmp_path_factory.mktemp("together")
    for number, changes in enumerate(SETTINGS.values()):
        trainer = make_trainer(**changes)
        train_for(trainer, STOP)
        torch.save(trainer.state(), folder / f"one-{number}.pt")
    (folder / "worker.py").write_text(WORKER)
    launch = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
    ]
    done = subprocess.run(
        [*launch, str(folder / "worker.py"), str(ROOT), str(folder)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_two_processes_come_to_the_losses_of_one(together, name):
    found = json.loads((together / "losses.json").read_text())[name]
    alone = make_trainer(**SETTINGS[name])
    list(alone.epochs())
    expected = read_losses(alone)
    for epoch, terms in enumerate(expected):
        assert found["whole"][epoch] == pytest.approx(terms, rel=1e-4, abs=1e-4)
        assert found["taken up"][epoch] == pytest.approx(terms, rel=1e-4, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_one_process_goes_on_with_what_two_began(together, name):
    alone, taken_up = make_trainer(**SETTINGS[name]), make_trainer(**SETTINGS[name])
    number = list(SETTINGS).index(name)
    taken_up.load_state(torch.load(together / f"two-{number}.pt", weights_only=True))
    assert taken_up.images_done
    list(alone.epochs())
    list(taken_up.epochs())
    for terms, expected in zip(read_losses(taken_up), read_losses(alone), strict=True):
        assert terms == pytest.approx(expected, rel=1e-4, abs=1e-4)


@pytest.mark.slow
def test_processes_part_without_waiting_for_each_other_forever():
    """PyTorch's gloo thread and the last reference to its group can wait for each other."""
    sockets = [socket.create_server(("localhost", 0)) for _ in range(12)]
    ports = [str(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    where = {"WORLD_SIZE": "2", "MASTER_ADDR": "localhost"}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PARTING, str(ROOT), *ports],
            env={**os.environ, **where, "RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        for process in started:
            _, errors = process.communicate(timeout=100)
            assert process.returncode == 0, errors
    finally:
        for process in started:
            process.kill()
            process.communicate()


@pytest.mark.parametrize("rows", [1, 2, 9, 16])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_every_row_of_a_batch_belongs_to_one_process(count, rows):
    batch = torch.arange(rows)
    shares = [Processes(rank, count).share(batch) for rank in range(count)]
    assert sorted(torch.cat(shares).tolist()) == batch.tolist()
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_process_alone_asks_nobody():
    alone = Processes()
    alone.wait()
    assert alone.first
    assert alone.any(True)
    assert not alone.any(False)
    rows = torch.ones(3, 2)
    assert alone.gather_with_gradient(rows, 3) is rows
    assert torch.equal(alone.sum(rows), rows)


def test_a_device_that_is_not_here_is_told_with_those_that_are(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert pick_device("auto").type == "cpu"
    with pytest.raises(ConfigError, match=r"device is 'cuda', .* it sees cpu\."):
        pick_device("cuda")


def test_half_precision_without_instructions_for_it_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    check_precision("float32", torch.device("cpu"))
    with pytest.raises(ConfigError, match="leave it at float32"):
        check_precision("bfloat16", torch.device("cpu"))

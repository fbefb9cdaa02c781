"""A disk that fills up while a model is trained, and memory that runs out."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from explorer.models.checkpoint import load_config
from explorer.models.library import list_checkpoints

ROOT = Path(__file__).parents[2]
FLAGS = [
    "--data", "../tiny.npz", "--latent-dim", "2", "--hidden-dims", "8", "--epochs", "60",
    "--batch-size", "40", "--threads", "1", "--name", "mine", "--out", "out",
]  # fmt: skip

# Trains, and fills the disk at the moment when the third epoch is recorded.
FILLING = """
import os, sys
sys.path.insert(0, sys.argv[1])
import train_vae

def fill(event, arguments):
    if event == "tempfile.mkstemp" and sys.argv[2] in str(arguments[0]) and not filled:
        filled.append(True)
        file = os.open("filler", os.O_WRONLY | os.O_CREAT)
        try:
            while os.write(file, bytes(4096)):
                pass
        except OSError:
            pass
        os.close(file)

filled = []
sys.addaudithook(fill)
sys.exit(train_vae.main(sys.argv[3:]))
"""


@pytest.fixture
def disk(tmp_path):
    """A file system of 20 MB."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small file system")
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    images = np.random.default_rng(0).integers(0, 40, (80, 10, 12), dtype=np.uint8)
    images[::2, 4:6] = 230
    np.savez(tmp_path / "tiny.npz", images=images)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def train(*words, cwd, home, fill_at="never", script=FILLING):
    home.mkdir(exist_ok=True)
    environment = {**os.environ, "HOME": str(home), "EXPLORER_CACHE": str(home / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", script, str(ROOT), fill_at, *map(str, words)],
        cwd=cwd, env=environment, capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_a_disk_that_fills_up_loses_no_model_and_nothing_untrue_is_said(disk, tmp_path):
    home = tmp_path / "home"
    code, output = train(*FLAGS, cwd=disk, home=home, fill_at=".epoch-000003.npz.")
    assert code == 0, output
    assert "Traceback" not in output
    assert output.count("state.pt cannot be written") == 1
    assert "The state on the disk is that after epoch 1: make room." in output
    assert "What was trained is kept" not in output
    (place,) = home.glob("latent-explorer-mine-*")
    assert f"It is saved in {place} instead" in output
    (listing,) = list_checkpoints([place])
    assert listing.error is None
    assert load_config(place / "mine").training["epochs_run"] == 60

    (disk / "filler").unlink()
    code, output = train("--resume", "mine", "--out", "out", cwd=disk, home=home)
    assert code == 0, output
    assert "epoch    1/60" not in output
    assert "epoch    2/60" in output


def test_a_stopped_run_whose_state_has_no_room_is_kept_elsewhere(disk, tmp_path):
    home = tmp_path / "home"
    stopping = FILLING.replace("os.close(file)", "os.close(file); os.kill(os.getpid(), 15)")
    code, output = train(*FLAGS, cwd=disk, home=home, fill_at=".epoch-000003.npz.", script=stopping)
    assert code == 143, output
    assert "Go on with" not in output
    (state,) = home.glob("latent-explorer-mine-*/state.pt")
    place = disk / "runs" / "mine" / "state.pt"
    assert f"kept in {state}: make room, move that file to {place}, then" in output

    (disk / "filler").unlink()
    shutil.move(state, place)
    code, output = train("--resume", "mine", "--out", "out", cwd=disk, home=home)
    assert code == 0, output
    assert "epoch    3/60" not in output
    assert "epoch    4/60" in output


# The same, saving the state at every batch; after some of them there is room again.
FREEING = FILLING.replace(
    "import train_vae", "import train_vae; from explorer.training import console"
).replace(
    "filled = []",
    """
def free(event, arguments):
    if event == "tempfile.mkstemp" and ".state.pt." in str(arguments[0]) and filled:
        filled.append(True)
        if len(filled) == 10:
            os.unlink("filler")

filled = []
console.SAVE_EVERY = 0.0
sys.addaudithook(free)
""",
)


def test_what_could_not_be_written_is_written_once_there_is_room(disk, tmp_path):
    code, output = train(
        *FLAGS, cwd=disk, home=tmp_path / "home", fill_at=".epoch-000003.npz.", script=FREEING
    )
    assert code == 0, output
    assert output.count("state.pt cannot be written") == 1
    assert output.count("state.pt can be written again, and was.") == 1
    (listing,) = list_checkpoints([disk / "out"])
    assert listing.error is None


# What a machine of little memory does: no more than so many bytes beyond what is there already.
SHORT_OF_MEMORY = """
import resource, sys
sys.path.insert(0, sys.argv[1])
import train_vae, torch, numpy
from explorer.training import console
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (3 << 29), used + (3 << 29)))
sys.exit(train_vae.main(sys.argv[2:]))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux tells its memory here")
def test_memory_that_runs_out_is_a_sentence_with_what_to_make_smaller(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (400, 64, 64), dtype=np.uint8)
    np.savez(tmp_path / "tiny.npz", images=images)
    done = subprocess.run(
        [sys.executable, "-c", SHORT_OF_MEMORY, str(ROOT), "--data", "tiny.npz", "--threads", "1",
         "--batch-size", "400", "--importance-samples", "1000", "--name", "mine", "--out", "out"],
        cwd=tmp_path, capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    output = done.stdout + done.stderr
    assert done.returncode == 2, output
    assert "Traceback" not in output
    assert "There is not enough memory for this training" in output
    assert "--batch-size" in output

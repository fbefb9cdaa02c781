"""A user without a home that can be written, as of a container or a service."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from explorer.latent.projection import load_projection
from explorer.models.library import list_checkpoints

ROOT = Path(__file__).parents[2]
NOBODY = 65534

needs_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can run as another user"
)


@pytest.fixture
def place():
    """A folder that everybody can write into; pytest's own are closed to other users."""
    folder = Path(tempfile.mkdtemp(prefix="no-home-"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


NOBODYS = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]


def run_as_nobody(*words, cwd):
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed")
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("EXPLORER_", "XDG_", "NUMBA_"))
    }
    environment = {**kept, "HOME": "/nonexistent", "TMPDIR": str(cwd), "PYTHONPATH": str(ROOT)}

    def run(*words):
        return subprocess.run(
            [*NOBODYS, sys.executable, "-B", *map(str, words)],
            cwd=cwd, env=environment, capture_output=True, text=True, timeout=280,
        )  # fmt: skip

    if run("-c", "import explorer").returncode:
        pytest.skip("this Python is closed to other users")
    done = run(*words)
    return done.returncode, done.stdout + done.stderr


def write_images(path, count=70):
    images = np.random.default_rng(0).integers(0, 40, (count, 10, 12), dtype=np.uint8)
    images[::2, 4:6] = 230
    np.savez(path, images=images, labels=np.arange(count) % 2)
    path.chmod(0o644)


KEEP = """
import numpy as np
from explorer.latent.projection import MapRequest
from explorer.live.views import open_fits
codes = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
request = MapRequest(method="principal components")
for _ in range(2):
    cache = open_fits()._cache
    key = cache.key(codes, codes[:, :2], request)
    cache.save(key, codes[:, :2], request)
print(cache.load(key)[0].shape)
"""


@needs_root
def test_a_fitted_map_is_kept_without_a_home(place):
    code, output = run_as_nobody("-c", KEEP, cwd=place)
    assert code == 0, output
    assert "(40, 2)" in output
    assert output.count("cannot be written") == 1
    assert (place / f"latent-explorer-{NOBODY}" / "maps").is_dir()


@needs_root
@pytest.mark.slow
def test_a_training_without_a_home_saves_a_checkpoint_with_its_map(place):
    write_images(place / "tiny.npz", 240)
    code, output = run_as_nobody(
        ROOT / "train_vae.py", "--data", "tiny.npz", "--latent-dim", 3, "--hidden-dims", 8,
        "--epochs", 1, "--threads", 1, "--name", "mine", "--out", "out", cwd=place,
    )  # fmt: skip
    assert code == 0, output
    (listing,) = list_checkpoints([place / "out"])
    assert listing.error is None
    assert load_projection(place / "out" / "mine" / "projection.npz").method == "umap"
    assert output.count("cannot be written") == 1


@needs_root
def test_a_folder_that_somebody_else_laid_out_is_not_used(place):
    """Compiled code is read from it."""
    (place / f"latent-explorer-{NOBODY}").mkdir(mode=0o777)
    code, output = run_as_nobody(
        "-c", "from explorer.storage import cache_folder; print(cache_folder())", cwd=place
    )
    assert code == 0, output
    assert str(place / f"latent-explorer-{NOBODY}\n") not in output
    assert str(place / "latent-explorer-") in output


# Trains with something that can be made later failing, each in its own way.
FAILING = """
import os, sys
sys.path.insert(0, sys.argv[1])
what = sys.argv[2]
if what == "umap":
    sys.modules["umap"] = None
import train_vae

def fail(event, arguments):
    if event == "tempfile.mkstemp" and (path := str(arguments[0])) and what in path:
        raise MemoryError
    if event == "open" and str(arguments[0]).endswith(what):
        raise ZeroDivisionError("nobody expected this")

sys.addaudithook(fail)
sys.exit(train_vae.main(sys.argv[3:]))
"""


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("umap", "No UMAP was fitted: ModuleNotFoundError"),
        ("regularity.json", "no regularity.json: There is not enough memory."),
        ("heldout.npz", "no heldout.npz: There is not enough memory."),
        ("CARD.md", "no CARD.md: ZeroDivisionError: nobody expected this."),
        ("history.csv", "no history.csv: There is not enough memory."),
    ],
)
def test_what_can_be_made_later_never_costs_the_checkpoint(what, words, tmp_path):
    write_images(tmp_path / "tiny.npz", 240)
    flags = [
        "--data", "tiny.npz", "--latent-dim", "3" if what == "umap" else "2", "--hidden-dims", "8",
        "--epochs", "1", "--threads", "1", "--name", "mine", "--out", "out",
    ]  # fmt: skip
    # history.csv is written in the run's folder too, where a failure is another matter.
    script = FAILING.replace("what in path", 'what in path and ".mine.new-" in path')
    done = subprocess.run(
        [sys.executable, "-c", script, str(ROOT), what, *flags],
        cwd=tmp_path, capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert words in output
    (listing,) = list_checkpoints([tmp_path / "out"])
    assert listing.error is None
    assert not (listing.folder / what).exists()
    assert "Traceback" not in output

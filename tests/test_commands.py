"""The README's commands, run as they stand on a copy of what the project holds."""

import os
import shutil
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
from PIL import Image

from tests.browser.server import free_port

ROOT = Path(__file__).parents[1]
MINUTES = 10


def clone(target):
    """What a fresh clone of the present state holds: files that git tracks or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    for name in listed.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    return target


def wait_for(url, process, minutes):
    """The body of the page, once it answers."""
    end = time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        assert process.poll() is None, process.communicate()[0]
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                return response.read().decode()
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"{url} did not answer in {minutes} minutes")


def end(process):
    os.killpg(process.pid, signal.SIGINT)
    try:
        return process.communicate(timeout=30)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise


def start(*words, cwd, **variables):
    environment = {**os.environ, **variables}
    return subprocess.Popen(
        words,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@pytest.mark.slow
def test_make_run_on_a_fresh_clone_installs_and_serves_and_trains(tmp_path):
    fresh = clone(tmp_path / "clone")
    port = free_port()
    process = start("make", "run", f"PORT={port}", cwd=fresh)
    try:
        assert wait_for(f"http://localhost:{port}/_stcore/health", process, MINUTES) == "ok"
        assert "Streamlit" in wait_for(f"http://localhost:{port}/", process, 1)
    finally:
        output = end(process)
    assert "Traceback" not in output, output
    assert f"http://localhost:{port}" in output

    # The README's own commands, in the environment that `make run` made.
    bin_first = f"{fresh / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"

    def run(command):
        assert command in (ROOT / "README.md").read_text(encoding="utf-8")
        done = subprocess.run(
            command, shell=True, cwd=fresh, env={**os.environ, "PATH": bin_first},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    first = (
        "python train_vae.py --data digits --kind vae --latent-dim 8 --epochs 30 --name my-digits"
    )
    interrupted = start("bash", "-c", f"exec {first}", cwd=fresh, PATH=bin_first)
    for line in interrupted.stdout:
        if "epoch    2/30" in line:
            interrupted.send_signal(signal.SIGINT)
            break
    told, _ = interrupted.communicate(timeout=60 * MINUTES)
    assert "python train_vae.py --resume my-digits" in told
    assert (fresh / "pretrained" / "my-digits" / "model.safetensors").is_file()
    assert "epoch   30/30" in run("python train_vae.py --resume my-digits")
    assert "NLL estimate, K = 200" in run("python train_vae.py evaluate my-digits")
    assert "hole" in run("python -m explorer.regularity my-digits").lower()
    Image.linear_gradient("L").save(fresh / "photo.jpg")
    run("python -m explorer.encode --checkpoint mnist-vae-16 photo.jpg --out codes.csv")
    assert (fresh / "codes.csv").read_text().count("\n") == 2
    run(
        "python train_vae.py --data digits --kind ae --latent-dim 8 --epochs 30 --name my-digits-ae"
    )
    run("torchrun --nproc-per-node 2 train_vae.py --data digits --name my-digits-ddp")
    for name in ("my-digits", "my-digits-ae", "my-digits-ddp"):
        assert (fresh / "pretrained" / name / "model.safetensors").is_file()


def test_make_test_is_what_ci_runs():
    planned = subprocess.run(
        ["make", "-n", "test"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert planned.split() == ["bash", ".ci/run"]
    script = (ROOT / ".ci" / "run").read_text()
    assert "chromium.py --install" in script
    assert "make --no-print-directory check" in script
    assert "-m pytest" in script


def test_torch_cpu_takes_pytorchs_small_build_on_linux(tmp_path):
    planned = {}
    for setting in ("", "cpu"):
        planned[setting] = subprocess.run(
            ["make", "-n", "-B", ".venv/installed", f"TORCH={setting}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    assert "download.pytorch.org/whl/cpu" not in planned[""]
    if os.uname().sysname == "Linux":
        assert "download.pytorch.org/whl/cpu" in planned["cpu"]

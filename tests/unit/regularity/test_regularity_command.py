"""`python -m explorer.regularity`, as a user runs it."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from explorer.regularity.__main__ import main
from explorer.regularity.report import load_report

ROOT = Path(__file__).parents[3]


@pytest.fixture
def copies(tmp_path, measurable, checkpoints, monkeypatch):
    """Checkpoints to write to: two whose images are at hand and one whose images are not."""
    parent = tmp_path / "checkpoints"
    shutil.copytree(measurable, parent)
    shutil.copytree(checkpoints / "bars-ae", parent / "unseen-ae")
    monkeypatch.setenv("EXPLORER_CACHE", str(tmp_path / "cache"))
    return parent


def test_it_measures_and_keeps_the_report(copies, capsys):
    assert main(["seen-ae", "--headline-only", "--checkpoints", str(copies), "--seed", "2"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("seen-ae: ")
    assert "Prior holes" in said.out
    assert "Fitted Gaussian" in said.out
    report = load_report(copies / "seen-ae" / "regularity.json")
    assert report.seed == 2
    assert all(one.headline for one in report.estimates)
    assert report.inputs["weights"].startswith("sha256:")
    assert "a classifier" in report.inputs["features"]


def test_one_bad_name_does_not_lose_the_others(copies, capsys):
    old = (copies / "unseen-ae" / "regularity.json").read_bytes()
    (copies / "broken").mkdir()
    names = ["nope", "unseen-ae", "broken", str(copies / "seen-vae")]
    assert main([*names, "--headline-only", "--checkpoints", str(copies)]) == 2
    said = capsys.readouterr()
    assert said.out.startswith("seen-vae: ")
    lines = [line for line in said.err.split("\n") if "python -m explorer" in line]
    assert len(lines) == 3
    assert (
        "There is no checkpoint 'nope': there are broken, seen-ae, seen-vae, unseen-ae" in lines[0]
    )
    assert "not at hand" in lines[1]
    assert "broken cannot be used" in lines[2]
    assert (copies / "unseen-ae" / "regularity.json").read_bytes() == old
    assert load_report(copies / "seen-vae" / "regularity.json").inputs["model"] == "seen-vae"


@pytest.mark.parametrize("seed", ["-1", "2147483648"])
def test_a_seed_out_of_range_is_told(capsys, seed):
    assert main(["any", "--seed", seed]) == 2
    assert f"seed is {seed}; it must lie from 0" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_told_at_once(copies, capsys):
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    (copies / "seen-ae").chmod(0o555)
    assert main(["seen-ae", "--checkpoints", str(copies)]) == 2
    assert "Nothing can be written" in capsys.readouterr().err


@pytest.mark.slow
def test_ctrl_c_leaves_the_old_report_whole(copies):
    folder = copies / "seen-vae"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    process = subprocess.Popen(
        [sys.executable, "-m", "explorer.regularity", str(folder), "nope"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    said = ""
    while "feature" not in said:
        character = process.stderr.read(1)
        assert character, said
        said += character
    process.send_signal(signal.SIGINT)
    out, rest = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert rest.endswith("Ended; what was measured before is kept.\n")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before

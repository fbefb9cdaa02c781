import os
import shutil
import time

import pytest

from explorer.live.measuring import Measuring, lacks_pictures
from explorer.models.checkpoint import REPORT
from explorer.models.library import SHIPPED
from explorer.regularity.report import load_report


@pytest.fixture
def digits(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPLORER_CACHE", str(tmp_path / "cache"))
    return shutil.copytree(SHIPPED / "digits-vae-8", tmp_path / "mine")


def test_a_report_without_examples_was_measured_without_pictures(checkpoints):
    assert lacks_pictures(None)
    assert lacks_pictures(load_report(checkpoints / "bars-vae" / REPORT))


def test_images_that_are_not_at_hand_are_told_in_a_sentence(checkpoints, tmp_path):
    folder = shutil.copytree(checkpoints / "bars-vae", tmp_path / "bars")
    before = (folder / REPORT).read_bytes()
    progress = Measuring({"bars": folder}).wait()
    assert progress.done
    assert "not at hand" in progress.error
    assert (folder / REPORT).read_bytes() == before


def test_a_cancelled_measurement_leaves_the_report_as_it_was_and_no_process(digits):
    before = (digits / REPORT).read_bytes()
    running = Measuring({"one": digits, "other": digits})
    while running.progress.words == "starting a process":
        time.sleep(0.01)
    worker = running._worker.pid
    running.cancel()
    progress = running.wait()
    assert progress.done
    assert progress.cancelled
    assert progress.error is None
    assert (digits / REPORT).read_bytes() == before
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


def test_a_killed_worker_is_told(digits):
    running = Measuring({"mine": digits})
    while running.progress.words == "starting a process":
        time.sleep(0.01)
    running._worker.kill()
    assert "was killed (signal 9)" in running.wait().error


@pytest.mark.slow
def test_the_report_comes_with_the_pictures_behind_it(digits):
    running = Measuring({"mine": digits})
    progress = running.wait()
    assert progress.error is None
    assert progress.share == 1.0
    report = load_report(digits / REPORT)
    assert not lacks_pictures(report)
    assert {"coverage_ratio", "midpoint_realism", "class_kept"} <= set(report.examples)

"""Maps fitted by real worker processes."""

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from explorer.errors import LatentError
from explorer.latent import fitting
from explorer.latent.alignment import align
from explorer.latent.fitting import FitEvent, MapFits
from explorer.latent.planes import principal_plane
from explorer.latent.projection import MapRequest

PCA = MapRequest("principal components")
ROOT = Path(__file__).resolve().parents[3]
# What a stand-in worker runs before it waits for the end of its own input, as the real one does.
WAIT = 'import sys; print(\'{"words": "at it", "share": 0.5}\', flush=True); sys.stdin.read()'


def codes_and_map(n=60, dim=5, seed=0):
    codes = np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)
    return codes, codes[:, 2:4].copy()


@pytest.fixture
def fits(tmp_path):
    return MapFits(tmp_path / "maps")


@pytest.fixture
def workers(monkeypatch):
    """The processes that are started, real ones; `stand_in` has them run other code."""

    class Workers(list):
        code = None

        def stand_in(self, code):
            self.code = code

    started = Workers()
    popen = subprocess.Popen

    def start(command, **options):
        if started.code is not None:
            command = [sys.executable, "-c", started.code, command[-1]]
        process = popen(command, **options)
        started.append((process, command[-1]))
        return process

    monkeypatch.setattr(fitting.subprocess, "Popen", start)
    return started


def words_until(events, words):
    for event in events:
        if event.words == words:
            return
        assert not event.last, event
    raise AssertionError(f"never said {words!r}")


def gone(pid):
    """The process has ended and was reaped."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_map_is_fitted_turned_onto_the_old_one_and_kept(fits, workers, tmp_path):
    codes, onto = codes_and_map()
    fit = fits.start(codes, onto, PCA)
    events = list(fit.listen())
    assert events[-1] == FitEvent("done", 1.0, done=True)
    assert not any(event.last for event in events[:-1])
    plane = principal_plane(codes).places(codes)
    np.testing.assert_allclose(fits.stored(fit.key), align(plane, onto), atol=1e-5)
    assert fits.request_of(fit.key) == PCA
    assert fit.key == fits.key(codes, onto, PCA)
    assert fits.stored_for(codes, onto) == {fit.key: PCA}
    ((process, folder),) = workers
    assert process.returncode == 0
    assert gone(process.pid)
    assert not Path(folder).exists()

    again = fits.start(codes, onto, PCA)
    assert list(again.listen()) == events[-1:]
    again.leave()
    elsewhere = MapFits(tmp_path / "maps").start(codes, onto, PCA)
    assert list(elsewhere.listen()) == events[-1:]
    assert len(workers) == 1


def test_a_late_listener_hears_the_latest_first(fits):
    codes, onto = codes_and_map()
    fit = fits.start(codes, onto, PCA)
    assert list(fit.listen())[-1].done
    assert [event.done for event in fit.listen()] == [True]


def test_a_3d_map_is_fitted(fits):
    codes, onto = codes_and_map()
    fit = fits.start(codes, onto, MapRequest("principal components", components=3))
    assert list(fit.listen())[-1].done
    assert fits.stored(fit.key).shape == (60, 3)


def test_two_people_share_one_process(fits, workers):
    workers.stand_in(WAIT)
    codes, onto = codes_and_map()
    first = fits.start(codes, onto, PCA)
    words_until(first.listen(), "at it")
    second = fits.start(codes.astype(np.float64), onto, MapRequest("principal components"))
    assert second.key == first.key
    assert next(second.listen()) == FitEvent("at it", 0.5)
    assert len(workers) == 1

    first.leave()
    first.leave()
    assert list(first.listen())[-1].error == "The fit of this map was cancelled."
    process = workers[0][0]
    assert process.poll() is None

    with ThreadPoolExecutor() as pool:
        heard = pool.submit(lambda: list(second.listen()))
        second.leave()
        assert heard.result()[-1].error == "The fit of this map was cancelled."
    assert process.returncode == -signal.SIGKILL
    assert gone(process.pid)
    assert fits.stored(second.key) is None


def test_after_a_cancelled_fit_another_one_begins(fits, workers):
    workers.stand_in(WAIT)
    codes, onto = codes_and_map()
    cancelled = fits.start(codes, onto, PCA)
    words_until(cancelled.listen(), "at it")
    cancelled.leave()
    workers.stand_in(None)
    fit = fits.start(codes, onto, PCA)
    assert list(fit.listen())[-1].done
    assert list(cancelled.listen())[-1].error
    assert len(workers) == 2


def test_fits_take_turns_and_one_that_waits_can_be_cancelled(fits, workers, monkeypatch):
    monkeypatch.setattr(fits, "_turns", threading.Semaphore(1))
    workers.stand_in(WAIT)
    codes, onto = codes_and_map()
    first = fits.start(codes, onto, PCA)
    words_until(first.listen(), "at it")
    waiting = fits.start(codes, onto, MapRequest("principal components", seed=1))
    words_until(waiting.listen(), "waiting for another map to be fitted")
    unwanted = fits.start(codes, onto, MapRequest("principal components", seed=2))
    unwanted.leave()
    assert list(unwanted.listen())[-1].error == "The fit of this map was cancelled."
    assert len(workers) == 1
    workers.stand_in(None)
    first.leave()
    assert list(waiting.listen())[-1].done
    assert len(workers) == 2


def test_a_worker_that_is_killed_is_told_in_a_sentence(fits, workers):
    workers.stand_in(WAIT)
    fit = fits.start(*codes_and_map(), PCA)
    events = fit.listen()
    words_until(events, "at it")
    workers[0][0].kill()
    last = list(events)[-1]
    assert not last.done
    assert "was killed (signal 9), perhaps because memory ran out" in last.error
    assert fits.stored(fit.key) is None


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import sys; sys.exit(3)", r"ended without one (exit code 3)"),
        ('print(\'{"words": "ha\')', r"ended without one (exit code 0)"),
        ("print('{\"done\": true}')", "map.npz is missing"),
        (
            "import sys, numpy as np\n"
            "np.savez(sys.argv[1] + '/map.npz', coordinates=np.zeros((3, 2), np.float32))\n"
            "print('{\"done\": true}')",
            "has shape (3, 2) and must have (60, 2)",
        ),
    ],
)
def test_a_worker_that_fails_is_told_in_a_sentence(code, said, fits, workers):
    workers.stand_in(code)
    last = list(fits.start(*codes_and_map(), PCA).listen())[-1]
    assert said in last.error


def test_what_the_worker_finds_wrong_is_told(fits):
    codes, onto = codes_and_map(n=10)
    last = list(fits.start(codes, onto, MapRequest()).listen())[-1]
    assert last.error.startswith("n_neighbors is 15, but there are only 10 distinct codes")


def test_a_map_that_cannot_be_written_is_kept_in_memory(tmp_path):
    (tmp_path / "maps").write_text("a file")
    codes, onto = codes_and_map()
    fits = MapFits(tmp_path / "maps")
    fit = fits.start(codes, onto, PCA)
    assert list(fit.listen())[-1].done
    assert fits.stored(fit.key).shape == (60, 2)
    assert fits.request_of(fit.key) == PCA
    assert fits.stored_for(codes, onto) == {fit.key: PCA}
    assert list(fits.start(codes, onto, PCA).listen())[-1].done


def test_a_damaged_map_is_fitted_again(fits, workers, tmp_path):
    codes, onto = codes_and_map()
    fit = fits.start(codes, onto, PCA)
    list(fit.listen())
    (kept,) = (tmp_path / "maps").iterdir()
    kept.write_bytes(kept.read_bytes()[:-20])
    assert fits.stored(fit.key) is None
    assert fits.request_of(fit.key) is None
    assert list(fits.start(codes, onto, PCA).listen())[-1].done
    assert fits.stored(fit.key) is not None
    assert len(workers) == 2


@pytest.mark.parametrize(
    ("codes", "onto", "said"),
    [
        (np.eye(3), np.zeros((3, 2)), "at least 4 codes"),
        (np.ones((9, 3)), np.zeros((9, 2)), "All 9 codes are identical"),
        (np.full((9, 3), np.nan), np.zeros((9, 2)), "9 of 9 codes are not finite"),
        (np.eye(9), np.zeros((8, 2)), "9 codes and 8 places"),
    ],
)
def test_codes_that_cannot_be_mapped_start_no_process(codes, onto, said, fits, workers):
    with pytest.raises(LatentError, match=said):
        fits.start(codes, onto, PCA)
    assert not workers


@pytest.mark.parametrize("ask", [MapFits.stored, MapFits.request_of])
def test_what_is_no_key_is_told(ask, fits):
    with pytest.raises(LatentError, match="32 hexadecimal digits"):
        ask(fits, "../../etc/passwd")


PARENT = """
import sys
from pathlib import Path
import numpy as np
from explorer.latent import fitting
from explorer.latent.projection import MapRequest

popen = fitting.subprocess.Popen
def start(command, **options):
    process = popen(command, **options)
    print(process.pid, command[-1], flush=True)
    return process
fitting.subprocess.Popen = start

codes = np.random.default_rng(0).normal(size=(int(sys.argv[2]), 5))
fit = fitting.MapFits(Path(sys.argv[1])).start(codes, codes[:, :2], MapRequest())
for event in fit.listen():
    print(event.words, flush=True)
"""


def death_of_the_parent_ends_the_worker(tmp_path, count, until):
    """Kill the process that asked for a map when the worker says `until`; the worker goes too."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path), str(count)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        pid, folder = next(line for line in parent.stdout if line[0].isdigit()).split()
        assert any(until in line for line in parent.stdout)
        parent.kill()
        # The pipe ends when the last process that holds it does; the worker has its own.
        parent.wait()
    handle = os.pidfd_open(int(pid)) if not gone(int(pid)) else None
    if handle is not None:
        import select

        assert select.select([handle], [], [], 60)[0]
        os.close(handle)
    assert not Path(folder).exists()


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="waits for a process of another parent")
def test_a_worker_does_not_outlive_its_parent(tmp_path):
    death_of_the_parent_ends_the_worker(tmp_path, 4000, "finding neighbours: ")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="waits for a process of another parent")
@pytest.mark.parametrize("until", ["preparing", "epoch "])
def test_a_worker_does_not_outlive_its_parent_in_compiled_code(tmp_path, until):
    death_of_the_parent_ends_the_worker(tmp_path, 4000, until)


@pytest.mark.slow
def test_umap_tells_its_epochs_and_can_be_cancelled_between_them(fits, workers):
    codes, onto = codes_and_map(3000)
    fit = fits.start(codes, onto, MapRequest(metric="cosine"))
    events = list(fit.listen())
    shares = [event.share for event in events if event.share is not None]
    assert events[-1].done
    assert len(shares) > 3
    assert shares == sorted(shares)
    assert shares[0] < 0.1
    assert shares[-1] == 1.0
    assert any("epoch" in event.words for event in events)
    assert fits.stored(fit.key).shape == (3000, 2)

    other = fits.start(codes, onto, MapRequest(seed=1))
    heard = other.listen()
    assert any("epoch" in event.words for event in heard)
    other.leave()
    assert list(heard)[-1].error == "The fit of this map was cancelled."
    assert gone(workers[1][0].pid)

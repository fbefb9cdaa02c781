"""Maps fitted in a process of their own: with progress, shared, cancelled, and kept on the disk.

In a thread of the app, umap's compilation would hold up the live route for half a second at a time.
`python -m explorer.latent.fitting FOLDER` is the process: it reads a job from the folder, says how
far it is in lines of JSON, and leaves the map there.
"""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from explorer.errors import CheckpointError, ExplorerError, LatentError
from explorer.latent.alignment import align
from explorer.latent.codes import checked_codes
from explorer.latent.mapcache import MapCache
from explorer.latent.projection import MOST_MAPPED, MapRequest, check_mappable, fit_map
from explorer.storage import load_arrays, save_arrays

# One processor stays with the live route.
MOST_AT_ONCE = max(1, (os.cpu_count() or 1) - 1)
_JOB, _RESULT = "job.npz", "map.npz"
# Codes of 4096 axes and two maps of as many places as can be fitted.
_MAX_BYTES = MOST_MAPPED * (4096 + 6) * 8
# Threads that spin beside another busy process are tens of times slower than one thread; umap
# with a seed uses one anyway.
_ENVIRONMENT = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
}
# Below the live route, which answers within a frame.
_NICENESS = 10


@dataclass(frozen=True)
class FitEvent:
    """How far a fit is.

    Attributes:
        words: what is being done.
        share: of the fit that is done, 0 to 1, or None where that cannot be told.
        done: the map is there; the last event.
        error: why there is no map, in one sentence; the last event.
    """

    words: str
    share: float | None = None
    done: bool = False
    error: str | None = None

    @property
    def last(self) -> bool:
        """Whether nothing comes after it."""
        return self.done or self.error is not None


_DONE = FitEvent("done", 1.0, done=True)
_CANCELLED = FitEvent("cancelled", error="The fit of this map was cancelled.")


class Fit:
    """One listener's hold on a fit, which others may share.

    Attributes:
        key: of the map.
    """

    def __init__(self, work: "_Work") -> None:
        self.key = work.key
        self._work = work
        self._left = False

    def listen(self) -> Iterator[FitEvent]:
        """The latest event at once, then each further one, to the last; it blocks between them.

        Whoever listens slowly misses events, but never the last one. After `leave` the last one
        says that the fit was cancelled.
        """
        seen = -1
        while True:
            with self._work.changed:
                while not (self._work.version > seen or (self._left and self._work.listeners > 0)):
                    self._work.changed.wait()
                # The others' fit goes on; for this listener it is over.
                gone = self._left and self._work.listeners > 0 and not self._work.latest.last
                event = _CANCELLED if gone else self._work.latest
                seen = self._work.version
            yield event
            if event.last:
                return

    def leave(self) -> None:
        """Listen no more; when the last one leaves, the fit is cancelled. It does not block."""
        with self._work.changed:
            if self._left:
                return
            self._left = True
            self._work.listeners -= 1
            if self._work.listeners == 0:
                self._work.cancel()
            self._work.changed.notify_all()


class MapFits:
    """Fits maps, each in a worker process, and keeps them; all of it from any thread.

    Args:
        cache: the folder of maps that were fitted; it is made when one is.
    """

    def __init__(self, cache: Path) -> None:
        self._cache = MapCache(cache)
        self._running: dict[str, _Work] = {}
        self._lock = threading.Lock()
        self._turns = threading.Semaphore(MOST_AT_ONCE)

    def key(self, codes: ArrayLike, onto: ArrayLike, request: MapRequest) -> str:
        """What a map is known by, 32 hexadecimal digits: all that it depends on."""
        return self._cache.key(codes, onto, request)

    def stored(self, key: str) -> NDArray[np.float32] | None:
        """The map of a key, (N, 2) or (N, 3), or None where there is none that can be read.

        Raises:
            LatentError: what no map can be known by.
        """
        kept = self._cache.load(key)
        return None if kept is None else kept[0]

    def request_of(self, key: str) -> MapRequest | None:
        """What gave the map of a key, or None where there is none that can be read.

        Raises:
            LatentError: what no map can be known by.
        """
        kept = self._cache.load(key)
        return None if kept is None else kept[1]

    def stored_for(self, codes: ArrayLike, onto: ArrayLike) -> dict[str, MapRequest]:
        """The maps that are kept of these codes: what gave each, by key, the newest first."""
        return self._cache.stored_for(codes, onto)

    def damaged_for(self, codes: ArrayLike, onto: ArrayLike) -> list[str]:
        """Why maps of these codes that are kept cannot be read, the newest first."""
        return self._cache.damaged_for(codes, onto)

    def start(self, codes: ArrayLike, onto: ArrayLike, request: MapRequest) -> Fit:
        """Fit a map, or join those who wait for it already; a map that is kept is done at once.

        Args:
            codes: (N, D).
            onto: the map whose bearings it shall keep, (N, 2).
            request: what it shall be like.

        Returns:
            A hold on the fit, for one listener, who leaves it when it is no longer wanted.

        Raises:
            LatentError: codes that cannot be mapped at all.
        """
        check_mappable(codes)
        if len(checked_codes(onto, name="places to align with")) != len(np.asarray(codes)):
            raise LatentError(
                f"There are {len(np.asarray(codes))} codes and {len(np.asarray(onto))} places to "
                "align with; each code needs one."
            )
        key = self.key(codes, onto, request)
        with self._lock:
            work = self._running.get(key)
            if work is not None and work.join():
                return Fit(work)
            work = _Work(key, request)
            if self._cache.load(key) is not None:
                work.tell(_DONE)
                return Fit(work)
            self._running[key] = work
        threading.Thread(
            target=self._run,
            args=(work, np.asarray(codes, np.float32), np.asarray(onto, np.float32)),
            name=f"map-{key[:8]}",
            daemon=True,
        ).start()
        return Fit(work)

    def _run(self, work: "_Work", codes: NDArray[np.float32], onto: NDArray[np.float32]) -> None:
        last = FitEvent("failed", error="The map could not be fitted; the server's log says why.")
        try:
            if not self._turns.acquire(blocking=False):
                work.tell(FitEvent("waiting for another map to be fitted"))
                self._turns.acquire()
            try:
                places = work.run(codes, onto)
            finally:
                self._turns.release()
            if places is None:
                last = _CANCELLED
            else:
                self._keep(work, places)
                last = _DONE
        except ExplorerError as error:
            last = FitEvent("failed", error=str(error))
        except OSError as error:
            last = FitEvent(
                "failed",
                error=f"The process that fits maps cannot be started: {error.strerror or error}.",
            )
        finally:
            # Whoever comes from here on finds the map in the cache, or starts afresh.
            with self._lock:
                if self._running.get(work.key) is work:
                    del self._running[work.key]
            work.tell(last)

    def _keep(self, work: "_Work", places: NDArray[np.float32]) -> None:
        try:
            self._cache.save(work.key, places, work.request)
        except CheckpointError as error:
            # The minutes that it took are not to be lost to a full disk.
            logging.getLogger(__name__).warning("A map is kept in memory alone: %s", error)
            self._cache.hold(work.key, places, work.request)


class _Work:
    """One fit: its worker process, its latest event and how many wait for it."""

    def __init__(self, key: str, request: MapRequest) -> None:
        self.key = key
        self.request = request
        self.changed = threading.Condition()
        self.listeners = 1
        self.version = 0
        self.latest = FitEvent("starting")
        self._cancelled = threading.Event()
        self._worker: subprocess.Popen[str] | None = None

    def join(self) -> bool:
        """Count one more listener, unless it is too late."""
        with self.changed:
            if self._cancelled.is_set() or self.latest.last:
                return False
            self.listeners += 1
            return True

    def tell(self, event: FitEvent) -> None:
        with self.changed:
            # Cancelled before it had its turn, it has ended already.
            if self.latest.last:
                return
            self.latest = event
            self.version += 1
            self.changed.notify_all()

    def cancel(self) -> None:
        """End the worker, which has nothing to clear away; the caller holds `changed`."""
        self._cancelled.set()
        if self._worker is None:
            # It may have to wait for its turn yet, only to find that it is not wanted.
            self.tell(_CANCELLED)
        else:
            self._worker.kill()

    def run(
        self, codes: NDArray[np.float32], onto: NDArray[np.float32]
    ) -> NDArray[np.float32] | None:
        """The map out of a worker process, or None when the fit was cancelled.

        Raises:
            ExplorerError: no map, and why.
            OSError: no process, or no folder for its job.
        """
        if self._cancelled.is_set():
            return None
        self.tell(FitEvent("starting a process"))
        folder = Path(tempfile.mkdtemp(prefix="latent-explorer-map-"))
        try:
            job = {
                "codes": codes,
                "onto": onto,
                "request": np.array(json.dumps(self.request.fields())),
            }
            save_arrays(folder / _JOB, job)
            error = self._follow(folder)
            if self._cancelled.is_set():
                return None
            if error is not None:
                raise LatentError(error)
            return _read_map(folder / _RESULT, len(codes), self.request.components)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _follow(self, folder: Path) -> str | None:
        """Tell what the worker says, until it ends; what went wrong, if something did."""
        with self.changed:
            if self._cancelled.is_set():
                return None
            # Its own standard input stays open as long as this process lives, and no longer.
            self._worker = worker = subprocess.Popen(  # noqa: S603 (our own interpreter and module)
                [sys.executable, "-P", "-m", __spec__.name, str(folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                env=_worker_environment(),
            )
        error: str | None = None
        done = False
        with worker:
            assert worker.stdout is not None
            for line in worker.stdout:
                # A killed worker may leave half a line.
                with suppress(ValueError):
                    said = json.loads(line)
                    error = said.get("error", error)
                    done = done or said.get("done", False)
                    if "words" in said:
                        self.tell(FitEvent(said["words"], said["share"]))
        if done or error is not None:
            return error
        if worker.returncode < 0:
            return (
                f"The process that fitted the map was killed (signal {-worker.returncode}), "
                "perhaps because memory ran out; close other programs and fit it again."
            )
        return (
            f"The process that fitted the map ended without one (exit code {worker.returncode}); "
            "the server's log says why."
        )


def _worker_environment() -> dict[str, str]:
    # The package is found wherever the app was started from, installed or not.
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, **_ENVIRONMENT, "PYTHONPATH": os.pathsep.join(paths)}


def _read_map(path: Path, count: int, components: int) -> NDArray[np.float32]:
    places = load_arrays(path, required=("coordinates",), max_bytes=_MAX_BYTES)["coordinates"]
    if places.shape != (count, components) or not np.isfinite(places).all():
        raise CheckpointError(
            f"The map that was fitted has shape {places.shape} and must have "
            f"{(count, components)}, all of it finite; fit it again."
        )
    return places.astype(np.float32)


def _work(folder: Path) -> None:
    """What the worker process does."""
    # What numba or umap may print must not get between the lines of JSON.
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    # Ctrl-C in the terminal is for the app; this process ends with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, args=(folder,), daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    try:
        job = load_arrays(
            folder / _JOB, required=("codes", "onto", "request"), max_bytes=_MAX_BYTES
        )
        request = MapRequest.from_fields(json.loads(str(job["request"])))
        places = fit_map(
            job["codes"],
            request,
            progress=lambda words, share: _say(out, {"words": words, "share": share}, folder),
        )
        save_arrays(folder / _RESULT, {"coordinates": align(places, job["onto"])})
    except ExplorerError as error:
        _say(out, {"error": str(error)}, folder)
    except MemoryError:
        said = "There is not enough memory to fit this map; close other programs and fit it again."
        _say(out, {"error": said}, folder)
    else:
        _say(out, {"done": True}, folder)
    # At once, with `out` still open: when it closes, the parent lets go of this process. And
    # without the interpreter's farewell, in which numba takes its time.
    os._exit(0)


def _say(out: IO[str], said: dict[str, Any], folder: Path) -> None:
    try:
        out.write(json.dumps(said) + "\n")
        out.flush()
    except BrokenPipeError:
        _abandon(folder)


def _end_with_parent(folder: Path) -> None:
    """End this process at once when the one that started it is gone, whatever it is doing."""
    # The parent writes nothing: reading ends when its end of the pipe is closed. Not through
    # sys.stdin, whose lock a thread must not hold when the interpreter ends.
    while os.read(0, 1024):
        pass
    _abandon(folder)


def _abandon(folder: Path) -> NoReturn:
    """Nobody is left to fit the map for, nor to clear away after it."""
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


if __name__ == "__main__":
    _work(Path(sys.argv[1]))

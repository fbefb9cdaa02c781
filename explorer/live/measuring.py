"""Reports measured from the app, in a process of their own: with progress, and cancelled at will.

In a thread of the app, minutes of measuring would hold up the live route.
`python -m explorer.live.measuring FOLDER` is the process: it says how far it is in lines of JSON
and leaves the report in the checkpoint's folder, whole or not at all.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn

from explorer.errors import ExplorerError
from explorer.live.readonly import check_writing
from explorer.models.checkpoint import REPORT
from explorer.regularity.report import RegularityReport

_ENVIRONMENT = {
    # Threads that spin beside another busy process are tens of times slower than one thread.
    "OMP_WAIT_POLICY": "PASSIVE",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
# Below the live route, which answers within a frame.
_NICENESS = 10


@dataclass(frozen=True)
class Progress:
    """How far a measurement is.

    Attributes:
        name: of the checkpoint that is being measured.
        words: what is being done.
        share: of the whole that is done, 0 to 1.
        done: whether it is over.
        error: why there is no report, in one sentence; None where all went well so far.
        cancelled: whether it was ended on demand.
    """

    name: str
    words: str
    share: float
    done: bool = False
    error: str | None = None
    cancelled: bool = False


def lacks_pictures(report: RegularityReport | None) -> bool:
    """Whether there is no report, or one that was measured without any picture."""
    return report is None or not report.examples


class Measuring:
    """Checkpoints measured one after the other; all of it from any thread.

    Args:
        folders: of the checkpoints, by name.

    Raises:
        CheckpointError: the server is read-only.
    """

    def __init__(self, folders: Mapping[str, Path]) -> None:
        check_writing("Nothing is measured here")
        self._folders = dict(folders)
        self._lock = threading.Lock()
        self._cancelled = threading.Event()
        self._worker: subprocess.Popen[str] | None = None
        self._progress = Progress(next(iter(folders), ""), "starting a process", 0.0)
        self._thread = threading.Thread(target=self._run, name="measuring", daemon=True)
        self._thread.start()

    @property
    def names(self) -> tuple[str, ...]:
        """Of the checkpoints."""
        return tuple(self._folders)

    @property
    def progress(self) -> Progress:
        """How far it is now."""
        with self._lock:
            return self._progress

    def cancel(self) -> None:
        """End it; reports that are whole by then stay."""
        self._cancelled.set()
        with self._lock:
            if self._worker is not None:
                self._worker.kill()

    def wait(self) -> Progress:
        """Until it is over."""
        self._thread.join()
        return self.progress

    def _tell(self, progress: Progress) -> None:
        with self._lock:
            self._progress = progress

    def _run(self) -> None:
        name, error = "", None
        for place, (name, folder) in enumerate(self._folders.items()):
            if self._cancelled.is_set():
                break
            try:
                error = self._measure(name, folder, place / len(self._folders))
            except OSError as trouble:
                error = (
                    f"The process that measures cannot be started: {trouble.strerror or trouble}."
                )
            if error is not None:
                break
        cancelled = self._cancelled.is_set()
        share = self.progress.share if error or cancelled else 1.0
        self._tell(Progress(name, "over", share, True, None if cancelled else error, cancelled))

    def _measure(self, name: str, folder: Path, before: float) -> str | None:
        """Measure one checkpoint; what went wrong, if something did."""
        with self._lock:
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
                        share = before + float(said["share"]) / len(self._folders)
                        self._tell(Progress(name, str(said["words"]), min(1.0, share)))
        with self._lock:
            self._worker = None
        if done or error is not None:
            return error
        if worker.returncode < 0:
            return (
                f"The process that measured {name} was killed (signal {-worker.returncode}), "
                "perhaps because memory ran out; close other programs and measure it again."
            )
        return (
            f"The process that measured {name} ended without a report (exit code "
            f"{worker.returncode}); the server's log says why."
        )


def _worker_environment() -> dict[str, str]:
    # The package is found wherever the app was started from, installed or not.
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, **_ENVIRONMENT, "PYTHONPATH": os.pathsep.join(paths)}


def _work(folder: Path) -> NoReturn:
    """What the worker process does."""
    # What a library may print must not get between the lines of JSON.
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    # Ctrl-C in the terminal is for the app; this process ends with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    _say(out, {"words": "opening the model and its images", "share": 0.0})
    try:
        from explorer.regularity.measuring import measure_all
        from explorer.regularity.report import save_report
        from explorer.regularity.subject import ModelUnderTest
        from explorer.storage import check_writable

        check_writable(folder)  # before the minutes that measuring may take
        report = measure_all(
            ModelUnderTest.from_folder(folder),
            progress=lambda words, share: _say(out, {"words": words, "share": share}),
        )
        save_report(folder / REPORT, report)
    except ExplorerError as error:
        _say(out, {"error": str(error)})
    except MemoryError:
        _say(out, {"error": "There is not enough memory to measure it; close other programs."})
    else:
        _say(out, {"done": True})
    # At once, with `out` still open: when it closes, the parent lets go of this process.
    os._exit(0)


def _say(out: IO[str], said: dict[str, Any]) -> None:
    try:
        out.write(json.dumps(said) + "\n")
        out.flush()
    except BrokenPipeError:
        os._exit(1)


def _end_with_parent() -> NoReturn:
    """End this process at once when the one that started it is gone, whatever it is doing."""
    # The parent writes nothing: reading ends when its end of the pipe is closed.
    while os.read(0, 1024):
        pass
    os._exit(1)


def main(arguments: Sequence[str]) -> NoReturn:
    """Measure one folder, for the app; people have `python -m explorer.regularity`."""
    _work(Path(arguments[0]))


if __name__ == "__main__":
    main(sys.argv[1:])

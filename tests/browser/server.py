"""A Streamlit server as a user starts it, for tests, benchmarks and screenshots."""

import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parents[2]
APP = ROOT / "explorer" / "app.py"
START_SECONDS = 120
STOP_SECONDS = 10
POLL_SECONDS = 0.02


class ServerError(RuntimeError):
    """The server did not start; the message holds what it wrote."""


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])


class StreamlitServer:
    """One `streamlit run`, started and ended by hand or by `with`.

    Args:
        script: what it runs.
        folder: an existing folder to start it in, and to keep its output in.
        environment: variables on top of this process's own.
        port: to listen on; by default a free one.
    """

    def __init__(
        self,
        script: Path = APP,
        *,
        folder: Path,
        environment: Mapping[str, str] | None = None,
        port: int | None = None,
    ) -> None:
        self.script = script
        self.port = port or free_port()
        self.url = f"http://localhost:{self.port}"
        self._folder = folder
        self._environment = dict(os.environ) | dict(environment or {})
        self._log = folder / f"streamlit-{self.port}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the running server."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            ServerError: if it ends, or does not answer in time.
        """
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Start it without waiting."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "streamlit", "run", str(self.script)),
                    *("--server.port", str(self.port), "--server.headless", "true"),
                ],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait(self) -> None:
        """Wait until it answers.

        Raises:
            ServerError: if it ends, or does not answer in time.
        """
        assert self._process is not None
        for _ in range(int(START_SECONDS / POLL_SECONDS)):
            if self.answers():
                return
            try:
                status = self._process.wait(POLL_SECONDS)
            except subprocess.TimeoutExpired:
                continue
            raise ServerError(f"The server ended with exit status {status}:\n{self.output()}")
        raise ServerError(f"No answer within {START_SECONDS} seconds:\n{self.output()}")

    def answers(self) -> bool:
        """Whether it is ready for a browser."""
        try:
            with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def output(self) -> str:
        """What it wrote so far."""
        return self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""

    def stop(self) -> None:
        """End it, if it runs."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

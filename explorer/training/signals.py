"""Ctrl-C, SIGTERM and SIGHUP as a question that the loop asks, not as an exception in its midst."""

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType


class Stop:
    """The first Ctrl-C asks the run to stop, a second one ends it; SIGTERM asks likewise.

    So does SIGHUP, which a terminal sends that is closed, unless it is ignored, as under nohup.

    Args:
        answer: called at the first.
    """

    def __init__(self, answer: Callable[[], None] = lambda: None) -> None:
        self.asked = False
        self.ended_by = 0  # the signal that leaves no time, or 0
        self._answer = answer
        self._first: float | None = None  # when the first Ctrl-C came

    def __enter__(self) -> "Stop":
        numbers = [signal.SIGINT, signal.SIGTERM]
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            numbers.append(signal.SIGHUP)
        self._before = {number: signal.signal(number, self._on_signal) for number in numbers}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def terminated(self) -> bool:
        """Whether SIGTERM or SIGHUP asked, which leave little time."""
        return bool(self.ended_by)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self.asked = True
        if number != signal.SIGINT:
            self.ended_by = number
        elif self._first is None:
            self._first = time.monotonic()
            # Nobody may be there to read it, as when Ctrl-C ended the pager too.
            with suppress(OSError):
                self._answer()
        # Impatient fingers press twice at once, and mean one.
        elif time.monotonic() - self._first > 1:
            raise KeyboardInterrupt

    def __call__(self) -> bool:
        """Whether the run was asked to stop."""
        return self.asked

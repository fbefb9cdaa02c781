"""Ctrl-C and SIGTERM as a question that the loop asks, not as an exception in its midst."""

import signal
import time
from collections.abc import Callable
from types import FrameType


class Stop:
    """The first Ctrl-C asks the run to stop, a second one ends it; SIGTERM asks likewise.

    Args:
        answer: called at the first.
    """

    def __init__(self, answer: Callable[[], None] = lambda: None) -> None:
        self.asked = False
        self.terminated = False
        self._answer = answer
        self._first = 0.0

    def __enter__(self) -> "Stop":
        self._before = {
            number: signal.signal(number, self._on_signal)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGTERM:
            self.asked = self.terminated = True
            return
        # Impatient fingers press twice at once, and mean one.
        if self.asked and time.monotonic() - self._first > 1:
            raise KeyboardInterrupt
        if not self.asked:
            self._first = time.monotonic()
            self._answer()
        self.asked = True

    def __call__(self) -> bool:
        """Whether the run was asked to stop."""
        return self.asked

"""Where a training's words go, also when nobody reads them any more."""

import os
from typing import Any, TextIO


class Forgiving:
    """A stream that a reader may leave: what is written afterwards goes nowhere.

    As with `2>&1 | head`: a training must not end because its reader did.

    Args:
        stream: stdout or stderr.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, or not; the number of characters either way."""
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            self._leave()
            return len(text)

    def flush(self) -> None:
        """Flush, or not."""
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._leave()

    def _leave(self) -> None:
        # The interpreter flushes at its end, and must not fail then either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (whatever a stream has)
        return getattr(self._stream, name)

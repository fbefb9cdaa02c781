"""Where a command's words go, also when nobody reads them any more."""

import os
import sys
from collections.abc import Callable, Iterable
from typing import Any, TextIO

from explorer.errors import ExplorerError


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


def measure_each(program: str, names: Iterable[str], measure: Callable[[str], str]) -> int:
    """Measure checkpoints one after the other; one that cannot be measured does not end it.

    Args:
        program: stands before what went wrong.
        names: of the checkpoints; one named twice is measured once.
        measure: measures one and returns what is to be printed; raises an ExplorerError.

    Returns:
        The exit status: 0 if all were measured, 2 if the user has to mend something, 130 after
        Ctrl-C.
    """
    out, told = Forgiving(sys.stdout), Forgiving(sys.stderr)
    status = 0
    try:
        for name in dict.fromkeys(names):
            try:
                words = measure(name)
            except ExplorerError as error:
                told.write(f"{program}: {error}\n")
                status = 2
            else:
                out.write(words)
                out.flush()
    except KeyboardInterrupt:
        told.write("\nEnded; what was measured before is kept.\n")
        return 130
    return status

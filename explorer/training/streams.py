"""Where a command's words go, also when they cannot be written."""

import atexit
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, TextIO

from explorer.errors import ExplorerError


class Forgiving:
    r"""A stream whose faults end no work: what cannot be written to it is passed over.

    A reader may have left (`2>&1 | head`), its terminal may be gone, its disk full, it may be
    closed, or of an encoding that lacks a character, which is then spelled out, \u6570.

    Args:
        stream: stdout or stderr; None where the process was started without.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, or not; the number of characters either way."""
        if self._stream is not None:
            try:
                self._stream.write(text)
            except UnicodeEncodeError:
                self._write_spelled(self._stream, text)
            except (OSError, ValueError):
                self._settle_at_exit(self._stream)
        return len(text)

    def flush(self) -> None:
        """Flush, or not."""
        if self._stream is not None:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._settle_at_exit(self._stream)

    def _write_spelled(self, stream: TextIO, text: str) -> None:
        encoding = getattr(stream, "encoding", None) or "ascii"
        spelled = text.encode(encoding, "backslashreplace").decode(encoding)
        with suppress(OSError, ValueError):
            stream.write(spelled)

    def _settle_at_exit(self, stream: TextIO) -> None:
        # A disk may have room again, so the stream is tried again each time.
        if id(stream) not in _settled:
            _settled.add(id(stream))
            atexit.register(_settle, stream)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (whatever a stream has)
        return getattr(self._stream, name)


_settled: set[int] = set()


def _settle(stream: TextIO) -> None:
    """Flush what is left, or drop it: the interpreter does so at its end, and must not fail."""
    try:
        stream.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


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

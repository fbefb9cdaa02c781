"""How much one session may ask for in a second, whatever number of sockets it asks through."""

import time
from collections.abc import Callable

# Four models under one cursor at 60 Hz take 240; the fullest page has ten sockets.
MESSAGES_A_SECOND = 300
BURST = 0.25  # seconds' worth at once
MOST_SOCKETS = 12
LONGEST_DEBT = 5.0  # seconds that a plain request waits; what would wait longer is refused
TOO_MANY_WORDS = (
    f"A page may hold {MOST_SOCKETS} live connections: reload it, which closes the others."
)


class Budget:
    """Messages that a session may send: so many a second, and a few at once.

    Args:
        rate: a second.
        clock: seconds.
    """

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._most = max(1.0, rate * BURST)
        self._left = self._most
        self._filled = clock()

    def spend(self, cost: float) -> float:
        """Take what a message costs, if need be of what is still to come.

        Returns:
            Seconds until it is paid for, in which no more should be read of who sent it.
        """
        now = self._clock()
        self._left = min(self._most, self._left + (now - self._filled) * self._rate)
        self._filled = now
        self._left -= cost
        return max(0.0, -self._left / self._rate)

    def give_back(self, cost: float) -> None:
        """Return what was taken for a message that is refused."""
        self._left += cost

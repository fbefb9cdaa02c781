"""Threads for what takes longer than a picture, served in turn; the newest request wins."""

import logging
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor


class Desk:
    """A few threads at which each sender has one place, which their newest task takes.

    Args:
        name: of the threads.
        workers: how many.
    """

    def __init__(self, name: str, workers: int) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix=name)
        self._lock = threading.Lock()
        self._waiting: dict[Hashable, Callable[[], object]] = {}

    def submit(self, place: Hashable, task: Callable[[], object]) -> None:
        """Have a task done; one that still waits at the same place is dropped."""
        with self._lock:
            is_new = place not in self._waiting
            self._waiting[place] = task
        if is_new:
            self._pool.submit(self._serve)

    def withdraw(self, place: Hashable) -> None:
        """Drop what waits at a place."""
        with self._lock:
            self._waiting.pop(place, None)

    def _serve(self) -> None:
        with self._lock:
            if not self._waiting:  # withdrawn
                return
            task = self._waiting.pop(next(iter(self._waiting)))
        try:
            task()
        except Exception:
            logging.getLogger(__name__).exception("a task failed")

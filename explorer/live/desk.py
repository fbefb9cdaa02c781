"""Threads for what takes longer than a picture, served in turn; the newest request wins."""

import asyncio
import logging
import threading
from collections import Counter
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from explorer.errors import ExplorerError
from explorer.live.turns import Turns

MOST_WAITING = 64  # requests of one session; a browser sends six at once
Answer = TypeVar("Answer")


class BusyError(ExplorerError):
    """More requests of one session than are kept waiting."""


class Desk:
    """A few threads at which each sender has one place, which their newest task takes.

    Args:
        name: of the threads.
        workers: how many.
        each: how many of them may work for one session at once.
    """

    def __init__(self, name: str, workers: int, each: int | None = None) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix=name)
        self._each = workers if each is None else each
        self._lock = threading.Lock()
        self._waiting: Turns[Callable[[], object]] = Turns()
        self._working: Counter[Hashable] = Counter()

    def submit(self, place: Hashable, task: Callable[[], object], session: Hashable = None) -> None:
        """Have a task done; one that still waits at the same place is dropped.

        Args:
            place: of the sender.
            task: what to do; it hands over its own answer.
            session: sessions take turns; by default everybody is of one.
        """
        with self._lock:
            is_new = self._waiting.put(session, place, task)
        if is_new:
            self._pool.submit(self._serve)

    def withdraw(self, place: Hashable, session: Hashable = None) -> None:
        """Drop what waits at a place."""
        with self._lock:
            self._waiting.withdraw(session, place)

    async def answer(self, session: Hashable, work: Callable[[], Answer]) -> Answer:
        """Have work done that its caller waits for; who waits no more, withdraws it.

        Raises:
            BusyError: if too much of this session waits already.
        """
        with self._lock:
            waiting = self._waiting.waiting(session)
        if waiting >= MOST_WAITING:
            raise BusyError(
                f"{waiting} requests of this page wait for their answers, which is the most: ask "
                "again when some have come."
            )
        future: Future[Answer] = Future()

        def task() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                found = work()
            except Exception as error:  # noqa: BLE001 - raised where the answer is awaited
                future.set_exception(error)
            else:
                future.set_result(found)

        self.submit(future, task, session)
        try:
            return await asyncio.wrap_future(future)
        finally:
            self.withdraw(future, session)

    def _serve(self) -> None:
        while True:
            with self._lock:
                free = (one for one in self._waiting.sessions() if self._working[one] < self._each)
                session = next(free, _NOBODY)
                if session is _NOBODY:
                    return  # withdrawn, or it waits for its session's other tasks
                task = self._waiting.take(session)
                self._working[session] += 1
            try:
                task()
            except Exception:
                logging.getLogger(__name__).exception("a task failed")
            finally:
                with self._lock:
                    self._working[session] -= 1
                    if not self._working[session]:
                        del self._working[session]
                del task


_NOBODY = object()

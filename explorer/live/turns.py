"""Jobs that wait: the newest of each place, and sessions are served in turn."""

from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

Job = TypeVar("Job")


class Turns(Generic[Job]):
    """A queue in which nobody gains by asking from more places or more often.

    Each place of a session holds one job, its newest. Who was served goes behind the others.
    """

    def __init__(self) -> None:
        self._sessions: dict[Hashable, dict[Hashable, Job]] = {}

    def __bool__(self) -> bool:
        return bool(self._sessions)

    def sessions(self) -> Iterator[Hashable]:
        """Those that wait, in the order of their turns."""
        return iter(self._sessions)

    def waiting(self, session: Hashable) -> int:
        """How many jobs of a session wait."""
        return len(self._sessions.get(session, ()))

    def put(self, session: Hashable, place: Hashable, job: Job) -> bool:
        """Have a job wait; one that still waits at the same place is dropped.

        Returns:
            Whether none did.
        """
        places = self._sessions.setdefault(session, {})
        is_new = place not in places
        places[place] = job
        return is_new

    def withdraw(self, session: Hashable, place: Hashable) -> None:
        """Drop what waits at a place."""
        places = self._sessions.get(session, {})
        places.pop(place, None)
        if not places:
            self._sessions.pop(session, None)

    def take(self, session: Hashable) -> Job:
        """Take the job of a session that waits longest; its next turn comes after the others'."""
        places = self._sessions.pop(session)
        job = places.pop(next(iter(places)))
        if places:
            self._sessions[session] = places
        return job

    def take_alike(self, most: int, most_each: int, kind: Callable[[Job], object]) -> list[Job]:
        """Take jobs of one kind, that of the job whose turn it is: one of each session by turns.

        Args:
            most: jobs.
            most_each: jobs of one session.
            kind: of a job; jobs are alike if theirs is the same object.
        """
        first = next(iter(next(iter(self._sessions.values())).values()))
        wanted = kind(first)
        fitting: dict[Hashable, list[Hashable]] = {}
        for session, places in self._sessions.items():
            found = [place for place, job in places.items() if kind(job) is wanted][:most_each]
            if found:
                fitting[session] = found
        turns = [
            (session, found[turn])
            for turn in range(most_each)
            for session, found in fitting.items()
            if turn < len(found)
        ][:most]
        taken = [self._sessions[session].pop(place) for session, place in turns]
        for session in dict.fromkeys(session for session, _ in turns):
            places = self._sessions.pop(session)
            if places:
                self._sessions[session] = places
        return taken

import threading

import pytest

from explorer.live.desk import Desk
from explorer.live.once import once


def test_the_newest_task_of_a_place_wins_and_places_take_turns():
    desk, done, finished = Desk("test", 1), [], threading.Event()
    door, entered = threading.Event(), threading.Event()

    def hold():
        entered.set()
        assert door.wait(30)

    desk.submit("first", hold)
    assert entered.wait(30)
    for number in range(3):
        desk.submit("busy", lambda number=number: done.append(f"busy {number}"))
        desk.submit(f"one {number}", lambda number=number: done.append(number))
    desk.submit("gone", lambda: done.append("gone"))
    desk.withdraw("gone")
    desk.submit("last", finished.set)
    door.set()
    assert finished.wait(30)
    assert done == ["busy 2", 0, 1, 2]


def test_a_task_that_fails_is_logged_and_the_others_go_on(caplog):
    desk, finished = Desk("test", 1), threading.Event()
    desk.submit("bad", lambda: 1 / 0)
    desk.submit("good", finished.set)
    assert finished.wait(30)
    assert "ZeroDivisionError" in caplog.text


class Slow:
    def __init__(self):
        self.door = threading.Event()
        self.worked = []

    @once
    def value(self):
        """Worked out."""
        self.worked.append(threading.get_ident())
        assert self.door.wait(30)
        return object()

    @once
    def broken(self):
        self.worked.append("broken")
        raise ValueError("no")


def test_what_is_worked_out_once_is_the_same_for_all_threads():
    slow, found = Slow(), []
    threads = [threading.Thread(target=lambda: found.append(slow.value)) for _ in range(4)]
    for thread in threads:
        thread.start()
    slow.door.set()
    for thread in threads:
        thread.join(30)
    assert len(slow.worked) == 1
    assert found == [slow.value] * 4
    assert Slow.value.__doc__ == "Worked out."


def test_what_failed_is_tried_again():
    slow = Slow()
    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            _ = slow.broken
    assert slow.worked == ["broken"] * 2

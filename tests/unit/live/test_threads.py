import asyncio
import threading

import pytest

from explorer.live.desk import MOST_WAITING, BusyError, Desk
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


def test_sessions_take_turns_and_none_holds_more_threads_than_its_share():
    desk, order, finished = Desk("test", 2, each=1), [], threading.Event()
    door, entered = threading.Event(), threading.Event()

    def hold():
        order.append("flood")
        entered.set()
        assert door.wait(30)

    for number in range(10):
        desk.submit(number, hold, "flood")
    assert entered.wait(30)
    # The other thread is free for others, one of which sets the flood's door ajar.
    for name in ("one", "other"):
        desk.submit(name, lambda name=name: order.append(name), name)
    desk.submit("last", door.set, "last")
    desk.submit("flood's last", finished.set, "flood")
    assert finished.wait(30)
    assert order == ["flood", "one", "other", *["flood"] * 9]


def test_an_answer_is_awaited_and_its_error_too():
    desk = Desk("test", 1)

    async def ask():
        assert await desk.answer("me", lambda: 7) == 7
        with pytest.raises(ZeroDivisionError):
            await desk.answer("me", lambda: 1 / 0)

    asyncio.run(ask())


def test_who_asks_for_too_much_at_once_is_told_and_who_waits_no_more_is_dropped():
    desk, done = Desk("test", 1), []
    door = threading.Event()

    async def ask():
        held = asyncio.create_task(desk.answer("me", lambda: door.wait(30)))
        while not desk._working:
            await asyncio.sleep(0)
        waiting = [
            asyncio.create_task(desk.answer("me", lambda number=number: done.append(number)))
            for number in range(MOST_WAITING)
        ]
        await asyncio.sleep(0)
        with pytest.raises(BusyError, match=f"{MOST_WAITING} requests of this page wait"):
            await desk.answer("me", lambda: done.append("more"))
        for task in waiting[1:]:
            task.cancel()
        await asyncio.gather(*waiting[1:], return_exceptions=True)
        door.set()
        assert await held
        await waiting[0]
        await desk.answer("me", lambda: None)

    asyncio.run(ask())
    assert done == [0]


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

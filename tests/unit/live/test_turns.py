from explorer.live.budget import Budget
from explorer.live.turns import Turns


def filled(*jobs):
    turns = Turns()
    for session, place, job in jobs:
        turns.put(session, place, job)
    return turns


def test_the_newest_job_of_a_place_waits_where_the_first_one_did():
    turns = filled(("a", 1, "old"), ("b", 1, "b"))
    assert not turns.put("a", 1, "new")
    assert turns.put("a", 2, "more")
    assert (turns.waiting("a"), turns.waiting("b"), turns.waiting("c")) == (2, 1, 0)
    assert [turns.take(next(turns.sessions())) for _ in range(3)] == ["new", "b", "more"]
    assert not turns


def test_what_is_withdrawn_is_never_taken():
    turns = filled(("a", 1, "a"))
    turns.withdraw("a", 2)
    turns.withdraw("b", 1)
    assert turns
    turns.withdraw("a", 1)
    assert not turns


def test_sessions_take_turns_within_a_pass_and_between_passes():
    flood = [("flood", place, f"flood {place}") for place in range(20)]
    turns = filled(*flood, ("one", 0, "one"), ("two", 0, "two"))

    def take():
        return turns.take_alike(5, 3, lambda _: None)

    assert take() == ["flood 0", "one", "two", "flood 1", "flood 2"]
    turns.put("one", 0, "one more")
    assert take() == ["flood 3", "one more", "flood 4", "flood 5"]
    for session in ("three", "four", "five", "six", "seven"):
        turns.put(session, 0, session)
    assert take() == ["flood 6", "three", "four", "five", "six"]
    assert take() == ["seven", "flood 7", "flood 8", "flood 9"]


def test_only_jobs_of_one_kind_are_taken_together():
    one, other = object(), object()
    turns = filled(("a", 1, one), ("a", 2, other), ("b", 1, other), ("c", 1, one))
    assert turns.take_alike(8, 8, lambda job: job) == [one, one]
    assert turns.take_alike(8, 8, lambda job: job) == [other, other]
    assert not turns


def test_who_asks_too_much_waits_until_it_is_paid_for():
    now = [0.0]
    budget = Budget(100, clock=lambda: now[0])
    assert [budget.spend(1) for _ in range(25)] == [0] * 25
    assert budget.spend(1) == 0.01
    assert budget.spend(3) == 0.04
    now[0] = 0.05
    assert budget.spend(1) == 0
    now[0] = 1000
    assert budget.spend(25) == 0
    assert budget.spend(1) == 0.01

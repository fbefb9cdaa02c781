import signal
from types import SimpleNamespace

import pytest

from explorer.training import signals
from explorer.training.signals import Stop


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is moved."""
    clock = SimpleNamespace(now=100.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(signals, "time", clock)
    return clock


def test_the_first_ctrl_c_asks_and_is_answered_once(clock):
    answers = []
    with Stop(lambda: answers.append("stopping")) as stopped:
        assert not stopped()
        signal.raise_signal(signal.SIGINT)
        assert stopped()
        assert answers == ["stopping"]
        assert not stopped.terminated


def test_impatient_fingers_mean_one_ctrl_c(clock):
    answers = []
    with Stop(lambda: answers.append("stopping")) as stopped:
        signal.raise_signal(signal.SIGINT)
        clock.now += 0.5
        signal.raise_signal(signal.SIGINT)
        assert stopped()
        assert answers == ["stopping"]


def test_a_second_ctrl_c_ends_the_run(clock):
    with Stop() as stopped:
        signal.raise_signal(signal.SIGINT)
        clock.now += 2
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert stopped()


def test_sigterm_asks_without_an_answer_and_is_told_apart(clock):
    answers = []
    with Stop(lambda: answers.append("stopping")) as stopped:
        signal.raise_signal(signal.SIGTERM)
        assert stopped()
        assert stopped.terminated
        assert answers == []


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
def test_a_terminal_that_is_closed_asks_as_sigterm_does(clock):
    with Stop() as stopped:
        signal.raise_signal(signal.SIGHUP)
        assert stopped()
        assert stopped.terminated
        assert stopped.ended_by == signal.SIGHUP


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
def test_a_run_under_nohup_goes_on_when_its_terminal_is_closed(clock):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Stop() as stopped:
            signal.raise_signal(signal.SIGHUP)
            assert not stopped()
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_first_ctrl_c_after_sigterm_does_not_end_the_run_unsaved(clock):
    with Stop() as stopped:
        signal.raise_signal(signal.SIGTERM)
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:  # which pytest would take for its own
            pytest.fail("ended at once")
        assert stopped()


def test_an_answer_that_nobody_can_read_does_not_lose_the_question(clock):
    def answer():
        raise BrokenPipeError

    with Stop(answer) as stopped:
        signal.raise_signal(signal.SIGINT)
        assert stopped()


def test_the_handlers_before_it_come_back(clock):
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    with pytest.raises(ValueError, match="from within"), Stop():
        raise ValueError("from within")
    assert [signal.getsignal(number) for number in numbers] == before

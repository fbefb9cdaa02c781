import threading

import numpy as np
import pytest

from explorer.errors import CheckpointError
from explorer.live.engine import LARGEST_BATCH, Engine
from explorer.live.model import OpenedModel


@pytest.fixture(scope="module")
def model(checkpoints):
    return OpenedModel(checkpoints / "bars-vae")


class Inbox:
    def __init__(self):
        self.answers = []
        self._arrived = threading.Semaphore(0)

    def __call__(self, answer):
        self.answers.append(answer)
        self._arrived.release()

    def wait(self, count=1):
        for _ in range(count):
            assert self._arrived.acquire(timeout=30)
        return self.answers


class HeldModel:
    """The real model, behind a door: what is decoded while it is shut waits, as on a busy day."""

    def __init__(self, model):
        self._model = model
        self.door = threading.Event()
        self.entered = threading.Semaphore(0)
        self.batches = []
        self.codec = self
        self.placement = model.placement

    def decode_pixels(self, latents):
        self.batches.append(len(latents))
        self.entered.release()
        assert self.door.wait(30)
        return self._model.codec.decode_pixels(latents)


def code(*values):
    return np.array(values, np.float32)


def test_the_answer_is_the_decoders_own_picture_and_the_codes_place(model):
    inbox = Inbox()
    Engine().submit("me", model, code(0.3, -1), inbox)
    (answer,) = inbox.wait()
    assert answer.pixels == model.codec.decode_pixels(code(0.3, -1)[None])[0].tobytes()
    np.testing.assert_array_equal(answer.place, code(0.3, -1))


def test_the_newest_code_of_a_sender_wins(model):
    engine, held = Engine(), HeldModel(model)
    first, dropped, newest = Inbox(), Inbox(), Inbox()
    engine.submit("me", held, code(0, 0), first)
    assert held.entered.acquire(timeout=30)
    engine.submit("me", held, code(1, 1), dropped)
    engine.submit("me", held, code(2, 2), newest)
    held.door.set()
    first.wait()
    (answer,) = newest.wait()
    assert answer.pixels == model.codec.decode_pixels(code(2, 2)[None])[0].tobytes()
    assert dropped.answers == []


def test_senders_of_one_model_share_a_pass(model):
    engine, held, inbox = Engine(), HeldModel(model), Inbox()
    engine.submit("first", held, code(0, 0), inbox)
    assert held.entered.acquire(timeout=30)
    for sender in range(LARGEST_BATCH + 3):
        engine.submit(sender, held, code(sender, 0), inbox)
    held.door.set()
    inbox.wait(LARGEST_BATCH + 4)
    assert held.batches == [1, LARGEST_BATCH, 3]


def test_a_withdrawn_code_is_not_decoded(model):
    engine, held, inbox, gone = Engine(), HeldModel(model), Inbox(), Inbox()
    engine.submit("me", held, code(0, 0), inbox)
    assert held.entered.acquire(timeout=30)
    engine.submit("you", held, code(1, 1), gone)
    engine.withdraw("you")
    held.door.set()
    inbox.wait()
    engine.submit("me", held, code(2, 2), inbox)
    inbox.wait()
    assert gone.answers == []


def test_a_broken_model_is_reported_and_the_others_go_on(model, checkpoints, tmp_path):
    import shutil

    folder = shutil.copytree(checkpoints / "bars-vae", tmp_path / "broken")
    broken = OpenedModel(folder)
    (folder / "model.safetensors").write_bytes(b"")
    engine, inbox = Engine(), Inbox()
    engine.submit("me", broken, code(0, 0), inbox)
    (error,) = inbox.wait()
    assert isinstance(error, CheckpointError)
    assert "truncated" in str(error)
    engine.submit("me", model, code(0, 0), inbox)
    assert inbox.wait()[1].pixels


def test_an_error_nobody_foresaw_leaves_the_thread_at_work(model):
    class Failing:
        def __init__(self):
            self.codec = self
            self.placement = model.placement

        def decode_pixels(self, latents):
            raise OSError("the drive is gone")

    engine, inbox = Engine(), Inbox()
    engine.submit("me", Failing(), code(0, 0), inbox)
    (error,) = inbox.wait()
    assert "the drive is gone" in str(error)
    engine.submit("me", model, code(0, 0), inbox)
    assert inbox.wait()[1].pixels

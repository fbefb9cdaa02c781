import shutil
import threading

import numpy as np
import pytest

from explorer.errors import CheckpointError
from explorer.live import engine as engine_module
from explorer.live.engine import (
    FIRST_SLICE,
    LARGEST_BATCH,
    LARGEST_SHARE,
    LARGEST_SLICE,
    Engine,
    PictureJob,
    TruthJob,
)
from explorer.live.model import OpenedModel
from explorer.live.protocol import HEADER, PLACE
from explorer.live.views import View


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
        self.latent_dim = model.latent_dim
        self.door = threading.Event()
        self.entered = threading.Semaphore(0)
        self.batches = []
        self.codec = self

    def view(self, name):
        return self._model.view(name)

    def decode_pixels(self, latents):
        self.batches.append(len(latents))
        self.entered.release()
        assert self.door.wait(30)
        return self._model.codec.decode_pixels(latents)

    def cycle(self, latents):
        self.batches.append(f"{len(latents)} truths")
        return self._model.cycle(latents)


def code(*values):
    return np.array(values, np.float32)


def header(number=0):
    return HEADER.pack(1, 0, 7, number)


def ask(engine, sender, model, latents, deliver, *, ghost=False, view="map", **more):
    job = PictureJob(model, model.view(view), header(), deliver, latents, **more)
    engine.submit(sender, job, ghost=ghost)


def spot_code(answer, latent_dim=2):
    start = HEADER.size + PLACE.size
    return np.frombuffer(answer[start : start + 4 * latent_dim], "<f4")


def place_of(answer):
    return PLACE.unpack_from(answer, HEADER.size)


def pixels_of(answer, latent_dim=2):
    return answer[HEADER.size + PLACE.size + 4 * latent_dim :]


def picture(model, latents):
    return model.codec.decode_pixels(np.atleast_2d(latents))[0].tobytes()


def test_the_answer_holds_the_decoders_own_picture_the_codes_place_and_the_code(model):
    inbox = Inbox()
    ask(Engine(), "me", model, code(0.3, -1), inbox)
    (answer,) = inbox.wait()
    assert answer[: HEADER.size] == header()
    assert pixels_of(answer) == picture(model, code(0.3, -1))
    np.testing.assert_array_equal(place_of(answer), [*code(0.3, -1), 0])
    np.testing.assert_array_equal(spot_code(answer), code(0.3, -1))


def test_the_newest_code_of_a_senders_place_wins(model):
    engine, held = Engine(), HeldModel(model)
    first, dropped, newest, ghost = Inbox(), Inbox(), Inbox(), Inbox()
    ask(engine, "me", held, code(0, 0), first)
    assert held.entered.acquire(timeout=30)
    ask(engine, "me", held, code(1, 1), dropped)
    ask(engine, "me", held, code(3, 3), ghost, ghost=True)
    ask(engine, "me", held, code(2, 2), newest)
    held.door.set()
    first.wait()
    assert pixels_of(newest.wait()[0]) == picture(model, code(2, 2))
    assert pixels_of(ghost.wait()[0]) == picture(model, code(3, 3))
    assert dropped.answers == []
    assert held.batches == [1, 2]


def test_senders_of_one_model_share_a_pass_and_none_waits_for_one_that_asks_again(model):
    engine, held, inbox = Engine(), HeldModel(model), Inbox()
    ask(engine, "first", held, code(0, 0), inbox)
    assert held.entered.acquire(timeout=30)
    busy = Inbox()
    for sender in range(LARGEST_BATCH + 3):
        ask(engine, sender, held, code(sender, 0), inbox)
        ask(engine, "busy", held, code(0, sender), busy)
    held.door.set()
    inbox.wait(LARGEST_BATCH + 4)
    busy.wait()
    assert held.batches == [1, LARGEST_BATCH, 4]
    assert len(busy.answers) == 1


def test_models_take_turns(model, checkpoints):
    engine, inbox = Engine(), Inbox()
    one, other = HeldModel(model), HeldModel(OpenedModel(checkpoints / "bars-ae"))
    other.door.set()
    order = []
    one.batches = other.batches = order
    ask(engine, "first", one, code(0, 0), inbox)
    assert one.entered.acquire(timeout=30)
    for sender in range(LARGEST_BATCH):
        ask(engine, f"one {sender}", one, code(0, 0), inbox)
    ask(engine, "other", other, code(0, 0), inbox)
    for sender in range(2):
        ask(engine, f"late {sender}", one, code(0, 0), inbox)
    one.door.set()
    inbox.wait(LARGEST_BATCH + 4)
    assert order == [1, LARGEST_BATCH, 1, 2]


def test_a_withdrawn_sender_gets_nothing(model):
    engine, held, inbox, gone = Engine(), HeldModel(model), Inbox(), Inbox()
    ask(engine, "me", held, code(0, 0), inbox)
    assert held.entered.acquire(timeout=30)
    ask(engine, "you", held, code(1, 1), gone)
    ask(engine, "you", held, code(1, 1), gone, ghost=True)
    engine.submit("you", TruthJob(held, code(1, 1), gone))
    engine.withdraw("you")
    held.door.set()
    inbox.wait()
    ask(engine, "me", held, code(2, 2), inbox)
    inbox.wait()
    assert gone.answers == []


def test_spots_of_a_batch_are_found_together_each_on_its_own_view(model):
    class Counting:
        def __init__(self, codes):
            self.asked = []
            self._codes = codes

        def codes(self, spots):
            self.asked.append(len(spots))
            return spots * self._codes

    def view(factor):
        made = View("map", model.encodings.mean, model.projection.coordinates, "umap")
        made.__dict__["spot_codes"] = Counting(factor)
        return made

    engine, held, inboxes = Engine(), HeldModel(model), [Inbox() for _ in range(6)]
    ask(engine, "first", held, code(0, 0), inboxes[0])
    assert held.entered.acquire(timeout=30)
    once, twice = view(1), view(2)
    nan = float("nan")
    jobs = [
        PictureJob(held, once, header(), inboxes[1], spot=code(1, 2)),
        PictureJob(held, twice, header(), inboxes[2], spot=code(1, 2)),
        PictureJob(held, twice, header(), inboxes[3], spot=code(1, 2), held=code(nan, 7)),
        PictureJob(held, once, header(), inboxes[4], code(5, 6)),
        PictureJob(held, once, header(), inboxes[5], spot=code(0, 1), held=code(0, nan)),
    ]
    for sender, job in enumerate(jobs):
        engine.submit(sender, job)
    held.door.set()
    expected = [(1, 2), (2, 4), (2, 7), (5, 6), (0, 1)]
    for inbox, wanted in zip(inboxes[1:], expected, strict=True):
        (answer,) = inbox.wait()
        np.testing.assert_array_equal(spot_code(answer), code(*wanted))
        assert pixels_of(answer) == picture(model, code(*wanted))
    assert (once.spot_codes.asked, twice.spot_codes.asked) == ([2], [2])
    assert held.batches == [1, 5]


def test_a_place_is_of_the_view_that_its_job_names(model):
    engine, inbox = Engine(), Inbox()
    ask(engine, "me", model, code(0.3, -1), inbox, view="axes:1,0")
    np.testing.assert_array_equal(place_of(inbox.wait()[0]), [*code(-1, 0.3), 0])


def test_a_truth_is_the_code_decoded_and_encoded_again(model):
    inbox = Inbox()
    engine = Engine()
    engine.submit("me", TruthJob(model, code(0.5, 1), inbox))
    (cycle,) = inbox.wait()
    mean, log_var = model.codec.encode(model.codec.decode(code(0.5, 1)[None]))
    np.testing.assert_allclose(cycle.mean, mean[0], atol=1e-6)
    np.testing.assert_allclose(cycle.log_var, log_var[0], atol=1e-6)


def test_truths_wait_for_pictures_but_not_for_ever(model, monkeypatch):
    engine, held, inbox = Engine(), HeldModel(model), Inbox()
    ask(engine, "first", held, code(0, 0), inbox)
    assert held.entered.acquire(timeout=30)
    engine._last_truth = np.inf  # one was let in just now
    for sender in range(3):
        engine.submit(sender, TruthJob(held, code(sender, 0), inbox))
    for sender in range(LARGEST_BATCH + 1):
        ask(engine, sender, held, code(0, 0), inbox)
    held.door.set()
    inbox.wait(LARGEST_BATCH + 5)
    assert held.batches == [1, LARGEST_BATCH, 1, "3 truths"]

    held.door.clear()
    held.batches.clear()
    monkeypatch.setattr(engine_module, "TRUTH_PATIENCE", 0)  # the last one was long ago
    ask(engine, "first", held, code(0, 0), inbox)
    while held.batches != [1]:
        assert held.entered.acquire(timeout=30)
    ask(engine, "second", held, code(0, 0), inbox)
    engine.submit("third", TruthJob(held, code(0, 0), inbox))
    held.door.set()
    inbox.wait(3)
    assert held.batches == [1, "1 truths", 1]


def test_a_broken_model_is_reported_and_the_others_go_on(model, checkpoints, tmp_path):
    folder = shutil.copytree(checkpoints / "bars-vae", tmp_path / "broken")
    broken = OpenedModel(folder)
    (folder / "model.safetensors").write_bytes(b"")
    engine, inbox = Engine(), Inbox()
    ask(engine, "me", broken, code(0, 0), inbox)
    (error,) = inbox.wait()
    assert isinstance(error, CheckpointError)
    assert "truncated" in str(error)
    engine.submit("me", TruthJob(broken, code(0, 0), inbox))
    assert "truncated" in str(inbox.wait()[1])
    ask(engine, "me", model, code(0, 0), inbox)
    assert pixels_of(inbox.wait()[2])


def test_a_job_that_fails_leaves_the_others_of_its_batch(model):
    engine, held, good, bad = Engine(), HeldModel(model), Inbox(), Inbox()
    ask(engine, "first", held, code(0, 0), good)
    assert held.entered.acquire(timeout=30)
    ask(engine, "good", held, code(1, 1), good)
    # A plane through a larger space has no codes for spots.
    ask(engine, "bad", held, None, bad, view="axes:1,0", spot=code(0, 0))
    held.door.set()
    assert "no code of its own" in str(bad.wait()[0])
    assert pixels_of(good.wait(2)[1]) == picture(model, code(1, 1))


def test_an_error_nobody_foresaw_leaves_the_thread_at_work(model):
    class Failing(HeldModel):
        def decode_pixels(self, latents):
            raise OSError("the drive is gone")

    engine, inbox = Engine(), Inbox()
    ask(engine, "me", Failing(model), code(0, 0), inbox)
    (error,) = inbox.wait()
    assert "the drive is gone" in str(error)
    ask(engine, "me", model, code(0, 0), inbox)
    assert pixels_of(inbox.wait()[1])


def test_a_session_of_many_senders_takes_no_more_of_a_pass_than_its_share(model):
    engine, held, inbox = Engine(), HeldModel(model), Inbox()
    ask(engine, "first", held, code(0, 0), inbox)
    assert held.entered.acquire(timeout=30)
    order = []

    def note(name):
        def deliver(answer):
            order.append(name)
            inbox(answer)

        return deliver

    for sender in range(3 * LARGEST_BATCH):
        job = PictureJob(held, held.view("map"), header(), note("flood"), code(sender, 0))
        engine.submit(sender, job, session="flood")
    for sender in ("one", "other"):
        job = PictureJob(held, held.view("map"), header(), note(sender), code(0, 0))
        engine.submit(f"{sender}'s", job, session=sender)
    held.door.set()
    inbox.wait(3 * LARGEST_BATCH + 3)
    assert order[:3] == ["flood", "one", "other"]
    assert held.batches[:3] == [1, LARGEST_SHARE + 2, LARGEST_SHARE]


def test_many_pictures_are_decoded_in_slices_and_a_drag_goes_between(model, monkeypatch):
    monkeypatch.setattr(engine_module, "BULK_PATIENCE", 1000)
    engine, held, inbox, found = Engine(), HeldModel(model), Inbox(), []
    codes = np.random.default_rng(0).normal(size=(300, 2)).astype(np.float32)
    thread = threading.Thread(target=lambda: found.append(engine.decode(held, codes)))
    thread.start()
    assert held.entered.acquire(timeout=30)
    ask(engine, "dragging", held, code(1, 1), inbox)
    held.door.set()
    assert pixels_of(inbox.wait()[0]) == picture(model, code(1, 1))
    thread.join(30)
    np.testing.assert_array_equal(found[0], model.codec.decode_pixels(codes))
    first, drag, *rest = held.batches
    assert (first, drag) == (FIRST_SLICE, 1)
    assert len(rest) >= (300 - FIRST_SLICE) / LARGEST_SLICE
    assert max(rest) <= LARGEST_SLICE


def test_an_answer_that_cannot_be_handed_over_leaves_the_thread_at_work(model):
    def refuse(_answer):
        raise RuntimeError("the server has ended")

    engine, inbox = Engine(), Inbox()
    ask(engine, "gone", model, code(0, 0), refuse)
    ask(engine, "me", model, code(0, 0), inbox)
    assert pixels_of(inbox.wait()[0])

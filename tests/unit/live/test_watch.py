import os
import queue
import shutil
from collections import deque

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from explorer.live.guard import BAD_FRAME, NO_GRANT
from explorer.live.hub import shared_hub
from explorer.live.protocol import SUBPROTOCOL
from explorer.live.route import PREFIX
from explorer.live.watch import PATH, Watcher, digest_of
from explorer.models import library
from explorer.models.library import list_checkpoints
from explorer.storage import write_folder
from tests.unit.live.serving import serve

PATIENCE = 30  # seconds


def digest(*folders):
    return digest_of(list_checkpoints(folders))


class Listener:
    """Keeps what a watcher tells it."""

    def __init__(self, folders):
        self.watcher = Watcher(lambda: list(folders))
        self._told = queue.Queue()
        self.watcher.subscribe(self._told.put)

    def hear(self):
        return self._told.get(timeout=PATIENCE)

    def wait_for(self, expected):
        while self.hear() != expected:
            pass

    def has_heard_nothing(self):
        return self._told.empty()


@pytest.fixture
def listen():
    listeners = []

    def start(*folders):
        listeners.append(Listener(folders))
        return listeners[-1]

    yield start
    for listener in listeners:
        listener.watcher.close()


@pytest.fixture
def folder(checkpoints, tmp_path):
    return shutil.copytree(checkpoints, tmp_path / "runs" / "trained")


def retrain(checkpoint):
    """Write it again as the trainer does: beside its place, then moved there."""

    def fill(target):
        for file in list(checkpoint.iterdir()):
            shutil.copyfile(file, target / file.name)

    write_folder(checkpoint, fill)


def test_a_listener_is_told_what_is_there_at_once(listen, folder):
    assert listen(folder).hear() == digest(folder)


def test_the_digest_names_each_checkpoint_and_its_state(folder):
    before = digest(folder)
    assert digest(folder) == before
    retrain(folder / "bars-vae")
    retrained = digest(folder)
    shutil.move(folder / "bars-ae", folder / "renamed")
    assert len({before, retrained, digest(folder)}) == 3


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: shutil.copytree(folder / "bars-vae", folder / "later"),
        lambda folder: shutil.rmtree(folder / "bars-vae"),
        lambda folder: shutil.move(folder / "bars-vae", folder / "renamed"),
        lambda folder: shutil.move(folder / "bars-vae", folder.parent / "aside"),
        lambda folder: retrain(folder / "bars-vae"),
        lambda folder: (folder / "bars-vae" / "config.json").write_text("{"),
        lambda folder: (folder / "bars-vae" / "encodings.npz").unlink(),
    ],
    ids=["new", "deleted", "renamed", "moved away", "trained again", "damaged", "incomplete"],
)
def test_a_change_is_told_once(listen, folder, change):
    listener = listen(folder)
    before = listener.hear()
    change(folder)
    listener.wait_for(digest(folder))
    assert digest(folder) != before
    # Another change's news is the next: there was no second one of the first.
    shutil.copytree(folder / "bars-ae", folder / "another")
    assert listener.hear() == digest(folder)


def test_many_changes_one_after_the_other_are_all_followed(listen, folder):
    listener = listen(folder)
    for _ in range(3):
        retrain(folder / "bars-vae")
        listener.wait_for(digest(folder))
    shutil.rmtree(folder / "bars-vae")
    listener.wait_for(digest(folder))
    shutil.copytree(folder / "bars-ae", folder / "bars-vae")
    listener.wait_for(digest(folder))
    (folder / "bars-vae" / "config.json").write_text("{")
    listener.wait_for(digest(folder))


def test_what_is_still_being_written_is_not_told(listen, folder):
    listener = listen(folder)
    listener.hear()
    shutil.copytree(folder / "bars-vae", folder / ".later.new-1")
    (folder / "bars-vae" / "axes.json").write_text("{}")
    (folder / "bars-vae" / "notes").mkdir()
    (folder / ".later.new-1").rename(folder / "later")
    assert listener.hear() == digest(folder)
    assert listener.has_heard_nothing()


def test_a_folder_may_come_go_and_come_again(listen, folder, tmp_path):
    kept = shutil.copytree(folder, tmp_path / "kept")
    other = tmp_path / "not" / "there" / "yet"
    listener = listen(other, folder)
    listener.hear()
    for _ in range(2):
        shutil.copytree(kept / "bars-vae", other / "elsewhere")
        listener.wait_for(digest(other, folder))
        shutil.copytree(kept / "bars-vae", other / "second")
        listener.wait_for(digest(other, folder))
        shutil.rmtree(tmp_path / "not")
        listener.wait_for(digest(folder))
    shutil.rmtree(folder.parent)
    listener.wait_for(digest())
    shutil.copytree(kept, folder)
    listener.wait_for(digest(folder))


def test_a_folder_behind_a_link_is_followed(listen, folder, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(folder)
    listener = listen(link)
    listener.hear()
    retrain(folder / "bars-vae")
    listener.wait_for(digest(folder))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_a_folder_that_may_not_be_read_is_passed_over(listen, folder, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    listener = listen(closed, folder)
    listener.hear()
    retrain(folder / "bars-vae")
    listener.wait_for(digest(folder))


def test_who_left_is_told_no_more(listen, folder):
    listener = listen(folder)
    told = queue.Queue()
    listener.watcher.subscribe(told.put)
    told.get(timeout=PATIENCE)
    listener.watcher.unsubscribe(told.put)
    shutil.rmtree(folder / "bars-vae")
    listener.wait_for(digest(folder))
    assert told.empty()


@pytest.fixture(scope="module")
def host():
    with serve() as address:
        yield address


@pytest.fixture
def token():
    issued = shared_hub().issue_token()
    yield issued
    shared_hub().revoke(issued)


@pytest.fixture
def shipped(folder, monkeypatch):
    monkeypatch.setattr(library, "SHIPPED", folder)
    monkeypatch.delenv(library.FOLDERS_VARIABLE, raising=False)
    return folder


def dial(host, token, origin="same"):
    return connect(
        f"ws://{host}{PREFIX}{PATH}",
        subprotocols=[SUBPROTOCOL, token],
        origin=f"http://{host}" if origin == "same" else origin,
        open_timeout=PATIENCE,
    )


def closed_with(socket_):
    with pytest.raises(ConnectionClosed) as caught:
        deque(socket_, maxlen=0)
    return caught.value.rcvd.code, caught.value.rcvd.reason


def test_every_browser_gets_the_digest_and_then_each_new_one(host, token, shipped):
    with dial(host, token) as one, dial(host, token) as two:
        assert one.subprotocol == SUBPROTOCOL
        for socket_ in (one, two):
            assert socket_.recv(PATIENCE) == digest(shipped)
        shutil.rmtree(shipped / "bars-ae")
        for socket_ in (one, two):
            assert socket_.recv(PATIENCE) == digest(shipped)


def test_who_comes_back_is_told_what_changed_meanwhile(host, token, shipped):
    with dial(host, token) as socket_:
        before = socket_.recv(PATIENCE)
    shutil.rmtree(shipped / "bars-ae")
    with dial(host, token) as socket_:
        assert socket_.recv(PATIENCE) == digest(shipped) != before


@pytest.mark.parametrize("origin", [None, "http://evil.example", "null", "http://[", ""])
def test_a_page_from_elsewhere_is_turned_away(host, token, origin):
    with pytest.raises(InvalidStatus, match="403"):
        dial(host, token, origin=origin)


def test_an_unknown_token_is_refused(host):
    with dial(host, "A" * 43) as socket_:
        assert closed_with(socket_)[0] == NO_GRANT


def test_a_revoked_token_is_told_nothing_more(host, token, shipped):
    with dial(host, token) as socket_:
        socket_.recv(PATIENCE)
        shared_hub().revoke(token)
        shutil.rmtree(shipped / "bars-ae")
        assert closed_with(socket_)[0] == NO_GRANT


@pytest.mark.parametrize("message", ["text", b"bytes"])
def test_who_sends_something_is_cut_off_and_no_other(host, token, shipped, message):
    with dial(host, token) as good, dial(host, token) as bad:
        bad.send(message)
        assert closed_with(bad)[0] == BAD_FRAME
        good.recv(PATIENCE)
        shutil.rmtree(shipped / "bars-ae")
        assert good.recv(PATIENCE) == digest(shipped)

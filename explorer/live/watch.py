"""Tells browsers that checkpoints came, went or changed: one watcher a server process, no polling.

It hears what happens on this machine's own disks; what another machine does in a shared folder
shows when a page is next run.
"""

import asyncio
import hashlib
import logging
import os
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

from explorer.live.budget import TOO_MANY_WORDS
from explorer.live.guard import BAD_FRAME, NO_GRANT, TOO_MANY, accept_page, close_socket
from explorer.live.hub import Hub, shared_hub
from explorer.live.protocol import SUBPROTOCOL
from explorer.models.checkpoint import NEEDED
from explorer.models.library import Listing, checkpoint_folders, list_checkpoints

PATH = "/watch"
QUIET = 0.5  # seconds without an event, after which the folders are read
LONGEST_WAIT = 3.0  # seconds, for folders that never come to rest
MOST_WATCHED = 500  # checkpoints; a thread each, which sleeps
MOST_ROUNDS = 8  # of following folders that come and go meanwhile

# Not those of opening: reading the folders would set off the next reading.
CHANGES: list[type[FileSystemEvent]] = [
    DirCreatedEvent, DirDeletedEvent, DirMovedEvent,
    FileCreatedEvent, FileDeletedEvent, FileMovedEvent, FileModifiedEvent, FileClosedEvent,
]  # fmt: skip
OF_PATHS = ("created", "deleted", "moved")  # after these a path may be another folder than before

Tell = Callable[[str], None]


def digest_of(listings: Iterable[Listing]) -> str:
    """32 hex digits that change when a checkpoint comes, goes or changes."""
    present = repr([(listing.name, listing.stamp) for listing in listings])
    return hashlib.sha256(present.encode("utf-8", "replace")).hexdigest()[:32]


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # it may not even be asked for
        return False


class Watcher(FileSystemEventHandler):
    """Hears of changes in folders of checkpoints, and passes on the digest of what is there.

    Args:
        folders: names the folders; asked anew whenever something changed.
    """

    def __init__(self, folders: Callable[[], list[Path]] = checkpoint_folders) -> None:
        self._folders = folders
        self._lock = threading.Lock()
        self._looking = threading.Lock()
        self._changed = threading.Event()
        self._ended = threading.Event()
        self._listeners: list[Tell] = []
        self._roots: tuple[Path, ...] = ()
        self._checkpoints: frozenset[Path] = frozenset()
        self._watches: dict[Path, ObservedWatch] = {}
        self._stale: set[Path] = set()
        self._observer: BaseObserver | None = None
        self._digest = ""

    def subscribe(self, tell: Tell) -> None:
        """Tell a listener the present digest, at once, and each new one, from another thread."""
        with self._looking:
            if self._observer is None:
                self._start()
            self._look()
            with self._lock:
                self._listeners.append(tell)
            tell(self._digest)

    def unsubscribe(self, tell: Tell) -> None:
        """Tell this listener no more."""
        with self._lock:
            self._listeners = [one for one in self._listeners if one != tell]

    def close(self) -> None:
        """End the watching, for good."""
        self._ended.set()
        self._changed.set()
        if self._observer is not None:
            self._observer.stop()
            self._observer.join()

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Take note; the folders are read later and in another thread."""
        paths = [Path(os.fsdecode(path)) for path in (event.src_path, event.dest_path) if path]
        concerned = [path for path in paths if self._concerns(path)]
        if concerned:
            if event.event_type in OF_PATHS:
                with self._lock:
                    self._stale.update(concerned)
            self._changed.set()

    def _concerns(self, path: Path) -> bool:
        return (
            any(root.is_relative_to(path) for root in self._roots)
            # A dot marks what is still being written.
            or (path.parent in self._roots and not path.name.startswith("."))
            or path in self._checkpoints
            or (path.parent in self._checkpoints and path.name in NEEDED)
        )

    def _start(self) -> None:
        try:
            self._observer = Observer()
            self._observer.start()
        except OSError as error:
            # Out of the system's watches: pages find changes when they are next run.
            logging.getLogger(__name__).warning("Checkpoints are not watched: %s.", error)
            self._observer = None
            return
        threading.Thread(target=self._run, name="checkpoints", daemon=True).start()

    def _run(self) -> None:
        while True:
            self._changed.wait()
            # Copying and training write many files: wait until they are done.
            for _ in range(int(LONGEST_WAIT / QUIET)):
                self._changed.clear()
                if self._ended.wait(QUIET) or not self._changed.is_set():
                    break
            if self._ended.is_set():
                return
            self._changed.clear()
            with self._looking:
                self._look()

    def _look(self) -> None:
        self._follow()
        digest = digest_of(list_checkpoints(self._folders()))
        if digest == self._digest:
            return
        self._digest = digest
        with self._lock:
            listeners = list(self._listeners)
        for tell in listeners:
            tell(digest)

    def _follow(self) -> None:
        """Watch the folders and their checkpoints as they are now.

        Each folder by itself: the observer's own recursion loses track of folders that are moved
        within it, which is how a checkpoint is replaced.
        """
        if self._observer is None:
            return
        refused: set[Path] = set()
        for _ in range(MOST_ROUNDS):
            wanted = self._wanted()
            with self._lock:
                stale, self._stale = self._stale, set()
            for path in self._watches.keys() & (stale | (self._watches.keys() - wanted)):
                self._observer.unschedule(self._watches.pop(path))
            unwatched = wanted - self._watches.keys() - refused
            for path in unwatched:
                try:
                    self._watches[path] = self._observer.schedule(
                        self, str(path), event_filter=CHANGES
                    )
                except OSError:  # gone again, not to be read, or out of watches
                    refused.add(path)
            if not unwatched:
                return
            # What came before its watch was there is found by looking once more.

    def _wanted(self) -> set[Path]:
        """The folders, their checkpoints, and where those folders would appear that are not there.

        Returns:
            Paths of folders, free of links.
        """
        self._roots = tuple(Path(os.path.realpath(folder)) for folder in self._folders())
        checkpoints: list[Path] = []
        for root in self._roots:
            try:
                found = sorted(root.iterdir())
            except OSError:  # not there, or not to be read
                continue
            shown = (path for path in found if not path.name.startswith(".") and _is_folder(path))
            checkpoints += [Path(os.path.realpath(path)) for path in shown]
        self._checkpoints = frozenset(checkpoints[:MOST_WATCHED])
        above = {next(path for path in root.parents if _is_folder(path)) for root in self._roots}
        return {root for root in self._roots if _is_folder(root)} | above | self._checkpoints


_watcher = Watcher()


def watch_routes(prefix: str) -> list[BaseRoute]:
    """The route of the watcher.

    Args:
        prefix: the path that the live routes stand under.
    """
    return [WebSocketRoute(f"{prefix}{PATH}", serve_watch)]


async def serve_watch(websocket: WebSocket) -> None:
    """Send one browser the digest of the checkpoints, now and whenever it changes.

    Guarded as the decoder's socket is: the same origin, and the session's token as the second
    subprotocol. The browser sends nothing.
    """
    token = await accept_page(websocket, SUBPROTOCOL)
    if token is None:
        return
    hub = shared_hub()
    if not hub.is_issued(token):
        await close_socket(websocket, NO_GRANT, "This page's session has ended: reload it.")
        return
    if not hub.enter(token):
        await close_socket(websocket, TOO_MANY, TOO_MANY_WORDS)
        return
    try:
        await _watch(websocket, hub, token)
    finally:
        hub.leave(token)


async def _watch(websocket: WebSocket, hub: Hub, token: str) -> None:
    loop = asyncio.get_running_loop()
    news: asyncio.Queue[str] = asyncio.Queue()

    def tell(digest: str) -> None:
        with suppress(RuntimeError):  # the server ended meanwhile
            loop.call_soon_threadsafe(news.put_nowait, digest)

    async def send() -> None:
        while True:
            digest = await news.get()
            while not news.empty():  # a browser that reads slowly gets the newest
                digest = news.get_nowait()
            if not hub.is_issued(token):
                await close_socket(websocket, NO_GRANT, "The session has ended: reload the page.")
                return
            try:
                await websocket.send_text(digest)
            except (WebSocketDisconnect, RuntimeError):
                return

    sender = asyncio.create_task(send())
    try:
        await run_in_threadpool(_watcher.subscribe, tell)
        message = await websocket.receive()
        if message["type"] != "websocket.disconnect":
            await close_socket(websocket, BAD_FRAME, "A frame came; nothing is to be sent here.")
    except (WebSocketDisconnect, RuntimeError):
        pass  # the browser left
    finally:
        _watcher.unsubscribe(tell)
        sender.cancel()

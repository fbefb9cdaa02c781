"""What the pages and the live route share: who may drive which model, and the decoder."""

import secrets
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from explorer.live import budget
from explorer.live.budget import Budget
from explorer.live.desk import Desk
from explorer.live.engine import Engine
from explorer.live.model import OpenedModel
from explorer.live.once import once
from explorer.live.views import open_fits

if TYPE_CHECKING:
    from explorer.latent.fitting import MapFits

_ENTRY = "_latent_explorer_hub"
MOST_OPEN = 8  # models kept open; the one longest unused goes first

Stamp = tuple[tuple[int, int], ...]


@dataclass
class _Session:
    """What one token may do, and how much of it.

    Attributes:
        grants: checkpoints by name.
        budget: of its messages.
        sockets: how many are open.
    """

    grants: dict[str, tuple[Path, Stamp]] = field(default_factory=dict)
    budget: Budget = field(default_factory=lambda: Budget(budget.MESSAGES_A_SECOND))
    sockets: int = 0


class Hub:
    """Grants, opened models and the engine of one server process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: dict[str, _Session] = {}
        self._opened: dict[tuple[Path, Stamp], OpenedModel] = {}
        # A page goes on showing a model whose files were replaced: that one, not the new files.
        self._in_use: WeakValueDictionary[tuple[Path, Stamp], OpenedModel] = WeakValueDictionary()
        self.engine = Engine()
        # Pictures wait for files to be read; that must hold up neither decoding nor the server.
        # While one thread reads a large set, the other answers with reconstructions.
        self.pictures = Desk("pictures", 2)
        # What is known about a code; sheets and lists that a page waits for; and what takes long.
        self.truths = Desk("truths", 1)
        # Drawings are prepared and encoded while they are made.
        self.drawings = Desk("drawings", 1)
        # Of either two, no session holds more than one thread: another's answer need not wait.
        self.quick = Desk("quick", 2, each=1)
        self.slow = Desk("slow", 2, each=1)

    @once
    def fits(self) -> "MapFits":
        """The maps fitted in the app, and those being fitted."""
        return open_fits()

    def issue_token(self) -> str:
        """A new token for one browser session; it may drive nothing yet."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._sessions[token] = _Session()
        return token

    def allow(self, token: str, name: str, folder: Path, stamp: Stamp) -> None:
        """Let the bearer of a token drive the checkpoint of this name."""
        with self._lock:
            if token in self._sessions:
                self._sessions[token].grants[name] = (folder, stamp)

    def revoke(self, token: str) -> None:
        """End a token: connections opened with it are refused from now on."""
        with self._lock:
            self._sessions.pop(token, None)

    def is_issued(self, token: str) -> bool:
        """Whether the token is valid."""
        with self._lock:
            return token in self._sessions

    def grants(self) -> list[dict[str, tuple[Path, Stamp]]]:
        """What each session may drive: folder and stamp by name."""
        with self._lock:
            return [dict(session.grants) for session in self._sessions.values()]

    def granted(self, token: str, name: str) -> tuple[Path, Stamp] | None:
        """What a token may drive under this name; None for nothing."""
        with self._lock:
            session = self._sessions.get(token)
            return None if session is None else session.grants.get(name)

    def enter(self, token: str) -> bool:
        """Count one more open socket of a session; False if it holds as many as it may."""
        with self._lock:
            session = self._sessions.get(token)
            if session is None:
                return True  # it has ended, which its socket finds out by itself
            if session.sockets >= budget.MOST_SOCKETS:
                return False
            session.sockets += 1
            return True

    def leave(self, token: str) -> None:
        """Count one open socket less of a session."""
        with self._lock:
            session = self._sessions.get(token)
            if session is not None:
                session.sockets -= 1

    def spend(self, token: str, cost: float) -> float:
        """Take what a message costs off its session's budget.

        Returns:
            Seconds that its sender is to wait.
        """
        with self._lock:
            session = self._sessions.get(token)
            return 0.0 if session is None else session.budget.spend(cost)

    def give_back(self, token: str, cost: float) -> None:
        """Return to a session's budget what was taken for a message that is refused."""
        with self._lock:
            session = self._sessions.get(token)
            if session is not None:
                session.budget.give_back(cost)

    def opened(self, folder: Path, stamp: Stamp) -> OpenedModel | None:
        """The checkpoint in that state, if it was opened and is kept, here or by who shows it."""
        key = (folder, stamp)
        with self._lock:
            found = self._in_use.get(key)
            if found is not None:
                self._opened.pop(key, None)
                self._opened[key] = found
                while len(self._opened) > MOST_OPEN:
                    self._opened.pop(next(iter(self._opened)))
            return found

    def open(self, folder: Path, stamp: Stamp) -> OpenedModel:
        """The checkpoint in its present state, read at the first call.

        Raises:
            CheckpointError: if it cannot be used.
        """
        key = (folder, stamp)
        found = self.opened(folder, stamp)
        if found is not None:
            return found
        model = OpenedModel(folder, stamp, lambda: self.fits)
        with self._lock:
            kept = self._in_use.setdefault(key, model)
            self._opened[key] = kept
            while len(self._opened) > MOST_OPEN:
                self._opened.pop(next(iter(self._opened)))
        return kept


def shared_hub() -> Hub:
    """The process's one hub.

    It stands in an entry of sys.modules of its own: Streamlit evicts the project's modules when a
    source file changes, and the route and the pages must go on sharing it.
    """
    holder = sys.modules.get(_ENTRY)
    if holder is None:
        fresh = ModuleType(_ENTRY)
        fresh.hub = Hub()  # type: ignore[attr-defined]
        holder = sys.modules.setdefault(_ENTRY, fresh)
    hub: Hub = holder.hub
    return hub

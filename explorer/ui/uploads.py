"""What uploads may take of the server's memory, and when it is given back.

Streamlit keeps the files of an upload until the page has them removed or their session ends, and a
session whose browser left until another one comes.
"""

import gc
import re
from collections import Counter
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit import runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager

MOST_UPLOADED = 256 * 2**20  # bytes of one session that wait to be taken in
_UPLOAD = re.compile(r"/_stcore/upload_file/([^/]+)/[^/]+\Z")


def stored_bytes(session: str) -> int:
    """Bytes of a session's files that Streamlit keeps."""
    files = runtime.get_instance().uploaded_file_mgr if runtime.exists() else None
    if not isinstance(files, MemoryUploadedFileManager):
        return 0
    return sum(len(one.data) for one in list(files.file_storage.get(session, {}).values()))


class UploadBudget:
    """Refuses an upload with which a session's files would have more bytes than it may hold.

    Args:
        app: what takes uploads.
        stored: bytes of a session's files that are kept.
    """

    def __init__(self, app: ASGIApp, stored: Callable[[str], int] = stored_bytes) -> None:
        self._app = app
        self._stored = stored
        self._arriving: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take an upload, or say why not."""
        found = None
        if scope["type"] == "http" and scope["method"] == "PUT":
            found = _UPLOAD.search(scope["path"])
        if found is None:
            await self._app(scope, receive, send)
            return
        session, size = found.group(1), Headers(scope=scope).get("content-length", "")
        if not re.fullmatch(r"[0-9]{1,15}", size):
            words = "The upload does not say how many bytes it has (Content-Length): send that too."
            await PlainTextResponse(words, 411)(scope, receive, send)
            return
        held = self._stored(session) + self._arriving[session]
        if held + int(size) > MOST_UPLOADED:
            words = (
                f"The upload has {int(size):,} bytes and {held:,} wait to be taken in; a session "
                f"may hold {MOST_UPLOADED:,}: upload fewer at once."
            )
            await PlainTextResponse(words, 413)(scope, receive, send)
            return
        self._arriving[session] += int(size)
        try:
            await self._app(scope, receive, send)
        finally:
            self._arriving[session] -= int(size)
            if not self._arriving[session]:
                del self._arriving[session]


def end_left_sessions() -> None:
    """End the sessions whose browser has not come back in time, with their pictures and files."""
    if not runtime.exists():
        return
    # Streamlit's storage lets go of what is over only when another session is put in.
    sessions = getattr(runtime.get_instance(), "_session_mgr", None)
    kept = getattr(getattr(sessions, "_session_storage", None), "_cache", None)
    if kept is None:
        return
    over = kept.expire()
    for _, kept_session in over:
        kept_session.session.shutdown()
    if over:
        del over, kept_session
        gc.collect()  # a session and its script refer to each other

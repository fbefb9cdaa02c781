"""Who is answered: names the server goes by, origins of pages, and headers that protect a page."""

import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import (
    WebSocket,
    WebSocketClose,
    WebSocketDisconnect,
    WebSocketState,
)

# Close codes: 1008 breaks the protocol; 4000 to 4999 are an application's own.
BAD_FRAME, NO_GRANT, BROKEN_MODEL, TOO_MANY, FAILED = 1008, 4401, 4422, 4429, 4500
LONGEST_REASON = 120  # bytes: a close frame takes 123
LONGEST_QUOTE = 80  # characters of what a stranger sent
MOST_LOGGED = 50  # different refusals: a stranger must not fill the log
HEALTH = "/_stcore/health"  # a load balancer asks by whatever name it likes


@dataclass(frozen=True)
class Access:
    """The settings that say under which names and from which pages the server may be used.

    Attributes:
        pages: hosts of browser.serverAddress and server.corsAllowedOrigins, lower case: where
            browsers find the pages.
        names: what else the server is called, as server.address has it, lower case.
        origins: server.corsAllowedOrigins.
        any_origin: whether every origin is welcome (server.enableCORS is off).
        lists_host: whether server.allowedHosts has a Host; None where that is not set.
        takes_origin: whether Streamlit's own socket accepts an origin other than the Host; may
            look up this machine's addresses, and so block.
    """

    pages: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    origins: tuple[str, ...] = ()
    any_origin: bool = False
    lists_host: Callable[[str], bool] | None = None
    takes_origin: Callable[[str], bool] | None = None

    @cached_property
    def known_names(self) -> frozenset[str]:
        """Those of the settings, this machine's own, and that on its network by mDNS."""
        own = socket.gethostname().lower().rstrip(".")
        return self.pages | self.names | {own, f"{own.partition('.')[0]}.local"}

    def refuse_host(self, host: str | None, origin: str | None) -> str | None:
        """Why a request under this Host is not answered; None if it is.

        A page of a stranger's that points its own name at this machine (DNS rebinding) shows that
        name as Host and Origin. So names that anybody can own are answered only where the settings
        have them. An address is no such name; neither is localhost, nor a name without a dot.

        Args:
            host: the Host header, None where there is none, as browsers always send one.
            origin: the Origin header, None where there is none.
        """
        if host is None:
            return None
        if self.lists_host is not None:
            if self.lists_host(host):
                return None
            return (
                f"This server does not answer as {quoted(host)}: server.allowedHosts names the "
                "hosts it answers as. If this one is yours, add it there and start the app again."
            )
        if self.any_origin:
            return None
        name = host_name(host)
        if name is not None and (is_private(name) or name in self.known_names):
            return None
        # A proxy may write any Host. Then the page's origin tells, which a stranger's page cannot
        # choose; and what is asked for without an origin gives no session and no token.
        if self.pages and (origin is None or origin_name(origin) in self.pages):
            return None
        return (
            f"This server does not know the name {quoted(host)}, under which a foreign page could "
            "reach it (DNS rebinding). It answers to IP addresses, localhost, names without a dot, "
            "this machine's own name and those in the settings. If the name is yours, set "
            "browser.serverAddress to it (or list all names in server.allowedHosts) and start the "
            "app again."
        )

    async def refuse_origin(self, host: str | None, origin: str | None) -> str | None:
        """Why a page of this origin gets no socket; None if it gets one.

        Args:
            host: the Host header.
            origin: the Origin header. Browsers always send it with a WebSocket; a request without
                one is no page's.
        """
        if not origin:
            return "No Origin came with the request: only pages of this app get a live connection."
        if self.any_origin or is_same(origin, host) or origin in self.origins:
            return None
        if self.takes_origin is not None and await run_in_threadpool(self.takes_origin, origin):
            return None
        return (
            f"A page of {quoted(origin)} asks for a live connection to {quoted(host or '')}; only "
            "pages of this very address and of those in the settings get one. If it is this app "
            f"behind a proxy, add {quoted(origin)} to server.corsAllowedOrigins, or have the proxy "
            "pass the Host header on, and start the app again."
        )

    @property
    def page_headers(self) -> dict[str, str]:
        """What every answer carries, unless it has its own."""
        headers = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}
        if not self.any_origin:
            framers = " ".join(["'self'", *(one for one in self.origins if origin_name(one))])
            headers["Content-Security-Policy"] = f"frame-ancestors {framers}"
        return headers


class Guard:
    """Lets through what `Access` allows, and gives every answer the headers that protect a page.

    Args:
        app: what is guarded.
        access: the settings.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access
        self._headers = access.page_headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or say why not."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host, origin = headers.get("host"), headers.get("origin")
        words = self._access.refuse_host(host, origin)
        if scope["type"] == "websocket":
            # Streamlit's own socket may be opened without an origin; ours asks for one itself.
            if words is None and origin is not None:
                words = await self._access.refuse_origin(host, origin)
            if words is not None:
                log_once(words)
                await WebSocketClose(BAD_FRAME)(scope, receive, send)
                return
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    answer.setdefault(name, value)
            await send(message)

        if words is not None and not scope["path"].endswith(HEALTH):
            log_once(words)
            await PlainTextResponse(words, 403)(scope, receive, send_guarded)
            return
        try:
            await self._app(scope, receive, send_guarded)
        except ClientDisconnect:
            return  # it left in the midst of its own request, and hears no answer


def host_name(host: str) -> str | None:
    """The name in a Host header, lower case; None if it holds something else."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # raises where it is none
    except ValueError:
        return None
    if not parts.hostname or parts.netloc != host or "@" in host:
        return None
    return parts.hostname.rstrip(".") or None


def origin_name(origin: str) -> str | None:
    """The host of an origin, lower case; None if it has none."""
    try:
        return host_name(urlsplit(origin).netloc)
    except ValueError:
        return None


def is_private(name: str) -> bool:
    """Whether no stranger can own a name: an IP address, localhost, a name without a dot."""
    try:
        ip_address(name)
    except ValueError:
        return "." not in name or name.endswith(".localhost")
    return True


def is_same(origin: str, host: str | None) -> bool:
    """Whether an origin is that of the Host's own pages."""
    if not host:
        return False
    try:
        return urlsplit(origin).netloc == host
    except ValueError:  # no address at all
        return False


def quoted(text: str) -> str:
    """What a stranger sent, short and on one line."""
    return repr(text if len(text) <= LONGEST_QUOTE else text[:LONGEST_QUOTE] + "…")


_logged: set[str] = set()


def log_once(words: str) -> None:
    """Warn of what is refused, of each thing once."""
    if words not in _logged and len(_logged) < MOST_LOGGED:
        _logged.add(words)
        logging.getLogger(__name__).warning("%s", words)


async def accept_page(websocket: WebSocket, subprotocol: str) -> str | None:
    """Accept the socket of a page; what no page opened is turned away before it is accepted.

    The token comes as the second subprotocol, so that it stands in no address and no log. Whether
    the page is one of ours is the `Guard`'s affair.

    Args:
        websocket: not yet accepted.
        subprotocol: of the route.

    Returns:
        The token offered, "" for none; None if the socket was turned away.
    """
    if not websocket.headers.get("origin"):
        await websocket.close(BAD_FRAME)
        return None
    offered: list[str] = websocket.scope.get("subprotocols", [])
    await websocket.accept(subprotocol=subprotocol if subprotocol in offered else None)
    return next((word for word in offered if word != subprotocol), "")


async def close_socket(websocket: WebSocket, code: int, reason: str) -> None:
    """Close with a reason, cut to what a close frame holds, unless it is closed already."""
    if websocket.application_state is WebSocketState.DISCONNECTED:
        return
    short = reason.encode()[:LONGEST_REASON].decode(errors="ignore")
    with suppress(WebSocketDisconnect, RuntimeError):  # it left, or is being closed
        await websocket.close(code, short)

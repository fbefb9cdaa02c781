"""Who may open a socket: pages of this very server that bear a session's token."""

from urllib.parse import urlsplit

from starlette.websockets import WebSocket, WebSocketState

# Close codes: 1008 breaks the protocol; 4000 to 4999 are an application's own.
BAD_FRAME, NO_GRANT, BROKEN_MODEL = 1008, 4401, 4422
LONGEST_REASON = 120  # bytes: a close frame takes 123


def is_same_origin(websocket: WebSocket) -> bool:
    """Whether the page that connects came from this very server.

    Browsers always send Origin with a WebSocket; a request without one is no page of ours.
    """
    origin, host = websocket.headers.get("origin"), websocket.headers.get("host")
    if not origin or not host:
        return False
    try:
        return urlsplit(origin).netloc == host
    except ValueError:  # no address at all
        return False


async def accept_page(websocket: WebSocket, subprotocol: str) -> str | None:
    """Accept the socket of a page of ours; others are turned away before they are accepted.

    The token comes as the second subprotocol, so that it stands in no address and no log.

    Args:
        websocket: not yet accepted.
        subprotocol: of the route.

    Returns:
        The token offered, "" for none; None if the socket was turned away.
    """
    if not is_same_origin(websocket):
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
    await websocket.close(code, short)

"""Streamlit's settings of names and origins, for the guard of the server."""

from streamlit import config
from streamlit.web.server.server_util import is_url_from_allowed_origins
from streamlit.web.server.starlette.starlette_websocket import is_host_allowed

from explorer.live.guard import Access, host_name, origin_name


def streamlit_access() -> Access:
    """What the server's settings allow, so that our sockets open wherever Streamlit's own does."""
    origins = tuple(str(one).strip() for one in config.get_option("server.corsAllowedOrigins"))
    pages = [origin_name(origin) for origin in origins] + [_named_by("browser.serverAddress")]
    return Access(
        pages=frozenset(name for name in pages if name),
        names=frozenset(name for name in [_named_by("server.address")] if name),
        origins=origins,
        any_origin=not config.get_option("server.enableCORS"),
        lists_host=is_host_allowed if config.get_option("server.allowedHosts") else None,
        takes_origin=is_url_from_allowed_origins,
    )


def _named_by(option: str) -> str | None:
    """The host that an option holds, as a name or an address; None where it is left alone."""
    address = str(config.get_option(option) or "") if config.is_manually_set(option) else ""
    return origin_name(address) if "://" in address else host_name(address)

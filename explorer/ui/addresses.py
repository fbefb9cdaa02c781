"""Where the server's own routes lie for a browser."""

import streamlit as st

from explorer.live.route import PREFIX


def base_path() -> str:
    """Streamlit's server.baseUrlPath, which user routes do not get by themselves: "" or "/name"."""
    path = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{path}" if path else ""


def live_base() -> str:
    """The path that all live routes lie below."""
    return base_path() + PREFIX

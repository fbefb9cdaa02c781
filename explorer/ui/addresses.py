"""Where the server's own routes lie for a browser."""

import streamlit as st

from explorer.live.route import PREFIX

DEFAULT_PAGE, OTHER_PAGES = "Explore", ("Encode", "Compare")


def page_path(name: str) -> str:
    """A page's own part of its address."""
    return name.lower()


def base_path() -> str:
    """Streamlit's server.baseUrlPath, which user routes do not get by themselves: "" or "/name"."""
    path = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{path}" if path else ""


def live_base() -> str:
    """The path that all live routes lie below."""
    return base_path() + PREFIX

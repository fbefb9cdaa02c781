"""Streamlit's camera, and a sentence in its place where the browser gives no camera out.

Over plain http from another machine `navigator.mediaDevices` is missing, and Streamlit's own field
asks for a permission that cannot be given.
"""

from collections.abc import Callable
from typing import Any

import streamlit as st

from explorer.ui.sources import source

KEY = "encode-camera"

_component = st.components.v2.component(
    "latent_explorer.camera",
    html=source("camera/camera.html"),
    css=source("camera/camera.css"),
    js=source("camera/camera.js"),
    isolate_styles=False,
)


def show_camera(*, key: str, on_change: Callable[..., None], args: tuple[Any, ...]) -> None:
    """The camera; `on_change` is called with `args` when a photograph was taken.

    Args:
        key: of Streamlit's field, which holds the photograph.
        on_change: called before the script runs again.
        args: of `on_change`.
    """
    with st.container(key=KEY):
        _component(key=f"{KEY}-words")
        st.camera_input(
            "Take a photograph",
            key=key,
            label_visibility="collapsed",
            on_change=on_change,
            args=args,
        )

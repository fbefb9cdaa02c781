"""The browser component on which a part of a picture is painted over."""

import base64
import binascii
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from explorer.ui.sources import source

_component = st.components.v2.component(
    "latent_explorer.mask",
    html=source("mask/mask.html"),
    css=source("mask/mask.css"),
    js=source("mask/mask.js"),
    isolate_styles=False,
)


@dataclass(frozen=True)
class MaskRequest:
    """What the component shows.

    Attributes:
        picture: changes when the picture does; the mask is then that of the request.
        source: the picture as a data URL.
        width, height: pixels of it.
        mask: what is painted over, one bit a pixel, row by row, base64.
        share: side of the square that the model learned to fill, as a share of the shorter side.
    """

    picture: str
    source: str
    width: int
    height: int
    mask: str
    share: float


def pack_mask(mask: NDArray[np.bool_]) -> str:
    """A mask (H, W) as base64."""
    return base64.b64encode(np.packbits(mask, axis=None).tobytes()).decode()


def unpack_mask(text: str, height: int, width: int) -> NDArray[np.bool_] | None:
    """The mask (H, W) out of base64; None if it is none of that size."""
    try:
        data = np.frombuffer(base64.b64decode(text, validate=True), np.uint8)
    except (binascii.Error, ValueError):
        return None
    if len(data) != -(-height * width // 8):
        return None
    return np.unpackbits(data, count=height * width).reshape(height, width).astype(bool)


def show_mask(
    request: MaskRequest, *, key: str, on_painted: Callable[[NDArray[np.bool_]], None]
) -> None:
    """Show the component.

    Args:
        request: what it shows.
        key: of the component.
        on_painted: told of a new mask (H, W) before the script runs again.
    """

    def told() -> None:
        value = getattr(st.session_state.get(key), "painted", None)
        if not isinstance(value, dict) or value.get("picture") != request.picture:
            return
        mask = unpack_mask(str(value.get("mask")), request.height, request.width)
        if mask is not None:
            on_painted(mask)

    _component(key=key, data=asdict(request), on_painted_change=told)

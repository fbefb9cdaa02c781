"""Pictures in a row, each with a word below it."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from explorer.images.sheet import to_picture
from explorer.ui.encoding.files import to_data_url

STYLE = """<style>
.strip{display:grid;grid-template-columns:repeat(auto-fill,minmax(5.2rem,1fr));gap:.55rem;margin:0}
.strip figure{margin:0;min-width:0}
.strip img{width:100%;aspect-ratio:1;object-fit:contain;image-rendering:pixelated;display:block;
border-radius:.35rem;background:color-mix(in srgb,currentColor 7%,transparent)}
.strip figcaption{font-size:.78rem;line-height:1.3;margin-top:.2rem;overflow-wrap:anywhere}
.strip small{display:block;opacity:.72;font-size:.74rem}
.strip.large{grid-template-columns:minmax(0,11rem);justify-content:center}
@media(max-width:640px){.strip.large{grid-template-columns:minmax(0,8rem)}}
.bars{display:grid;grid-template-columns:max-content minmax(3rem,1fr) max-content;gap:.3rem .6rem;
align-items:center;font-size:.86rem;margin:0}
.bars i{display:block;height:.8rem;border-radius:.25rem}
.bars span{font-variant-numeric:tabular-nums}
</style>"""


@dataclass(frozen=True)
class StripPicture:
    """One picture of a row.

    Attributes:
        source: a data URL.
        title: what stands below it.
        detail: in smaller type, below that.
    """

    source: str
    title: str
    detail: str = ""

    @classmethod
    def of(
        cls, image: NDArray[np.floating[Any]] | NDArray[np.uint8], title: str, detail: str = ""
    ) -> "StripPicture":
        """From an image (C, H, W), floats in [0, 1] or uint8."""
        return cls(to_data_url(to_picture(image)), title, detail)


def show_strip(
    pictures: Sequence[StripPicture], *, large: bool = False, titles: bool = True
) -> None:
    """Show pictures in as many columns as there is room for.

    Args:
        pictures: in order.
        large: one below the other, larger.
        titles: whether the titles are seen; a screen reader reads them in any case.
    """
    figures = "".join(
        f'<figure><img src="{html.escape(one.source)}" alt="{html.escape(_alt(one))}">'
        + (f"<figcaption>{_caption(one)}</figcaption>" if titles else "")
        + "</figure>"
        for one in pictures
    )
    st.html(f'{STYLE}<div class="strip{" large" if large else ""}">{figures}</div>')


def _caption(picture: StripPicture) -> str:
    detail = f"<small>{html.escape(picture.detail)}</small>" if picture.detail else ""
    return html.escape(picture.title) + detail


def _alt(picture: StripPicture) -> str:
    return f"{picture.title}, {picture.detail}" if picture.detail else picture.title


@dataclass(frozen=True)
class Bar:
    """One bar of a list.

    Attributes:
        title: in front of it.
        share: of the full length, 0 to 1.
        words: behind it.
        colour: CSS.
    """

    title: str
    share: float
    words: str
    colour: str


def show_bars(bars: Sequence[Bar]) -> None:
    """Bars below one another, each with its name and figure."""
    rows = "".join(
        f"<span>{html.escape(one.title)}</span>"
        f'<i style="width:{100 * one.share:.1f}%;background:{html.escape(one.colour)}"></i>'
        f"<span>{html.escape(one.words)}</span>"
        for one in bars
    )
    st.html(f'{STYLE}<div class="bars">{rows}</div>')

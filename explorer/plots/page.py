"""Figures, pictures and words as one HTML page that needs nothing else and opens offline."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from PIL import Image

# The page may load nothing from anywhere; Plotly's WebGL traces compile their shaders' code.
_POLICY = (
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline' 'unsafe-eval'"
)
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1f2330;background:#fff;max-width:76rem;
margin:2rem auto;padding:0 1.2rem}
h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2.2rem}h3{font-size:1rem;margin:.6rem 0}
.side{display:grid;grid-template-columns:repeat(auto-fit,minmax(22rem,1fr));gap:1.2rem}
.side>div{min-width:0}
img{width:100%;image-rendering:pixelated;border-radius:.4rem}
p.small{color:#666;font-size:.85rem;margin:.3rem 0}
.alert{background:#fde8e6;padding:.6rem .9rem;border-radius:.5rem}
table.all{border-collapse:collapse;font-size:.8rem}
table.all td,table.all th{border-bottom:1px solid #ddd;padding:.25rem .5rem;text-align:left;
vertical-align:top}
"""


@dataclass(frozen=True)
class Heading:
    """A heading of a section, or of a part of one."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Words:
    """A paragraph."""

    text: str
    kind: str = ""  # "", "small" or "alert"


@dataclass(frozen=True)
class Html:
    """HTML as it stands; whoever makes it escapes what is not theirs."""

    html: str


@dataclass(frozen=True, eq=False)
class Sheet:
    """Pictures on one sheet, (H, W) or (H, W, 3) uint8, and what they show."""

    pixels: NDArray[np.uint8]
    caption: str


@dataclass(frozen=True, eq=False)
class Chart:
    """A Plotly figure that stays interactive."""

    figure: go.Figure


@dataclass(frozen=True)
class Side:
    """Parts side by side, a list of them for each column."""

    columns: Sequence[Sequence["Part"]]


Part = Heading | Words | Html | Sheet | Chart | Side


def write_page(title: str, parts: Sequence[Part], *, style: str = "") -> str:
    """The page.

    Args:
        title: of it.
        parts: what stands on it, in order.
        style: CSS on top of the page's own.

    Returns:
        HTML, with Plotly in it once if there is any figure.
    """
    body = "\n".join(map(_write, parts))
    plotly = ""
    if _has_chart(parts):
        source = files("plotly").joinpath("package_data", "plotly.min.js").read_text("utf-8")
        plotly = f"<script>{source}</script>"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}{style}</style>{plotly}</head>\n"
        f"<body><h1>{escape(title)}</h1>\n{body}\n</body></html>\n"
    )


def _has_chart(parts: Sequence[Part]) -> bool:
    return any(
        isinstance(part, Chart) or (isinstance(part, Side) and any(map(_has_chart, part.columns)))
        for part in parts
    )


def _write(part: Part) -> str:
    match part:
        case Heading(text, level):
            return f"<h{level}>{escape(text)}</h{level}>"
        case Words(text, kind):
            return f'<p class="{escape(kind)}">{escape(text)}</p>'
        case Html(html):
            return html
        case Sheet(pixels, caption):
            return (
                f'<img alt="{escape(caption)}" src="data:image/png;base64,{_as_png(pixels)}">'
                f'<p class="small">{escape(caption)}</p>'
            )
        case Chart(figure):
            return str(
                figure.to_html(
                    full_html=False, include_plotlyjs=False, include_mathjax=False,
                    config={"displaylogo": False, "responsive": True},
                )
            )  # fmt: skip
        case Side(columns):
            inner = "".join(f"<div>{''.join(map(_write, column))}</div>" for column in columns)
            return f'<div class="side">{inner}</div>'


def _as_png(pixels: NDArray[np.uint8]) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()

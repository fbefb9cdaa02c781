"""The verdict in words, and the table of headline measures it rests on."""

from collections.abc import Sequence
from html import escape

import streamlit as st

from explorer.plots.palette import class_colours
from explorer.regularity.measure import HIGHER, LOWER, NEAR_NULL, Measure
from explorer.regularity.verdict import Standing

DIRECTION = {HIGHER: ("↑", "higher is better"), LOWER: ("↓", "lower is better")}
NEAR = {NEAR_NULL: ("◦", "near the dashed line is better")}
MARGIN = 0.06  # of the plot's width on either side

STYLE = """<style>
.standing{width:100%;border-collapse:collapse;font-size:.82rem;line-height:1.25;
font-variant-numeric:tabular-nums}
.standing th,.standing td{padding:.22rem .4rem;border:0;text-align:right;white-space:nowrap;
border-bottom:1px solid rgba(128,128,128,.22)}
.standing th:first-child,.standing td:first-child{text-align:left}
.standing th{font-weight:600;font-size:.76rem}
.standing th i{display:inline-block;width:.65rem;height:.65rem;border-radius:50%;margin-right:.3rem}
.standing td small{opacity:.7}
.standing td.best{font-weight:700}
.standing td.best::before{content:"✓ ";color:#2e9d5b}
.standing .plot{position:relative;width:9rem;min-width:6rem;padding:0}
.standing .plot div{position:absolute}
.standing .null{top:2px;bottom:2px;border-left:1px dashed currentColor;opacity:.55}
.standing .whisker{height:2px;border-radius:1px;min-width:2px}
.standing .dot{width:8px;height:8px;border-radius:50%;margin:-3px 0 0 -4px}
@media(max-width:40rem){.standing .plot{display:none}}
</style>"""


def show_verdict(sentences: Sequence[str]) -> None:
    """The answer first and large, the rest below it."""
    answer, *rest = sentences
    st.markdown(f"##### {escape_markdown(answer)}")
    if rest:
        st.markdown(" ".join(escape_markdown(line) for line in rest))


def escape_markdown(text: str) -> str:
    """As `words.plain`; names in a verdict come from folders."""
    from explorer.ui.words import plain

    return plain(text)


def show_table(names: Sequence[str], found: dict[str, Standing]) -> None:
    """One row a measure: what it is, the intervals, the figures, the winner marked.

    Args:
        names: of the models.
        found: how they stand, in order.
    """
    colours = class_colours(max(2, len(names)))
    head = "".join(
        f'<th title="{escape(name)}"><i style="background:{colour}"></i>{escape(_short(name))}</th>'
        for name, colour in zip(names, colours, strict=False)
    )
    rows = "".join(_row(standing, colours) for standing in found.values())
    st.html(
        f'{STYLE}<table class="standing"><thead><tr><th>Measure</th><th>95 % intervals</th>{head}'
        f"</tr></thead><tbody>{rows}</tbody></table>"
    )


def _short(name: str) -> str:
    return name if len(name) <= 20 else f"{name[:19]}…"


def _row(standing: Standing, colours: Sequence[str]) -> str:
    first = standing.measures[0]
    sign, words = (DIRECTION | NEAR).get(first.better, ("", "describes; no side is better"))
    cells = "".join(
        f'<td class="{"best" if standing.best == place else ""}" title="{_interval(one)}">'
        f"{figure(one.value)}</td>"
        for place, one in enumerate(standing.measures)
    )
    told = f"{first.student} ({words}; {first.unit})"
    return (
        f'<tr><td title="{escape(told)}">{escape(first.title)} <small>{sign}</small></td>'
        f'<td class="plot">{_plot(standing.measures, colours)}</td>{cells}</tr>'
    )


def _interval(measure: Measure) -> str:
    if measure.low is None or measure.high is None:
        return escape(measure.note or "no interval")
    return (
        f"95 % from {figure(measure.low)} to {figure(measure.high)} {escape(measure.unit)}, "
        f"n = {measure.n:,}"
    )


def figure(value: float) -> str:
    """A number as it stands in the table: three digits that count."""
    if value == 0 or 0.001 <= abs(value) < 10_000:
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:.2g}"


def _plot(measures: Sequence[Measure], colours: Sequence[str]) -> str:
    ends = [
        number
        for one in measures
        for number in (one.low, one.high, one.value, one.null)
        if number is not None
    ]
    low, high = min(ends), max(ends)
    width = (high - low) or abs(high) or 1.0

    def place(value: float) -> float:
        return 100 * (MARGIN + (1 - 2 * MARGIN) * (value - low) / width)

    parts = []
    if measures[0].null is not None:
        parts.append(f'<div class="null" style="left:{place(measures[0].null):.1f}%"></div>')
    for number, (one, colour) in enumerate(zip(measures, colours, strict=False)):
        top = 100 * (number + 1) / (len(measures) + 1)
        if one.low is not None and one.high is not None:
            left = place(one.low)
            parts.append(
                f'<div class="whisker" style="left:{left:.1f}%;width:{place(one.high) - left:.1f}%;'
                f'top:{top:.0f}%;background:{colour}"></div>'
            )
        parts.append(
            f'<div class="dot" style="left:{place(one.value):.1f}%;top:{top:.0f}%;'
            f'background:{colour}"></div>'
        )
    return "".join(parts)

"""The verdict in words, and the table of headline measures it rests on."""

from collections.abc import Mapping, Sequence
from html import escape

import streamlit as st

from explorer.plots.palette import class_colours
from explorer.regularity.definitions import HIGHER, LOWER, NEAR_IDEAL
from explorer.regularity.estimate import Estimate
from explorer.regularity.verdict import Standing
from explorer.ui.words import plain

DIRECTION = {HIGHER: ("↑", "higher is better"), LOWER: ("↓", "lower is better")}
NEAR = {NEAR_IDEAL: ("◦", "near the dashed line is better")}
MARGIN = 0.06  # of the plot's width on either side
LONGEST_NAME = 20  # characters of a column's head

# Of each model, the figures of its other seeds by measure.
Seeds = Sequence[Mapping[str, Sequence[float]]]


def show_verdict(sentences: Sequence[str]) -> None:
    """The answer first and large, the rest below it."""
    answer, *rest = sentences
    st.markdown(f"##### {plain(answer)}")
    if rest:
        st.markdown(" ".join(plain(line) for line in rest))


def table_html(
    names: Sequence[str],
    found: Mapping[str, Standing],
    *,
    seeds: Seeds = (),
    openable: Sequence[str] = (),
) -> str:
    """One row a measure: what it is, the intervals, the figures, the winner marked.

    Args:
        names: of the models.
        found: how they stand, in order.
        seeds: the figures of further seeds, a model each; drawn as small circles.
        openable: the measures that there are pictures of.
    """
    colours = model_colours(len(names))
    head = "".join(
        f'<th scope="col" title="{escape(name)}"><i style="background:{colour}"></i>'
        f"{escape(_short(name))}</th>"
        for name, colour in zip(names, colours, strict=True)
    )
    rows = "".join(
        _row(
            key,
            standing,
            colours,
            [one.get(key, ()) for one in seeds],
            openable=key in openable,
        )
        for key, standing in found.items()
    )
    return (
        '<table class="standing"><thead><tr><th scope="col">Measure</th>'
        f'<th scope="col" class="plot">95 % intervals</th>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def model_colours(count: int) -> list[str]:
    """One colour a model, the same in the table and in every figure."""
    return class_colours(max(2, count))[:count]


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def _row(
    key: str,
    standing: Standing,
    colours: Sequence[str],
    seeds: Sequence[Sequence[float]],
    *,
    openable: bool,
) -> str:
    first = standing.measures[0]
    sign, words = (DIRECTION | NEAR).get(
        first.definition.direction, ("", "describes; no side is better")
    )
    cells = "".join(
        f'<td class="{"best" if standing.best == place else ""}" '
        f'title="{_told(one, seeds[place] if place < len(seeds) else ())}">{figure(one.value)}</td>'
        for place, one in enumerate(standing.measures)
    )
    told = escape(f"{first.definition.plain_words} ({words}; {first.unit})")
    title = f"{escape(first.definition.title)} <small>{sign}</small>"
    if openable:
        attributes = f' data-row="{escape(key)}"'
        title = f'<button type="button" aria-expanded="false">{title}</button>'
    else:
        attributes, title = "", f'<span class="plain">{title}</span>'
    return (
        f'<tr{attributes}><td title="{told}">{title}</td>'
        f'<td class="plot">{_plot(standing.measures, colours, seeds)}</td>{cells}</tr>'
    )


def _told(measure: Estimate, seeds: Sequence[float]) -> str:
    if measure.low is None or measure.high is None:
        told = measure.note or "no interval"
    else:
        told = (
            f"95 % from {figure(measure.low)} to {figure(measure.high)} {measure.unit}, "
            f"n = {measure.n:,}"
        )
    if seeds:
        told += f"; other seeds: {', '.join(figure(value) for value in seeds)}"
    return escape(told)


def figure(value: float) -> str:
    """A number as it stands in the table: three digits that count, and no fewer than it has."""
    if 1000 <= abs(value) < 1e7:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value == 0 or 0.001 <= abs(value) < 1000 else f"{value:.2g}"


def _plot(
    measures: Sequence[Estimate], colours: Sequence[str], seeds: Sequence[Sequence[float]]
) -> str:
    ends = [
        number
        for one in measures
        for number in (one.low, one.high, one.value, one.chance, one.ideal)
        if number is not None
    ] + [value for values in seeds for value in values]
    low, high = min(ends), max(ends)
    width = (high - low) or abs(high) or 1.0

    def place(value: float) -> float:
        return 100 * (MARGIN + (1 - 2 * MARGIN) * (value - low) / width)

    parts = []
    for line in (measures[0].chance, measures[0].ideal):
        if line is not None:
            parts.append(f'<div class="null" style="left:{place(line):.1f}%"></div>')
    for number, (one, colour) in enumerate(zip(measures, colours, strict=False)):
        top = 100 * (number + 1) / (len(measures) + 1)
        if one.low is not None and one.high is not None:
            left = place(one.low)
            parts.append(
                f'<div class="whisker" style="left:{left:.1f}%;width:{place(one.high) - left:.1f}%;'
                f'top:{top:.0f}%;background:{colour}"></div>'
            )
        parts += [
            f'<div class="seed" style="left:{place(value):.1f}%;top:{top:.0f}%;'
            f'border-color:{colour}"></div>'
            for value in (seeds[number] if number < len(seeds) else ())
        ]
        parts.append(
            f'<div class="dot" style="left:{place(one.value):.1f}%;top:{top:.0f}%;'
            f'background:{colour}"></div>'
        )
    return "".join(parts)

"""The verdict in words, and the table of headline measures it rests on."""

from collections.abc import Mapping, Sequence
from html import escape

import streamlit as st

from explorer.plots.palette import class_colours
from explorer.regularity.definitions import HIGHER, LOWER, NEAR_IDEAL
from explorer.regularity.estimate import Estimate
from explorer.regularity.verdict import Standing
from explorer.ui.words import plain

DIRECTION = {
    HIGHER: ("↑", "higher is better"),
    LOWER: ("↓", "lower is better"),
    NEAR_IDEAL: ("◦", "nearer to the ideal value is better"),
}
LEGEND = (
    '<p class="legend"><i class="line chance"></i> chance level: a model without the structure '
    'that the metric looks for <i class="line ideal"></i> ideal value: a perfect model{more}</p>'
)
TABLE_WORDS = (
    "✓ marks a model that is better than every other: the 95 % interval of each difference leaves "
    "out 0, and still does after Holm's correction for all comparisons of the table; the figure is "
    "better than the chance level, and nothing is the matter with the model. Read prior holes and "
    "encodings outside the prior together: a cloud much wider than the prior has no holes."
)
MARGIN = 0.06  # of the plot's width on either side
LONGEST_NAME = 20  # characters of a column's head

# Of each model, the figures of its other seeds by measure.
Seeds = Sequence[Mapping[str, Sequence[float]]]


def show_verdict(sentences: Sequence[str]) -> None:
    """The answer first and large, the rest below it."""
    answer, *rest = sentences
    st.markdown(f"##### {plain(answer)}")
    if rest:
        lines = "".join(f"<li>{escape(line)}</li>" for line in rest)
        st.html(f'<ul class="verdict">{lines}</ul>')


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
    more = ""
    if any(any(values) for one in seeds for values in one.values()):
        more = ' <i class="seed"></i> other seeds of the same training'
    if any(any(standing.trainings) for standing in found.values()):
        more += ' <i class="line trainings"></i> mean of the trainings, 95 % t interval'
    return (
        f'<table class="standing{" two" if len(names) == 2 else ""}"><thead><tr>'
        '<th scope="col">Metric</th>'
        f'<th scope="col" class="plot">95 % intervals</th>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table>{LEGEND.format(more=more)}"
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
    sign, words = DIRECTION.get(first.definition.direction, ("", "describes; no side is better"))
    cells = "".join(
        _cell(standing, place, seeds[place] if place < len(seeds) else ())
        for place in range(len(standing.measures))
    )
    told = f"{first.definition.plain_words} ({words}; {first.unit})"
    if standing.left_out:
        told = f"Not compared: {standing.left_out}. {told}"
    title = f"{escape(first.definition.title)}\u00a0<small>{sign}</small>"
    if openable:
        attributes = f' data-row="{escape(key)}"'
        title = f'<button type="button" aria-expanded="false">{title}</button>'
    else:
        attributes, title = "", f'<span class="plain">{title}</span>'
    if standing.left_out:
        attributes += ' class="apart"'
    plot = "" if first.fixed else _plot(standing, colours, seeds)
    return (
        f'<tr{attributes}><td title="{escape(told)}">{title}</td>'
        f'<td class="plot">{plot}</td>{cells}</tr>'
    )


def _cell(standing: Standing, place: int, seeds: Sequence[float]) -> str:
    """One model's figure; of a value that holds by construction, that it does."""
    one = standing.measures[place]
    if one.fixed:
        return (
            f'<td title="{escape(one.fixed)}"><small>{escape(one.fixed.split(":")[0])}</small></td>'
        )
    shown = figure(one.value)
    trained = standing.trainings[place] if standing.trainings else None
    if trained is not None:
        mean, count = trained
        ends = f"{figure(mean.low)} to {figure(mean.high)}"
        shown += f'<small class="trainings">k = {count}: {ends}</small>'
    best = "best" if standing.best == place else ""
    return f'<td class="{best}" title="{_told(one, seeds)}">{shown}</td>'


def _told(measure: Estimate, seeds: Sequence[float]) -> str:
    if measure.low is None or measure.high is None:
        told = measure.note or "no interval"
    else:
        told = (
            f"95 % from {figure(measure.low)} to {figure(measure.high)} {measure.unit}, "
            f"n = {measure.n:,}"
        )
    for words, value in (("chance level", measure.chance), ("ideal value", measure.ideal)):
        if value is not None:
            told += f"; {words} {figure(value)}"
    if seeds:
        told += f"; other seeds: {', '.join(figure(value) for value in seeds)}"
    return escape(told)


def figure(value: float) -> str:
    """A number as it stands in the table: three digits that count, and no fewer than it has."""
    if 1000 <= abs(value) < 1e7:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value == 0 or 0.001 <= abs(value) < 1000 else f"{value:.2g}"


def _plot(standing: Standing, colours: Sequence[str], seeds: Sequence[Sequence[float]]) -> str:
    measures = standing.measures
    trained = [found[0] for found in standing.trainings if found is not None]
    ends = [
        number
        for one in measures
        for number in (one.low, one.high, one.value, one.chance, one.ideal)
        if number is not None
    ]
    ends += [value for values in seeds for value in values]
    ends += [end for interval in trained for end in (interval.low, interval.high)]
    low, high = min(ends), max(ends)
    width = (high - low) or abs(high) or 1.0

    def place(value: float) -> float:
        return 100 * (MARGIN + (1 - 2 * MARGIN) * (value - low) / width)

    parts = []
    for kind in ("chance", "ideal"):
        lines = [getattr(one, kind) for one in measures]
        if None not in lines and len(set(lines)) == 1:
            parts.append(f'<div class="{kind}" style="left:{place(lines[0]):.1f}%"></div>')
            continue
        # Measured for each model: a line beside its own interval.
        share = 100 / (len(lines) + 1)
        parts += [
            f'<div class="{kind}" style="left:{place(value):.1f}%;top:{share * (row + 0.5):.0f}%;'
            f'bottom:auto;height:{share:.0f}%;border-color:{colour}"></div>'
            for row, (value, colour) in enumerate(zip(lines, colours, strict=False))
            if value is not None
        ]
    for number, (one, colour) in enumerate(zip(measures, colours, strict=False)):
        top = 100 * (number + 1) / (len(measures) + 1)
        if one.low is not None and one.high is not None:
            parts.append(_whisker("whisker", place(one.low), place(one.high), top, colour))
        found = standing.trainings[number] if standing.trainings else None
        if found is not None:
            left, right = place(found[0].low), place(found[0].high)
            parts.append(_whisker("trainings", left, right, top, colour))
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


def _whisker(kind: str, left: float, right: float, top: float, colour: str) -> str:
    return (
        f'<div class="{kind}" style="left:{left:.1f}%;width:{right - left:.1f}%;'
        f'top:{top:.0f}%;background:{colour}"></div>'
    )

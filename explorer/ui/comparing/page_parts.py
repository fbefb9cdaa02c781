"""What stands on the page that Compare writes: each section as parts of `plots.page`."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from html import escape

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from explorer.errors import ExplorerError
from explorer.images.sheet import tile
from explorer.latent.axes import kl_per_axis
from explorer.live.evidence import axis_distance, codes_of, draw_codes, has_exhibit
from explorer.live.spaces import PATHS, PRINCIPAL, find_way
from explorer.models.config import KIND_NAMES
from explorer.plots.page import Chart, Heading, Html, Part, Sheet, Side, Words
from explorer.regularity.definitions import COLUMN_TITLES, NO_PRIOR
from explorer.regularity.prior import fit_gaussian
from explorer.ui.comparing.between import ENDS, pick_ends, rows_of, shared_images
from explorer.ui.comparing.comparison import (
    COLUMN_DRAWS,
    Comparison,
    describe_match,
    exhibit_sheet,
    key_of,
    sheet_scale,
)
from explorer.ui.comparing.evidence import cached_exhibit, examples_of
from explorer.ui.comparing.figures_file import figures_of
from explorer.ui.comparing.planes import (
    PLANE_WORDS,
    cached_space,
    cached_stretch,
    hole_words,
)
from explorer.ui.comparing.samples import GRID_COLUMNS, GRID_ROWS, SEED
from explorer.ui.comparing.standing import TABLE_WORDS, figure, table_html

MOST_AXES = 12
STEPS = 11
SAME_PICTURES = "reconstruction_mse"  # as behind reconstruction_nll


def opening(comparison: Comparison) -> Iterator[Part]:
    """What is compared, how fair that is, the verdict and the table."""
    for name, model in zip(comparison.names, comparison.models, strict=True):
        config = model.config
        yield Words(
            f"{name}: {KIND_NAMES[config.kind]}, {config.network.latent_dim} latents, "
            f"{config.data.name}, {len(model.encodings.mean):,} held-out images."
        )
    matched, words = describe_match([model.config for model in comparison.models], comparison.names)
    yield Words(words, "" if matched else "alert")
    yield Words(
        f"{COLUMN_TITLES[comparison.column]}: {COLUMN_DRAWS[comparison.column]}. Written by Latent "
        f"Explorer on {datetime.now().astimezone():%d %B %Y}.",
        "small",
    )
    if comparison.reports is None:
        return
    answer, *rest = comparison.verdict
    yield Heading(answer)
    for sentence in rest:
        yield Words(sentence)
    yield Html(table_html(comparison.names, comparison.found, seeds=comparison.seed_figures()))
    yield Words(TABLE_WORDS, "small")


def evidence(comparison: Comparison) -> Iterator[Part]:
    """The examples behind each metric."""
    for key, standing in comparison.found.items():
        if not has_exhibit(key) or key == SAME_PICTURES:
            continue
        measure = standing.measures[0]
        columns: list[list[Part]] = []
        for place, model in enumerate(comparison.models):
            column = comparison.column if standing.measures[place].column != NO_PRIOR else NO_PRIOR
            examples = examples_of(comparison, place, key)
            said = f"{comparison.names[place]}: {figure(standing.measures[place].value)}"
            parts: list[Part] = [Heading(said, 3)]
            try:
                exhibit = cached_exhibit(model, *key_of(model), key, column, examples)
            except ExplorerError as error:
                parts.append(Words(str(error), "small"))
            else:
                parts.append(Sheet(exhibit_sheet(exhibit), exhibit.caption))
            columns.append(parts)
        yield Heading(f"{measure.definition.title} ({measure.unit})")
        yield Words(measure.definition.plain_words)
        yield Side(columns)


def samples(comparison: Comparison) -> Iterator[Part]:
    """Prior samples from the same noise."""
    yield Heading("Samples from the same noise")
    seed = int(st.session_state.get(SEED, 0))
    columns: list[list[Part]] = []
    for name, model in zip(comparison.names, comparison.models, strict=True):
        latents = draw_codes(model, comparison.column, GRID_COLUMNS * GRID_ROWS, seed)
        columns.append([_sheet(model.codec.decode_pixels(latents), GRID_COLUMNS, name)])
    yield Side(columns)


def planes(comparison: Comparison) -> Iterator[Part]:
    """The plane of the principal axes, as density and as stretch."""
    from explorer.plots.spaces import plot_space

    yield Heading("The plane of the principal axes")
    columns: list[list[Part]] = []
    for place, model in enumerate(comparison.models):
        parts: list[Part] = [Heading(comparison.names[place], 3)]
        if model.latent_dim > 1:
            key = (*key_of(model), PRINCIPAL, comparison.column)
            space = cached_space(model, *key)
            for stretch in (None, cached_stretch(model, space, *key)):
                chart = plot_space(
                    space.places,
                    space.extent,
                    names=space.plane.names,
                    colour=comparison.colours[place],
                    circle=space.circle,
                    samples=space.samples if stretch is None else None,
                    in_hole=space.in_hole,
                    ellipses=space.ellipses,
                    magnification=stretch,
                )
                parts.append(Chart(chart))
                if stretch is None:
                    parts.append(Words(hole_words(space)))
        columns.append(parts)
    yield Side(columns)
    yield Words(
        f"First the density of the encodings, then how much the decoder magnifies area (log10). "
        f"{PLANE_WORDS}",
        "small",
    )


def ways(comparison: Comparison) -> Iterator[Part]:
    """The ways between the two images that were chosen last."""
    from explorer.plots.spaces import plot_density_path

    models = comparison.models
    shared = shared_images(models)
    same = len({model.config.data.fingerprint for model in models}) == 1
    if not same or len(shared) < 2:
        return
    known = set(shared.tolist())
    chosen = [int(st.session_state.get(key) or 0) for key in ENDS]
    ends = [end for end in chosen if end in known]
    if len(ends) < len(ENDS):
        ends = pick_ends(models, shared, 0).tolist()
    yield Heading(f"Between images {ends[0]} and {ends[1]}")
    columns: list[list[Part]] = []
    for place, model in enumerate(models):
        parts: list[Part] = [Heading(comparison.names[place], 3)]
        for path in PATHS:
            way = find_way(model, rows_of(model, ends), path)
            parts.append(_sheet(way.pictures(model, STEPS), STEPS, path))
            colour = comparison.colours[place]
            parts.append(Chart(plot_density_path([way.density], [path], [colour])))
        columns.append(parts)
    yield Side(columns)


def axes(comparison: Comparison) -> Iterator[Part]:
    """Marginals, KL and covariances."""
    from explorer.plots.spaces import plot_bars, plot_covariance, plot_marginals

    names, colours = comparison.names, comparison.colours
    codes = [codes_of(model).astype(np.float64) for model in comparison.models]
    dim = min(one.shape[1] for one in codes)
    distance = np.max([axis_distance(one)[:dim] for one in codes], axis=0)
    farthest = np.sort(np.argsort(-distance, kind="stable")[:MOST_AXES]).tolist()
    yield Heading("Axes against N(0, 1)")
    yield Side(
        [
            [Chart(plot_marginals([one[:, axis] for one in codes], names, colours, axis))]
            for axis in farthest
        ]
    )
    rows, having = [], []
    for place, model in enumerate(comparison.models):
        if model.encodings.log_var is not None:
            rows.append(kl_per_axis(model.encodings.mean, model.encodings.log_var).mean(axis=0))
            having.append(place)
    if rows:
        yield Heading("KL of each axis")
        of = [names[place] for place in having], [colours[place] for place in having]
        yield Chart(plot_bars(rows, *of, "nats"))
    yield Heading("Covariance of the encodings")
    yield Side(
        [
            [Heading(name, 3), Chart(plot_covariance(fit_gaussian(one)[1]))]
            for name, one in zip(names, codes, strict=True)
        ]
    )


def definitions(comparison: Comparison) -> Iterator[Part]:
    """Every figure, and below them what each means."""
    found = [(name, one) for name, measures in figures_of(comparison) for one in measures]
    if not found:
        return
    # Metric by metric, the models below each other.
    order = list(dict.fromkeys((one.key, one.column) for _, one in found))
    found.sort(key=lambda entry: order.index((entry[1].key, entry[1].column)))
    yield Heading("Every figure")
    yield _table(
        (
            "metric", "prior", "model", "value", "95 % from", "to", "chance", "ideal", "unit", "n",
            "seed",
        ),
        [
            (
                one.definition.title, COLUMN_TITLES[one.column], name,
                figure(one.value), _maybe(one.low), _maybe(one.high),
                _maybe(one.chance), _maybe(one.ideal), one.unit, f"{one.n:,}", str(one.seed),
            )
            for name, one in found
        ],
    )  # fmt: skip
    yield Heading("Definitions")
    defined = {(one.key, one.column): one for _, one in found}
    yield _table(
        ("metric", "prior", "better", "in a sentence", "definition", "source"),
        [
            (
                one.definition.title, COLUMN_TITLES[one.column], one.definition.direction,
                one.definition.plain_words, one.definition.definition_in(one.column),
                one.definition.source,
            )
            for one in defined.values()
        ],
    )  # fmt: skip


def _maybe(value: float | None) -> str:
    return "" if value is None else figure(value)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Html:
    top = "".join(f"<th>{escape(text)}</th>" for text in head)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in row)}</tr>" for row in rows
    )
    return Html(
        f'<div style="overflow-x:auto"><table class="all"><tr>{top}</tr>{body}</table></div>'
    )


SECTIONS: tuple[tuple[str, Callable[[Comparison], Iterator[Part]]], ...] = (
    ("the verdict", opening),
    ("the examples", evidence),
    ("samples", samples),
    ("planes", planes),
    ("ways", ways),
    ("axes", axes),
    ("definitions", definitions),
)


def _sheet(pictures: NDArray[np.uint8], columns: int, caption: str) -> Sheet:
    scale = sheet_scale(pictures.shape[2], columns)
    return Sheet(tile(pictures.transpose(0, 3, 1, 2), columns, scale=scale, gap=2), caption)

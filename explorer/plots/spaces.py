"""A latent plane in full: where codes lie and the prior expects them, and what the decoder does."""

import math
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from explorer.plots.maps import CLEAR, FAINT, PRIOR_RADII

INK = "rgba(128,128,128,0.9)"
HOLE = "rgba(200,55,45,0.35)"
SAMPLE, SAMPLE_IN_HOLE = "rgba(90,98,115,0.9)", "rgba(214,39,28,0.95)"
MOST_SAMPLES = 1500  # dots that are drawn
BINS = 70


def plot_space(
    places: NDArray[np.float32],
    extent: tuple[float, float, float, float],
    *,
    names: Sequence[str],
    colour: str,
    circle: NDArray[np.float64],
    samples: NDArray[np.float32] | None = None,
    in_hole: NDArray[np.bool_] | None = None,
    ellipses: Sequence[NDArray[np.float64]] = (),
    magnification: NDArray[np.float64] | None = None,
    height: int = 430,
) -> go.Figure:
    """One plane of a latent space.

    Args:
        places: codes on the plane, (N, 2).
        extent: left, right, low, high of what is shown.
        names: of the two directions.
        colour: of the codes.
        circle: the prior's 1-sigma line, (S, 2), which 2 and 3 sigma are multiples of about its
            middle.
        samples: of the prior, projected onto the plane, (M, 2); the first 1,500 are drawn.
        in_hole: which of them lie in a hole of the whole latent space, (M,): drawn in red. A
            projection cannot show that by itself.
        ellipses: 1-sigma lines of posteriors, (S, 2) each, at true scale.
        magnification: (G, G), lowest line first: log10 of the decoder's magnification.
        height: pixels.

    Returns:
        The figure; codes are shaded by density unless the magnification is given.
    """
    figure = go.Figure()
    left, right, low, high = extent
    if magnification is not None:
        across, up = (
            _centres(left, right, magnification.shape[1]),
            _centres(low, high, magnification.shape[0]),
        )
        figure.add_trace(
            go.Heatmap(
                x=across, y=up, z=magnification, colorscale="Viridis", opacity=0.85,
                colorbar={"title": {"text": "log10"}, "thickness": 10, "len": 0.8},
                hovertemplate="%{x:.2f}, %{y:.2f}: 10^%{z:.2f}<extra></extra>",
            )
        )  # fmt: skip
    else:
        counts, _, _ = np.histogram2d(
            places[:, 1], places[:, 0], bins=BINS, range=[[low, high], [left, right]]
        )
        figure.add_trace(
            go.Heatmap(
                x=_centres(left, right, BINS), y=_centres(low, high, BINS),
                z=np.where(counts > 0, np.log10(np.maximum(counts, 1)) + 0.3, np.nan),
                colorscale=[[0, _faded(colour, 0.15)], [1, colour]], showscale=False,
                customdata=counts,
                hovertemplate="%{x:.2f}, %{y:.2f}: %{customdata:.0f} codes<extra></extra>",
            )
        )  # fmt: skip
    if samples is not None:
        lost = np.zeros(len(samples), np.bool_) if in_hole is None else in_hole
        shown, lost = samples[:MOST_SAMPLES], lost[:MOST_SAMPLES]
        for rows, ink, words in (
            (~lost, SAMPLE, "prior sample"),
            (lost, SAMPLE_IN_HOLE, "prior sample in a hole"),
        ):
            figure.add_trace(
                go.Scatter(
                    x=shown[rows, 0], y=shown[rows, 1], mode="markers", name=words,
                    marker={"color": ink, "size": 3.5},
                    hovertemplate=f"%{{x:.2f}}, %{{y:.2f}}: {words}<extra></extra>",
                )
            )  # fmt: skip
    for line in ellipses:
        figure.add_trace(_line(line, INK, 0.8))
    middle = circle.mean(axis=0)
    for radius in PRIOR_RADII:
        figure.add_trace(
            _line(middle + radius * (circle - middle), "rgba(128,128,128,1)", 1.4, "dot")
        )
    axis = {"gridcolor": FAINT, "zerolinecolor": FAINT}
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        paper_bgcolor=CLEAR,
        plot_bgcolor=CLEAR,
        showlegend=False,
        dragmode="pan",
        xaxis={**axis, "title": names[0], "range": [left, right], "constrain": "domain"},
        yaxis={**axis, "title": names[1], "range": [low, high], "scaleanchor": "x"},
    )
    return figure


def plot_marginals(
    samples: Sequence[NDArray[np.float64]],
    names: Sequence[str],
    colours: Sequence[str],
    axis: int,
    height: int = 150,
) -> go.Figure:
    """One latent axis of several models against N(0, 1).

    Args:
        samples: of each model's aggregate posterior on this axis, (N,).
        names: of the models.
        colours: of the models.
        axis: from 0.
        height: pixels.
    """
    figure = go.Figure()
    ends = [np.quantile(values, [0.002, 0.998]) for values in samples]
    low, high = min(-3.5, *(end[0] for end in ends)), max(3.5, *(end[1] for end in ends))
    for values, name, colour in zip(samples, names, colours, strict=False):
        counts, edges = np.histogram(values, bins=60, range=(low, high), density=True)
        figure.add_trace(
            go.Scatter(
                x=(edges[1:] + edges[:-1]) / 2, y=counts, mode="lines", name=name,
                line={"color": colour, "shape": "hvh", "width": 1.5},
                hovertemplate=f"z{axis + 1} %{{x:.2f}}: %{{y:.3f}}",
            )
        )  # fmt: skip
    grid = np.linspace(low, high, 200)
    figure.add_trace(
        go.Scatter(
            x=grid, y=np.exp(-(grid**2) / 2) / math.sqrt(math.tau), mode="lines", name="N(0, 1)",
            line={"color": "rgba(128,128,128,1)", "dash": "dot", "width": 1.3}, hoverinfo="skip",
        )
    )  # fmt: skip
    figure.update_layout(
        height=height, margin={"l": 4, "r": 4, "t": 22, "b": 4}, paper_bgcolor=CLEAR,
        plot_bgcolor=CLEAR, showlegend=False, title={"text": f"z{axis + 1}", "font": {"size": 12}},
        xaxis={"gridcolor": FAINT, "zeroline": False}, yaxis={"visible": False},
    )  # fmt: skip
    return figure


def plot_covariance(covariance: NDArray[np.float64], height: int = 330) -> go.Figure:
    """The covariance of the aggregate posterior, (D, D); under the prior it is the identity."""
    dim = len(covariance)
    most = float(np.abs(covariance).max()) or 1.0
    axes = [f"z{axis + 1}" for axis in range(dim)]
    figure = go.Figure(
        go.Heatmap(
            x=axes, y=axes, z=covariance, colorscale="RdBu_r", zmin=-most, zmax=most,
            colorbar={"thickness": 10}, hovertemplate="%{x}, %{y}: %{z:.3f}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_layout(
        height=height, margin={"l": 4, "r": 4, "t": 4, "b": 4}, paper_bgcolor=CLEAR,
        plot_bgcolor=CLEAR, yaxis={"autorange": "reversed", "scaleanchor": "x"},
        xaxis={"constrain": "domain"},
    )  # fmt: skip
    return figure


def plot_bars(
    values: Sequence[NDArray[np.float64]],
    names: Sequence[str],
    colours: Sequence[str],
    unit: str,
    height: int = 260,
) -> go.Figure:
    """One bar a latent axis and model, e.g. KL in nats.

    Args:
        values: of each model, (D,).
        names: of the models.
        colours: of the models.
        unit: of the values.
        height: pixels.
    """
    figure = go.Figure(
        [
            go.Bar(
                x=[f"z{axis + 1}" for axis in range(len(row))], y=row, name=name,
                marker={"color": colour}, hovertemplate="%{x}: %{y:.3f} " + unit,
            )
            for row, name, colour in zip(values, names, colours, strict=False)
        ]
    )  # fmt: skip
    figure.update_layout(
        height=height, margin={"l": 4, "r": 4, "t": 4, "b": 4}, paper_bgcolor=CLEAR,
        plot_bgcolor=CLEAR, barmode="group", yaxis={"title": unit, "gridcolor": FAINT},
        legend={"orientation": "h", "y": 1.12},
    )  # fmt: skip
    return figure


def plot_density_path(
    densities: Sequence[NDArray[np.float64]],
    names: Sequence[str],
    colours: Sequence[str],
    height: int = 120,
) -> go.Figure:
    """Local density along a path, as percentiles, one line a model; below 5 is a hole.

    Args:
        densities: (S,) each, 0 to 100.
        names: of the lines.
        colours: of the lines.
        height: pixels.
    """
    figure = go.Figure(
        [
            go.Scatter(
                x=np.linspace(0, 1, len(row)), y=row, mode="lines", name=name,
                line={"color": colour, "width": 2},
                hovertemplate="%{x:.2f} of the path: density percentile %{y:.0f}",
            )
            for row, name, colour in zip(densities, names, colours, strict=False)
        ]
    )  # fmt: skip
    figure.add_hrect(y0=0, y1=5, fillcolor=HOLE, line_width=0)
    figure.update_layout(
        height=height, margin={"l": 4, "r": 4, "t": 4, "b": 4}, paper_bgcolor=CLEAR,
        plot_bgcolor=CLEAR, showlegend=False, hovermode="x",
        xaxis={"visible": False},
        yaxis={"range": [0, 100], "title": "density, %", "gridcolor": FAINT},
    )  # fmt: skip
    return figure


def _line(
    points: NDArray[np.float64], colour: str, width: float, dash: str = "solid"
) -> go.Scatter:
    return go.Scatter(
        x=points[:, 0], y=points[:, 1], mode="lines", hoverinfo="skip",
        line={"color": colour, "width": width, "dash": dash},
    )  # fmt: skip


def _centres(low: float, high: float, count: int) -> NDArray[np.float64]:
    step = (high - low) / count
    return np.asarray(low + step * (np.arange(count) + 0.5), dtype=np.float64)


def _faded(colour: str, share: float) -> str:
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{share})"

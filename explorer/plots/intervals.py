"""One measure of several models: values, intervals and the null value on one line each."""

from collections.abc import Sequence

import plotly.graph_objects as go

from explorer.plots.maps import CLEAR, FAINT

MODEL_COLOURS = ("#3f90da", "#e76300", "#832db6", "#717581")


def plot_interval(
    values: Sequence[tuple[float, float, float]],
    models: Sequence[str],
    *,
    null: float,
    unit: str,
) -> go.Figure:
    """A dot and its 95 % interval for each model, the null value as a dashed line.

    Args:
        values: (value, low, high) a model.
        models: their names.
        null: the value that would mean nothing.
        unit: of all of them.

    Returns:
        The figure.
    """
    figure = go.Figure()
    for (middle, low, high), name, colour in zip(values, models, MODEL_COLOURS, strict=False):
        figure.add_trace(
            go.Scatter(
                x=[middle],
                y=[name],
                mode="markers+text",
                text=[f"{middle:,.0f}" if abs(middle) >= 1000 else f"{middle:.3g}"],
                textposition="top center",
                showlegend=False,
                cliponaxis=False,
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": [max(0.0, high - middle)],
                    "arrayminus": [max(0.0, middle - low)],
                    "thickness": 2.5,
                    "width": 6,
                },
                marker={"size": 11, "color": colour},
                hovertemplate=f"{name}: {middle:.4g} [{low:.4g}, {high:.4g}] {unit}<extra></extra>",
            )
        )
    figure.add_vline(
        x=null,
        line_dash="dash",
        line_color="rgba(128,128,128,0.9)",
        annotation={"text": "null", "font": {"size": 11}},
        annotation_position="top",
    )
    ends = [bound for value in values for bound in value] + [null]
    margin = 0.08 * (max(ends) - min(ends) or 1.0)
    figure.update_xaxes(
        title={"text": unit, "standoff": 8, "font": {"size": 11}},
        gridcolor=FAINT,
        zeroline=False,
        range=[min(ends) - margin, max(ends) + margin],
        fixedrange=True,
    )
    figure.update_yaxes(
        categoryorder="array",
        categoryarray=list(reversed(models)),
        range=[-0.6, len(models) - 0.2],
        fixedrange=True,
    )
    figure.update_layout(
        height=86 + 42 * len(models),
        margin={"l": 8, "r": 16, "t": 18, "b": 4},
        paper_bgcolor=CLEAR,
        plot_bgcolor=CLEAR,
    )
    return figure

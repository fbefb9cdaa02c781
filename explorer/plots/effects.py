"""What a direction moves, against what any direction of that length moves."""

import html
from collections.abc import Sequence

import plotly.graph_objects as go

from explorer.plots.maps import CLEAR, FAINT, MARK

CHANCE = "rgba(128,128,128,0.28)"
STILL = "rgba(128,128,128,0.95)"
MOVED = "#2f7fd0"
ROW = 26  # pixels


def plot_effects(
    names: Sequence[str],
    effects: Sequence[float],
    lows: Sequence[float],
    highs: Sequence[float],
    chances: Sequence[float],
    moves: Sequence[bool],
    *,
    target: str = "",
) -> go.Figure:
    """Effects on traits, one a row, with their intervals.

    Args:
        names: of the traits, from the top.
        effects: mean changes, in standard deviations of each trait.
        lows: where their intervals begin.
        highs: where they end.
        chances: what 95 % of random directions stay below, either way; drawn as a grey bar.
        moves: whether the effect is more than that.
        target: the trait that the direction is meant to move; it stands out.

    Returns:
        The figure.
    """
    shown = [html.escape(name) for name in names]
    figure = go.Figure(
        go.Bar(
            y=shown, x=[2 * chance for chance in chances], base=[-chance for chance in chances],
            orientation="h", marker={"color": CHANCE}, width=0.66, name="random directions",
            hovertemplate="%{y}: 95 % of random directions stay in the bar<extra></extra>",
        )
    )  # fmt: skip
    colours = [
        STILL if not moved else (MARK if name == target else MOVED)
        for name, moved in zip(names, moves, strict=True)
    ]
    figure.add_trace(
        go.Scatter(
            y=shown, x=list(effects), mode="markers", name="this direction",
            marker={"color": colours, "size": 10},
            error_x={
                "type": "data", "symmetric": False, "thickness": 1.5, "width": 3,
                "color": STILL,
                "array": [high - effect for high, effect in zip(highs, effects, strict=True)],
                "arrayminus": [effect - low for low, effect in zip(lows, effects, strict=True)],
            },
            hovertemplate="%{y}: %{x:+.2f} standard deviations<extra></extra>",
        )
    )  # fmt: skip
    figure.add_vline(x=0, line_width=1, line_color=STILL)
    figure.update_layout(
        height=ROW * len(names) + 56,
        margin={"l": 8, "r": 8, "t": 4, "b": 36},
        paper_bgcolor=CLEAR,
        plot_bgcolor=CLEAR,
        showlegend=False,
        xaxis={
            "title": {"text": "change, in standard deviations", "font": {"size": 12}},
            "gridcolor": FAINT,
            "zeroline": False,
        },
        yaxis={"autorange": "reversed", "automargin": True},
    )
    return figure

"""Maps of codes: a projection, or the latent plane itself."""

import html
import math
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from explorer.plots.palette import class_colours

# Transparent grounds and no font colour: Streamlit's theme shows through, light or dark.
CLEAR = "rgba(0,0,0,0)"
FAINT = "rgba(128,128,128,0.25)"
MARK = "#d0206f"  # stands out from every class colour, on light and dark
OFF_AXIS = math.tau / 16  # radians
PRIOR_RADII = (1, 2, 3)


def plot_map(
    coordinates: NDArray[np.float32],
    labels: NDArray[np.int64] | None,
    classes: Sequence[str],
    *,
    exact: bool,
    marked: NDArray[np.float32] | None = None,
    marked_names: Sequence[str] = (),
    prior: bool = False,
    height: int = 460,
    legend: bool = True,
) -> go.Figure:
    """The codes on their map, coloured by class.

    Args:
        coordinates: (N, 2).
        labels: (N,), or None.
        classes: K names.
        exact: whether this is the latent plane itself, whose axes mean something.
        marked: places to point at, numbered, (K, 2).
        marked_names: a name for each.
        prior: draw the prior's 1, 2 and 3 standard deviations; for the latent plane.
        height: pixels.
        legend: show the class names.

    Returns:
        The figure.
    """
    figure = go.Figure()
    groups: list[tuple[str, NDArray[np.bool_]]] = [
        ("held-out images", np.ones(len(coordinates), bool))
    ]
    if labels is not None:
        groups = [(name, labels == index) for index, name in enumerate(classes)]
    size = 4 if len(coordinates) > 3000 else 6
    for (name, rows), colour in zip(groups, class_colours(len(classes)), strict=True):
        if not rows.any():
            continue
        figure.add_trace(
            go.Scattergl(
                x=coordinates[rows, 0],
                y=coordinates[rows, 1],
                mode="markers",
                name=html.escape(name),  # Plotly reads a little HTML in names
                hoverinfo="name",
                showlegend=legend and labels is not None,
                marker={"size": size, "color": colour, "opacity": 0.75},
            )
        )
    if prior:
        for radius in PRIOR_RADII:
            figure.add_shape(
                type="circle",
                x0=-radius, x1=radius, y0=-radius, y1=radius,
                line={"color": "rgba(128,128,128,0.8)", "width": 1, "dash": "dot"},
            )  # fmt: skip
    # Annotations, since WebGL points are drawn over any other trace; all at once, since Plotly
    # checks all it has anew for each that is added.
    marks = [
        {
            "x": float(place[0]),
            "y": float(place[1]),
            "text": f"<b>{number}</b>",
            "hovertext": html.escape(marked_names[number - 1]) if marked_names else None,
            "showarrow": True,
            "arrowhead": 6,
            "arrowsize": 1.2,
            "arrowwidth": 1.5,
            "arrowcolor": MARK,
            # Round the clock, so that uploads at one place keep their numbers apart.
            "ax": 34 * math.cos(OFF_AXIS + number * math.tau / 8),
            "ay": -34 * math.sin(OFF_AXIS + number * math.tau / 8),
            "bgcolor": MARK,
            "bordercolor": "white",
            "borderpad": 4,
            "font": {"color": "white", "size": 13},
        }
        for number, place in enumerate(() if marked is None else marked, start=1)
    ]
    axis = {
        "showticklabels": exact,
        "showgrid": exact,
        "zeroline": exact,
        "gridcolor": FAINT,
        "zerolinecolor": FAINT,
    }
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        paper_bgcolor=CLEAR,
        plot_bgcolor=CLEAR,
        dragmode="pan",
        annotations=marks,
        xaxis={**axis, "title": "z1" if exact else None},
        yaxis={**axis, "title": "z2" if exact else None, "scaleanchor": "x"},
        legend={
            "itemsizing": "constant",
            "orientation": "h",
            "y": -0.13 if exact else -0.04,
            "yanchor": "top",
        },
    )
    return figure

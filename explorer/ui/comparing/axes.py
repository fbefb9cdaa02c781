"""Compare's axes: marginals against N(0, 1), covariances, and the KL of each axis."""

from collections.abc import Sequence

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from explorer.latent.axes import kl_per_axis
from explorer.live.evidence import axis_distance, codes_of
from explorer.live.model import OpenedModel
from explorer.regularity.prior import fit_gaussian
from explorer.ui.comparing.comparison import Comparison
from explorer.ui.words import plain

ROW = 4  # marginals side by side
MOST_AXES = 16
QUIET = {"displayModeBar": False}


def show_axes(comparison: Comparison) -> None:
    """Each latent axis, and how the axes hang together."""
    from explorer.plots.spaces import plot_bars, plot_covariance, plot_marginals

    models, names, colours = comparison.models, comparison.names, comparison.colours
    samples = [codes_of(model).astype(np.float64) for model in models]
    dim = max(codes.shape[1] for codes in samples)
    axes = pick_axes(samples, dim, names)
    st.markdown("**Every axis against N(0, 1)**, the dotted curve")
    for start in range(0, len(axes), ROW):
        for side, axis in zip(st.columns(ROW), axes[start : start + ROW], strict=False):
            having = [place for place, codes in enumerate(samples) if axis < codes.shape[1]]
            side.plotly_chart(
                plot_marginals(
                    [samples[place][:, axis] for place in having],
                    [names[place] for place in having],
                    [colours[place] for place in having],
                    axis,
                ),
                key=f"compare-marginal-{axis}",
                config=QUIET,
            )
    st.caption(
        "Draws from the posteriors of all held-out images (an AE's codes themselves): what a prior "
        "of N(0, I) would have to look like, axis by axis. Colours are those of the table."
    )
    having = [place for place, model in enumerate(models) if model.encodings.log_var is not None]
    if having:
        st.markdown("**KL of each axis**, averaged over images")
        st.plotly_chart(
            plot_bars(
                [axis_kl(models[place]) for place in having],
                [names[place] for place in having],
                [colours[place] for place in having],
                "nats",
            ),
            key="compare-kl",
            config=QUIET,
        )
        st.caption(
            "An axis near 0 carries nothing: the posterior is the prior whatever the image. An AE "
            "has no variance and so no KL."
        )
    st.markdown("**Covariance of the encodings**, the identity under the prior")
    for place, side in enumerate(st.columns(len(models), gap="medium")):
        with side:
            st.markdown(plain(names[place]))
            st.plotly_chart(
                plot_covariance(fit_gaussian(samples[place])[1]),
                key=f"compare-covariance-{place}",
                config=QUIET,
            )


def pick_axes(samples: list[NDArray[np.float64]], dim: int, names: Sequence[str]) -> list[int]:
    """Which axes to draw: all where they are few, else those farthest from N(0, 1) at first."""
    if dim <= MOST_AXES:
        return list(range(dim))
    farthest = np.zeros(dim)
    for codes in samples:
        farthest[: codes.shape[1]] = np.maximum(farthest[: codes.shape[1]], axis_distance(codes))
    default = np.sort(np.argsort(-farthest, kind="stable")[: MOST_AXES // 2]).tolist()
    chosen = st.multiselect(
        "Axes",
        list(range(dim)),
        default=default,
        format_func=lambda axis: f"z{axis + 1}",
        max_selections=MOST_AXES,
        # A key a comparison: the axes of one model are not the farthest of another.
        key=f"compare-axes-{dim}-{'-'.join(names)}",
    )
    return sorted(chosen)


def axis_kl(model: OpenedModel) -> NDArray[np.float64]:
    """Mean KL of each axis of a model whose posterior has a variance, nats, (D,)."""
    log_var = model.encodings.log_var
    assert log_var is not None
    found: NDArray[np.float64] = kl_per_axis(model.encodings.mean, log_var).mean(axis=0)
    return found

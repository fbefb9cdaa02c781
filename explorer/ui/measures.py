"""The measures of two checkpoints beside each other, each with interval and null value."""

import streamlit as st

from explorer.errors import CheckpointError
from explorer.models.library import Listing
from explorer.regularity.measure import NO_PRIOR, Measure
from explorer.regularity.report import FEWEST_IMAGES, RegularityReport
from explorer.ui import cached
from explorer.ui.words import plain


def show_measures(pair: list[Listing], names: list[str], column: str) -> None:
    """The measures of both, with intervals and null values."""
    st.subheader("How regular, measured")
    reports: list[RegularityReport] = []
    for listing in pair:
        try:
            report = cached.report_of(listing)
        except CheckpointError as error:
            st.error(plain(f"The report of {listing.name} cannot be used. {error}"))
            return
        if report is None:
            st.info(
                f"{plain(listing.name)} has no measured report. train_vae.py measures what it "
                f"trains, given at least {FEWEST_IMAGES} held-out images and two more than latents."
            )
            return
        reports.append(report)
    found = [
        {
            m.key: m
            for m in report.measures
            if m.headline and m.column in (column, NO_PRIOR) and _is_drawn(m)
        }
        for report in reports
    ]
    keys = [key for key in found[0] if key in found[1]]
    for key in keys:
        show_measure([one[key] for one in found], names)
    st.caption(
        "Dots are measured values, whiskers their 95 % intervals, the dashed line the null value: "
        "what no structure at all would give. The hole rate never stands without the escape rate: "
        "a wide cloud that swallows the prior has no holes, and most of it lies outside."
    )
    with st.expander("Definitions, sources and figures"):
        st.dataframe(
            [
                {
                    "measure": one[key].title,
                    "model": name,
                    "value": one[key].value,
                    "95 % from": one[key].low,
                    "to": one[key].high,
                    "null": one[key].null,
                    "unit": one[key].unit,
                    "better": one[key].better,
                    "n": one[key].n,
                    "seed": one[key].seed,
                    "definition": one[key].researcher,
                    "source": one[key].source,
                }
                for key in keys
                for name, one in zip(names, found, strict=True)
            ],
            hide_index=True,
        )


def show_measure(measures: list[Measure], names: list[str]) -> None:
    """One measure of both models: what it says, the picture, the figures."""
    from explorer.plots.intervals import plot_interval

    first = measures[0]
    words, picture = st.columns([2, 3], vertical_alignment="center", gap="medium")
    arrow = {"higher": "higher is better", "lower": "lower is better"}.get(
        first.better, "near the dashed line is better"
    )
    with words:
        st.markdown(f"**{first.title}** · {arrow}")
        st.caption(first.student)
    with picture:
        st.plotly_chart(
            plot_interval(
                [(one.value, *_interval(one)) for one in measures],
                names,
                null=first.value if first.null is None else first.null,
                unit=first.unit,
            ),
            key=f"measure-{first.key}",
            config={"displayModeBar": False, "staticPlot": False},
        )


def _is_drawn(measure: Measure) -> bool:
    return None not in (measure.low, measure.high, measure.null)


def _interval(measure: Measure) -> tuple[float, float]:
    low, high = measure.low, measure.high
    return (measure.value if low is None else low), (measure.value if high is None else high)

"""The measured reports of several checkpoints: read, and set out figure by figure."""

from collections.abc import Sequence

import streamlit as st

from explorer.models.library import Listing
from explorer.regularity.measure import GROUPS, MIXTURE, NO_PRIOR, Measure
from explorer.regularity.report import FEWEST_IMAGES, RegularityReport
from explorer.ui import cached
from explorer.ui.comparing.comparison import Comparison
from explorer.ui.words import plain

GROUP_TITLES = {
    "headline": "Headline",
    "information": "Information in the code",
    "prior": "Codes and prior",
    "samples": "Samples",
    "geometry": "The decoder's geometry",
    "factors": "Known factors",
}


def read_reports(group: list[Listing]) -> list[RegularityReport] | None:
    """The report of each; None, after saying why, if one has none that can be used."""
    reports: list[RegularityReport] = []
    for listing in group:
        if trouble := cached.report_trouble(listing):
            st.error(plain(trouble))
            return None
        report = cached.report_of(listing)
        if report is None:
            st.info(
                f"{plain(listing.name)} has no measured report. train_vae.py measures what it "
                f"trains, given at least {FEWEST_IMAGES} held-out images and two more than latents."
            )
            return None
        reports.append(report)
    return reports


def read_seeds(others: Sequence[Listing]) -> dict[str, RegularityReport]:
    """The reports of further seeds, by name; of those that cannot be used it is said why."""
    found = {}
    for listing in others:
        if trouble := cached.report_trouble(listing):
            st.warning(plain(trouble))
            continue
        report = cached.report_of(listing)
        if report is not None:
            found[listing.name] = report
    return found


def show_definitions(comparison: Comparison) -> None:
    """Every figure of every model and seed, with interval, null value, definition and source."""
    if comparison.reports is None:
        return
    named = [
        entry
        for name, report, seeds in zip(
            comparison.names, comparison.reports, comparison.seeds, strict=True
        )
        for entry in ((name, report), *seeds.items())
    ]
    for part in GROUPS:
        rows = [
            as_row(one, name)
            for name, report in named
            for one in report.measures
            if one.group == part and one.column in (comparison.column, MIXTURE, NO_PRIOR)
        ]
        if not rows:
            continue
        st.markdown(f"**{GROUP_TITLES[part]}**")
        # Measure by measure, the models below each other.
        keys = list(dict.fromkeys(row["measure"] for row in rows))
        rows.sort(key=lambda row: keys.index(row["measure"]))
        st.dataframe(rows, hide_index=True, key=f"figures-{part}")


def as_row(measure: Measure, name: str) -> dict[str, object]:
    """A figure as a row of the table."""
    return {
        "measure": measure.title,
        "model": name,
        "prior": measure.column,
        "value": measure.value,
        "95 % from": measure.low,
        "to": measure.high,
        "null": measure.null,
        "unit": measure.unit,
        "better": measure.better,
        "n": measure.n,
        "seed": measure.seed,
        "in a sentence": measure.student,
        "definition": measure.researcher,
        "source": measure.source,
        "note": measure.note,
    }

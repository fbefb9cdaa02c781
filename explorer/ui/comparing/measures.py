"""The measured reports of several checkpoints: read, and set out figure by figure."""

from collections.abc import Sequence

import streamlit as st

from explorer.models.library import Listing
from explorer.regularity.definitions import COLUMN_TITLES, GROUPS, MIXTURE, NO_PRIOR
from explorer.regularity.estimate import Estimate
from explorer.regularity.report import RegularityReport
from explorer.regularity.subject import FEWEST_IMAGES
from explorer.ui import cached
from explorer.ui.comparing.comparison import Comparison
from explorer.ui.words import plain

GROUP_TITLES = {
    "headline": "Headline",
    "information": "Information in the code",
    "prior": "Encodings and prior",
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
    """Every figure of every model and seed, with what it is to be held against, and its source."""
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
            for one in report.estimates
            if one.definition.group_in(one.column) == part
            and one.column in (comparison.column, MIXTURE, NO_PRIOR)
        ]
        if not rows:
            continue
        st.markdown(f"**{GROUP_TITLES[part]}**")
        # Metric by metric, the models below each other.
        keys = list(dict.fromkeys(row["metric"] for row in rows))
        rows.sort(key=lambda row: keys.index(row["metric"]))
        st.dataframe(rows, hide_index=True, key=f"figures-{part}")


def as_row(estimate: Estimate, name: str) -> dict[str, object]:
    """A figure as a row of the table."""
    return {
        "metric": estimate.definition.title,
        "model": name,
        "prior": COLUMN_TITLES[estimate.column],
        "value": estimate.value,
        "95 % from": estimate.low,
        "to": estimate.high,
        "chance": estimate.chance,
        "ideal": estimate.ideal,
        "unit": estimate.unit,
        "better": estimate.definition.direction,
        "n": estimate.n,
        "seed": estimate.seed,
        "in a sentence": estimate.definition.plain_words,
        "definition": estimate.definition.definition_in(estimate.column),
        "source": estimate.definition.source,
        "note": estimate.note,
    }

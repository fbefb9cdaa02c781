"""What the pages keep between runs: the token, opened models, and what was worked out from them."""

import os
import sys

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from explorer.errors import CheckpointError
from explorer.latent.axes import (
    AxisSummary,
    sample_aggregate_posterior,
    summarise_axes,
)
from explorer.live.hub import shared_hub
from explorer.live.model import OpenedModel
from explorer.models.checkpoint import REPORT
from explorer.models.library import Listing
from explorer.regularity.health import Fault, decode_some, find_faults, load_history
from explorer.regularity.prior import fit_noise
from explorer.regularity.report import RegularityReport, load_report
from explorer.ui import state


def _revoke(token: str) -> None:
    shared_hub().revoke(token)


@st.cache_resource(scope="session", on_release=_revoke, show_spinner=False)
def live_token() -> str:
    """The session's token for the live route; it ends with the session."""
    return shared_hub().issue_token()


def open_model(listing: Listing) -> OpenedModel:
    """The checkpoint as listed; from now on the session keeps it, whatever becomes of its files.

    Raises:
        CheckpointError: if it cannot be used.
    """
    model = shared_hub().open(listing.folder, listing.stamp)
    if state.former_model(listing.name) is None:
        model.read_axis_names()  # another server, or a hand, may have written them
    before = state.shown_models().get(listing.name)
    if before is not None and before.model is model:
        report = before.report
    else:
        report = report_if_any(listing)
    state.remember_shown(state.Shown(listing, model, report, state.current_run()))
    return model


def is_whole(model: OpenedModel) -> bool:
    """Whether all of a model is in memory, so that it works without its files."""
    return "codec" in vars(model)


def ready_model(listing: Listing) -> OpenedModel:
    """The checkpoint with its decoder; says what it waits for while torch is being loaded.

    Raises:
        CheckpointError: if it cannot be used.
    """
    model = open_model(listing)
    if "torch" in sys.modules:
        _ = model.codec
    else:
        with st.spinner("Loading the model…"):
            _ = model.codec
    return model


@st.cache_resource(max_entries=16, show_spinner=False)
def axis_summary(_model: OpenedModel, tag: int, name: str) -> AxisSummary:
    """Order, range and activity of a model's axes; `tag` and `name` are the cache's key."""
    return summarise_axes(_model.encodings.mean, _model.encodings.log_var)


@st.cache_resource(max_entries=16, show_spinner=False)
def own_scale(
    _model: OpenedModel, tag: int, name: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean (D,) and root (D, D) with which eps ~ N(0, I) becomes N(m, S) of the model's codes."""
    encodings = _model.encodings
    codes = sample_aggregate_posterior(encodings.mean, encodings.log_var, seed=0)
    basis = np.vstack([np.zeros(_model.latent_dim), np.eye(_model.latent_dim)])
    placed = fit_noise(basis, codes.astype(np.float64))
    return placed[0], placed[1:] - placed[0]


def report_of(listing: Listing) -> RegularityReport | None:
    """The checkpoint's measured report, or None where it has none.

    Raises:
        CheckpointError: if it cannot be used.
    """
    former = state.former_model(listing.name)
    if former is not None:
        return former.report  # what lies in the folder now is of another model
    path = listing.folder / REPORT
    return load_report(path) if os.path.lexists(path) else None


def report_if_any(listing: Listing) -> RegularityReport | None:
    """The checkpoint's measured report, or None where it has none that can be used."""
    try:
        return report_of(listing)
    except CheckpointError:
        return None


def report_trouble(listing: Listing) -> str | None:
    """Why the checkpoint's measured report cannot be used, in a sentence; None if it can."""
    try:
        report_of(listing)
    except CheckpointError as error:
        return (
            f"The report of {listing.name} cannot be used, and its figures are missing here: "
            f"{str(error).removesuffix('.')}. Measure it again on the page Compare, or with "
            f"python -m explorer.regularity {listing.name}."
        )
    return None


def faults_of(listing: Listing, model: OpenedModel) -> tuple[Fault, ...]:
    """What is the matter with a model, as far as is known; () where nothing is.

    That a decoder is constant is looked at once the model is in memory.
    """
    report = report_if_any(listing)
    former = state.former_model(listing.name) is not None
    measured = 0 if report is None else hash(report.estimates)
    return _found_faults(model, report, model.tag, listing.name, measured, former, is_whole(model))


@st.cache_resource(max_entries=32, show_spinner=False)
def _found_faults(
    _model: OpenedModel,
    _report: RegularityReport | None,
    tag: int,
    name: str,
    measured: int,
    former: bool,
    whole: bool,
) -> tuple[Fault, ...]:
    try:
        # What lies in the folder of a former model is of another one.
        history = () if former else load_history(_model.folder)
    except CheckpointError:
        history = ()  # config.json has the number of steps too
    return find_faults(
        _report,
        history,
        _model.config,
        encodings=_model.encodings,
        pictures=decode_some(_model.codec, _model.encodings) if whole else None,
    )


def held_out_reconstruction(listing: Listing) -> float | None:
    """Mean reconstruction NLL of the held-out images at their mean codes, nats, if measured."""
    report = report_if_any(listing)
    measures = report.estimates if report is not None else ()
    return next((one.value for one in measures if one.key == "reconstruction_nll"), None)

"""Compare: two to four checkpoints side by side, one cursor for all, and what was measured."""

import streamlit as st

from explorer.errors import ExplorerError
from explorer.live.hub import shared_hub
from explorer.live.model import OpenedModel
from explorer.models.library import Listing, find_pair, find_partner
from explorer.regularity.definitions import AS_BUILT, COLUMN_TITLES, SCALE_FAIR
from explorer.training.pair import pair_command
from explorer.ui import cached
from explorer.ui.addresses import live_base
from explorer.ui.comparing.axes import show_axes
from explorer.ui.comparing.between import show_interpolation
from explorer.ui.comparing.comparison import Comparison, describe_match, other_seeds
from explorer.ui.comparing.evidence import ROW, is_openable, opened_row, show_evidence
from explorer.ui.comparing.export import show_export
from explorer.ui.comparing.measures import read_reports, read_seeds, show_definitions
from explorer.ui.comparing.measuring import offer_measuring
from explorer.ui.comparing.planes import show_planes
from explorer.ui.comparing.samples import show_samples
from explorer.ui.comparing.standing import TABLE_WORDS, model_colours, show_verdict, table_html
from explorer.ui.cursor import CursorModel, CursorRequest, show_cursor
from explorer.ui.table import show_rows
from explorer.ui.words import plain

MOST_MODELS = 4
CLOSER_KEY, EVIDENCE = "compare-closer", "Examples"


def show_compare(listing: Listing, listings: list[Listing], /) -> None:
    """The page.

    Raises:
        CheckpointError: if one of the models cannot be used.
    """
    left, right = st.columns([3, 2], gap="medium", vertical_alignment="bottom")
    with left:
        others = pick_others(listing, listings)
    if not others:
        if others is None:
            st.info("There is no second checkpoint to compare with.")
        else:
            st.info("Pick one to three checkpoints to compare with.")
        show_pair_command(listing, listings)
        return
    group = [listing, *others]
    models = [cached.ready_model(one) for one in group]
    names = [one.name for one in group]
    column = right.segmented_control(
        "Prior",
        [SCALE_FAIR, AS_BUILT],
        # The column in which any model can win: on N(0, I) an AE, whose scale is arbitrary, cannot.
        default=SCALE_FAIR,
        format_func=COLUMN_TITLES.__getitem__,
        key="compare-column",
        required=True,
        help="Where prior samples come from. Fitted Gaussian: N(m, S) fitted to each model's own "
        "encodings, so that an AE, whose scale is arbitrary, is judged fairly. Prior N(0, I): what "
        "a VAE was trained for; no AE is.",
    )
    show_match(models, names)
    if find_pair(listing, listings) is None:
        with st.expander("Train the matched pair"):
            show_pair_command(listing, listings)
    cursor, answer = st.columns([5, 6], gap="medium")
    with answer:
        reports = read_reports(group)
    comparison = Comparison(
        listings=group,
        models=models,
        names=names,
        colours=model_colours(len(names)),
        column=column,
        reports=reports,
        seeds=[
            read_seeds([seed for seed in other_seeds(one, listings) if seed.name not in names])
            for one in group
        ],
        faults=[cached.faults_of(one, model) for one, model in zip(group, models, strict=True)],
    )
    with cursor:
        show_shared_cursor(models, names, column)
    with answer:
        show_standing(comparison)
        offer_measuring(group)
    # Not as a default: the table sets it too.
    st.session_state.setdefault(CLOSER_KEY, EVIDENCE)
    closer = st.segmented_control(
        "Details",
        list(CLOSER),
        key=CLOSER_KEY,
        required=True,
        label_visibility="collapsed",
    )
    CLOSER[closer or EVIDENCE](comparison)


def pick_others(listing: Listing, listings: list[Listing]) -> list[Listing] | None:
    """The second picker: this checkpoint's pair first; None where there is nothing to pick.

    What is preset follows the checkpoints on the disk until somebody picks: a pair that is trained
    while the page is open is taken, a choice is kept.
    """
    usable = [one for one in listings if one.config is not None and one.name != listing.name]
    if not usable:
        return None
    pair = find_pair(listing, usable)
    partner = find_partner(listing, usable)
    by_name = {one.name: one for one in usable}
    # A key a model: the choice made for one is not carried over to another.
    key = f"compare-with-{listing.name}"
    chosen_key = f"{key}-chosen"
    if st.session_state.get(chosen_key):
        still = [name for name in st.session_state.get(key, []) if name in by_name]
        st.session_state[key] = still
    else:
        st.session_state[key] = [] if partner is None else [partner.name]
    chosen = st.multiselect(
        "Compare with",
        list(by_name),
        max_selections=MOST_MODELS - 1,
        format_func=lambda name: name + (" · matched pair" if pair and name == pair.name else ""),
        key=key,
        persist_state="session",
        on_change=lambda: st.session_state.update({chosen_key: True}),
    )
    return [by_name[name] for name in chosen]


def show_pair_command(listing: Listing, listings: list[Listing]) -> None:
    """How to train the matched pair of a checkpoint that has none yet; else nothing."""
    config = listing.config
    if config is None or find_pair(listing, listings) is not None:
        return
    try:
        command = pair_command(config, listing.folder.parent, [one.name for one in listings])
    except ExplorerError:
        return  # settings of another program's training: no command of ours gives its pair
    planned, run = config.training.get("epochs"), config.training.get("epochs_run")
    if planned != run and not config.training.get("patience"):
        st.caption(
            f"{plain(listing.name)} was stopped after {run} of {planned} epochs; finish it first, "
            f"for its pair trains for {planned}."
        )
    st.caption(
        f"This command trains the matched pair of {plain(listing.name)}: the same data, network, "
        "settings and seed, the other model type. The pair appears here by itself."
    )
    st.code(command, language="bash", wrap_lines=True)


def show_shared_cursor(models: list[OpenedModel], names: list[str], column: str) -> None:
    """The same z decoded live in every model while the pointer moves."""
    for model, name in zip(models, names, strict=True):
        shared_hub().allow(cached.live_token(), name, model.folder, model.stamp)
    contestants = []
    for model, name in zip(models, names, strict=True):
        channels, height, width = model.config.data.image_shape
        mean, root = cached.own_scale(model, model.tag, name)
        contestants.append(
            CursorModel(
                name=name,
                tag=model.tag,
                title=name,
                shape=(height, width, channels),
                latent_dim=model.latent_dim,
                mean=mean.tolist(),
                root=root.tolist(),
                classes=model.config.data.classes,
            )
        )
    show_cursor(
        CursorRequest(
            base=live_base(),
            token=cached.live_token(),
            models=contestants,
            fair=column == SCALE_FAIR,
        ),
        key="compare-cursor",
    )


def show_standing(comparison: Comparison) -> None:
    """The verdict in words, and the table it rests on."""
    names, found = comparison.names, comparison.found
    if comparison.reports is None:
        return
    show_verdict(comparison.verdict)
    shown = st.session_state.get(CLOSER_KEY, EVIDENCE) == EVIDENCE
    show_rows(
        table_html(
            names,
            found,
            seeds=comparison.seed_figures(),
            openable=[key for key in found if is_openable(key)],
        ),
        opened=opened_row(found) if shown else None,
        on_open=open_row,
        key="compare-table",
    )
    st.caption(f"Open a row to see the images behind it. {TABLE_WORDS}")


def open_row(row: str) -> None:
    """Show what is behind a measure, below the table."""
    st.session_state[ROW] = row
    st.session_state[CLOSER_KEY] = EVIDENCE


def show_match(models: list[OpenedModel], names: list[str]) -> None:
    """Whether the models differ in the model type alone."""
    matched, words = describe_match([model.config for model in models], names)
    if matched:
        st.caption(plain(words))
    else:
        st.warning(plain(words))


CLOSER = {
    EVIDENCE: show_evidence,
    "Samples": show_samples,
    "Interpolation": show_interpolation,
    "Plane": show_planes,
    "Axes": show_axes,
    "Definitions": show_definitions,
    "Export": show_export,
}

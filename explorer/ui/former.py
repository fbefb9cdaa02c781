"""Checkpoints trained again while they are shown: the page keeps the former, and offers the new.

A picture that changes by itself, under the user's hand, would be taken for the model's doing.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from explorer.models.library import Listing
from explorer.ui import cached, state
from explorer.ui.words import plain


def is_same(one: Listing, other: Listing) -> bool:
    """Whether two listings are of one checkpoint in one state."""
    return (one.folder, one.stamp) == (other.folder, other.stamp)


def keep_former(found: Sequence[Listing]) -> tuple[list[Listing], list[Listing]]:
    """Put the former one in the place of each checkpoint that changed while it was shown.

    Args:
        found: the checkpoints as they are now.

    Returns:
        The checkpoints to show, and those among `found` whose former one is shown instead.
    """
    shown = state.shown_models()
    kept: list[Listing] = []
    newer: list[Listing] = []
    for listing in found:
        mine = shown.get(listing.name)
        if mine is None or is_same(mine.listing, listing):
            kept.append(listing)
        elif cached.is_whole(mine.model):
            kept.append(mine.listing)
            newer.append(listing)
        else:
            # Its weights were not read in time, and now they are gone.
            state.note_replaced(listing.name, listing.stamp)
            kept.append(listing)
    state.note_former(listing.name for listing in newer)
    return kept, newer


def show_changes(listings: Sequence[Listing], newer: Sequence[Listing]) -> None:
    """Say which checkpoint on the page was trained again, and offer the new one.

    Args:
        listings: the checkpoints that are shown.
        newer: those whose former one is shown instead.
    """
    on_page = state.models_of_this_run()
    newer = [listing for listing in newer if listing.name in on_page]
    replaced = [
        listing
        for listing in listings
        if listing.name in on_page and state.was_replaced(listing.name, listing.stamp)
    ]
    if newer or replaced:
        with st.container(
            horizontal=True, vertical_alignment="center", width="content", key="shell-news"
        ):
            show_news(newer, replaced)


def show_news(newer: Sequence[Listing], replaced: Sequence[Listing]) -> None:
    """The sentence and its button: what is offered before what has already happened."""
    if newer:
        several = len(newer) > 1
        st.markdown(
            " ".join(map(describe, newer))
            + f" You still see the former one{'s' if several else ''}.",
            width="content",
        )
        st.button(
            "Show the new ones" if several else "Show the new one",
            key="show-new",
            type="primary",
            on_click=state.forget_shown,
            args=([listing.name for listing in newer],),
        )
    else:
        st.markdown(
            " ".join(map(describe, replaced))
            + " You see the new one: of the former too little was in memory.",
            width="content",
        )
        st.button("OK", key="seen-new", on_click=state.forget_replaced)


def describe(listing: Listing) -> str:
    """That it was trained again, and when."""
    if listing.config is None:
        return f"**{plain(listing.name)}** was changed at {changed_at(listing)} and is broken now."
    return f"**{plain(listing.name)}** was trained again at {changed_at(listing)}."


def changed_at(listing: Listing) -> str:
    """When its files were last written, by the clock of the browser."""
    zone = None
    with suppress(ZoneInfoNotFoundError, ValueError, OSError):  # then the server's own
        zone = ZoneInfo(st.context.timezone or "")
    written = datetime.fromtimestamp(max(time for time, _ in listing.stamp) / 1e9, zone)
    long_ago = datetime.now(zone) - written > timedelta(hours=20)
    return written.strftime("%H:%M on %d %B" if long_ago else "%H:%M")

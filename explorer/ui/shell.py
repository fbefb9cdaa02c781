"""The one shell around all pages: navigation, the model picker, and the edge for errors."""

from collections.abc import Callable, Mapping
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from explorer.errors import ExplorerError
from explorer.live.hub import shared_hub
from explorer.live.watch import digest_of
from explorer.models.checkpoint import held_out_loss
from explorer.models.config import KIND_NAMES
from explorer.models.library import Listing, checkpoint_folders, list_checkpoints
from explorer.ui import cached, state
from explorer.ui.former import keep_former, show_changes
from explorer.ui.sources import source
from explorer.ui.watch import STYLE as WATCH_STYLE
from explorer.ui.watch import show_watch
from explorer.ui.words import plain

STYLE = source("page.css")
ICON = Path(__file__).with_name("icon.png")  # a named icon would be fetched from the network
FIRST_CHOICE = "mnist-vae-16"
LONGEST_NAME = 80  # characters of a name that came with an address


def describe(listing: Listing) -> str:
    """A checkpoint in one line: name, data, kind, latent_dim, held-out loss."""
    config = listing.config
    if config is None:
        return f"{listing.name} · broken"
    loss = held_out_loss(config)
    parts = [
        listing.name,
        Path(config.data.name).name,
        KIND_NAMES[config.kind],
        f"{config.network.latent_dim} latent{'s' if config.network.latent_dim > 1 else ''}",
    ]
    undone = config.training.get("corrupt", "none")
    if undone != "none":
        parts.append(f"undoes {undone}")
    if loss is not None:
        epochs = config.training.get("epochs_run")
        chosen = f", best of {epochs} epochs" if isinstance(epochs, int) and epochs > 1 else ""
        parts.append(f"{loss:.1f} nats held out{chosen}")
    return " · ".join(parts)


def first_choice(listings: list[Listing]) -> str:
    """The checkpoint to open first: a shipped one that shows much, else the first that works."""
    usable = [listing.name for listing in listings if listing.config is not None]
    if FIRST_CHOICE in usable:
        return FIRST_CHOICE
    return usable[0] if usable else listings[0].name


def allow_models(listings: list[Listing]) -> None:
    """Let this session drive every checkpoint that works."""
    token = cached.live_token()
    for listing in listings:
        if listing.config is not None:
            shared_hub().allow(token, listing.name, listing.folder, listing.stamp)


def pick_model(listings: list[Listing], notes: DeltaGenerator | None = None) -> Listing:
    """The picker above every page.

    Args:
        listings: the checkpoints.
        notes: where it says what it has to say; by default below it.
    """
    by_name = {listing.name: listing for listing in listings}
    # The widget forgets its value when another page is opened by code; this one does not.
    wanted = state.wanted_model()
    if wanted is None:
        follow_address(by_name)
    picked = st.session_state.get("model")
    stands_in = wanted is not None and picked == state.stand_in()
    if picked not in by_name or (stands_in and wanted in by_name):
        st.session_state["model"] = wanted if wanted in by_name else first_choice(listings)
    picked = str(st.session_state["model"])
    if state.has_new_label(picked, describe(by_name[picked])):
        # The browser keeps the words of the option picked; set anew, they are those of now.
        st.session_state["model"] = picked
    chosen = st.selectbox(
        "Model",
        list(by_name),
        format_func=lambda name: describe(by_name[name]),
        key="model",
        label_visibility="collapsed",
        help="A checkpoint in pretrained/: name, data, kind, latents, held-out loss of the best "
        "epoch, which was chosen on these images. train_vae.py adds more, which appear here by "
        "themselves.",
    )
    with notes or st.container():
        note_unknown(chosen)
        if wanted is not None and wanted not in by_name and chosen == first_choice(listings):
            st.warning(
                f"**{plain(wanted)}** is no longer there: deleted, moved or just being written. "
                "It comes back by itself when its folder does; until then you see "
                f"**{plain(chosen)}**."
            )
            state.want_model(wanted, stand_in=chosen)
        else:
            state.want_model(chosen)
    return by_name[chosen]


def follow_address(by_name: Mapping[str, Listing]) -> None:
    """Pick the checkpoint that the page's address names; only the session's first run asks."""
    asked = " ".join(st.query_params.get("model", "").split())
    if not asked:
        return
    if asked in by_name:
        st.session_state["model"] = asked
    else:
        state.note_unknown(asked)


def note_unknown(chosen: str) -> None:
    """Say that the address named a checkpoint that is not there, until another one is picked."""
    unknown = state.unknown_model()
    if unknown is None:
        return
    asked, shown = unknown
    if shown not in ("", chosen):
        state.note_unknown(None)
        return
    state.note_unknown(asked, chosen)
    short = asked if len(asked) <= LONGEST_NAME else asked[:LONGEST_NAME] + "…"
    st.warning(
        f"The address asks for the model **{plain(short)}**, which is not there. "
        f"You see **{plain(chosen)}** instead."
    )


def tell_of_new(listings: list[Listing]) -> None:
    """Say once that a checkpoint is there which was not before."""
    for name in sorted(state.new_names(listing.name for listing in listings)):
        # The one that was picked before it went shows itself.
        if name != state.wanted_model():
            st.toast(f"New checkpoint: {plain(name)}. Pick it in the list of models.")


def show_page(name: str, listing: Listing | None, listings: list[Listing]) -> None:
    """Show one page; this is the edge at which what a user can mend is told and not raised.

    Args:
        name: "Explore", "Encode" or "Compare".
        listing: the checkpoint picked; None where there is none at all.
        listings: every checkpoint.
    """
    if listing is None:
        st.info(
            "There is no checkpoint yet. Train one: "
            "`python train_vae.py --data digits --name my-digits`. It appears here by itself."
        )
        return
    if listing.config is None:
        st.error(f"**{plain(listing.name)}** cannot be used. {plain(listing.error or '')}")
        st.caption("The other models work: pick one above.")
        return
    # Imported here: what one page needs is not loaded before another page's first paint.
    if name == "Explore":
        from explorer.ui.explore import show_explore as show
    elif name == "Encode":
        from explorer.ui.encode import show_encode as show
    else:
        from explorer.ui.compare import show_compare as show
    try:
        show(listing, listings)
    except ExplorerError as error:
        st.error(plain(str(error)))


def make_pages(listing: Listing | None, listings: list[Listing]) -> dict[str, st.Page]:
    """The app's pages by name."""

    def page(name: str, icon: str) -> st.Page:
        return st.Page(
            lambda: show_page(name, listing, listings),
            title=name,
            icon=f":material/{icon}:",
            url_path=name.lower(),
            default=name == "Explore",
        )

    return {
        "Explore": page("Explore", "explore"),
        "Encode": page("Encode", "upload"),
        "Compare": page("Compare", "compare"),
    }


def show_around(show: Callable[[Listing | None, list[Listing]], None]) -> None:
    """Show what stands around every page, and the page in its midst.

    Args:
        show: shows the page, of the checkpoint picked (None where there is none) and of all.
    """
    found = list_checkpoints(checkpoint_folders())
    show_watch(digest_of(found), cached.live_token(), state.current_run())
    tell_of_new(found)
    listings, newer = keep_former(found)
    # The picker belongs to no page: a page's widgets lose their values on the way to another.
    # What is said of the model stands beside it, so that the page below stays where it is.
    top = st.container(horizontal=True, vertical_alignment="center", key="shell-top")
    notes = st.container()
    listing = None
    if listings:
        allow_models(listings)
        with top:
            listing = pick_model(listings, notes)
    show(listing, listings)
    with top:
        # Now it is known which checkpoints are on the page.
        show_changes(listings, newer)
    state.complete_run()


def show_app() -> None:
    """Run the app once, for one view of one page."""
    st.set_page_config(page_title="Latent Explorer", page_icon=str(ICON), layout="wide")
    state.count_run()
    st.html(f"<style>{STYLE}{WATCH_STYLE}</style>")

    def show(listing: Listing | None, listings: list[Listing]) -> None:
        pages = make_pages(listing, listings)
        state.remember_pages(pages)
        st.navigation(list(pages.values()), position="top").run()

    show_around(show)

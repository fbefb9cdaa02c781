"""The one shell around all pages: navigation, the model picker, and the edge for errors."""

from pathlib import Path

import streamlit as st

from explorer.errors import ExplorerError
from explorer.live.hub import shared_hub
from explorer.models.checkpoint import held_out_loss
from explorer.models.config import KIND_NAMES
from explorer.models.library import Listing, checkpoint_folders, list_checkpoints
from explorer.ui import cached, state
from explorer.ui.words import plain

ICON = Path(__file__).with_name("icon.png")  # a named icon would be fetched from the network
FIRST_CHOICE = "mnist-vae-16"
WATCH_SECONDS = 4


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
        parts.append(f"{loss:.1f} nats held out")
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


def pick_model(listings: list[Listing]) -> Listing:
    """The picker above every page."""
    by_name = {listing.name: listing for listing in listings}
    # The widget forgets its value when another page is opened by code; this one does not.
    wanted = state.wanted_model()
    picked = st.session_state.get("model")
    stands_in = wanted is not None and picked == state.stand_in()
    if picked not in by_name or (stands_in and wanted in by_name):
        st.session_state["model"] = wanted if wanted in by_name else first_choice(listings)
    chosen = st.selectbox(
        "Model",
        list(by_name),
        format_func=lambda name: describe(by_name[name]),
        key="model",
        label_visibility="collapsed",
        help="A checkpoint in pretrained/: name, data, kind, latents, held-out loss. "
        "train_vae.py adds more, which appear here by themselves.",
    )
    if wanted is not None and wanted not in by_name and chosen == first_choice(listings):
        st.warning(
            f"**{plain(wanted)}** is no longer there: deleted, moved or just being written. "
            "It comes back by itself when its folder does; until then this is another model."
        )
        state.want_model(wanted, stand_in=chosen)
    else:
        state.want_model(chosen)
    return by_name[chosen]


@st.fragment(run_every=WATCH_SECONDS)
def watch_for_checkpoints(known: tuple[tuple[str, object], ...]) -> None:
    """Run the page again when a checkpoint came, went or changed."""
    present = tuple((found.name, found.stamp) for found in list_checkpoints(checkpoint_folders()))
    if present != known:
        fresh = sorted({name for name, _ in present} - {name for name, _ in known})
        for name in fresh:
            st.toast(f"New checkpoint: {plain(name)}. Pick it in the list of models.")
        st.rerun()


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


def show_app() -> None:
    """Run the app once, for one view of one page."""
    st.set_page_config(page_title="Latent Explorer", page_icon=str(ICON), layout="wide")
    state.count_run()
    st.html(
        "<style>.stMainBlockContainer{padding-top:4.2rem;padding-bottom:2rem}"
        "@media(max-width:640px){.stMainBlockContainer{padding:4rem 1rem 2rem}}</style>"
    )
    listings = list_checkpoints(checkpoint_folders())
    # The picker belongs to no page: a page's widgets lose their values on the way to another.
    picker = st.container()
    listing = None
    if listings:
        allow_models(listings)
        with picker:
            listing = pick_model(listings)
    pages = make_pages(listing, listings)
    state.remember_pages(pages)
    st.navigation(list(pages.values()), position="top").run()
    watch_for_checkpoints(tuple((found.name, found.stamp) for found in listings))

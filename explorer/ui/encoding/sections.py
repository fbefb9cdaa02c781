"""The lower part of Encode: where the picture lies, and all that can be done with its code."""

from collections.abc import Callable

import streamlit as st

from explorer.errors import ExplorerError
from explorer.live.model import OpenedModel
from explorer.models.library import Listing
from explorer.ui.encoding.arithmetic import show_arithmetic
from explorer.ui.encoding.around import show_around
from explorer.ui.encoding.batch import show_batch
from explorer.ui.encoding.corners import show_between
from explorer.ui.encoding.directions import show_directions
from explorer.ui.encoding.encoded import EncodedPicture
from explorer.ui.encoding.repair import show_repair
from explorer.ui.words import plain

KEY = "encode-section"
AROUND = "Around it"

Section = Callable[[Listing, OpenedModel, EncodedPicture], None]
SECTIONS: dict[str, tuple[str, Section]] = {
    AROUND: ("location_on", show_around),
    "All pictures": ("table_rows", show_batch),
    "Between pictures": ("timeline", show_between),
    "Arithmetic": ("calculate", show_arithmetic),
    "Directions": ("explore", show_directions),
    "Repair": ("healing", show_repair),
}


# A fragment: what is done here leaves the upper part of the page as it is.
@st.fragment
def show_sections(listing: Listing, model: OpenedModel, encoded: EncodedPicture) -> None:
    """One of the sections at a time; the others are not worked out.

    Args:
        listing: the checkpoint.
        model: the same, opened.
        encoded: the picture that is looked at.
    """
    chosen = st.segmented_control(
        "What to do with it",
        list(SECTIONS),
        default=AROUND,
        format_func=lambda name: f":material/{SECTIONS[name][0]}: {name}",
        key=KEY,
        required=True,
        label_visibility="collapsed",
        persist_state="session",
    )
    try:
        SECTIONS[chosen or AROUND][1](listing, model, encoded)
    except ExplorerError as error:
        # A run of the fragment alone does not pass the page's own edge.
        st.error(plain(str(error)))

"""Encode: the user's own pictures, how they became input, and what the model makes of them."""

import streamlit as st

from explorer.errors import UploadError
from explorer.live.model import OpenedModel
from explorer.models.library import Listing
from explorer.ui import cached, state
from explorer.ui.encoding.encoded import encode_pictures, input_of
from explorer.ui.encoding.gallery import session_gallery
from explorer.ui.encoding.looking import show_looking
from explorer.ui.encoding.preparing import show_preparation
from explorer.ui.encoding.sections import show_sections
from explorer.ui.encoding.ways import show_ways
from explorer.ui.words import plain


def show_encode(listing: Listing, _listings: list[Listing], /) -> None:
    """The page.

    Raises:
        CheckpointError: if the model cannot be used.
    """
    model = cached.ready_model(listing)
    target = input_of(model)
    if trouble := cached.report_trouble(listing):
        st.warning(plain(trouble))
    gallery = session_gallery()
    left, right = st.container(key="encode-halves").columns([2, 5], gap="medium")
    with left:
        show_ways(listing, model, target)
    picture = gallery.chosen
    if picture is None:
        with right:
            show_nothing(model)
        return
    try:
        prepared = gallery.prepare(picture, target)
    except UploadError as error:
        with right:
            st.error(plain(str(error)))
        return
    with left:
        show_preparation(picture, prepared, len(gallery.pictures) - 1)
    encoded = encode_pictures(model, gallery, [picture])[0]
    with right:
        heading, action = st.columns([3, 1], vertical_alignment="center")
        heading.markdown(f"**{plain(encoded.title)}**")
        if action.button(
            "Send to the sliders",
            key="send",
            icon=":material/tune:",
            width="stretch",
            help="Explore opens with this picture's code on its sliders.",
        ):
            state.push_code(listing.name, encoded.mean)
            state.go_to("Explore")
        show_looking(listing, model, encoded)
    show_sections(listing, model, encoded)


def show_nothing(model: OpenedModel) -> None:
    """What there will be to see."""
    st.info(
        "Bring photographs, scans or drawings: upload them, paste one anywhere on this page, draw, "
        f"or use the camera. Each is fitted to the model's {describe_input(model)} input, step by "
        "step before your eyes, and then taken apart: what the model sees, what it costs, where it "
        "lies."
    )


def describe_input(model: OpenedModel) -> str:
    """The model's input in words."""
    channels, height, width = model.config.data.image_shape
    return f"{width} x {height} {'grey' if channels == 1 else 'colour'}"

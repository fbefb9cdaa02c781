"""Encode: uploaded images, fitted to the model, reconstructed and placed on the map."""

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from explorer.errors import UploadError
from explorer.images.sheet import to_picture
from explorer.live.model import OpenedModel
from explorer.models.library import Listing
from explorer.ui import cached, state
from explorer.ui.words import plain

TYPES = ["png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "tiff"]
PICTURE = 116  # pixels a side, of the pictures in a row
MOST_FILES = 30


def show_encode(listing: Listing, _listings: list[Listing], /) -> None:
    """The page.

    Raises:
        CheckpointError: if the model cannot be used.
    """
    model = cached.ready_model(listing)
    left, right = st.columns([5, 4], gap="medium")
    with left:
        files = st.file_uploader(
            "Images to encode",
            type=TYPES,
            accept_multiple_files=True,
            key="uploads",
            help="PNG, JPEG, WebP, BMP, GIF or TIFF, up to 20 MB each. They stay in this session's "
            "memory and are never written to disk.",
        )
        if len(files) > MOST_FILES:
            st.warning(f"The first {MOST_FILES} of {len(files)} files are encoded.")
        encoded: list[cached.EncodedUpload] = []
        refused: list[str] = []
        for file in files[:MOST_FILES]:
            try:
                encoded.append(cached.encode_upload(model, file.getvalue(), file.name))
            except UploadError as error:
                refused.append(str(error))
        for reason in refused:
            st.error(plain(reason))
        if not files:
            st.info(
                "Upload photographs, scans or drawings. Each is fitted to the model's "
                f"{describe_input(model)} input, step by step before your eyes, then encoded."
            )
        for number, upload in enumerate(encoded, start=1):
            show_upload(listing, upload, number)
    with right:
        show_map(model, encoded)


def describe_input(model: OpenedModel) -> str:
    """The model's input in words."""
    channels, height, width = model.config.data.image_shape
    return f"{width} x {height} {'grey' if channels == 1 else 'colour'}"


def show_map(model: OpenedModel, encoded: list[cached.EncodedUpload]) -> None:
    """The map with the uploads on it."""
    from explorer.plots.maps import plot_map

    figure = plot_map(
        model.projection.coordinates,
        model.encodings.labels,
        model.config.data.classes,
        exact=model.placement.exact,
        marked=np.array([upload.place for upload in encoded]) if encoded else None,
        marked_names=[upload.prepared.name for upload in encoded],
        height=400,
    )
    st.plotly_chart(figure, key="encode-map", config={"displaylogo": False, "scrollZoom": True})
    if encoded:
        st.caption(
            "The numbers mark the uploads: "
            + (
                "at their codes, exactly; this is the latent space itself."
                if model.placement.exact
                else "placed approximately, from the nearest held-out codes."
            )
        )


def show_upload(listing: Listing, upload: cached.EncodedUpload, number: int) -> None:
    """One upload: how it became the model's input, and what the model makes of it."""
    with st.container(border=True):
        heading, action = st.columns([3, 2], vertical_alignment="center")
        heading.markdown(f"**{number} · {plain(upload.prepared.name)}**")
        if action.button(
            "Send to the sliders", key=f"send-{number}", icon=":material/tune:", width="stretch"
        ):
            state.push_code(listing.name, upload.mean)
            state.go_to("Explore")
        with st.container(horizontal=True, gap="small"):
            for step in upload.prepared.steps:
                show_picture(step.picture, step.title, step.detail)
            show_picture(
                to_picture(upload.reconstruction), "Reconstruction", describe_cost(listing, upload)
            )
        with st.expander("Code"):
            unit = " ± exp(log_var / 2)" if upload.log_var is not None else ""
            st.caption(f"Posterior mean{unit}, axis by axis.")
            st.code(format_code(upload), language=None, wrap_lines=True)


def show_picture(picture: NDArray[np.uint8], title: str, text: str) -> None:
    """A picture of one size, its title, and what there is to say under it."""
    from PIL import Image

    image = Image.fromarray(picture)
    scale = PICTURE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    # Small inputs are shown pixel by pixel, as the model gets them.
    image = image.resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS)
    with st.container(width=PICTURE + 8):
        st.image(image, width=size[0])
        st.markdown(f"**{title}**")
        st.caption(plain(text))


def describe_cost(listing: Listing, upload: cached.EncodedUpload) -> str:
    """What reconstruction and code cost, in nats, beside the held-out images' like figure."""
    text = f"{upload.reconstruction_nll:.1f} nats at the mean code"
    if upload.kl is not None:
        text += f", and {upload.kl:.1f} nats of KL"
    usual = cached.held_out_reconstruction(listing)
    if usual is not None:
        text += f". Held-out images reconstruct at {usual:.1f} on average"
    return text + "."


def format_code(upload: cached.EncodedUpload) -> str:
    """The code as text, one axis after the other."""
    if upload.log_var is None:
        return "  ".join(f"z{axis + 1}={value:+.2f}" for axis, value in enumerate(upload.mean))
    spread = np.exp(upload.log_var / 2)
    return "  ".join(
        f"z{axis + 1}={value:+.2f}±{sigma:.2f}"
        for axis, (value, sigma) in enumerate(zip(upload.mean, spread, strict=True))
    )

"""Explore: the map, the sliders and the decoded picture, live."""

import base64
import io
import sys
from collections.abc import Sequence

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from explorer.latent.neighbours import nearest
from explorer.live.hub import shared_hub
from explorer.live.model import OpenedModel
from explorer.live.route import PREFIX, plotly_path
from explorer.models.library import Listing
from explorer.plots.palette import class_colours
from explorer.ui import cached, state
from explorer.ui.lab import LabAxis, LabRequest, SettledCode, settled_code, show_lab
from explorer.ui.words import plain

KEY = "lab"


def map_note(model: OpenedModel) -> str:
    """What the map is, in a sentence."""
    count = len(model.encodings.mean)
    if model.projection.method == "latent plane":
        what = "plane" if model.latent_dim == 2 else "axis"
        return (
            f"The latent {what} itself: {count:,} held-out images at their codes. "
            "Click a point to put its code into the sliders."
        )
    about = f"{count:,} held-out images from {model.latent_dim} latents"
    if model.projection.method == "umap":
        what = f"A UMAP projection of {about}: near points are alike, far distances say little."
    else:
        what = f"The first two {model.projection.method} of {about}."
    return (
        f"{what} The ring of the sliders' code is placed "
        "approximately, from its nearest codes. Click a point to put its code into the sliders."
    )


def lab_request(model: OpenedModel, listing: Listing) -> LabRequest:
    """What the component is told about one model."""
    summary = cached.axis_summary(model, model.tag, listing.name)
    channels, height, width = model.config.data.image_shape
    path = str(st.get_option("server.baseUrlPath") or "").strip("/")
    base = f"/{path}" if path else ""
    remembered = state.remembered_code(listing.name, model.tag)
    pushed = state.pushed_code(listing.name)
    settled = settled_of(model, listing)
    active = int(summary.active.sum())
    measure = "KL" if summary.unit == "nats" else "variance of the codes"
    return LabRequest(
        name=listing.name,
        tag=model.tag,
        base=base + PREFIX,
        plotly=base + plotly_path(),
        token=cached.live_token(),
        shape=(height, width, channels),
        axes=[
            LabAxis(
                index=int(axis),
                information=round(float(summary.information[axis]), 4),
                active=bool(summary.active[axis]),
                typical=float(summary.typical[axis]),
                low=float(summary.low[axis]),
                high=float(summary.high[axis]),
            )
            for axis in summary.order
        ],
        unit=summary.unit + ("" if summary.unit == "nats" else " of the codes"),
        classes=model.config.data.classes,
        colours=class_colours(len(model.config.data.classes)),
        exact=model.placement.exact,
        note=map_note(model),
        hint=(
            f"Most informative axis first, by {measure} (the line under each); "
            f"{active} of {model.latent_dim} active. The range holds 99 % of the codes. "
            "Arrow keys move, Delete or a double click resets, Ctrl+Z undoes."
        ),
        start=remembered or tuple(float(value) for value in summary.typical),
        run=state.current_run(),
        push=None if pushed is None else {"id": pushed.id, "latents": pushed.latents},
        decoded=decoded_answer(model, settled),
    )


def settled_of(model: OpenedModel, listing: Listing) -> SettledCode | None:
    """The settled code, if it is this model's."""
    settled = settled_code(KEY)
    if settled is None or (settled.name, settled.tag) != (listing.name, model.tag):
        return None
    return settled if len(settled.latents) == model.latent_dim else None


def decoded_answer(model: OpenedModel, settled: SettledCode | None) -> dict[str, object] | None:
    """The picture of a settled code, for a browser without a live connection."""
    if settled is None or not settled.offline:
        return None
    latents = np.array([settled.latents], np.float32)
    return {
        "id": settled.id,
        "pixels": base64.b64encode(model.codec.decode_pixels(latents)[0].tobytes()).decode(),
        "place": [float(value) for value in model.placement.place(latents)[0]],
    }


def show_code(model: OpenedModel, listing: Listing, latents: Sequence[float]) -> None:
    """The settled code in figures, and as files."""
    code = np.array([latents], np.float32)
    distances, rows = nearest(code, model.encodings.mean, 1)
    row = int(rows[0, 0])
    labels = model.encodings.labels
    which = f"image {model.encodings.index[row]}"
    if labels is not None:
        which += f", class {plain(model.config.data.classes[labels[row]])}"
    radius = float(np.linalg.norm(code))
    left, right = st.columns([3, 2], vertical_alignment="center")
    left.markdown(
        f"**This code:** |z| = {radius:.2f}; a draw from the prior N(0, I) has about "
        f"√{model.latent_dim} = {np.sqrt(model.latent_dim):.2f}. Nearest held-out code: {which}, "
        f"at a distance of {distances[0, 0]:.2f}."
    )
    with right.container(horizontal=True, horizontal_alignment="right"):
        st.download_button(
            "Code (CSV)",
            data=",".join(f"z{axis + 1}" for axis in range(len(latents)))
            + "\n"
            + ",".join(f"{value:.6g}" for value in latents)
            + "\n",
            file_name=f"{listing.name}-code.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
        st.download_button(
            "Picture (PNG)",
            data=lambda: picture_file(model, code),
            file_name=f"{listing.name}-decoded.png",
            mime="image/png",
            icon=":material/image:",
            on_click="ignore",
        )


def picture_file(model: OpenedModel, code: NDArray[np.float32]) -> bytes:
    """The decoded picture as a PNG file, at the model's own size."""
    from PIL import Image

    from explorer.images.sheet import to_picture

    file = io.BytesIO()
    Image.fromarray(to_picture(model.codec.decode(code)[0])).save(file, "PNG")
    return file.getvalue()


def show_explore(listing: Listing, _listings: list[Listing], /) -> None:
    """The page.

    Raises:
        CheckpointError: if the model cannot be used.
    """
    model = cached.open_model(listing)
    shared_hub().allow(cached.live_token(), listing.name, listing.folder, listing.stamp)
    settled = settled_of(model, listing)
    if settled is not None:
        state.remember_settled(settled.id, listing.name, model.tag, settled.latents)
    if "torch" in sys.modules:
        # Told here in full; the live route has room for a few words only.
        _ = model.codec
    request = lab_request(model, listing)
    show_lab(request, key=KEY)
    show_code(model, listing, state.current_code(listing.name, model.tag) or request.start)

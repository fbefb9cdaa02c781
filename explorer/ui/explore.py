"""Explore: map, sliders and decoded picture as one live surface."""

import base64
import json
import sys
import zlib

import numpy as np

from explorer.live.hub import shared_hub
from explorer.live.model import OpenedModel
from explorer.live.readonly import is_read_only, refusal
from explorer.live.route import plotly_path
from explorer.live.values import has_density
from explorer.models.library import Listing
from explorer.plots.palette import PETROFF, class_colours
from explorer.ui import cached, state
from explorer.ui.addresses import base_path, live_base
from explorer.ui.faults import show_faults
from explorer.ui.lab import LabAxis, LabRequest, SettledCode, settled_code, show_lab

KEY = "lab"


def map_note(model: OpenedModel) -> str:
    """What the map is, in a sentence."""
    count = len(model.encodings.mean)
    if model.projection.method == "latent plane":
        what = "plane" if model.latent_dim == 2 else "axis"
        spread = "" if what == "plane" else " Points are spread upwards only to be seen apart."
        return (
            f"The latent {what} itself: {count:,} held-out images at their codes.{spread} "
            "Every spot is a code: hover, click, drag."
        )
    about = f"{count:,} held-out images from {model.latent_dim} latents"
    if model.projection.method == "umap":
        what = f"UMAP of {about}: near points are alike, distances between clusters mean little."
    else:
        what = f"The first two {model.projection.method} of {about}."
    return f"{what} Positions are approximate."


def bookmark_key(model: OpenedModel) -> str:
    """A word that changes when the checkpoint is trained anew, and not when it is copied."""
    plain = json.dumps(model.config.to_dict() | {"name": ""}, sort_keys=True, default=str)
    return f"{zlib.crc32(plain.encode()):08x}"


def lab_request(model: OpenedModel, listing: Listing) -> LabRequest:
    """What the component is told about one model."""
    summary = cached.axis_summary(model, model.tag, listing.name)
    channels, height, width = model.config.data.image_shape
    remembered = state.remembered_code(listing.name, model.tag)
    pushed = state.pushed_code(listing.name)
    settled = settled_of(model, listing)
    active = int(summary.active.sum())
    measure = "KL" if summary.unit == "nats" else "variance of the codes"
    return LabRequest(
        name=listing.name,
        tag=model.tag,
        fingerprint=bookmark_key(model),
        base=live_base(),
        plotly=base_path() + plotly_path(),
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
        naming=refusal("Names of axes are not stored") if is_read_only() else "",
        names={str(axis): name for axis, name in model.axis_names.items()},
        classes=model.config.data.classes,
        colours=class_colours(len(model.config.data.classes)),
        palette=PETROFF,
        method=model.projection.method,
        exact=model.view("map").exact,
        solid=model.projection.coordinates_3d is not None,
        density=has_density(model),
        kl=model.encodings.log_var is not None,
        background=model.config.data.background,
        note=map_note(model),
        hint=(
            f"Most informative axis first, by {measure} (the line under each); {active} of "
            f"{model.latent_dim} active. The band holds 99 % of the codes, the ends go 1.5 times "
            "as far."
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
        "place": [float(value) for value in model.view("map").place(latents)[0]],
    }


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
    show_faults(cached.faults_of(listing, model))
    show_lab(lab_request(model, listing), key=KEY)

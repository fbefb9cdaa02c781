"""What lies around the picture: its place on the map, the nearest pictures, and their classes."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from explorer.encode.codes import NEIGHBOURS
from explorer.images.dataset import ImageSet
from explorer.latent.neighbours import nearest
from explorer.live.model import OpenedModel
from explorer.live.sheets import pictures_of_rows
from explorer.models.library import Listing
from explorer.models.pictures import images_at_hand
from explorer.plots.palette import class_colours
from explorer.ui import cached
from explorer.ui.encoding.encoded import EncodedPicture, encode_pictures
from explorer.ui.encoding.gallery import session_gallery
from explorer.ui.encoding.strip import Bar, StripPicture, show_bars, show_strip

if TYPE_CHECKING:
    import plotly.graph_objects as go

HELD_OUT, TRAINING = "held-out", "training"
OTHERS = "#5b6370"  # of the marks of pictures that are not looked at
CROWD = 24  # marks; more are drawn smaller, at their places
CHUNK = 2048  # images encoded at once


def show_around(listing: Listing, model: OpenedModel, encoded: EncodedPicture) -> None:
    """The map, the votes and the nearest pictures."""
    gallery = session_gallery()
    everyone = encode_pictures(model, gallery, gallery.pictures)
    map_side, near_side = st.columns([5, 4], gap="medium")
    with map_side:
        show_place(model, everyone, encoded)
    with near_side, st.container(key="encode-around"):
        show_near(listing, model, encoded)


def show_place(
    model: OpenedModel, everyone: Sequence[EncodedPicture], encoded: EncodedPicture
) -> None:
    """All pictures of the session on the checkpoint's own map."""
    from explorer.plots.maps import plot_map

    exact = model.placement.exact
    figure = plot_map(
        model.projection.coordinates,
        model.encodings.labels,
        model.config.data.classes,
        exact=exact,
        marked=np.array([one.place for one in everyone]),
        marked_names=[one.picture.name for one in everyone],
        prior=exact and model.encodings.log_var is not None,
        height=440,
    )
    mark_chosen(figure, [one.number for one in everyone], encoded.number)
    st.plotly_chart(figure, key="encode-map", config={"displaylogo": False, "scrollZoom": True})
    where = (
        "The places are exact: this is the latent plane itself."
        if exact
        else "The places are approximate: the map is a projection, and each picture lies at the "
        "middle of its 15 nearest codes."
    )
    others = " The numbers in grey are the other pictures." if len(everyone) > 1 else ""
    st.caption(f"{where}{others}")


def mark_chosen(figure: "go.Figure", numbers: Sequence[int], chosen: int) -> None:
    """Number the marks as the pictures are, and let the one that is looked at stand out."""
    crowded = len(numbers) > CROWD
    # As plain values, since Plotly checks each change of its own objects.
    marks = [mark.to_plotly_json() for mark in figure.layout.annotations]
    for mark, number in zip(marks, numbers, strict=True):
        mark["text"] = f"<b>{number}</b>"
        if number == chosen:
            continue
        mark |= {"bgcolor": OTHERS, "arrowcolor": OTHERS}
        if crowded:
            mark |= {"ax": 0, "ay": 0, "showarrow": False, "borderpad": 1}
            mark["font"] = {**mark["font"], "size": 9}
    # The last one lies above the others.
    figure.layout.annotations = sorted(marks, key=lambda mark: mark["bgcolor"] != OTHERS)


def show_near(listing: Listing, model: OpenedModel, encoded: EncodedPicture) -> None:
    """The nearest codes: what their pictures are, and how far away."""
    among = st.segmented_control(
        "Nearest among",
        [HELD_OUT, TRAINING],
        default=HELD_OUT,
        format_func={
            HELD_OUT: "Held-out pictures",
            TRAINING: "Training pictures",
        }.__getitem__,
        key="encode-near",
        required=True,
        persist_state="session",
        help="Held-out pictures were not shown to the model in training. Distances are Euclidean, "
        "between mean codes, in latent space: not on the map.",
    )
    classes = model.config.data.classes
    if among == TRAINING:
        with st.spinner("Reading the training pictures…"):
            images = images_at_hand(model.config.data)
        if images is None:
            st.info(
                f"The training pictures of {model.config.data.name} are not at hand. Train on them "
                "once with train_vae.py, which downloads or draws them; until then the held-out "
                "codes, which come with the checkpoint, are there."
            )
            return
        codes, labels = training_codes(model, images, model.tag, listing.name)
    else:
        codes, labels = model.encodings.mean, model.encodings.labels
    distances, rows = nearest(encoded.mean[None], codes, min(NEIGHBOURS, len(codes)))
    near = rows[0]
    if labels is not None and classes:
        show_votes(listing, labels[near], classes, len(near))
    with st.spinner("Reading the pictures…"):
        pictures, numbers, real = near_pictures(model, near, among)
    show_strip(
        [
            StripPicture.of(
                picture.transpose(2, 0, 1),
                f"{distance:.2f}"
                + (f" · {classes[labels[row]]}" if labels is not None and classes else ""),
                f"image {number}",
            )
            for picture, distance, row, number in zip(
                pictures, distances[0], near, numbers, strict=True
            )
        ]
    )
    scale = typical_distance(model, model.tag, listing.name)
    st.caption(
        f"The {len(near)} nearest {among} pictures, with their distances in latent space"
        + (f" ({scale:.2f} is the median from one held-out code to the next)." if scale else ".")
        + ("" if real else " Their images are not at hand: these are the model's reconstructions.")
    )


def show_votes(
    listing: Listing, labels: NDArray[np.int64], classes: Sequence[str], count: int
) -> None:
    """What the nearest are, as bars."""
    votes = np.bincount(labels, minlength=len(classes))
    colours = class_colours(len(classes))
    order = [label for label in np.argsort(-votes, kind="stable") if votes[label]]
    show_bars(
        [
            Bar(
                classes[label],
                votes[label] / count,
                f"{votes[label]} of {count}",
                colours[label],
            )
            for label in order
        ]
    )
    report = cached.report_if_any(listing)
    measures = report.estimates if report is not None else ()
    known = next((one.value for one in measures if one.key == "knn_accuracy"), None)
    if known is not None and math.isfinite(known):
        st.caption(f"Votes of 10 neighbours name the right class for {known:.0%} of the held-out.")


def near_pictures(
    model: OpenedModel, rows: NDArray[np.int64], among: str
) -> tuple[NDArray[np.uint8], NDArray[np.int64], bool]:
    """Pictures (k, H, W, C), their numbers in the data set, and whether they are the images."""
    if among == HELD_OUT:
        pictures, real = pictures_of_rows(model, rows)
        return pictures, model.encodings.index[rows], real
    images = images_at_hand(model.config.data)
    assert images is not None  # its codes are there
    numbers = images.train_index[rows]
    return images.images[numbers].transpose(0, 2, 3, 1), numbers, True


@st.cache_resource(max_entries=4, show_spinner="Encoding the training pictures, once…")
def training_codes(
    _model: OpenedModel, _images: ImageSet, tag: int, name: str
) -> tuple[NDArray[np.float32], NDArray[np.int64] | None]:
    """Codes (N, D) and labels (N,) of the training images."""
    parts = []
    for start in range(0, len(_images.train_index), CHUNK):
        pixels = _images.images[_images.train_index[start : start + CHUNK]]
        parts.append(_model.codec.encode(np.divide(pixels, np.float32(255), dtype=np.float32))[0])
    labels = None if _images.labels is None else _images.labels[_images.train_index]
    return np.concatenate(parts), labels


@st.cache_resource(max_entries=16, show_spinner=False)
def typical_distance(_model: OpenedModel, tag: int, name: str) -> float | None:
    """The median distance from a held-out code to the nearest other one; None for one code."""
    codes = _model.encodings.mean
    if len(codes) < 2:
        return None
    # A thousand of them, evenly spread, tell the median well enough; all of a million would not.
    some = np.unique(np.linspace(0, len(codes) - 1, min(len(codes), 1000)).astype(int))
    distances, _ = nearest(codes[some], codes, 2)
    return float(np.median(distances[:, 1]))

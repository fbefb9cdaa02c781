"""Codes to mix: those of the session's pictures, and the mean codes of the classes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from explorer.images.sheet import to_picture
from explorer.live.model import OpenedModel
from explorer.ui.encoding.encoded import EncodedPicture, encode_pictures
from explorer.ui.encoding.files import to_data_url
from explorer.ui.encoding.gallery import session_gallery

MOST_CLASSES = 40  # whose means are offered


@dataclass(frozen=True, eq=False)
class Ingredient:
    """One code to mix.

    Attributes:
        key: what a widget knows it by.
        title: for the user.
        code: (D,).
        source: its picture as a data URL.
    """

    key: str
    title: str
    code: NDArray[np.float32]
    source: str


def picture_key(encoded: EncodedPicture) -> str:
    """The key of a picture's ingredient."""
    return f"picture-{encoded.picture.id}"


def find_ingredients(model: OpenedModel, name: str) -> dict[str, Ingredient]:
    """All that can be mixed, by key: first the pictures, in order, then the classes.

    Args:
        model: the checkpoint.
        name: its name.
    """
    gallery = session_gallery()
    found = [
        Ingredient(picture_key(one), one.title, one.mean, to_data_url(to_picture(one.image)))
        for one in encode_pictures(model, gallery, gallery.pictures)
    ]
    found += class_means(model, model.tag, name)
    return {one.key: one for one in found}


@st.cache_resource(max_entries=16, show_spinner=False)
def class_means(_model: OpenedModel, tag: int, name: str) -> list[Ingredient]:
    """The mean code of each class's held-out pictures; none without labels."""
    labels, classes = _model.encodings.labels, _model.config.data.classes
    if labels is None:
        return []
    there = [label for label in range(len(classes)) if (labels == label).any()][:MOST_CLASSES]
    if not there:
        return []
    codes = np.stack(
        [_model.encodings.mean[labels == label].mean(axis=0, dtype=np.float64) for label in there]
    ).astype(np.float32)
    pictures = _model.codec.decode(codes)
    return [
        Ingredient(
            f"class-{label}",
            f"mean of {classes[label]}",
            code,
            to_data_url(to_picture(picture)),
        )
        for label, code, picture in zip(there, codes, pictures, strict=True)
    ]


def keep_offered(key: str, offered: Sequence[object]) -> None:
    """Drop from a widget's value what is no longer offered, before the widget is shown."""
    value = st.session_state.get(key)
    if isinstance(value, list):
        st.session_state[key] = [one for one in value if one in offered]
    elif value is not None and value not in offered:
        del st.session_state[key]

"""What a model makes of the session's pictures."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from explorer.errors import UploadError
from explorer.images.fitting import ModelInput
from explorer.live.model import OpenedModel
from explorer.models.bound import Bounds, measure_bounds
from explorer.ui.encoding.gallery import Gallery, SessionPicture

MOST_KEPT = 500
CHUNK = 32  # pictures measured at once

_KEY = "explorer.encoded"


@dataclass(frozen=True, eq=False)
class EncodedPicture:
    """A picture as a model sees it.

    Attributes:
        picture: of the session.
        number: its place in the gallery, from 1.
        image: the model's input, (C, H, W) in [0, 1].
        bounds: of this one image.
        place: (2,), on the checkpoint's own map.
    """

    picture: SessionPicture
    number: int
    image: NDArray[np.float32]
    bounds: Bounds
    place: NDArray[np.float32]

    @property
    def title(self) -> str:
        """Its number and name."""
        return f"{self.number} · {self.picture.name}"

    @property
    def mean(self) -> NDArray[np.float32]:
        """Its code, (D,)."""
        code: NDArray[np.float32] = self.bounds.mean[0]
        return code

    @property
    def log_var(self) -> NDArray[np.float32] | None:
        """(D,), or None for an AE."""
        return None if self.bounds.log_var is None else self.bounds.log_var[0]

    @property
    def kl(self) -> float | None:
        """Nats; None for an AE."""
        kl = self.bounds.kl
        return None if kl is None else float(kl[0])


def input_of(model: OpenedModel) -> ModelInput:
    """What a model takes."""
    return ModelInput(model.config.data.image_shape, model.config.data.background)


def encode_pictures(
    model: OpenedModel, gallery: Gallery, pictures: Sequence[SessionPicture]
) -> list[EncodedPicture]:
    """Encode pictures, those anew that were not before; what cannot be prepared is left out.

    Raises:
        CheckpointError: if the model cannot be used.
    """
    target = input_of(model)
    kept: OrderedDict[object, tuple[NDArray[np.float32], Bounds, NDArray[np.float32]]]
    kept = st.session_state.setdefault(_KEY, OrderedDict())
    images = []
    for picture in pictures:
        key = (picture.state, model.folder, model.stamp)
        if key in kept:
            continue
        try:
            images.append((key, gallery.input(picture, target)))
        except UploadError:
            continue
    for start in range(0, len(images), CHUNK):
        some = images[start : start + CHUNK]
        found = measure_bounds(model.codec, np.stack([image for _, image in some]))
        places = model.placement.place(found.mean)
        for row, (key, image) in enumerate(some):
            kept[key] = (image, one_of(found, row), places[row])
    encoded = []
    for picture in pictures:
        entry = kept.get((picture.state, model.folder, model.stamp))
        if entry is not None:
            # What is shown stays: else each run would measure anew what the last one let go.
            kept.move_to_end((picture.state, model.folder, model.stamp))
            encoded.append(EncodedPicture(picture, gallery.number(picture), *entry))
    while len(kept) > MOST_KEPT:
        kept.popitem(last=False)
    return encoded


def one_of(bounds: Bounds, row: int) -> Bounds:
    """The figures of one image, as copies: the others are let go."""
    here = slice(row, row + 1)
    return Bounds(
        **{  # type: ignore[arg-type]
            field.name: None if values is None else values[here].copy()
            for field in fields(bounds)
            for values in [getattr(bounds, field.name)]
        }
    )

"""What directions can be learned from: looks, classes, factors, two groups of own pictures."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from explorer.encode.traits import class_name, picture_traits
from explorer.images.dataset import Factor
from explorer.latent.directions import (
    Direction,
    direction_between,
    direction_of_label,
    direction_of_values,
)
from explorer.live.model import OpenedModel
from explorer.models.library import Listing
from explorer.models.pictures import images_at_hand
from explorer.ui.encoding.encoded import EncodedPicture, encode_pictures
from explorer.ui.encoding.gallery import session_gallery
from explorer.ui.encoding.ingredients import keep_offered, picture_key

LOOKS, LABELS, FACTORS, GROUPS = "Looks", "Classes", "Factors", "Two groups"
HELP = {
    LOOKS: "what can be measured on held-out pictures as the model decodes them",
    LABELS: "the labels of held-out pictures",
    FACTORS: "what the pictures were made from",
    GROUPS: "two groups of your own pictures",
}
KEY = "encode-direction"
OTHERS = "all others"
REACH_OF_GROUPS, REACH_OF_VALUES = 2.0, 3.0  # steps


@dataclass(frozen=True, eq=False)
class Wish:
    """A direction that is wanted.

    Attributes:
        key: tells it from others of the model.
        forth: where it leads to, for the slider.
        back: and the other way.
        target: the trait that it is to move; "" where none says so.
        step: what one step of it is, in words.
        reach: steps that the slider goes.
        learn: finds it.
        own: whether it is learned from the session's own pictures, and so kept in it alone.
    """

    key: Hashable
    forth: str
    back: str
    target: str
    step: str
    reach: float
    learn: Callable[[], Direction]
    own: bool = False


def has_classes(model: OpenedModel) -> bool:
    """Whether there are two classes or more among the held-out pictures."""
    labels = model.encodings.labels
    return labels is not None and len(np.unique(labels)) > 1


def factors_of(model: OpenedModel) -> tuple[Factor, ...]:
    """What is known of the pictures' causes; () where nothing is, or they are not at hand."""
    images = images_at_hand(model.config.data)
    if images is None or model.encodings.index.max() >= len(images.images):
        return ()
    return images.factors


def halves(count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The held-out rows to learn from, and those to try on: what it was learned from flatters."""
    order = np.random.default_rng(0).permutation(count)
    return np.sort(order[: count // 2]), np.sort(order[count // 2 :])


def pick_wish(
    listing: Listing,
    model: OpenedModel,
    encoded: EncodedPicture,
    source: str,
    factors: Sequence[Factor],
) -> Wish | None:
    """The choices of one source; None while something is missing."""
    if source == LABELS:
        return pick_label(listing, model)
    if source == FACTORS:
        return pick_factor(listing, model, factors)
    if source == GROUPS:
        return pick_groups(model, encoded)
    traits = {trait.name: trait for trait in picture_traits(model.config)}
    keep_offered(f"{KEY}-look-{listing.name}", list(traits))
    name = st.selectbox(
        "Towards more",
        list(traits),
        key=f"{KEY}-look-{listing.name}",
        persist_state="session",
        width=220,
    )
    learn_rows = halves(len(model.encodings.mean))[0]

    def learn() -> Direction:
        codes = model.encodings.mean[learn_rows]
        return direction_of_values(codes, traits[name].measure(model.codec.decode(codes), None))

    return Wish(
        (LOOKS, name),
        f"towards more {name}",
        f"towards less {name}",
        name,
        f"One step is one standard deviation of {name} over held-out pictures as the model decodes "
        "them.",
        REACH_OF_VALUES,
        learn,
    )


def pick_label(listing: Listing, model: OpenedModel) -> Wish | None:
    """From all others, or from one class, to another."""
    labels, classes = model.encodings.labels, model.config.data.classes
    assert labels is not None
    there = [classes[label] for label in np.unique(labels)]
    for end in ("to", "from"):
        keep_offered(f"{KEY}-{end}-{listing.name}", [OTHERS, *there] if end == "from" else there)
    to = st.selectbox(
        "Towards",
        there,
        key=f"{KEY}-to-{listing.name}",
        persist_state="session",
        width=180,
    )
    start = st.selectbox(
        "Away from",
        [OTHERS, *there],
        key=f"{KEY}-from-{listing.name}",
        persist_state="session",
        width=180,
    )
    if start == to:
        st.info("Pick two different classes.")
        return None
    rows = halves(len(labels))[0]
    against = None if start == OTHERS else classes.index(start)
    other = "all others" if against is None else f"class {start}"
    return Wish(
        (LABELS, to, start),
        f"towards class {to}",
        f"away from class {to}",
        class_name(to),
        f"One step leads from the mean of {other} to that of class {to}.",
        REACH_OF_GROUPS,
        lambda: direction_of_label(
            model.encodings.mean[rows], labels[rows], classes.index(to), against
        ),
    )


def pick_factor(listing: Listing, model: OpenedModel, factors: Sequence[Factor]) -> Wish | None:
    """A factor that grows, or one of its choices."""
    named = {
        name: (factor, choice)
        for factor in factors
        for name, choice in (
            [(f"{factor.name}: {one}", at) for at, one in enumerate(factor.choices)]
            if factor.discrete
            else [(factor.name, None)]
        )
    }
    keep_offered(f"{KEY}-factor-{listing.name}", list(named))
    name = st.selectbox(
        "Towards",
        list(named),
        format_func=lambda name: name if named[name][1] is not None else f"more {name}",
        key=f"{KEY}-factor-{listing.name}",
        persist_state="session",
        width=260,
    )
    factor, choice = named[name]
    rows = halves(len(model.encodings.mean))[0]
    codes, values = model.encodings.mean[rows], factor.values[model.encodings.index[rows]]
    if choice is None:
        return Wish(
            (FACTORS, name),
            f"towards more {name}",
            f"towards less {name}",
            name,
            f"One step is one standard deviation of {name}.",
            REACH_OF_VALUES,
            lambda: direction_of_values(codes, values),
        )
    return Wish(
        (FACTORS, name),
        f"towards {name}",
        f"away from {name}",
        name,
        "One step leads from the mean of all others to that of this choice.",
        REACH_OF_GROUPS,
        lambda: direction_of_label(codes, values.astype(np.int64), choice),
    )


def pick_groups(model: OpenedModel, encoded: EncodedPicture) -> Wish | None:
    """From some of the session's pictures to others."""
    gallery = session_gallery()
    everyone = {picture_key(one): one for one in encode_pictures(model, gallery, gallery.pictures)}
    if len(everyone) < 2:
        st.info("Bring a second picture: a group needs one at least.")
        return None
    mine = picture_key(encoded)
    defaults = {f"{KEY}-less": next(key for key in everyone if key != mine), f"{KEY}-more": mine}
    picked = []
    for key, words in ((f"{KEY}-less", "From these"), (f"{KEY}-more", "To those")):
        keep_offered(key, list(everyone))
        if key not in st.session_state:
            st.session_state[key] = [defaults[key]]
        picked.append(
            st.multiselect(
                words,
                list(everyone),
                format_func=lambda one: everyone[one].title,
                key=key,
                persist_state="session",
                width=300,
            )
        )
    less, more = picked
    if not less or not more or set(less) & set(more):
        st.info("Pick one picture or more for each group, none for both.")
        return None
    groups = [[everyone[key] for key in keys] for keys in picked]
    start, end = (np.stack([one.mean for one in group]) for group in groups)
    return Wish(
        (GROUPS, *(tuple(one.picture.state for one in group) for group in groups)),
        "towards the second group",
        "towards the first group",
        "",
        "One step leads from the mean of the first group to that of the second.",
        REACH_OF_GROUPS,
        lambda: direction_between(start, end),
        own=True,
    )

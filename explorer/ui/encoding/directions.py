"""Directions: learned, tried on held-out pictures, and only then offered for this one."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from explorer.encode.effects import FEWEST, Effect, TraitEffect, measure_effect
from explorer.encode.traits import (
    References,
    Trait,
    factor_trait,
    label_trait,
    picture_traits,
)
from explorer.images.dataset import Factor
from explorer.images.sheet import to_picture
from explorer.latent.directions import (
    Direction,
    direction_between,
    direction_of_label,
    direction_of_values,
)
from explorer.live.model import OpenedModel
from explorer.models.library import Listing
from explorer.models.pictures import images_at_hand
from explorer.ui.encoding.corners import mixing_request, send
from explorer.ui.encoding.encoded import EncodedPicture, encode_pictures
from explorer.ui.encoding.files import to_data_url
from explorer.ui.encoding.gallery import session_gallery
from explorer.ui.encoding.ingredients import Ingredient, keep_offered, picture_key
from explorer.ui.mixing import LINE, show_mixing
from explorer.ui.words import plain

LOOKS, LABELS, FACTORS, GROUPS = "Looks", "Classes", "Factors", "Two groups"
HELP = {
    LOOKS: "what can be measured on the pixels of held-out pictures",
    LABELS: "the labels of held-out pictures",
    FACTORS: "what the pictures were made from",
    GROUPS: "two groups of your own pictures",
}
KEY = "encode-direction"
OTHERS = "all others"
MOST_ROWS, MOST_CLASSES, MOST_KEPT = 14, 12, 64
REACH_OF_GROUPS, REACH_OF_VALUES = 2.0, 3.0

_TRIED = "explorer.directions"


Tries = OrderedDict[Hashable, tuple[Direction, Effect]]


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


def show_directions(listing: Listing, model: OpenedModel, encoded: EncodedPicture) -> None:
    """What to learn it from, what it does, and the slider."""
    codes = model.encodings.mean
    if len(codes) < 4 * FEWEST:
        st.info(
            f"This checkpoint has {len(codes)} held-out codes: too few to learn a direction from "
            "one half of them and to try it on the other."
        )
        return
    with st.spinner("Looking for what is known of the pictures…"):
        factors = factors_of(model)
    there = [LOOKS, *([LABELS] if has_classes(model) else []), *([FACTORS] if factors else [])]
    keep_offered(f"{KEY}-source-{listing.name}", [*there, GROUPS])
    with st.container(horizontal=True, vertical_alignment="bottom"):
        source = st.segmented_control(
            "Learn it from",
            [*there, GROUPS],
            default=LOOKS,
            key=f"{KEY}-source-{listing.name}",
            required=True,
            persist_state="session",
            help="; ".join(f"{name}: {HELP[name]}" for name in [*there, GROUPS]) + ".",
        )
        wish = pick_wish(listing, model, encoded, source or LOOKS, factors)
    if wish is None:
        return
    direction, effect = tried(model, wish, factors)
    left, right = st.columns([2, 3], gap="medium")
    with left:
        show_effect(effect, wish)
    with right:
        request = mixing_request(
            listing,
            model,
            [
                Ingredient(
                    picture_key(encoded),
                    encoded.title,
                    encoded.mean,
                    to_data_url(to_picture(encoded.image)),
                )
            ],
            mode=LINE,
            direction=direction.vector * direction.step,
            forth=wish.forth,
            back=wish.back,
            note=wish.step,
            reach=wish.reach,
        )
        send(listing, show_mixing(request, key=f"{KEY}-slider"))


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


# -- what is wanted --


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
        f"One step is one standard deviation of {name} among held-out pictures.",
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
        f"class {to}",
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


# -- what it does --


@st.cache_resource(max_entries=8, show_spinner=False)
def tries(_model: OpenedModel, folder: str, stamp: tuple[tuple[int, int], ...]) -> Tries:
    """What was measured of a model's own directions, for all sessions."""
    return OrderedDict()


def tried(model: OpenedModel, wish: Wish, factors: Sequence[Factor]) -> tuple[Direction, Effect]:
    """The direction and its measured effect, worked out once."""
    own: Tries = st.session_state.setdefault(_TRIED, OrderedDict())
    kept = own if wish.own else tries(model, str(model.folder), model.stamp)
    key = (model.folder, model.stamp, wish.key)
    if key not in kept:
        direction = wish.learn()

        def tell(share: float) -> None:
            bar.progress(share, text=words)

        words = "Trying it on held-out pictures, beside random directions…"
        bar = st.progress(0.0, text=words)
        effect = measure_effect(
            model.codec,
            direction,
            model.encodings.mean[halves(len(model.encodings.mean))[1]],
            traits_of(model, wish, factors),
            progress=tell,
        )
        bar.empty()
        found = kept[key] = (direction, effect)
        while len(kept) > MOST_KEPT:
            kept.popitem(last=False)
        return found
    return kept[key]


def traits_of(model: OpenedModel, wish: Wish, factors: Sequence[Factor]) -> list[Trait]:
    """What is looked at: pixels, classes and factors."""
    near, labels = References(model.encodings.mean), model.encodings.labels
    classes = model.config.data.classes
    traits = picture_traits(model.config)
    if labels is not None:
        there = np.unique(labels).tolist()
        shown = there if len(there) <= MOST_CLASSES else []
        wanted = [label for label in there if f"class {classes[label]}" == wish.target]
        traits += [
            label_trait(f"class {classes[label]}", near, labels, label)
            for label in dict.fromkeys([*wanted, *shown])
        ]
    for factor in factors:
        values = factor.values[model.encodings.index]
        if not factor.discrete:
            traits.append(factor_trait(factor.name, near, values))
            continue
        for number, choice in enumerate(factor.choices):
            name = f"{factor.name}: {choice}"
            # What serves as the class is there already.
            if choice not in classes or name == wish.target:
                traits.append(factor_trait(name, near, values == number))
    # Of two of one name, as a factor called like a look, the first is kept.
    return list({trait.name: trait for trait in reversed(traits)}.values())[::-1]


def show_effect(effect: Effect, wish: Wish) -> None:
    """The sentence, and a row a trait."""
    from explorer.plots.effects import plot_effects

    said = effect.sentence(wish.target) if wish.target else moved_words(effect)
    st.markdown(plain(said))
    rows = order_rows(effect.traits, wish.target)
    figure = plot_effects(
        [one.name for one in rows],
        [one.effect for one in rows],
        [one.low for one in rows],
        [one.high for one in rows],
        [one.random for one in rows],
        [one.moves for one in rows],
        target=wish.target,
    )
    st.plotly_chart(figure, key=f"{KEY}-effects", config={"displayModeBar": False})
    st.caption(
        f"From one step back to one step forward, on {effect.n} held-out pictures that it was not "
        f"learned from, with 95 % intervals. Grey: where 95 % of {effect.randoms} random "
        "directions of the same length stay. Classes and factors: of the 12 codes nearest to the "
        "decoded picture, encoded again."
    )


def order_rows(traits: Sequence[TraitEffect], target: str) -> list[TraitEffect]:
    """The target first, then what moves most beyond chance."""
    return sorted(
        traits,
        key=lambda one: (one.name != target, not one.moves, -abs(one.effect)),
    )[:MOST_ROWS]


def moved_words(effect: Effect) -> str:
    """What a direction moves that is meant to move nothing in particular."""
    moved = [one for one in order_rows(effect.traits, "") if one.moves]
    if not moved:
        return "Of what was measured, it moves nothing more than random directions do."
    listed = ", ".join(f"{one.name} ({one.effect:+.2f})" for one in moved)
    return f"More than 95 of 100 random directions it moves {listed}, in standard deviations."

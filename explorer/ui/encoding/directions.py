"""Directions: learned, tried on held-out pictures, and only then offered for this one."""

from collections import OrderedDict
from collections.abc import Hashable, Sequence

import streamlit as st

from explorer.encode.effects import FEWEST, Effect, TraitEffect, measure_effect
from explorer.encode.traits import all_traits
from explorer.images.dataset import Factor
from explorer.images.sheet import to_picture
from explorer.latent.directions import Direction
from explorer.live.model import OpenedModel
from explorer.models.library import Listing
from explorer.ui.encoding.corners import mixing_request, send
from explorer.ui.encoding.encoded import EncodedPicture
from explorer.ui.encoding.files import to_data_url
from explorer.ui.encoding.ingredients import Ingredient, keep_offered, picture_key
from explorer.ui.encoding.wishes import (
    FACTORS,
    GROUPS,
    HELP,
    KEY,
    LABELS,
    LOOKS,
    Wish,
    factors_of,
    halves,
    has_classes,
    pick_wish,
)
from explorer.ui.mixing import LINE, show_mixing
from explorer.ui.words import plain

MOST_ROWS, MOST_CLASSES, MOST_KEPT = 14, 12, 64

_TRIED = "explorer.directions"

Tries = OrderedDict[Hashable, tuple[Direction, Effect]]


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
            all_traits(
                model.config,
                model.encodings,
                factors,
                target=wish.target,
                most_classes=MOST_CLASSES,
            ),
            progress=tell,
        )
        bar.empty()
        found = kept[key] = (direction, effect)
        while len(kept) > MOST_KEPT:
            kept.popitem(last=False)
        return found
    return kept[key]


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
        f"From one step back to one step forward, on the codes of {effect.n} held-out pictures "
        f"that it was not learned from, with 95 % intervals. Grey: where 95 % of {effect.randoms} "
        "random directions of the same length stay. Classes and factors: of the 12 codes nearest "
        "to the decoded picture, encoded again."
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

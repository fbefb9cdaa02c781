"""A - B + C with codes."""

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from explorer.latent.corners import blend
from explorer.live.model import OpenedModel
from explorer.models.library import Listing
from explorer.regularity.health import Fault, severe_fault
from explorer.ui import cached, state
from explorer.ui.encoding.encoded import EncodedPicture
from explorer.ui.encoding.ingredients import (
    Ingredient,
    find_ingredients,
    keep_offered,
    picture_key,
)
from explorer.ui.encoding.strip import StripPicture, show_strip
from explorer.ui.words import plain

TERMS = (("A", "", "encode-sum-a"), ("B", "−", "encode-sum-b"), ("C", "+", "encode-sum-c"))
AMOUNT, SEND = "encode-sum-amount", "encode-sum-send"


def show_arithmetic(listing: Listing, model: OpenedModel, encoded: EncodedPicture) -> None:
    """Three cards, and what comes of them."""
    offered = find_ingredients(model, listing.name)
    if len(offered) < 2:
        st.info("Bring a second picture: then there is something to take away or to add.")
        return
    for (_, _, key), first in zip(TERMS, first_terms(model, offered, encoded), strict=True):
        keep_offered(key, list(offered))
        if key not in st.session_state:
            st.session_state[key] = first
    cards = st.columns(4, gap="small")
    terms = []
    for card, (letter, sign, key) in zip(cards[:3], TERMS, strict=True):
        with card.container(border=True, height="stretch", key=f"{key}-card"):
            picked = st.selectbox(
                f"{sign} {letter}".strip(),
                list(offered),
                format_func=lambda key: offered[key].title,
                key=key,
                persist_state="session",
            )
            term = offered[picked]
            terms.append(term)
            show_strip([StripPicture(term.source, term.title)], large=True, titles=False)
    with cards[3].container(border=True, height="stretch", key="encode-sum-card"):
        amount = st.slider(
            "= A + s (C − B), with s",
            0.0,
            2.0,
            1.0,
            0.05,
            key=AMOUNT,
            persist_state="session",
            help="At 1 this is A − B + C; at 0 it is A itself; at 2 it goes twice as far.",
        )
        code = add_up(terms, amount)
        picture = StripPicture.of(model.codec.decode(code[None])[0], "The result, decoded")
        show_strip([picture], large=True, titles=False)
    words, action = st.columns([3, 1], vertical_alignment="center")
    severe = severe_fault(cached.faults_of(listing, model))
    words.markdown(describe_code(model, code, severe))
    if action.button(
        "Send to the sliders",
        key=SEND,
        icon=":material/tune:",
        width="stretch",
        help="Explore opens with this code on its sliders.",
    ):
        state.push_code(listing.name, code)
        state.go_to("Explore")


def first_terms(
    model: OpenedModel, offered: dict[str, Ingredient], encoded: EncodedPicture
) -> tuple[str, str, str]:
    """The picture, less the class nearest to it, plus another one."""
    mine = picture_key(encoded)
    others = [key for key in offered if key != mine]
    classes = [key for key in others if key.startswith("class-")] or others
    nearest = min(classes, key=lambda key: np.linalg.norm(offered[key].code - encoded.mean))
    rest = [key for key in others if key != nearest] or [nearest]
    return mine, nearest, rest[0]


def add_up(terms: list[Ingredient], amount: float) -> NDArray[np.float32]:
    """A + amount (C - B), (D,)."""
    return blend(np.stack([one.code for one in terms]), [1.0, -amount, amount])


def describe_code(
    model: OpenedModel, code: NDArray[np.float32], severe: Fault | None = None
) -> str:
    """Where a code lies, in a sentence; of a dead model only what is nearest."""
    facts = model.truth(code, model.cycle(code[None])[0])
    near = facts["nearest"]
    name = "" if near["label"] is None else f", of class {model.config.data.classes[near['label']]}"
    density = facts["density"]
    if severe is not None:
        where = plain(severe.sentence).rstrip(".")
    elif facts["hole"]:
        where = (
            "Sparse: the result is farther from its nearest encodings than 95 % of the encoded "
            "images are"
        )
    else:
        where = "The result lies where images are encoded"
        if density is not None:
            where = f"Density of the result: percentile {density:.0f} of the encoded images"
    return f"{where}. Nearest image: distance {near['distance']:.2f}{name}."

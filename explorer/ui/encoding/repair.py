"""Repair: the checkpoints that learned to undo damage, given this picture."""

import shlex
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from explorer.encode.repair import (
    DOWNSAMPLE,
    MASK,
    NOISE,
    Repairer,
    damage,
    find_repairers,
    hide,
    repair,
)
from explorer.images.quality import psnr, ssim
from explorer.images.sheet import to_picture
from explorer.live.model import OpenedModel
from explorer.models.library import Listing, checkpoint_folders, list_checkpoints
from explorer.ui import cached
from explorer.ui.encoding.encoded import EncodedPicture
from explorer.ui.encoding.files import to_data_url
from explorer.ui.encoding.ingredients import keep_offered
from explorer.ui.encoding.strip import StripPicture, show_strip
from explorer.ui.faults import show_faults
from explorer.ui.mask import MaskRequest, pack_mask, show_mask
from explorer.ui.words import plain

WHICH, REAL, AMOUNT, ANOTHER, FACTOR = (
    "encode-repair-which",
    "encode-repair-real",
    "encode-repair-noise",
    "encode-repair-another",
    "encode-repair-factor",
)
MASKS, SEED = "explorer.masks", "explorer.damage"
NAMES = {NOISE: "Denoising", MASK: "Inpainting", DOWNSAMPLE: "Super-resolution"}
COMMANDS = {NOISE: ("noise", 0.3), MASK: ("hidden parts", 0.5), DOWNSAMPLE: ("coarse pixels", 4)}
MOST_MASKS = 100  # painted ones that are kept
FACTORS = (2, 4, 7, 8)


def show_repair(listing: Listing, model: OpenedModel, encoded: EncodedPicture) -> None:
    """A repairer, the damage, and what becomes of it."""
    listings = {one.name: one for one in list_checkpoints(checkpoint_folders())}
    repairers = {one.name: one for one in find_repairers(list(listings.values()), model.config)}
    if not repairers:
        show_commands(model)
        return
    keep_offered(WHICH, list(repairers))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox(
            "Repair with",
            list(repairers),
            format_func=lambda name: f"{NAMES[repairers[name].how]} · {name}",
            key=WHICH,
            persist_state="session",
            width=380,
        )
        whole = not st.toggle(
            "The picture is damaged already",
            key=REAL,
            persist_state="session",
            help="Off: it is taken for whole, damaged here, and the repair is held against it. "
            "On: it is repaired as it is, and nothing says how well.",
        )
    chosen = repairers[name]
    repairer = cached.ready_model(listings[name])
    if name != listing.name:  # whose faults stand above
        show_faults(cached.faults_of(listings[name], repairer))
    controls, results = st.columns([2, 5], gap="medium")
    with controls:
        damaged, mask = show_damage(chosen, encoded, whole=whole)
    with results:
        show_repaired(listing, model, repairer, chosen, encoded, damaged, mask, whole=whole)


def show_commands(model: OpenedModel) -> None:
    """How to train a repairer, in the very words."""
    data = model.config.data
    conv = " --architecture conv" if model.config.network.architecture == "conv" else ""
    height, width = data.image_shape[1:]
    sized = model.config.training.get("size") is not None
    size = f" --size {height}x{width}" if sized else ""
    st.info(
        "No checkpoint has learned to repair pictures like this one "
        f"({plain(data.name)}, {width} x {height}). Train one: it sees damaged pictures and is to "
        "give back the whole ones. It is listed here as soon as it is trained."
    )
    for how, (words, amount) in COMMANDS.items():
        st.markdown(f"**{NAMES[how]}**, against {words}:")
        st.code(
            f"python train_vae.py --data {shlex.quote(data.name)}{size} --kind ae --latent-dim 32"
            f"{conv} --corrupt {how} --corrupt-amount {amount:g} --epochs 20 --name {how}-repair",
            language="bash",
            wrap_lines=True,
        )


def show_damage(
    chosen: Repairer, encoded: EncodedPicture, *, whole: bool
) -> tuple[NDArray[np.float32], NDArray[np.bool_] | None]:
    """The controls of the damage.

    Returns:
        The damaged picture (C, H, W), and what of it is hidden, (H, W), if anything is.
    """
    image = encoded.image
    if chosen.how == MASK:
        mask = paint(chosen, encoded)
        return hide(image[None], mask)[0], mask
    if not whole:
        st.caption("The picture goes to the repairer as it is.")
        return image, None
    if chosen.how == NOISE:
        amount = st.slider(
            "Noise, standard deviation",
            0.0,
            1.0,
            float(min(1.0, chosen.amount)),
            0.05,
            key=AMOUNT,
            persist_state="session",
            help=f"Pixels go from 0 to 1. This model was trained with {chosen.amount:g}.",
        )
        if st.button("Other noise", key=ANOTHER, icon=":material/refresh:"):
            st.session_state[SEED] = int(st.session_state.get(SEED, 0)) + 1
        seed = int(st.session_state.get(SEED, 0))
        return (damage(image[None], NOISE, amount, seed=seed)[0] if amount else image), None
    factors = sorted({*FACTORS, int(chosen.amount)})
    keep_offered(FACTOR, factors)
    factor = st.select_slider(
        "Times fewer pixels each way",
        factors,
        value=int(chosen.amount),
        key=FACTOR,
        persist_state="session",
        help=f"This model was trained with {chosen.amount:g}.",
    )
    return damage(image[None], DOWNSAMPLE, factor)[0], None


def paint(chosen: Repairer, encoded: EncodedPicture) -> NDArray[np.bool_]:
    """What the user paints over; at first a square in the middle, as large as in training."""
    height, width = encoded.image.shape[1:]
    key = f"{encoded.picture.state}, {height} x {width}"
    masks: OrderedDict[str, NDArray[np.bool_]]
    masks = st.session_state.setdefault(MASKS, OrderedDict())
    keep_mask(masks, key, masks[key] if key in masks else square(height, width, chosen.amount))
    show_mask(
        MaskRequest(
            picture=key,
            source=to_data_url(to_picture(encoded.image)),
            width=width,
            height=height,
            mask=pack_mask(masks[key]),
            share=chosen.amount,
        ),
        key="encode-repair-mask",
        on_painted=lambda mask: keep_mask(masks, key, mask),
    )
    return masks[key]


def keep_mask(
    masks: OrderedDict[str, NDArray[np.bool_]], key: str, mask: NDArray[np.bool_]
) -> None:
    """Keep what was painted over a picture; what was looked at longest ago makes room."""
    masks[key] = mask
    masks.move_to_end(key)
    while len(masks) > MOST_MASKS:
        masks.popitem(last=False)


def square(height: int, width: int, share: float) -> NDArray[np.bool_]:
    """A square in the middle, its side a share of the shorter one: (H, W)."""
    side = max(1, round(share * min(height, width)))
    mask = np.zeros((height, width), bool)
    top, left = (height - side) // 2, (width - side) // 2
    mask[top : top + side, left : left + side] = True
    return mask


def show_repaired(
    listing: Listing,
    model: OpenedModel,
    repairer: OpenedModel,
    chosen: Repairer,
    encoded: EncodedPicture,
    damaged: NDArray[np.float32],
    mask: NDArray[np.bool_] | None,
    *,
    whole: bool,
) -> None:
    """The original, the damaged and the repaired, with what is gained."""
    rows = [("Damaged" if whole or mask is not None else "As it is", damaged)]
    if mask is None or mask.any():
        rows.append(
            (f"Repaired by {chosen.name}", repair(repairer.codec, damaged[None], mask=mask)[0])
        )
        if chosen.name != listing.name:
            untrained = repair(model.codec, damaged[None], mask=mask)[0]
            rows.append((f"By {listing.name}, which did not learn it", untrained))
    pictures = [StripPicture.of(encoded.image, "Original", "what it should be")] if whole else []
    for title, image in rows:
        detail = quality(image, encoded.image) if whole else ""
        pictures.append(StripPicture.of(image, title, detail))
    columns: Sequence[st.delta_generator.DeltaGenerator] = st.columns(len(pictures), gap="small")
    for column, picture in zip(columns, pictures, strict=True):
        with column:
            show_strip([picture], large=True)
    notes = []
    if whole:
        notes.append(
            "PSNR is 10 log10(1 / mean squared error); SSIM compares structure in 11 x 11 windows "
            "and is 1 for the original itself. Higher is better in both."
        )
    if mask is not None:
        notes.append("Outside of what is hidden the picture's own pixels are kept.")
    st.caption(" ".join(notes))


def quality(image: NDArray[np.float32], reference: NDArray[np.float32]) -> str:
    """PSNR and SSIM in words."""
    decibels = float(psnr(image[None], reference[None])[0])
    likeness = float(ssim(image[None], reference[None])[0])
    said = f"{decibels:.1f} dB" if np.isfinite(decibels) else "∞ dB"
    return f"PSNR {said}, SSIM {likeness:.3f}"

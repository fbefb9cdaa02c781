"""Between pictures: the path through several of them, or the plane between them all."""

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from explorer.images.animation import MOST_FRAMES, MOST_PIXELS, to_gif
from explorer.images.sheet import tile
from explorer.latent.corners import (
    FEWEST,
    MOST,
    arc_weights,
    blend,
    corner_grid,
    corner_weights,
    route,
)
from explorer.live.hub import shared_hub
from explorer.live.model import OpenedModel
from explorer.models.library import Listing
from explorer.regularity.health import severe_fault
from explorer.ui import cached, state
from explorer.ui.addresses import live_base
from explorer.ui.encoding.encoded import EncodedPicture
from explorer.ui.encoding.files import to_png
from explorer.ui.encoding.ingredients import (
    Ingredient,
    find_ingredients,
    keep_offered,
    picture_key,
)
from explorer.ui.mixing import PATH, PLANE, MixingCorner, MixingRequest, show_mixing

CORNERS, MODE, HOW, CLOSED = (
    "encode-between-corners",
    "encode-between-mode",
    "encode-between-how",
    "encode-between-closed",
)
LERP, SLERP = "lerp", "slerp"
GIF_STEPS, STRIP_STEPS, GRID_SIDE = 25, 9, 9
PIXELS = 224  # a picture's longer side in a GIF, about


def show_between(listing: Listing, model: OpenedModel, encoded: EncodedPicture) -> None:
    """The corners, the mixture, live, and files of it."""
    offered = find_ingredients(model, listing.name)
    if len(offered) < FEWEST:
        st.info("Bring a second picture: then there is something between the two.")
        return
    keep_offered(CORNERS, list(offered))
    if CORNERS not in st.session_state:
        st.session_state[CORNERS] = first_corners(model, offered, encoded)
    left, middle, right = st.columns([5, 2, 2], gap="medium", vertical_alignment="bottom")
    keys = left.multiselect(
        "Corners, two to five of them, in this order",
        list(offered),
        format_func=lambda key: offered[key].title,
        max_selections=MOST,
        key=CORNERS,
        persist_state="session",
    )
    mode = middle.segmented_control(
        "Where",
        [PATH, PLANE],
        default=PATH,
        format_func=str.capitalize,
        key=MODE,
        required=True,
        persist_state="session",
        help="A path leads from corner to corner, in order. The plane has all mixtures of them.",
    )
    how = right.segmented_control(
        "How",
        [LERP, SLERP],
        default=LERP,
        key=HOW,
        required=True,
        persist_state="session",
        help="lerp is the straight line. slerp keeps on the arc about the origin, where codes of "
        "many axes lie: in 16 axes N(0, I) has hardly any at its middle. Between corners that lie "
        "all around the origin there is no such arc, and the line stays straight.",
    )
    closed = False
    if mode == PATH and len(keys) > FEWEST:
        closed = st.toggle("Back to the first corner", key=CLOSED, persist_state="session")
    if len(keys) < FEWEST:
        st.info("Pick two corners or more.")
        return
    corners = [offered[key] for key in keys]
    request = mixing_request(
        listing,
        model,
        corners,
        mode=PLANE if mode == PLANE and len(keys) > FEWEST else PATH,
        arc=how == SLERP,
        closed=closed,
    )
    if mode == PLANE and len(keys) == FEWEST:
        st.caption("Between two corners lies a line: pick a third for a plane.")
    send(listing, show_mixing(request, key="encode-between"))
    show_files(listing, model, np.stack([one.code for one in corners]), request)


def first_corners(
    model: OpenedModel, offered: dict[str, Ingredient], encoded: EncodedPicture
) -> list[str]:
    """The picture that is looked at and up to three others; alone, the farthest class's mean."""
    mine = picture_key(encoded)
    pictures = [key for key in offered if key.startswith("picture-") and key != mine]
    if pictures:
        return [mine, *pictures[:3]]
    others = [key for key in offered if key != mine]
    return [mine, max(others, key=lambda key: np.linalg.norm(offered[key].code - encoded.mean))]


def mixing_request(
    listing: Listing,
    model: OpenedModel,
    corners: list[Ingredient],
    *,
    mode: str,
    arc: bool = False,
    closed: bool = False,
    direction: NDArray[np.floating] | None = None,
    forth: str = "",
    back: str = "",
    note: str = "",
    reach: float = 3.0,
) -> MixingRequest:
    """What the component is given."""
    channels, height, width = model.config.data.image_shape
    token = cached.live_token()
    shared_hub().allow(token, listing.name, listing.folder, listing.stamp)
    severe = severe_fault(cached.faults_of(listing, model))
    return MixingRequest(
        base=live_base(),
        token=token,
        name=listing.name,
        tag=model.tag,
        shape=(height, width, channels),
        classes=model.config.data.classes,
        mode=mode,
        corners=[MixingCorner(one.title, one.source, one.code.tolist()) for one in corners],
        arc=arc,
        closed=closed,
        direction=[] if direction is None else direction.tolist(),
        forth=forth,
        back=back,
        note=note,
        reach=reach,
        fault="" if severe is None else severe.sentence,
    )


def send(listing: Listing, code: tuple[float, ...] | None) -> None:
    """Go to the sliders with a code, if one was sent."""
    if code is not None:
        state.push_code(listing.name, np.array(code, np.float32))
        state.go_to("Explore")


def show_files(
    listing: Listing, model: OpenedModel, codes: NDArray[np.float32], request: MixingRequest
) -> None:
    """The path as an animation, and pictures of path or plane; made when they are asked for."""
    how = SLERP if request.arc else LERP
    plane = request.mode == PLANE
    with st.container(horizontal=True):
        st.download_button(
            "Path as GIF",
            lambda: path_gif(model, codes, how, request.closed),
            f"{listing.name}-path.gif",
            "image/gif",
            key="encode-between-gif",
            icon=":material/animation:",
            on_click="ignore",
            help="There and back, for ever" if not request.closed else "Round and round",
        )
        st.download_button(
            "Plane as PNG" if plane else "Path as PNG",
            lambda: to_png(
                plane_sheet(model, codes, how)
                if plane
                else path_sheet(model, codes, how, request.closed)
            ),
            f"{listing.name}-{request.mode}.png",
            "image/png",
            key="encode-between-png",
            icon=":material/download:",
            on_click="ignore",
        )


def path_gif(model: OpenedModel, codes: NDArray[np.float32], how: str, closed: bool) -> bytes:
    """The path as an animated GIF, of as many frames and pixels as are allowed."""
    _, height, width = model.config.data.image_shape
    pictures = model.codec.decode(route(codes, GIF_STEPS, how=how, closed=closed))[:MOST_FRAMES]
    most = int((MOST_PIXELS / (len(pictures) * height * width)) ** 0.5)
    scale = max(1, min(most, round(PIXELS / max(height, width))))
    return to_gif(pictures, scale=scale, back=not closed)


def path_sheet(
    model: OpenedModel, codes: NDArray[np.float32], how: str, closed: bool
) -> NDArray[np.uint8]:
    """The path, one leg a row."""
    path = route(codes, STRIP_STEPS, how=how, closed=closed)
    legs = [path[start : start + STRIP_STEPS] for start in range(0, len(path) - 1, STRIP_STEPS - 1)]
    pictures = model.codec.decode(np.concatenate(legs))
    return tile(pictures, STRIP_STEPS, scale=sheet_scale(model), gap=2)


def plane_sheet(model: OpenedModel, codes: NDArray[np.float32], how: str) -> NDArray[np.uint8]:
    """The plane, with nothing where it lies outside of the corners."""
    spots, inside = corner_grid(len(codes), GRID_SIDE)
    weights = corner_weights(len(codes), spots[inside])
    mixed = blend(codes, arc_weights(codes, weights) if how == SLERP else weights)
    shape = model.config.data.image_shape
    pictures = np.ones((len(spots), *shape), np.float32)
    pictures[inside] = model.codec.decode(mixed)
    return tile(pictures, GRID_SIDE, scale=sheet_scale(model), gap=2)


def sheet_scale(model: OpenedModel) -> int:
    """How many pixels a pixel becomes."""
    return max(1, round(112 / max(model.config.data.image_shape[1:])))

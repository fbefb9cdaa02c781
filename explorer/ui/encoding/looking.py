"""What a model makes of the picture that is looked at: what it sees, what that costs, its code."""

import base64
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from explorer.encode.familiarity import Familiarity
from explorer.latent.axes import sample_aggregate_posterior
from explorer.latent.planes import axis_name, principal_plane
from explorer.latent.posterior import posterior_ellipse
from explorer.live.model import OpenedModel
from explorer.models.bound import AxisUse, PosteriorDraws, draw_posterior, measure_axes
from explorer.models.config import KIND_NAMES
from explorer.models.library import Listing
from explorer.ui import cached
from explorer.ui.addresses import live_base
from explorer.ui.encoding.encoded import EncodedPicture
from explorer.ui.encoding.familiar import familiarity_of, verdicts_of
from explorer.ui.encoding.verdict import show_unmeasured, show_verdict
from explorer.ui.faults import show_faults
from explorer.ui.posterior import (
    Amounts,
    Code,
    HeldOut,
    Line,
    Pictures,
    PosteriorRequest,
    PrincipalPlane,
    Terms,
    show_posterior,
)

KEY = "encode-posterior"
USED = 0.1  # nats from which an axis is used
MOST_CHANGES = 32  # axes whose doings are sent along
CODES = 500  # of held-out images, behind the posterior
MOST_KEPT = 8
BINS = 36  # of the held-out images' histogram
SHOWN_SHARE = (0.005, 0.995)  # of them: single odd ones would take the scale for themselves

_KEPT = "explorer.looked"
T = TypeVar("T")


def show_looking(listing: Listing, model: OpenedModel, encoded: EncodedPicture) -> None:
    """The picture's posterior, opened up.

    Raises:
        CheckpointError: if the model cannot be used.
    """
    familiarity, why = familiarity_of(model)
    # Of a dead model every picture is as much like the training data as any other.
    severe = show_faults(cached.faults_of(listing, model))
    if familiarity is None:
        show_unmeasured(why)
    elif severe is None:
        show_verdict(verdicts_of(familiarity, model, [encoded])[0], familiarity)
    draws, use = keep(encoded, model, lambda: look(model, encoded))
    line = Line(
        base=live_base(),
        token=cached.live_token(),
        name=listing.name,
        tag=model.tag,
        latent_dim=model.latent_dim,
        shape=shape_of(model),
    )
    code = code_of(model, encoded, use)
    show_posterior(
        PosteriorRequest(
            id=f"{encoded.picture.state}{model.tag}",
            title=encoded.title,
            kind=KIND_NAMES[model.config.kind],
            line=line,
            pictures=pictures_of(encoded, draws, use, code.order),
            terms=terms_of(model, encoded, familiarity),
            code=code,
            plane=plane_of(model, encoded),
            codes=to_text(some_codes(model, model.tag, listing.name)),
        ),
        key=KEY,
    )


def look(model: OpenedModel, encoded: EncodedPicture) -> tuple[PosteriorDraws, AxisUse]:
    """Draws from the picture's posterior, and what each axis does for it."""
    typical = None
    if encoded.log_var is None:
        typical = model.encodings.mean.mean(axis=0, dtype=np.float64)
    return (
        draw_posterior(model.codec, encoded.mean, encoded.log_var),
        measure_axes(model.codec, encoded.image, typical=typical),
    )


def keep(encoded: EncodedPicture, model: OpenedModel, work: Callable[[], T]) -> T:
    """What was worked out for a picture in this session, anew only where it changed."""
    kept: OrderedDict[object, T] = st.session_state.setdefault(_KEPT, OrderedDict())
    key = (encoded.picture.state, model.folder, model.stamp)
    if key not in kept:
        kept[key] = work()
    kept.move_to_end(key)
    while len(kept) > MOST_KEPT:
        kept.popitem(last=False)
    return kept[key]


def shape_of(model: OpenedModel) -> tuple[int, int, int]:
    """H, W, C of the model's images."""
    channels, height, width = model.config.data.image_shape
    return height, width, channels


# -- what is sent ---------------------------------------------------------------------------------


def to_text(values: NDArray[np.generic]) -> str:
    """The bytes of an array as text, little-endian."""
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()


def to_pixels(images: NDArray[np.floating]) -> str:
    """Images (..., C, H, W) in [0, 1] as pixels, ... H x W x C uint8."""
    pixels = np.rint(255 * np.moveaxis(images, -3, -1)).astype(np.uint8)
    return to_text(pixels)


def to_amounts(values: NDArray[np.floating], *, signed: bool = False) -> Amounts:
    """A map (H, W) with its scale."""
    most = max(float(np.abs(values).max()), 1e-6)
    if signed:
        return Amounts(to_text(np.rint(127 * values / most).astype(np.int8)), most)
    return Amounts(to_text(np.rint(255 * np.maximum(values, 0) / most).astype(np.uint8)), most)


def pictures_of(
    encoded: EncodedPicture, draws: PosteriorDraws, use: AxisUse, order: Sequence[int]
) -> Pictures:
    """Everything that is seen as a picture."""
    bounds = encoded.bounds
    has_spread = encoded.log_var is not None
    changes = [
        (axis, to_amounts(use.change[axis], signed=True))
        for axis in order[:MOST_CHANGES]
        if np.abs(use.change[axis]).max() > 0.5 / 255
    ]
    return Pictures(
        input=to_pixels(encoded.image),
        reconstruction=to_pixels(bounds.reconstruction[0]),
        cost=to_amounts(cost_map(encoded)),
        draws=to_pixels(draws.pictures) if has_spread else "",
        noise=draws.noise.tolist() if has_spread else [],
        spread=to_amounts(draws.spread) if has_spread else None,
        changes=changes,
    )


def is_gaussian(model: OpenedModel) -> bool:
    """Whether no error at all costs a constant, and not the entropy of grey pixels."""
    return model.config.network.likelihood != "bernoulli"


def cost_map(encoded: EncodedPicture) -> NDArray[np.float32]:
    """Nats a pixel, (H, W); what lies above a Gaussian's constant where densities are below 0."""
    bounds = encoded.bounds
    costs: NDArray[np.float32] = bounds.nll_map[0]
    return bounds.excess_map[0] if (costs < 0).any() else costs


def terms_of(model: OpenedModel, encoded: EncodedPicture, familiarity: Familiarity | None) -> Terms:
    """The bound's terms, and where they stand among held-out images."""
    bounds = encoded.bounds
    floor = float(bounds.floor[0])
    return Terms(
        nll=float(bounds.reconstruction_nll[0]),
        nll_error=float(bounds.nll_error[0]),
        floor=floor,
        constant=floor if is_gaussian(model) else 0.0,
        kl=encoded.kl,
        beta=float(model.config.training.get("beta", 1.0)),
        held_out=None if familiarity is None else held_out_of(encoded, familiarity),
    )


def held_out_of(encoded: EncodedPicture, familiarity: Familiarity) -> HeldOut:
    """The held-out images' bounds, and where the picture stands among them."""
    scores, bounds = familiarity.held_out, encoded.bounds
    low, high = np.quantile(scores.bound, SHOWN_SHARE)
    bars, _ = np.histogram(np.clip(scores.bound, low, high), BINS, (low, high))
    kl = bounds.kl
    return HeldOut(
        count=len(scores),
        low=float(low),
        high=float(high),
        bars=bars.tolist(),
        share=float(scores.percentile("bound", bounds.bound)[0]),
        nll_share=float(scores.percentile("reconstruction_nll", bounds.reconstruction_nll)[0]),
        kl_share=None if kl is None else float(scores.percentile("kl", kl)[0]),
    )


def code_of(model: OpenedModel, encoded: EncodedPicture, use: AxisUse) -> Code:
    """The posterior axis by axis, the axes that matter most first."""
    amounts = use.saved if use.kl is None else use.kl
    order = np.argsort(-amounts, kind="stable").tolist()
    names = [model.axis_names.get(axis, axis_name(axis)) for axis in range(model.latent_dim)]
    log_var = encoded.log_var
    deviation = None if log_var is None else np.exp(0.5 * log_var.astype(np.float64)).tolist()
    return Code(
        mean=encoded.mean.tolist(),
        deviation=deviation,
        kl=None if use.kl is None else use.kl.tolist(),
        saved=use.saved.tolist(),
        order=order,
        used=int((amounts >= USED).sum()),
        names=names,
    )


def plane_of(model: OpenedModel, encoded: EncodedPicture) -> PrincipalPlane | None:
    """The principal plane of the codes with the posterior's outlines; None where D is 1 or 2."""
    if model.latent_dim <= 2:
        return None
    centre, basis = principal_axes_of(model, model.tag, model.folder.name)
    outlines = []
    if encoded.log_var is not None:
        outlines = [
            posterior_ellipse(
                encoded.mean, encoded.log_var, centre, basis, deviations=reach
            ).tolist()
            for reach in (1.0, 2.0)
        ]
    return PrincipalPlane(centre.tolist(), basis.tolist(), outlines)


@st.cache_resource(max_entries=16, show_spinner=False)
def principal_axes_of(
    _model: OpenedModel, tag: int, name: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centre (D,) and basis (2, D) of the plane of the most spread; `tag`, `name`: the key."""
    plane = principal_plane(_model.encodings.mean)
    return plane.centre, plane.basis


@st.cache_resource(max_entries=16, show_spinner=False)
def some_codes(_model: OpenedModel, tag: int, name: str) -> NDArray[np.float32]:
    """Draws of some held-out images' posteriors, (N, D); `tag` and `name` are the cache's key."""
    encodings = _model.encodings
    rows = np.random.default_rng(0).permutation(len(encodings.mean))[:CODES]
    log_var = None if encodings.log_var is None else encodings.log_var[rows]
    codes = sample_aggregate_posterior(encodings.mean[rows], log_var, seed=0)
    return codes.astype(np.float32)

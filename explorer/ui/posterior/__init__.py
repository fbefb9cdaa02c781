"""The browser component that opens one picture's posterior: its pictures, its bound, its code."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import streamlit as st

from explorer.ui.sources import LIVE_SCRIPTS, source

_component = st.components.v2.component(
    "latent_explorer.posterior",
    html=source("posterior/posterior.html"),
    css=source("posterior/posterior.css"),
    js=source(
        *LIVE_SCRIPTS,
        "posterior/maps.js",
        "posterior/bound.js",
        "posterior/likelihood.js",
        "posterior/axes.js",
        "posterior/plane.js",
        "posterior/posterior.js",
    ),
    isolate_styles=False,
)


@dataclass(frozen=True)
class Line:
    """The line to the decoder.

    Attributes:
        base: path of the live route.
        token: what the browser session may use the route with.
        name, tag: the checkpoint, and its number on the live route.
        latent_dim: D.
        shape: of its images, [H, W, C].
    """

    base: str
    token: str
    name: str
    tag: int
    latent_dim: int
    shape: tuple[int, int, int]


@dataclass(frozen=True)
class Amounts:
    """A map of amounts, one a pixel.

    Attributes:
        bytes: H x W of them, base64: uint8 from 0 to `most`, or int8 from -`most` to `most`.
        most: what 255, or 127, stands for.
    """

    bytes: str
    most: float


@dataclass(frozen=True)
class Pictures:
    """What there is to see.

    Attributes:
        input, reconstruction: pixels, H x W x C uint8, base64.
        cost: reconstruction_nll where it arises, nats a pixel; of a Gaussian above its constant.
        draws: decodings of draws from the posterior, pixels one after the other, base64; "" of an
            AE.
        noise: eps of each draw, (K, D).
        spread: standard deviation of the decodings; None for an AE.
        changes: what each axis does, signed: by axis, for those that do the most.
    """

    input: str
    reconstruction: str
    cost: Amounts
    draws: str
    noise: Sequence[Sequence[float]]
    spread: Amounts | None
    changes: Sequence[tuple[int, Amounts]]


@dataclass(frozen=True)
class HeldOut:
    """The bound of held-out images, and where this picture stands among them.

    Attributes:
        count: of the images.
        low, high: ends of the histogram, nats.
        bars: images in each of its equal bins.
        share: percent of them that cost less than this picture, in all.
        nll_share, kl_share: the same of each term.
    """

    count: int
    low: float
    high: float
    bars: Sequence[int]
    share: float
    nll_share: float
    kl_share: float | None


@dataclass(frozen=True)
class Terms:
    """The bound of this picture, nats.

    Attributes:
        nll: reconstruction_nll, the mean over draws; an AE's at its code.
        nll_error: its standard error.
        floor: the least that any decoder could pay.
        constant: what a Gaussian pays for no error at all; 0 for a Bernoulli.
        kl: None for an AE.
        beta: the weight of the KL in training.
        held_out: None where it is not known.
    """

    nll: float
    nll_error: float
    floor: float
    constant: float
    kl: float | None
    beta: float
    held_out: HeldOut | None


@dataclass(frozen=True)
class Code:
    """This picture's posterior, axis by axis.

    Attributes:
        mean: (D,).
        deviation: exp(log_var / 2), (D,); None for an AE.
        kl: (D,) nats; None for an AE.
        saved: nats that each axis saves the reconstruction, (D,).
        order: the axes, those that matter most first.
        used: how many of them this picture uses.
        names: of the axes, (D,).
    """

    mean: Sequence[float]
    deviation: Sequence[float] | None
    kl: Sequence[float] | None
    saved: Sequence[float]
    order: Sequence[int]
    used: int
    names: Sequence[str]


@dataclass(frozen=True)
class PrincipalPlane:
    """The plane of the most spread, and the posterior's outline on it.

    Attributes:
        centre: (D,).
        basis: (2, D).
        outlines: at 1 and 2 standard deviations, (S, 2) each; none of an AE.
    """

    centre: Sequence[float]
    basis: Sequence[Sequence[float]]
    outlines: Sequence[Sequence[Sequence[float]]]


@dataclass(frozen=True)
class PosteriorRequest:
    """What the component shows.

    Attributes:
        id: another one for every picture, preparation and model.
        title: of the picture.
        kind: of the model, as a reader says it.
        line: to the decoder.
        pictures: what there is to see.
        terms: of the bound.
        code: axis by axis.
        plane: None where the latent space has one axis or two: it is the plane.
        codes: of some held-out images, (N, D) float32, base64.
    """

    id: str
    title: str
    kind: str
    line: Line
    pictures: Pictures
    terms: Terms
    code: Code
    plane: PrincipalPlane | None
    codes: str


def show_posterior(request: PosteriorRequest, *, key: str) -> None:
    """Show the picture's posterior."""
    _component(key=key, data=asdict(request))

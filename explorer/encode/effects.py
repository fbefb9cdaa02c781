"""Does a direction do what it says? Held-out codes moved along it, decoded, and looked at."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explorer.encode.traits import Trait
from explorer.errors import LatentError
from explorer.latent.codes import checked_codes
from explorer.latent.directions import Direction, random_directions
from explorer.models.codec import Codec

IMAGES, RANDOMS = 96, 39
SPREAD = 500  # images that a trait's standard deviation is taken over
FEWEST = 8
LEAST_SEEN = 0.1  # standard deviations; what is less moves nobody's eye, however certain it is
_RESAMPLES = 1000
_CONFIDENCE = 0.95
_TOGETHER = 1024  # pictures decoded at once


@dataclass(frozen=True)
class TraitEffect:
    """What a direction does to one trait.

    Attributes:
        name: the trait's.
        unit: the trait's.
        effect: from the picture so many steps back to the one so many forward, the mean over
            images, in standard deviations of the trait over held-out codes, as the model decodes
            them.
        low, high: its 95 % interval, bootstrap over images.
        random: 95 of 100 random directions of the same length have a smaller effect, either way.
    """

    name: str
    unit: str
    effect: float
    low: float
    high: float
    random: float

    @property
    def moves(self) -> bool:
        """Whether the effect is more than random directions', of a certain sign, and to be seen."""
        seen = abs(self.effect) >= LEAST_SEEN
        return seen and abs(self.effect) > self.random and self.low * self.high > 0


@dataclass(frozen=True)
class Effect:
    """What a direction does.

    Attributes:
        traits: in the order that they were asked for.
        n: images that it was tried on.
        steps: how far, either way.
        randoms: directions that it is held against.
    """

    traits: tuple[TraitEffect, ...]
    n: int
    steps: float
    randoms: int

    def of(self, name: str) -> TraitEffect:
        """The effect on one trait.

        Raises:
            LatentError: a trait that was not asked for.
        """
        for trait in self.traits:
            if trait.name == name:
                return trait
        raise LatentError(f"The effect on {name!r:.60} was not measured.")

    def sentence(self, target: str) -> str:
        """Whether it moves what it says, and what else, in words.

        Raises:
            LatentError: a target that was not asked for.
        """
        own = self.of(target)
        beside = [trait for trait in self.traits if trait is not own and trait.moves]
        beside.sort(key=lambda trait: -abs(trait.effect))
        among = f"95 of 100 random directions stay below {own.random:.2f}"
        if own.moves and own.effect > 0:
            said = f"It moves {target} by {signed(own.effect)} standard deviations; {among}."
        elif own.moves:
            said = f"It moves {target} the wrong way, by {signed(own.effect)}; {among}."
        else:
            said = (
                f"It does not move {target} more than chance does: {signed(own.effect)} standard "
                f"deviations, and {among}."
            )
        if not beside:
            return f"{said} Of what else was measured, it moves nothing more than chance."
        others = ", ".join(f"{trait.name} ({signed(trait.effect)})" for trait in beside)
        return f"{said} It also moves {others}."


def signed(value: float) -> str:
    """With its sign and two digits; what rounds to nothing has no sign of its own."""
    return f"{round(value, 2) + 0.0:+.2f}"


def measure_effect(
    codec: Codec,
    direction: Direction,
    codes: NDArray[np.floating[Any]],
    traits: Sequence[Trait],
    *,
    steps: float = 1.0,
    images: int = IMAGES,
    randoms: int = RANDOMS,
    seed: int = 0,
    progress: Callable[[float], None] = lambda _share: None,
) -> Effect:
    """Try a direction, and random ones of the same length, on held-out codes.

    Codes are moved both ways, decoded, and the traits measured on the pictures. Random directions
    are drawn as codes lie (from a Gaussian of their covariance): one into axes that the model does
    not use would move nothing and make anything look strong.

    Args:
        codec: the model.
        direction: what is tried.
        codes: of held-out images, (N, D), N at least 8; those that the direction was learned from
            flatter it, so give others where there are.
        traits: what is looked at.
        steps: how far, either way.
        images: codes that are moved, at most; drawn from `codes`.
        randoms: random directions, at least 1.
        seed: of the draws.
        progress: told the share that is done.

    Raises:
        LatentError: codes that cannot be used, too few, or no random direction.
        CheckpointError: codes of another width than the model's.
    """
    places = checked_codes(codes, dim=len(direction.vector))
    if len(places) < FEWEST or randoms < 1 or not 0 < steps < np.inf:
        raise LatentError(
            f"{len(places)} codes, {steps:g} steps and {randoms} random directions measure no "
            f"effect: at least {FEWEST} codes, more than 0 steps and 1 direction are needed."
        )
    # A stream of its own: codes that a caller drew by the same seed are to be no kin of the choice.
    generator = np.random.default_rng([seed, 0xEF])
    chosen = places[generator.permutation(len(places))[: max(images, SPREAD)]]
    tried = chosen[:images]
    length = steps * direction.step
    vectors = np.concatenate(
        [
            direction.vector[None].astype(np.float64),
            random_directions(places.shape[1], randoms, seed, like=places).astype(np.float64),
        ]
    )
    spread = _measure(codec, chosen, traits).std(axis=0)
    moved = np.empty((len(vectors), len(tried), len(traits)))
    for number, vector in enumerate(vectors):
        forth = _measure(codec, tried + length * vector, traits)
        moved[number] = forth - _measure(codec, tried - length * vector, traits)
        progress((number + 1) / len(vectors))
    # What no held-out picture differs in has no scale of its own: nothing is said about it.
    scale = np.where(spread > 1e-9, spread, np.inf)
    changes = moved / scale
    means = changes.mean(axis=1)
    counts = generator.multinomial(len(tried), np.full(len(tried), 1 / len(tried)), _RESAMPLES)
    resampled = counts @ changes[0] / len(tried)
    tail = (1 - _CONFIDENCE) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail], axis=0)
    chance = np.quantile(np.abs(means[1:]), _CONFIDENCE, axis=0)
    return Effect(
        tuple(
            TraitEffect(
                name=trait.name,
                unit=trait.unit,
                effect=float(means[0, place]),
                low=float(low[place]),
                high=float(high[place]),
                random=float(chance[place]),
            )
            for place, trait in enumerate(traits)
        ),
        len(tried),
        steps,
        randoms,
    )


def _measure(
    codec: Codec, codes: NDArray[np.float64], traits: Sequence[Trait]
) -> NDArray[np.float64]:
    """The traits of what codes decode to, (N, traits)."""
    found = np.empty((len(codes), len(traits)))
    for start in range(0, len(codes), _TOGETHER):
        rows = slice(start, start + _TOGETHER)
        pictures = codec.decode(codes[rows].astype(np.float32))
        again = codec.encode(pictures)[0] if any(trait.by_codes for trait in traits) else None
        for place, trait in enumerate(traits):
            found[rows, place] = trait.measure(pictures, again)
    return found

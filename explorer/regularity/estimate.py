"""The estimate of a metric for one model: numbers alone."""

from dataclasses import dataclass, field
from typing import Any

from explorer.regularity.definitions import DEFINITIONS, Definition


@dataclass(frozen=True)
class Estimate:
    """The estimate of a metric, with what it is to be held against.

    Attributes:
        key: of its definition.
        column: "as built" (prior N(0, I)), "scale-fair" (a Gaussian fitted to the model's own
            encodings, since an AE's scale is arbitrary), "mixture" (ten Gaussians fitted to them)
            or "" (no prior in it).
        value: in the unit of the definition.
        low, high: its 95 % interval over what was resampled; both None where there is none, and
            `note` says why.
        chance: the value of a model without the structure that the metric looks for, for these
            data; None where there is none.
        ideal: the value of a perfect model, for these data; None where there is none.
        n: images measured.
        seed: of every draw behind the estimate.
        note: what was sub-sampled, which fallback was used, why a value is missing; "" if nothing.
        resamples: the value of each of some resamples. Models that were measured on the same
            images with the same seed have the same resamples, in the same order, so that their
            correlation is that of the two estimates. () where there are none.
    """

    key: str
    column: str
    value: float
    low: float | None
    high: float | None
    chance: float | None
    ideal: float | None
    n: int
    seed: int
    note: str = ""
    resamples: tuple[float, ...] = field(default=(), repr=False)

    @property
    def definition(self) -> Definition:
        """What the metric is."""
        return DEFINITIONS[self.key]

    @property
    def unit(self) -> str:
        """Of value, interval, chance level and ideal value."""
        return self.definition.unit_in(self.column)

    @property
    def headline(self) -> bool:
        """Whether it is one of the few that are shown first."""
        return self.definition.headline_in(self.column)

    @property
    def fixed(self) -> str:
        """Why the value could not be another one; "" where it was measured."""
        return self.definition.fixed.get(self.column, "")

    def described(self) -> dict[str, Any]:
        """The numbers with the words of the definition, for files that other programs read."""
        definition = self.definition
        return {
            "key": self.key,
            "column": self.column,
            "title": definition.title,
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "chance": self.chance,
            "ideal": self.ideal,
            "unit": self.unit,
            "direction": definition.direction,
            "n": self.n,
            "seed": self.seed,
            "plain_words": definition.plain_words,
            "definition": definition.definition_in(self.column),
            "source": definition.source,
            "group": definition.group_in(self.column),
            "headline": self.headline,
            "by_construction": self.fixed,
            "note": self.note,
        }


@dataclass(frozen=True)
class Findings:
    """What one family of metrics found.

    Attributes:
        estimates: in the order in which they are to be shown; none where the family does not apply.
        examples: small plain values that lead to the pictures behind a metric, by its key.
    """

    estimates: tuple[Estimate, ...]
    examples: dict[str, list[Any]] = field(default_factory=dict)

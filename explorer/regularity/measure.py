"""One figure of a latent space, with all that it needs to be read rightly."""

from dataclasses import dataclass, field
from typing import Any

AS_BUILT = "as built"
SCALE_FAIR = "scale-fair"
MIXTURE = "mixture"
NO_PRIOR = ""
COLUMNS = (AS_BUILT, SCALE_FAIR, MIXTURE, NO_PRIOR)

HIGHER = "higher"
LOWER = "lower"
NEAR_NULL = "near null"
# A figure that no side of can be called the better one: it describes.
NO_DIRECTION = "neither"
DIRECTIONS = (HIGHER, LOWER, NEAR_NULL, NO_DIRECTION)

HEADLINE = "headline"
INFORMATION = "information"
PRIOR = "prior"
SAMPLES = "samples"
GEOMETRY = "geometry"
FACTORS = "factors"
GROUPS = (HEADLINE, INFORMATION, PRIOR, SAMPLES, GEOMETRY, FACTORS)

OUR_DEFINITION = "our definition"


@dataclass(frozen=True)
class Measure:
    """A measured figure.

    Attributes:
        key: what is measured, for programs: "hole_rate".
        column: "as built" (the prior is N(0, I)), "scale-fair" (the prior is a Gaussian fitted to
            the model's own codes, since an AE's scale is arbitrary), "mixture" (a mixture of
            Gaussians fitted to them) or "" (no prior in it).
        title: what is measured, for people.
        value: the figure, in `unit`.
        low, high: its 95 % interval over what was resampled; each measuring function says what.
            Both None where there is none, and `note` says why.
        null: the value that would mean nothing, for this very n; None where there is none, and
            `note` says why.
        unit: of value, low, high and null.
        better: "higher", "lower", "near null", or "neither" of a figure that merely describes.
        n: images measured.
        seed: of every draw behind the figure.
        student: one sentence for someone who meets it for the first time.
        researcher: one sentence with the definition and its limits.
        source: the paper, or "our definition".
        group: which part of the report it belongs to, one of `GROUPS`.
        headline: whether it is one of the few that are shown first.
        note: what was sub-sampled, which fallback was used, why a value is missing; "" if nothing.
    """

    key: str
    column: str
    title: str
    value: float
    low: float | None
    high: float | None
    null: float | None
    unit: str
    better: str
    n: int
    seed: int
    student: str
    researcher: str
    source: str
    group: str
    headline: bool = False
    note: str = ""


@dataclass(frozen=True)
class Findings:
    """What one family of measures found.

    Attributes:
        measures: in the order in which they are to be shown; none where the family does not apply.
        examples: small plain values that lead to the pictures behind a measure, by its key.
    """

    measures: tuple[Measure, ...]
    examples: dict[str, list[Any]] = field(default_factory=dict)

"""One figure of a latent space, with all that it needs to be read rightly."""

from dataclasses import dataclass

AS_BUILT = "as built"
SCALE_FAIR = "scale-fair"
NO_PRIOR = ""
COLUMNS = (AS_BUILT, SCALE_FAIR, NO_PRIOR)

HIGHER = "higher"
LOWER = "lower"
NEAR_NULL = "near null"
DIRECTIONS = (HIGHER, LOWER, NEAR_NULL)

OUR_DEFINITION = "our definition"


@dataclass(frozen=True)
class Measure:
    """A measured figure.

    Attributes:
        key: what is measured, for programs: "hole_rate".
        column: "as built" (the prior is N(0, I)), "scale-fair" (the prior is a Gaussian fitted to
            the model's own codes, since an AE's scale is arbitrary) or "" (no prior in it).
        title: what is measured, for people.
        value: the figure, in `unit`.
        low, high: its 95 % interval over what was resampled; each measuring function says what.
        null: the value that would mean nothing, for this very n.
        unit: of value, low, high and null.
        better: "higher", "lower" or "near null".
        n: images measured.
        seed: of every draw behind the figure.
        student: one sentence for someone who meets it for the first time.
        researcher: one sentence with the definition and its limits.
        source: the paper, or "our definition".
    """

    key: str
    column: str
    title: str
    value: float
    low: float
    high: float
    null: float
    unit: str
    better: str
    n: int
    seed: int
    student: str
    researcher: str
    source: str

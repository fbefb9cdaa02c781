"""What a picture has much or little of: numbers by which one sees what a direction moves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explorer.errors import LatentError
from explorer.images.dataset import Factor
from explorer.latent.codes import checked_codes
from explorer.latent.neighbours import nearest
from explorer.models.checkpoint import Encodings
from explorer.models.config import CheckpointConfig

NEIGHBOURS = 12
MOST_REFERENCES = 2000  # codes that neighbours are looked for among
# A background nearer to black or white than this carries ink; others are pictures all over.
_INK_GROUND = 0.15
_SEED = 0x7A17

Measure = Callable[[NDArray[np.float32], NDArray[np.float32] | None], NDArray[np.float64]]
"""Pictures (N, C, H, W) and their codes (N, D), if they are asked for -> (N,)."""


@dataclass(frozen=True, eq=False)
class Trait:
    """Something that can be measured of a picture.

    Attributes:
        name: in words.
        unit: of its values; "" for a share or a number without one.
        measure: measures it.
        by_codes: whether it is asked of the pictures' codes, so that they have to be encoded.
    """

    name: str
    unit: str
    measure: Measure
    by_codes: bool = False


def picture_traits(config: CheckpointConfig) -> list[Trait]:
    """What can be measured on the pixels of a model's pictures.

    Of strokes or shapes on a plain ground: ink, thickness, slant, width and height. Of pictures
    all over: brightness, contrast, detail, and of colours warmth and saturation.

    Args:
        config: whose data set says what pictures there are.
    """
    ground = config.data.background
    channels = config.data.image_shape[0]
    if channels == 1 and min(ground, 1 - ground) <= _INK_GROUND:
        dark = ground > 0.5
        return [
            Trait(name, unit, _of_ink(measure, dark))
            for name, unit, measure in (
                ("ink", "", _mean),
                ("thickness", "px", measure_thickness),
                ("slant", "°", measure_slant),
                ("width", "px", measure_width),
                ("height", "px", measure_height),
            )
        ]
    traits = [
        Trait("brightness", "", lambda images, _: images.mean(axis=(1, 2, 3), dtype=np.float64)),
        Trait("contrast", "", lambda images, _: _grey(images).std(axis=(1, 2))),
        Trait("detail", "", lambda images, _: _edges(_grey(images)).mean(axis=(1, 2))),
    ]
    if channels == 3:
        traits += [
            Trait("warmth", "", lambda images, _: _mean(images[:, 0]) - _mean(images[:, 2])),
            Trait(
                "saturation", "", lambda images, _: _mean(images.max(axis=1) - images.min(axis=1))
            ),
        ]
    return traits


def class_name(name: str) -> str:
    """What the trait of a class is called: "3" alone could be anything."""
    return f"class {name}"


def all_traits(
    config: CheckpointConfig,
    encodings: Encodings,
    factors: Sequence[Factor] = (),
    *,
    target: str = "",
    most_classes: int | None = None,
) -> list[Trait]:
    """What can be asked of a model's pictures: pixels, then classes and factors of nearest codes.

    Args:
        config: the checkpoint's.
        encodings: the checkpoint's.
        factors: of its data set, where they are known.
        target: the name of a trait that is wanted whatever else would leave it out.
        most_classes: of more classes than that, only the target is asked for; None takes all.

    Returns:
        What `picture_traits` gives, and a trait for each class that held-out images have, each
        amount and each choice: of two choices one, the second unless the first is the target, and
        none of a factor that is the classes. No two have one name: the first is kept.

    Raises:
        LatentError: factors of other images.
    """
    codes, labels, classes = References(encodings.mean), encodings.labels, config.data.classes
    traits = picture_traits(config)
    if labels is not None:
        there = np.unique(labels).tolist()
        few = most_classes is None or len(there) <= most_classes
        traits += [
            label_trait(class_name(classes[label]), codes, labels, label)
            for label in there
            if few or class_name(classes[label]) == target
        ]
    for factor in factors:
        if encodings.index.max() >= len(factor.values):
            raise LatentError(
                f"The factor {factor.name} has {len(factor.values):,} values; there are more "
                "images than that."
            )
        values = factor.values[encodings.index]
        if not factor.discrete:
            traits.append(factor_trait(factor.name, codes, values))
            continue
        names = [f"{factor.name}: {choice}" for choice in factor.choices]
        wanted = [name for name in names if name == target]
        if set(factor.choices) != set(classes):
            wanted = names if len(names) != 2 else wanted or names[1:]
        traits += [factor_trait(name, codes, values == names.index(name)) for name in wanted]
    kept: dict[str, Trait] = {}
    for trait in traits:
        kept.setdefault(trait.name, trait)
    return list(kept.values())


class References:
    """Held-out codes among which the nearest of pictures are looked for, once for many traits.

    Args:
        codes: (N, D); at most 2,000 of them, drawn by a fixed seed, are looked through.

    Raises:
        LatentError: codes that cannot be used.
    """

    def __init__(self, codes: NDArray[np.floating[Any]]) -> None:
        places = checked_codes(codes)
        self.count = len(places)
        self._chosen = np.random.default_rng(_SEED).permutation(len(places))[:MOST_REFERENCES]
        self._places = places[self._chosen]
        self._last: tuple[NDArray[Any], NDArray[np.int64]] | None = None

    def nearest(self, codes: NDArray[np.float32]) -> NDArray[np.int64]:
        """Which are the 12 nearest of each code, (Q, D) -> (Q, 12); of the same array once."""
        last = self._last
        if last is None or last[0] is not codes:
            _, index = nearest(codes, self._places, min(NEIGHBOURS, len(self._places)))
            last = self._last = codes, self._chosen[index]
        return last[1]


def label_trait(
    name: str,
    codes: NDArray[np.floating[Any]] | References,
    labels: NDArray[np.int64],
    label: int,
) -> Trait:
    """The share of a picture's 12 nearest held-out codes that are of a class.

    Args:
        name: in words.
        codes: held-out codes, (N, D).
        labels: (N,), theirs.
        label: the class.

    Raises:
        LatentError: shapes that disagree.
    """
    return factor_trait(name, codes, np.asarray(labels == label, np.float64))


def factor_trait(
    name: str,
    codes: NDArray[np.floating[Any]] | References,
    values: NDArray[np.floating[Any]],
    unit: str = "",
) -> Trait:
    """The mean of a factor over a picture's 12 nearest held-out codes.

    The picture is encoded for it: what counts is what is seen in it, not the code that it was
    decoded from.

    Args:
        name: in words.
        codes: held-out codes, (N, D).
        values: of the factor, (N,).
        unit: of the values.

    Raises:
        LatentError: shapes that disagree, or values that are not finite.
    """
    references = codes if isinstance(codes, References) else References(codes)
    known = checked_codes(np.asarray(values).reshape(-1, 1), name=f"values of {name}")[:, 0]
    if len(known) != references.count:
        raise LatentError(f"{name} has {len(known)} values; there are {references.count} codes.")

    def measure(
        _images: NDArray[np.float32], again: NDArray[np.float32] | None
    ) -> NDArray[np.float64]:
        assert again is not None
        return np.asarray(known[references.nearest(again)].mean(axis=1))

    return Trait(name, unit, measure, by_codes=True)


def measure_thickness(ink: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Of strokes: twice their area over their outline, (N, H, W) in [0, 1] -> (N,) pixels."""
    area = ink.sum(axis=(1, 2), dtype=np.float64)
    outline = _edges(ink).sum(axis=(1, 2))
    found = np.divide(2 * area, outline, out=np.zeros_like(area), where=outline > 0)
    return np.asarray(found)


def measure_slant(ink: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """How far strokes lean to the right, (N, H, W) -> (N,) degrees, from second moments."""
    x, y, xy = _moments(ink)
    del x
    lean = np.divide(-xy, y, out=np.zeros_like(xy), where=y > 1e-9)
    return np.asarray(np.degrees(np.arctan(lean)))


def measure_width(ink: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """How wide the ink is spread, (N, H, W) -> (N,) pixels: of a full rectangle its width."""
    return np.asarray(np.sqrt(12 * _moments(ink)[0]))


def measure_height(ink: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """How high the ink is spread, (N, H, W) -> (N,) pixels: of a full rectangle its height."""
    return np.asarray(np.sqrt(12 * _moments(ink)[1]))


def _moments(ink: NDArray[np.floating[Any]]) -> Sequence[NDArray[np.float64]]:
    """Variance of the ink's columns, of its rows, and their covariance, (N,) each."""
    weights = ink.astype(np.float64)
    total = np.maximum(weights.sum(axis=(1, 2)), 1e-9)
    across, down = weights.sum(axis=1), weights.sum(axis=2)
    columns, rows = np.arange(ink.shape[2]), np.arange(ink.shape[1])
    x, y = across @ columns / total, down @ rows / total
    both = np.einsum("nhw,h,w->n", weights, rows, columns) / total
    return (
        np.maximum(across @ columns**2 / total - x**2, 0.0),
        np.maximum(down @ rows**2 / total - y**2, 0.0),
        both - x * y,
    )


def _of_ink(
    measure: Callable[[NDArray[np.floating[Any]]], NDArray[np.float64]], dark: bool
) -> Measure:
    def of_pictures(
        images: NDArray[np.float32], _codes: NDArray[np.float32] | None
    ) -> NDArray[np.float64]:
        return measure(1 - images[:, 0] if dark else images[:, 0])

    return of_pictures


def _mean(values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    return np.asarray(values.mean(axis=(1, 2), dtype=np.float64))


def _grey(images: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(images.mean(axis=1, dtype=np.float64))


def _edges(grey: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Length of the gradient, (N, H, W) -> (N, H + 1, W + 1), with nothing around the picture."""
    framed = np.pad(grey.astype(np.float64), ((0, 0), (1, 1), (1, 1)))
    right = framed[:, :-1, 1:] - framed[:, :-1, :-1]
    below = framed[:, 1:, :-1] - framed[:, :-1, :-1]
    return np.asarray(np.hypot(right, below))

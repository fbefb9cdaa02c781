"""The pictures behind a measured figure: what a reader sees who doubts it.

A report's examples lead to them; where a report has none, the same question is asked of fewer codes
and the caption says so.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from explorer.errors import LatentError
from explorer.latent.axes import kl_per_axis, sample_aggregate_posterior
from explorer.latent.interpolation import lerp
from explorer.latent.neighbours import nearest
from explorer.live.examples import Examples, read_change, read_code, read_pair, read_row, read_rows
from explorer.live.model import OpenedModel
from explorer.live.sheets import decode_pictures, pictures_of_rows
from explorer.live.values import RECONSTRUCTION
from explorer.regularity.definitions import SCALE_FAIR
from explorer.regularity.neighbourhood import NEIGHBOURS
from explorer.regularity.prior import fit_noise

MOST = 12  # pictures, or pairs of them, of one model
COLUMNS = 6
STEPS = 9
NOISE = 0.25  # of the aggregate standard deviation, as in class_kept
_DRAWS = 2000
_ASKED = 600  # codes whose neighbours are looked for
_PIXELS = 1000  # images held against as many samples
_NEIGHBOUR = 5

Pictures = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Exhibit:
    """Pictures that belong together.

    Attributes:
        pictures: row by row, (n, H, W, C).
        columns: pictures a row.
        caption: what they show, in a sentence or two.
        lines: rows that belong together.
    """

    pictures: Pictures
    columns: int
    caption: str
    lines: int = 1

    def groups(self) -> list[Pictures]:
        """The pictures that belong together, (n, H, W, C) each."""
        size = self.lines * self.columns
        starts = range(0, len(self.pictures), size)
        return [self.pictures[start : start + size] for start in starts]


def codes_of(model: OpenedModel) -> NDArray[np.float32]:
    """One draw an image from the aggregate posterior, (N, D)."""
    return sample_aggregate_posterior(model.encodings.mean, model.encodings.log_var, seed=0)


def draw_codes(model: OpenedModel, column: str, count: int, seed: int) -> NDArray[np.float32]:
    """Codes from the prior of a column, (count, D); all models get the same noise on each axis."""
    noise = np.random.default_rng(seed).standard_normal((model.latent_dim, count)).T
    if column == SCALE_FAIR:
        noise = fit_noise(noise, codes_of(model).astype(np.float64))
    return noise.astype(np.float32)


def axis_distance(codes: NDArray[np.floating]) -> NDArray[np.float64]:
    """KL(N(m, s²) || N(0, 1)) of each axis of codes, nats: (N, D) -> (D,)."""
    variance = np.maximum(codes.var(axis=0, dtype=np.float64), 1e-6)
    mean = codes.mean(axis=0, dtype=np.float64)
    found: NDArray[np.float64] = kl_per_axis(mean[None], np.log(variance)[None])[0]
    return found


def has_exhibit(key: str) -> bool:
    """Whether there are pictures behind the measure of this key."""
    return key in _EXHIBITS


def find_exhibit(model: OpenedModel, key: str, column: str, examples: Examples) -> Exhibit:
    """The pictures behind one figure; may take seconds.

    Args:
        model: the checkpoint.
        key: of the measure; one that `has_exhibit` knows.
        column: "as built" or "scale-fair".
        examples: what the report holds for this key, of any column.

    Raises:
        ExplorerError: if this model has none.
    """
    mine = [one for one in examples if one.get("column", column) in (column, "")]
    return _EXHIBITS[key](model, column, mine)


def _holes(model: OpenedModel, column: str, examples: Examples) -> Exhibit:
    codes = [code for one in examples if (code := read_code(one.get("z"), model)) is not None]
    if codes:
        draws = np.stack(codes[:MOST])
        said = "the draws of the measurement that lie farthest from every code"
    else:
        drawn = draw_codes(model, column, _DRAWS, seed=0)
        order = np.argsort(model.density.percentile(drawn), kind="stable")
        draws = drawn[order[:MOST]]
        said = f"the {len(draws)} sparsest of {_DRAWS:,} draws"
    rows, distances = _nearest_rows(model, draws)
    images, real = pictures_of_rows(model, rows)
    lost = int(model.density.is_hole(draws).sum())
    return _stacked(
        [decode_pictures(model, draws), images],
        f"Above, {said}, decoded; {lost} of {len(draws)} in a hole. Below each, the "
        f"{_image_word(real)} of its nearest code, {distances.min():.2g} to "
        f"{distances.max():.2g} away.",
    )


def _escapes(model: OpenedModel, column: str, examples: Examples) -> Exhibit:
    rows = read_rows(examples, model)[:MOST]
    said = "The images whose codes lie farthest from every draw of the measurement"
    if not len(rows):
        drawn = draw_codes(model, column, 2 * _DRAWS, seed=1)
        codes = codes_of(model)[: 5 * _DRAWS]
        distances, _ = nearest(codes, drawn, _NEIGHBOUR)
        rows = np.argsort(-distances[:, -1], kind="stable")[:MOST]
        said = f"The images whose codes lie farthest from {len(drawn):,} draws"
    images, real = pictures_of_rows(model, rows)
    radius = np.linalg.norm(model.encodings.mean[rows], axis=1)
    return _stacked(
        [images, decode_pictures(model, model.encodings.mean[rows])],
        f"{said}{'' if real else ' (the images are not available: reconstructions)'}; below each, "
        f"its reconstruction. |z| is {radius.min():.3g} to {radius.max():.3g}; the prior's draws "
        f"lie around {np.sqrt(model.latent_dim):.2g}.",
    )


def _reconstructions(model: OpenedModel, _column: str, _examples: Examples) -> Exhibit:
    nll = model.values(RECONSTRUCTION).numbers
    order = np.argsort(-nll, kind="stable")
    # The six worst, and six along the way to the best: an average has both sides.
    ranks = np.linspace(0, len(order) - 1, COLUMNS + 1).astype(np.int64)[1:]
    rows = np.concatenate([order[:COLUMNS], order[ranks]])
    images, _ = pictures_of_rows(model, rows)
    return _stacked(
        [images, decode_pictures(model, model.encodings.mean[rows])],
        f"First the images that come back worst ({nll[rows[0]]:.0f} to "
        f"{nll[rows[COLUMNS - 1]]:.0f} nats), then some from bad to best (down to "
        f"{nll[rows[-1]]:.0f}); below each, its reconstruction.",
    )


def _neighbours(model: OpenedModel, _column: str, _examples: Examples) -> Exhibit:
    mean, labels = model.encodings.mean, model.encodings.labels
    if labels is None:
        raise LatentError("The images have no classes.")
    if len(mean) <= NEIGHBOURS:
        raise LatentError(f"{len(mean)} codes are too few for {NEIGHBOURS} neighbours.")
    asked = np.random.default_rng(0).permutation(len(mean))[:_ASKED]
    # Each code is its own nearest neighbour and is left out.
    _, near = nearest(mean[asked], mean, NEIGHBOURS + 1)
    near = np.stack([row[row != own][:NEIGHBOURS] for own, row in zip(asked, near, strict=True)])
    named = _vote(labels[near])
    wrong = np.flatnonzero(named != labels[asked])[:COLUMNS]
    if not len(wrong):
        raise LatentError(
            f"Of {len(asked)} images asked, the neighbours named every class rightly."
        )
    lines = [asked[wrong], near[wrong, 0], near[wrong, 1], near[wrong, 2]]
    pictures = [pictures_of_rows(model, rows)[0] for rows in lines]
    return _stacked(
        pictures,
        f"The first line: images whose {NEIGHBOURS} nearest others are mostly of another class "
        f"({(named != labels[asked]).sum()} of {len(asked)} asked). Below each, its 3 nearest.",
    )


def _midpoints(model: OpenedModel, _column: str, examples: Examples) -> Exhibit:
    pairs = [pair for one in examples if (pair := read_pair(one, model)) is not None]
    said = "of the measurement whose middle looks least real"
    if not pairs:
        count = len(model.encodings.mean)
        if count < 2:
            raise LatentError("There is one code alone: there is nothing between two.")
        drawn = np.random.default_rng(0).integers(count, size=(_DRAWS // 4, 2))
        drawn = drawn[drawn[:, 0] != drawn[:, 1]]
        middles = model.encodings.mean[drawn].mean(axis=1)
        order = np.argsort(model.density.percentile(middles), kind="stable")
        pairs = [(int(one), int(other)) for one, other in drawn[order[:COLUMNS]]]
        said = f"of {len(drawn)} drawn whose middle lies in the emptiest places"
    pairs = pairs[:COLUMNS]
    strips = []
    real = False
    for first, last in pairs:
        path = lerp(model.encodings.mean[first], model.encodings.mean[last], STEPS)
        ends, real = pictures_of_rows(model, np.array([first, last]))
        strips += [ends[:1], decode_pictures(model, path[1:-1]), ends[1:]]
    middles = model.encodings.mean[np.array(pairs)].mean(axis=1)
    dense = model.density.percentile(middles)
    return Exhibit(
        np.concatenate(strips),
        STEPS,
        f"Straight paths between pairs {said}; at both ends the {_image_word(real)}. Density in "
        f"the middle: percentile {np.nanmin(dense):.0f} to {np.nanmax(dense):.0f} of all.",
    )


def _perturbed(model: OpenedModel, _column: str, examples: Examples) -> Exhibit:
    spread = codes_of(model).std(axis=0)
    found = [
        (row, code, read_change(one, model))
        for one in examples
        if (row := read_row(one.get("row"), model)) is not None
        and (code := read_code(one.get("z"), model)) is not None
    ][:MOST]
    if found:
        rows = np.array([row for row, _, _ in found])
        codes = np.stack([code for _, code, _ in found])
        changes = [change for _, _, change in found if change]
        images, real = pictures_of_rows(model, rows)
        before = decode_pictures(model, model.encodings.mean[rows])
        return _stacked(
            [images, before, decode_pictures(model, codes)],
            f"Images that lost their class: the {_image_word(real)}, the decoding of its code, and "
            "below it what the classifier took for another class, the decoding after noise of "
            f"{NOISE} standard deviations of all codes"
            f"{': ' + ', '.join(changes) if changes else ''}.",
        )
    rows = np.random.default_rng(0).permutation(len(model.encodings.mean))[:COLUMNS]
    noise = np.random.default_rng(1).standard_normal((STEPS - 2, len(rows), model.latent_dim))
    pictures, real = pictures_of_rows(model, rows)
    strips = []
    for place, row in enumerate(rows):
        mean = model.encodings.mean[row]
        shaken = mean + NOISE * spread * noise[:, place]
        codes = np.concatenate([mean[None], shaken]).astype(np.float32)
        strips += [pictures[place : place + 1], decode_pictures(model, codes)]
    return Exhibit(
        np.concatenate(strips),
        STEPS,
        f"Each line: the {_image_word(real)}, the decoding of its code, and {STEPS - 2} decodings "
        f"after noise of {NOISE} standard deviations of all codes. Whether the class stays is for "
        "your eye here: no classifier looked at them.",
    )


def _uncovered(model: OpenedModel, column: str, examples: Examples) -> Exhibit:
    rows = read_rows(examples, model)[:MOST]
    if len(rows):
        images, real = pictures_of_rows(model, rows)
        back = decode_pictures(model, model.encodings.mean[rows])
        return _stacked(
            [images, back],
            "Held-out images that no sample of the prior comes near, though reconstructions of "
            "other images do; below each, its own reconstruction"
            f"{'.' if real else ', and above another, since the images are not available.'}",
        )
    return _far_in_pixels(model, column)


def _far_in_pixels(model: OpenedModel, column: str) -> Exhibit:
    """Images whose nearest sample is farthest, compared pixel by pixel: the measure's poor kin."""
    asked = np.random.default_rng(0).permutation(len(model.encodings.mean))[:_PIXELS]
    images, real = pictures_of_rows(model, asked)
    samples = decode_pictures(model, draw_codes(model, column, _PIXELS, seed=2))
    flat, other = (pictures.reshape(len(pictures), -1) / 255.0 for pictures in (images, samples))
    distances, index = nearest(flat, other, 1)
    worst = np.argsort(-distances[:, 0], kind="stable")[:MOST]
    return _stacked(
        [images[worst], samples[index[worst, 0]]],
        f"Of {len(asked):,} {_image_word(real)}s the {len(worst)} farthest from {_PIXELS:,} samples"
        " of the prior, and below each the sample that comes nearest. Compared pixel by pixel, "
        "since this report was measured without a classifier's features.",
    )


_EXHIBITS: dict[str, Callable[[OpenedModel, str, Examples], Exhibit]] = {
    "reconstruction_nll": _reconstructions,
    "reconstruction_mse": _reconstructions,
    "knn_accuracy": _neighbours,
    "hole_rate": _holes,
    "escape_rate": _escapes,
    "coverage_ratio": _uncovered,
    "midpoint_realism": _midpoints,
    "class_kept": _perturbed,
}


def _image_word(real: bool) -> str:
    return "image" if real else "reconstruction"


def _stacked(lines: Sequence[Pictures], caption: str) -> Exhibit:
    """Lines of pictures, (k, H, W, C) each, one below the other, in groups of up to six columns."""
    columns = min(COLUMNS, len(lines[0]))
    groups = []
    for start in range(0, len(lines[0]), columns):
        for line in lines:
            part = line[start : start + columns]
            # A short last group keeps its columns, so that what belongs together stays together.
            room = np.full((columns - len(part), *part.shape[1:]), 255, np.uint8)
            groups.append(np.concatenate([part, room]))
    return Exhibit(np.concatenate(groups), columns, caption, lines=len(lines))


def _vote(votes: NDArray[np.int64]) -> NDArray[np.int64]:
    """As `knn_labels`: the class of most neighbours, ties to the nearest, (n, k) -> (n,)."""
    agreeing = (votes[:, :, None] == votes[:, None, :]).sum(axis=2)
    return np.take_along_axis(votes, agreeing.argmax(axis=1)[:, None], axis=1)[:, 0]


def _nearest_rows(
    model: OpenedModel, codes: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    found = [model.nearest(code, 1) for code in codes]
    rows = np.array([int(index[0]) for _, index in found])
    return rows, np.array([float(distance[0]) for distance, _ in found])

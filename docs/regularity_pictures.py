"""Draw the figures of docs/REGULARITY.md from the gallery and its reports, and fill in its tables.

    EXPLORER_DATA=FOLDER python -m docs.regularity_pictures

Pictures go to docs/regularity/; a table stands between two comments that name it. The images must
be at hand. Everything is drawn with fixed seeds, and nothing is picked but what a report points to.
"""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from explorer.models.library import SHIPPED
from explorer.regularity.definitions import (
    AS_BUILT,
    DEFINITIONS,
    MIXTURE,
    NO_PRIOR,
    SCALE_FAIR,
)
from explorer.regularity.estimate import Estimate
from explorer.regularity.features import Moments, checked_halves, frechet_distance
from explorer.regularity.report import RegularityReport, load_report
from explorer.regularity.subject import ModelUnderTest

HERE = Path(__file__).parent
FOLDER, PAGE = HERE / "regularity", HERE / "REGULARITY.md"
GALLERY = (
    "mnist-vae-16", "mnist-ae-16", "mnist-infovae-16", "mnist-vae-16-beta4",
    "fashion-mnist-vae-16", "fashion-mnist-ae-16", "faces-vae-16", "faces-ae-16",
    "sprites-vae-10", "sprites-ae-10", "digits-vae-8", "digits-ae-8",
    "mnist-vae-2", "mnist-ae-2",
)  # fmt: skip
PRIORS = (AS_BUILT, SCALE_FAIR, MIXTURE)
COUNT, SIDE, GAP, LABEL = 12, 48, 4, 150
INK, PAPER = (60, 60, 60), (255, 255, 255)
GREY, BLUE, RED = (190, 190, 190), (87, 144, 252), (228, 37, 54)
FONT = ImageFont.load_default(size=13)

Row = tuple[str, NDArray[np.floating]]
"""What a row of pictures is called, and the pictures (n, C, H, W) in [0, 1]."""


@cache
def opened(name: str) -> ModelUnderTest:
    """A checkpoint of the gallery on its held-out images."""
    return ModelUnderTest.from_folder(SHIPPED / name)


@cache
def report_of(name: str) -> RegularityReport:
    """Its report."""
    return load_report(SHIPPED / name / "regularity.json")


def real(name: str, index: Sequence[int]) -> NDArray[np.float32]:
    """Images of the data set, (n, C, H, W)."""
    return opened(name).image_set.floats(np.array(index, np.int64))


def as_picture(pixels: NDArray[np.floating]) -> Image.Image:
    """One image (C, H, W) in [0, 1], enlarged without blur to `SIDE` pixels a side, or so."""
    values = np.round(255 * np.clip(pixels, 0.0, 1.0)).astype(np.uint8)
    image = Image.fromarray(values[0] if len(values) == 1 else values.transpose(1, 2, 0))
    kept = Image.Resampling.NEAREST if max(image.size) <= SIDE else Image.Resampling.BOX
    return image.convert("RGB").resize((SIDE, SIDE), kept)


def draw_rows(name: str, rows: Sequence[Row], heads: Sequence[str] = ()) -> None:
    """Rows of pictures with their names at the left, as a PNG of few colours."""
    across = max(len(pictures) for _, pictures in rows)
    top = 20 if heads else 0
    size = LABEL + across * (SIDE + GAP), top + len(rows) * (SIDE + GAP) - GAP
    sheet = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(sheet)
    for place, head in enumerate(heads):
        pen.text((LABEL + place * (SIDE + GAP), 2), head, INK, FONT)
    for number, (label, pictures) in enumerate(rows):
        y = top + number * (SIDE + GAP)
        pen.text((0, y + SIDE // 2 - 8), label, INK, FONT)
        for place, pixels in enumerate(pictures):
            sheet.paste(as_picture(pixels), (LABEL + place * (SIDE + GAP), y))
    save(name, sheet)


def save(name: str, sheet: Image.Image) -> None:
    """Write a drawing small: 64 colours are enough for grey pictures and their labels."""
    path = FOLDER / f"{name}.png"
    sheet.quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"Wrote {path} ({path.stat().st_size:,} bytes).")


def draw_reconstructions() -> None:
    """The first held-out images, and what comes back."""
    models = ("mnist-ae-16", "mnist-vae-16", "mnist-vae-16-beta4", "mnist-vae-2")
    subject = opened(models[0])
    first = slice(0, COUNT)
    rows: list[Row] = [("held-out image", subject.images(first))]
    for model in models:
        # The same rows of the same set: the gallery's MNIST models hold out the same images.
        assert np.array_equal(opened(model).rows, subject.rows)
        rows.append((model, opened(model).reconstructions(first)))
    draw_rows("reconstruction", rows)


def draw_priors() -> None:
    """The first draws from each prior, of a VAE and an AE."""
    rows: list[Row] = []
    for model in ("mnist-vae-16", "mnist-ae-16"):
        subject = opened(model)
        kind = model.split("-")[1].upper()
        rows += [
            (f"{kind}, {prior}", subject.decode(subject.draw(prior, COUNT, "samples")))
            for prior in PRIORS
        ]
    draw_rows("priors", rows)


def draw_holes() -> None:
    """The draws farthest from every code, above the image whose code is nearest."""
    rows: list[Row] = []
    for model, column in (("mnist-vae-16", AS_BUILT), ("mnist-ae-16", SCALE_FAIR)):
        found = [one for one in report_of(model).examples["hole_rate"] if one["column"] == column]
        codes = np.array([one["z"] for one in found[:COUNT]])
        kind = model.split("-")[1].upper()
        rows.append((f"{kind}, {column}", opened(model).decode(codes)))
        rows.append(("nearest image", real(model, [one["nearest"]["index"] for one in found])))
    draw_rows("holes", rows)


def draw_escapes() -> None:
    """The images whose code is farthest from every draw."""
    rows: list[Row] = []
    for model, column in (("mnist-vae-16", AS_BUILT), ("mnist-ae-16", AS_BUILT)):
        found = [one for one in report_of(model).examples["escape_rate"] if one["column"] == column]
        kind = model.split("-")[1].upper()
        rows.append((f"{kind}, {column}", real(model, [one["index"] for one in found[:COUNT]])))
    draw_rows("escapes", rows)


def draw_uncovered() -> None:
    """Images that reconstructions cover and prior draws do not."""
    rows: list[Row] = []
    for model, column in (("mnist-vae-16", AS_BUILT), ("mnist-ae-16", SCALE_FAIR)):
        found = report_of(model).examples["coverage_ratio"]
        index = [one["index"] for one in found if one["column"] == column][:COUNT]
        if index:
            kind = model.split("-")[1].upper()
            rows.append((f"{kind}, {column}", real(model, index)))
    draw_rows("uncovered", rows)


def draw_midpoints() -> None:
    """Half-way between the first held-out images: in two latent spaces, and pixel by pixel."""
    models = ("mnist-vae-16", "mnist-ae-16")
    subject = opened(models[0])
    one, other = slice(0, COUNT), slice(COUNT, 2 * COUNT)
    first, second = subject.images(one), subject.images(other)
    rows: list[Row] = [("one image", first)]
    for model in models:
        means = opened(model).mean
        between = opened(model).decode(0.5 * means[one] + 0.5 * means[other])
        rows.append((f"{model.split('-')[1].upper()}, half-way", between))
    rows += [("pixels blended", 0.5 * first + 0.5 * second), ("another image", second)]
    draw_rows("midpoints", rows)


def draw_class_kept() -> None:
    """Pictures that lost their class when their code was shaken, before and after."""
    rows: list[Row] = []
    for model in ("mnist-vae-16", "mnist-ae-16"):
        found = report_of(model).examples["class_kept"][:COUNT]
        subject = opened(model)
        kind = model.split("-")[1].upper()
        # A report's rows are those of the checkpoint's encodings, all of which are measured here.
        still = subject.mean[[one["row"] for one in found]]
        rows.append((f"{kind}, decoded", subject.decode(still)))
        rows.append(("after the push", subject.decode(np.array([one["z"] for one in found]))))
    draw_rows("class-kept", rows)


def draw_map() -> None:
    """Codes of a VAE and an AE of two latents, and where draws from N(0, I) miss them."""
    side, margin = 300, 30
    models = ("mnist-vae-2", "mnist-ae-2")
    sheet = Image.new("RGB", (2 * side + margin, side + 44), PAPER)
    pen = ImageDraw.Draw(sheet)
    for number, model in enumerate(models):
        subject = opened(model)
        left = number * (side + margin)
        reach = 1.05 * max(4.0, float(np.quantile(np.abs(subject.codes), 0.995)))

        def spot(
            code: NDArray[np.floating], left: float = left, reach: float = reach
        ) -> tuple[float, float]:
            across, up = 0.5 + 0.5 * code / reach
            return left + across * side, 22 + (1 - up) * side

        def dots(
            codes: NDArray[np.floating],
            colour: tuple[int, int, int],
            radius: float,
            spot: Callable[..., tuple[float, float]] = spot,
            reach: float = reach,
        ) -> None:
            for code in codes[(np.abs(codes) < reach).all(axis=1)]:
                x, y = spot(code)
                pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)

        generator = np.random.default_rng(0)
        draws = generator.standard_normal((600, 2))
        from explorer.latent.density import LocalDensity

        holes = LocalDensity(subject.codes.astype(np.float32)).is_hole(draws.astype(np.float32))
        dots(subject.codes[:4000], GREY, 0.8)
        dots(draws[~holes], BLUE, 1.5)
        dots(draws[holes], RED, 2.0)
        measured = [
            report_of(model).estimate(key, AS_BUILT) for key in ("hole_rate", "escape_rate")
        ]
        told = ", ".join(
            f"{one.definition.title.lower()} {one.value:.2f}" for one in measured if one is not None
        )
        pen.text((left, 2), f"{model}: {told}", INK, FONT)
        pen.text((left, side + 26), f"±{reach:.1f} along both latent axes", INK, FONT)
    save("map", sheet)


def figure(one: Estimate | None, digits: int = 3) -> str:
    """A value with its interval, or a dash where it was not measured."""
    if one is None:
        return "–"
    value = f"{one.value:.{digits}f}"
    if one.low is None or one.high is None:
        return value
    return f"{value} ± {max(one.high - one.value, one.value - one.low):.{digits}f}"


def by_column(report: RegularityReport, key: str, columns: Sequence[str], digits: int) -> str:
    """Values of a key under several priors, without their intervals."""
    found = [report.estimate(key, column) for column in columns]
    return " / ".join("–" if one is None else f"{one.value:.{digits}f}" for one in found)


def table_headline() -> list[str]:
    """The headline measures of the gallery."""
    lines = [
        "| model | squared error | k-NN accuracy | KL(q(z) ‖ p(z)) | prior holes "
        "| outside the prior | coverage | midpoint realism | label stability |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name in GALLERY:
        found = report_of(name)
        cells = [
            f"`{name}`",
            figure(found.estimate("reconstruction_mse", NO_PRIOR), 4),
            figure(found.estimate("knn_accuracy", NO_PRIOR)),
            figure(found.estimate("prior_match", AS_BUILT)),
            by_column(found, "hole_rate", PRIORS, 2),
            by_column(found, "escape_rate", PRIORS, 2),
            by_column(found, "coverage_ratio", PRIORS, 2),
            figure(found.estimate("midpoint_realism", NO_PRIOR), 2),
            figure(found.estimate("class_kept", NO_PRIOR)),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def table_metrics() -> list[str]:
    """Every metric, from its definition."""
    lines = [
        "| metric | unit | better | ideal value | chance level | definition | source |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in DEFINITIONS.values():
        ideal = "" if one.ideal is None else f"{one.ideal:g}: "
        definition = one.definition.replace("{prior}", "the prior").replace("|", "\\|")
        cells = (
            one.title, one.unit, one.direction, (ideal + one.ideal_means) or "–",
            one.chance_means or "–", definition, one.source,
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def table_frechet() -> list[str]:
    """Fréchet distance of reconstructions and of draws from each prior to held-out images."""
    lines = [
        "| model | held-out images | reconstructions | N(0, I) | one Gaussian | mixture |",
        "|---|---|---|---|---|---|",
    ]
    for name in GALLERY:
        subject, found = opened(name), report_of(name)
        reference, others = checked_halves(subject.n, subject.seed)
        again = frechet_distance(
            Moments.of(subject.image_features[reference]),
            Moments.of(subject.reconstruction_features[others]),
        )
        drawn = [found.estimate("frechet_distance", column) for column in PRIORS]
        ideal = next(one.ideal for one in drawn if one is not None and one.ideal is not None)
        values = [again, *(one.value for one in drawn if one is not None)]
        cells = [f"`{name}`", *(f"{value:.3g}" for value in (ideal, *values))]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def fill_in(name: str, lines: Sequence[str]) -> None:
    """Put a table between its two comments in the page."""
    text = PAGE.read_text(encoding="utf-8")
    start, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, rest = text.split(start)
    _, after = rest.split(end)
    inside = "\n".join(lines)
    PAGE.write_text(f"{before}{start}\n{inside}\n{end}{after}", encoding="utf-8")
    print(f"Filled in the table {name!r}.")


def main() -> None:
    """Draw all and fill in the tables."""
    FOLDER.mkdir(exist_ok=True)
    for draw in (
        draw_reconstructions, draw_priors, draw_holes, draw_escapes, draw_uncovered,
        draw_midpoints, draw_class_kept, draw_map,
    ):  # fmt: skip
        draw()
    fill_in("metrics", table_metrics())
    fill_in("headline", table_headline())
    fill_in("frechet", table_frechet())


if __name__ == "__main__":
    main()

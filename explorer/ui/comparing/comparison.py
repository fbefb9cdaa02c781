"""What the sections of Compare share: the models on the page, and pictures in a grid."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from explorer.images.sheet import tile
from explorer.live.evidence import Exhibit
from explorer.live.model import OpenedModel
from explorer.models.library import Listing, differences
from explorer.regularity.definitions import AS_BUILT, NO_PRIOR, SCALE_FAIR
from explorer.regularity.report import RegularityReport
from explorer.regularity.verdict import Standing
from explorer.ui.words import plain

GROUP_GAP = 12  # pixels
SHEET_WIDTH = 640  # pixels that a sheet is drawn for
COLUMN_WORDS = {AS_BUILT: "As built: z ~ N(0, I)", SCALE_FAIR: "Scale-fair: z ~ N(m, S)"}
_SEEDED = re.compile(r"(.+?)-seed[0-9]+")


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two to four models side by side.

    Attributes:
        listings, models, names, colours: of each.
        column: "as built" or "scale-fair".
        reports: of each; None where one is missing.
        found: how they stand in the headline measures of the column; empty without reports.
        seeds: of each, the reports of its further seeds, by name.
    """

    listings: Sequence[Listing]
    models: Sequence[OpenedModel]
    names: Sequence[str]
    colours: Sequence[str]
    column: str
    reports: Sequence[RegularityReport] | None
    found: Mapping[str, Standing]
    seeds: Sequence[Mapping[str, RegularityReport]]

    def seed_figures(self) -> list[dict[str, list[float]]]:
        """Of each model, the headline figures of its other seeds by measure."""
        return [
            {
                key: [
                    one.value
                    for report in reports.values()
                    for one in report.estimates
                    if one.key == key and one.column in (self.column, NO_PRIOR)
                ]
                for key in self.found
            }
            for reports in self.seeds
        ]


def other_seeds(listing: Listing, listings: Sequence[Listing]) -> list[Listing]:
    """The checkpoints NAME, NAME-seed1, ... that differ from this one in the seed alone."""
    mine = listing.config
    if mine is None:
        return []
    return [
        other
        for other in listings
        if other.config is not None
        and other.name != listing.name
        and _without_seed(other.name) == _without_seed(listing.name)
        and other.config.kind == mine.kind
        and all(line.startswith("training seed:") for line in differences(mine, other.config))
    ]


def _without_seed(name: str) -> str:
    found = _SEEDED.fullmatch(name)
    return found[1] if found else name


def key_of(model: OpenedModel) -> tuple[str, tuple[tuple[int, int], ...]]:
    """What a cache knows a model by: its folder and the state of its files."""
    return str(model.folder), model.stamp


def exhibit_sheet(exhibit: Exhibit) -> NDArray[np.uint8]:
    """An exhibit's pictures on one sheet, with more room between groups than within them."""
    scale = sheet_scale(exhibit.pictures.shape[2], exhibit.columns)
    sheets = [
        tile(group.transpose(0, 3, 1, 2), exhibit.columns, scale=scale, gap=2)
        for group in exhibit.groups()
    ]
    width = max(sheet.shape[1] for sheet in sheets)
    padded = []
    for sheet in sheets:
        room = [(0, GROUP_GAP), (0, width - sheet.shape[1]), (0, 0)][: sheet.ndim]
        padded.append(np.pad(sheet, room, constant_values=255))
    return np.concatenate(padded)[:-GROUP_GAP]


def sheet_scale(width: int, columns: int) -> int:
    """How many pixels a pixel becomes on a sheet of so many pictures a row."""
    return max(1, SHEET_WIDTH // (columns * width))


def show_sheet(
    images: NDArray[np.float32] | NDArray[np.uint8], columns: int, caption: str | None = None
) -> None:
    """Images (n, C, H, W) in a grid, as wide as there is room."""
    scale = sheet_scale(images.shape[-1], columns)
    show_picture(tile(images, columns, scale=scale, gap=2), caption)


def show_picture(pixels: NDArray[np.uint8], caption: str | None = None) -> None:
    """One picture, as wide as there is room."""
    st.image(pixels, width="stretch", caption=None if caption is None else plain(caption))

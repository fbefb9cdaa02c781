"""What the sections of Compare share: the models on the page, and pictures in a grid."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from explorer.images.sheet import tile
from explorer.live.evidence import Exhibit
from explorer.live.model import OpenedModel
from explorer.models.config import KIND_NAMES, CheckpointConfig
from explorer.models.library import Listing, differences
from explorer.regularity.definitions import AS_BUILT, NO_PRIOR, SCALE_FAIR
from explorer.regularity.health import Fault
from explorer.regularity.report import RegularityReport
from explorer.regularity.sentences import write_verdict
from explorer.regularity.verdict import ComparedModel, Standing, standings
from explorer.ui.words import plain

GROUP_GAP = 12  # pixels
SHEET_WIDTH = 640  # pixels that a sheet is drawn for
COLUMN_DRAWS = {
    AS_BUILT: "z ~ N(0, I)",
    SCALE_FAIR: "z ~ N(m, S), fitted to the model's own encodings",
}
_SEEDED = re.compile(r"(.+?)-seed[0-9]+")


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two to four models side by side.

    Attributes:
        listings, models, names, colours: of each.
        column: "as built" or "scale-fair".
        reports: of each; None where one is missing.
        seeds: of each, the reports of its further seeds, by name.
        faults: of each, what is the matter with it.
    """

    listings: Sequence[Listing]
    models: Sequence[OpenedModel]
    names: Sequence[str]
    colours: Sequence[str]
    column: str
    reports: Sequence[RegularityReport] | None
    seeds: Sequence[Mapping[str, RegularityReport]]
    faults: Sequence[Sequence[Fault]]

    @cached_property
    def compared(self) -> list[ComparedModel]:
        """What the verdict rests on; none without reports."""
        return [
            ComparedModel(
                name=name,
                config=model.config,
                estimates=report.estimates,
                faults=faults,
                other_trainings=[other.estimates for other in seeds.values()],
            )
            for name, model, report, seeds, faults in zip(
                self.names, self.models, self.reports or (), self.seeds, self.faults, strict=False
            )
        ]

    @cached_property
    def found(self) -> dict[str, Standing]:
        """How they stand in the headline metrics of the column; empty without reports."""
        return standings(self.compared, self.column) if self.compared else {}

    @cached_property
    def verdict(self) -> list[str]:
        """What the figures allow to be said, the most important first; none without reports."""
        return write_verdict(self.compared, self.found) if self.compared else []

    def seed_figures(self) -> list[dict[str, list[float]]]:
        """Of each model, the headline figures of its other seeds by metric."""
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


def describe_match(configs: Sequence[CheckpointConfig], names: Sequence[str]) -> tuple[bool, str]:
    """Whether models differ in the model type alone, and what that means for the figures."""
    first = configs[0]
    found = {
        name: differences(first, config)
        for name, config in zip(names[1:], configs[1:], strict=True)
    }
    unlike = [f"{name}: {'; '.join(lines)}" for name, lines in found.items() if lines]
    if unlike:
        return False, (
            f"Not a matched pair. Besides the model type these differ from {names[0]}, so "
            f"differences below may come from that. {'. '.join(unlike)}."
        )
    kinds = [KIND_NAMES[config.kind] for config in configs]
    if len(set(kinds)) == 1:
        return True, f"All are of one model type ({kinds[0]}), with the same data and settings."
    weights = {config.training.get("beta") for config in configs if config.kind == "vae"}
    weighed = "".join(f" The VAE was trained with β = {beta:g}." for beta in weights - {1.0, None})
    return True, (
        f"A matched {'pair' if len(kinds) == 2 else 'set'}, {' and '.join(dict.fromkeys(kinds))}: "
        "the same data, network, epochs, batches and seed; only the model type differs."
        f"{weighed}"
    )


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

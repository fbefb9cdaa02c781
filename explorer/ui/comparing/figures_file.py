"""The measured figures of a comparison for other programs: CSV and JSON."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import asdict, fields

from explorer.models.library import differences
from explorer.regularity.measure import Measure
from explorer.regularity.verdict import write_verdict
from explorer.storage import table_cell
from explorer.ui.comparing.comparison import Comparison

FORMAT = 1


def write_csv(comparison: Comparison) -> str:
    """One row a figure, model and seed of training; empty where there is no value."""
    names = [field.name for field in fields(Measure)]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["model", *names])
    for name, measures in figures_of(comparison):
        for one in measures:
            values = asdict(one)
            table.writerow(map(table_cell, [name, *(values[field] for field in names)]))
    return text.getvalue()


def write_json(comparison: Comparison) -> str:
    """All of it: the models as they were trained, what differs, the verdict and every figure."""
    first = comparison.models[0].config
    content = {
        "format": FORMAT,
        "column": comparison.column,
        "models": [
            {"name": name, **model.config.to_dict()}
            for name, model in zip(comparison.names, comparison.models, strict=True)
        ],
        "differences": {
            name: differences(first, model.config)
            for name, model in zip(comparison.names[1:], comparison.models[1:], strict=True)
        },
        "verdict": write_verdict(comparison.names, dict(comparison.found)),
        "figures": [
            {"model": name, **asdict(one)}
            for name, measures in figures_of(comparison)
            for one in measures
        ],
    }
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def figures_of(comparison: Comparison) -> Iterator[tuple[str, tuple[Measure, ...]]]:
    """The measures of each model, and of its other seeds."""
    for name, report, seeds in zip(
        comparison.names, comparison.reports or (), comparison.seeds, strict=False
    ):
        yield name, report.measures
        for seed, other in seeds.items():
            yield seed, other.measures

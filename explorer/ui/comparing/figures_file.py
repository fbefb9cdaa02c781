"""The measured figures of a comparison for other programs: CSV and JSON."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import asdict

from explorer.models.library import differences
from explorer.regularity.estimate import Estimate
from explorer.storage import table_cell
from explorer.ui.comparing.comparison import Comparison

FORMAT = 2


def write_csv(comparison: Comparison) -> str:
    """One row a figure, model and seed of training; empty where there is no value."""
    rows = [
        {"model": name, **one.described()}
        for name, estimates in figures_of(comparison)
        for one in estimates
    ]
    text = io.StringIO()
    if rows:
        table = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows({name: table_cell(value) for name, value in row.items()} for row in rows)
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
        "verdict": comparison.verdict,
        "comparisons": list(comparisons_of(comparison)),
        "figures": [
            {"model": name, **one.described()}
            for name, estimates in figures_of(comparison)
            for one in estimates
        ],
    }
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def figures_of(comparison: Comparison) -> Iterator[tuple[str, tuple[Estimate, ...]]]:
    """The estimates of each model, and of its other seeds."""
    for name, report, seeds in zip(
        comparison.names, comparison.reports or (), comparison.seeds, strict=False
    ):
        yield name, report.estimates
        for seed, other in seeds.items():
            yield seed, other.estimates


def comparisons_of(comparison: Comparison) -> Iterator[dict[str, object]]:
    """How each two models stand in each metric that was judged."""
    for key, standing in comparison.found.items():
        for (first, second), pair in standing.pairs.items():
            difference = pair.difference
            yield {
                "metric": key,
                "models": [comparison.names[first], comparison.names[second]],
                "outcome": pair.outcome,
                "better": None
                if pair.winner is None
                else comparison.names[(first, second)[pair.winner]],
                "difference": None if difference is None else asdict(difference),
                "over_trainings": standing.over_trainings,
            }

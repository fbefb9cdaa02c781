"""A report as a table to read in a terminal."""

from collections.abc import Sequence

from explorer.regularity.definitions import (
    AS_BUILT,
    COLUMN_TITLES,
    GROUPS,
    MIXTURE,
    NO_PRIOR,
    SCALE_FAIR,
)
from explorer.regularity.estimate import Estimate
from explorer.regularity.report import RegularityReport

# A metric without a prior has one figure, which stands in the first column.
_COLUMNS = ((AS_BUILT, NO_PRIOR), (SCALE_FAIR,), (MIXTURE,))


def format_table(name: str, report: RegularityReport) -> str:
    """Every metric of a report in a line: its values with their intervals, chance level and ideal.

    Args:
        name: of the model.
        report: what was measured.
    """
    lines = [f"{name}: {report.n:,} held-out images, seed {report.seed}, 95 % intervals"]
    header = [
        "",
        *(COLUMN_TITLES[column] for column in (AS_BUILT, SCALE_FAIR, MIXTURE)),
        "chance",
        "ideal",
        "better",
        "unit",
    ]
    parts: list[tuple[str, list[list[str]]]] = []
    for group in GROUPS:
        of_group = [one for one in report.estimates if one.definition.group_in(one.column) == group]
        keys = dict.fromkeys(one.key for one in of_group)
        rows = [_row([one for one in of_group if one.key == key]) for key in keys]
        if rows:
            parts.append((group, rows))
    every = [header, *(row for _, rows in parts for row in rows)]
    # A column that no estimate of this report has is left out.
    kept = [at for at in range(len(header)) if not at or any(row[at] for row in every[1:])]
    widths = {at: max(len(row[at]) for row in every) for at in kept}
    lines.append(_line(header, kept, widths))
    for group, rows in parts:
        lines.append(group)
        lines += [_line(row, kept, widths) for row in rows]
    return "\n".join(lines)


def _row(estimates: Sequence[Estimate]) -> list[str]:
    cells = [
        next((_figure(one) for one in estimates if one.column in columns), "")
        for columns in _COLUMNS
    ]
    definition = estimates[0].definition
    units = list(dict.fromkeys(one.unit for one in estimates))
    return [
        f"  {definition.title}",
        *cells,
        _held_against([one.chance for one in estimates]),
        _held_against([one.ideal for one in estimates]),
        definition.direction,
        " | ".join(units),
    ]


def _held_against(values: Sequence[float | None]) -> str:
    """A chance level or ideal value; each, where those of the columns differ."""
    return " | ".join(dict.fromkeys(_digits(one) for one in values if one is not None)) or "-"


def _figure(estimate: Estimate) -> str:
    if estimate.fixed:
        return f"{_digits(estimate.value)} by construction"
    if estimate.low is None or estimate.high is None:
        return _digits(estimate.value)
    return f"{_digits(estimate.value)} [{_digits(estimate.low)}, {_digits(estimate.high)}]"


def _digits(value: float) -> str:
    """Four significant digits, thousands without an exponent."""
    return f"{value:.0f}" if 1e4 <= abs(value) < 1e7 else f"{value:.4g}"


def _line(row: Sequence[str], kept: Sequence[int], widths: dict[int, int]) -> str:
    return "  ".join(row[at].ljust(widths[at]) for at in kept).rstrip()

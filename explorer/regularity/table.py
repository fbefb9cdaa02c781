"""A report as a table to read in a terminal."""

from collections.abc import Sequence

from explorer.regularity.measure import (
    AS_BUILT,
    GROUPS,
    MIXTURE,
    NO_PRIOR,
    SCALE_FAIR,
    Measure,
)
from explorer.regularity.report import RegularityReport

# A measure without a prior has one figure, which stands in the first column.
_COLUMNS = ((AS_BUILT, NO_PRIOR), (SCALE_FAIR,), (MIXTURE,))


def format_table(name: str, report: RegularityReport) -> str:
    """Every measure of a report in a line: each column's value with its interval, and the null.

    Args:
        name: of the model.
        report: what was measured.
    """
    lines = [f"{name}: {report.n:,} held-out images, seed {report.seed}, 95 % intervals"]
    header = ["", "as built / no prior", "scale-fair", "mixture", "null", "better", "unit"]
    parts: list[tuple[str, list[list[str]]]] = []
    for group in GROUPS:
        keys = dict.fromkeys(one.key for one in report.measures if one.group == group)
        rows = [
            _row([one for one in report.measures if (one.key, one.group) == (key, group)])
            for key in keys
        ]
        if rows:
            parts.append((group, rows))
    every = [header, *(row for _, rows in parts for row in rows)]
    # A column that no measure of this report has is left out.
    kept = [at for at in range(len(header)) if not at or any(row[at] for row in every[1:])]
    widths = {at: max(len(row[at]) for row in every) for at in kept}
    lines.append(_line(header, kept, widths))
    for group, rows in parts:
        lines.append(group)
        lines += [_line(row, kept, widths) for row in rows]
    return "\n".join(lines)


def _row(measures: Sequence[Measure]) -> list[str]:
    cells = [
        next((_figure(one) for one in measures if one.column in columns), "")
        for columns in _COLUMNS
    ]
    nulls = list(dict.fromkeys(_digits(one.null) for one in measures if one.null is not None))
    first = measures[0]
    # Columns may be on different scales; where their nulls differ, each is given.
    return [f"  {first.title}", *cells, " | ".join(nulls) or "-", first.better, first.unit]


def _figure(measure: Measure) -> str:
    if measure.low is None or measure.high is None:
        return _digits(measure.value)
    return f"{_digits(measure.value)} [{_digits(measure.low)}, {_digits(measure.high)}]"


def _digits(value: float) -> str:
    """Four significant digits, thousands without an exponent."""
    return f"{value:.0f}" if 1e4 <= abs(value) < 1e7 else f"{value:.4g}"


def _line(row: Sequence[str], kept: Sequence[int], widths: dict[int, int]) -> str:
    return "  ".join(row[at].ljust(widths[at]) for at in kept).rstrip()

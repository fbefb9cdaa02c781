"""What every benchmark does with its figures: a table to read, and JSON in benchmarks/results/."""

import json
import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table, its first column to the left and the figures to the right."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    print(f"\n{title}")
    for row in (header, ["-" * width for width in widths], *rows):
        first, *rest = (
            text.ljust(width) if column == 0 else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join([first, *rest]))


def save_result(name: str, figures: dict[str, Any]) -> Path:
    """Write the figures with what they were measured on.

    Returns:
        The file.
    """
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    machine = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
    }
    path.write_text(
        json.dumps({"benchmark": name, "machine": machine, **figures}, indent=2) + "\n",
        encoding="utf-8",
    )
    print(f"\n{machine['cores']} cores, load {machine['load']:.1f}; written to {path}")
    return path

"""Measure checkpoints, and keep the report of each beside its weights.

python -m explorer.regularity mnist-vae-16 mnist-ae-16
python -m explorer.regularity my-digits --headline-only --checkpoints ~/models
"""

import argparse
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from explorer.models.checkpoint import REPORT, WEIGHTS
from explorer.models.library import find_checkpoint
from explorer.storage import read_regular
from explorer.training.streams import Forgiving, measure_each

_PROGRAM = "python -m explorer.regularity"


def build_parser() -> argparse.ArgumentParser:
    """The flags of `python -m explorer.regularity`."""
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        description="Measure how regular the latent space of checkpoints is, print the figures and "
        f"write them into each folder as {REPORT}. The images must be at hand: nothing is "
        "downloaded.",
    )
    parser.add_argument(
        "names", nargs="+", metavar="NAME", help="a checkpoint's name, or its folder"
    )
    parser.add_argument(
        "--headline-only", action="store_true", help="only the eight metrics that are shown first"
    )
    parser.add_argument("--seed", type=int, default=0, help="of all draws (default: 0)")
    parser.add_argument(
        "--checkpoints",
        type=Path,
        metavar="FOLDER",
        help="look for names there (default: pretrained/ and EXPLORER_CHECKPOINTS)",
    )
    return parser


def measure_folder(folder: Path, *, details: bool, seed: int) -> str:
    """Measure a checkpoint, with a bar, and put the report into its folder.

    Whatever stops it, an earlier report stays as it was until the new one is whole.

    Returns:
        The figures, as a table.

    Raises:
        ExplorerError: the checkpoint, its images or its codes cannot be measured.
    """
    from tqdm import tqdm

    from explorer.regularity.measuring import FAMILIES, HEADLINE_FAMILIES, measure_all
    from explorer.regularity.report import save_report
    from explorer.regularity.subject import ModelUnderTest
    from explorer.regularity.table import format_table
    from explorer.storage import check_writable

    check_writable(folder)  # before the minutes that measuring may take
    name = folder.resolve().name
    with tqdm(
        total=1.0,
        bar_format="{bar} {percentage:3.0f}% {elapsed}  {desc}",
        leave=False,
        file=Forgiving(sys.stderr),
    ) as bar:

        def show(words: str, share: float) -> None:
            bar.set_description_str(f"{name}: {words}", refresh=False)
            bar.n = share
            bar.refresh()

        show("opening", 0.0)
        subject = ModelUnderTest.from_folder(folder, seed=seed)
        families = FAMILIES if details else HEADLINE_FAMILIES
        report = measure_all(subject, families=families, progress=show)
    weights = hashlib.sha256(read_regular(folder / WEIGHTS)).hexdigest()
    report = replace(report, inputs={**report.inputs, "weights": f"sha256:{weights}"})
    save_report(folder / REPORT, report)
    return format_table(name, report)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        The exit status: 0 if all were measured, 2 if the user has to mend something, 130 after
        Ctrl-C.
    """
    flags = build_parser().parse_args(arguments)
    if not 0 <= flags.seed < 2**31:
        Forgiving(sys.stderr).write(
            f"{_PROGRAM}: seed is {flags.seed}; it must lie from 0 to 2,147,483,647.\n"
        )
        return 2

    def measure(name: str) -> str:
        folder = find_checkpoint(name, flags.checkpoints)
        table = measure_folder(folder, details=not flags.headline_only, seed=flags.seed)
        return f"{table}\n\n"

    return measure_each(_PROGRAM, flags.names, measure)


if __name__ == "__main__":
    sys.exit(main())

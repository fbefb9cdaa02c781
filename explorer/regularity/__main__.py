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

from explorer.errors import CheckpointError, ExplorerError
from explorer.models.checkpoint import CONFIG, REPORT, WEIGHTS
from explorer.models.library import checkpoint_folders, list_checkpoints
from explorer.training.streams import Forgiving

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
        "--headline-only", action="store_true", help="only the eight measures that are shown first"
    )
    parser.add_argument("--seed", type=int, default=0, help="of all draws (default: 0)")
    parser.add_argument(
        "--checkpoints",
        type=Path,
        metavar="FOLDER",
        help="look for names there (default: pretrained/ and EXPLORER_CHECKPOINTS)",
    )
    return parser


def find_folder(name: str, parent: Path | None) -> Path:
    """The folder of a checkpoint, by its name or its path.

    Args:
        name: what the user calls it.
        parent: where names are looked for; None looks where the app does.

    Raises:
        CheckpointError: there is none, or it is broken.
    """
    path = Path(name).expanduser()
    if (path / CONFIG).is_file():
        return path
    listings = list_checkpoints([parent.expanduser()] if parent else checkpoint_folders())
    for listing in listings:
        if listing.name == name:
            if listing.error is not None:
                raise CheckpointError(f"{name} cannot be used: {listing.error}")
            return listing.folder
    there = ", ".join(listing.name for listing in listings) or "none"
    raise CheckpointError(
        f"There is no checkpoint {name!r}: there are {there}; a folder's path is understood too."
    )


def measure_folder(folder: Path, *, details: bool, seed: int) -> str:
    """Measure a checkpoint, with a bar, and put the report into its folder.

    Whatever stops it, an earlier report stays as it was until the new one is whole.

    Returns:
        The figures, as a table.

    Raises:
        ExplorerError: the checkpoint, its images or its codes cannot be measured.
    """
    from tqdm import tqdm

    from explorer.regularity.measuring import measure_all
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
        report = measure_all(subject, details=details, progress=show)
    weights = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
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
    out, told = Forgiving(sys.stdout), Forgiving(sys.stderr)
    if not 0 <= flags.seed < 2**31:
        told.write(f"{_PROGRAM}: seed is {flags.seed}; it must lie from 0 to 2,147,483,647.\n")
        return 2
    status = 0
    try:
        for name in dict.fromkeys(flags.names):
            try:
                folder = find_folder(name, flags.checkpoints)
                table = measure_folder(folder, details=not flags.headline_only, seed=flags.seed)
            except ExplorerError as error:
                told.write(f"{_PROGRAM}: {error}\n")
                status = 2
            else:
                out.write(f"{table}\n\n")
                out.flush()
    except KeyboardInterrupt:
        told.write("\nEnded; what was measured before is kept.\n")
        return 130
    return status


if __name__ == "__main__":
    sys.exit(main())

"""Encode picture files into a table of codes.

python -m explorer.encode --checkpoint mnist-vae-16 seven.jpg scans.zip --out codes.csv
python -m explorer.encode --checkpoint faces-vae-16 *.png --framing pad --out codes.npz
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from explorer.errors import ConfigError, ExplorerError
from explorer.images.preparation import (
    CONTRASTS,
    FRAMINGS,
    GROUNDS,
    POLARITIES,
    STROKES,
    TURNS,
    Preparation,
)
from explorer.training.streams import Forgiving

if TYPE_CHECKING:
    from explorer.images.batch import Refused

_PROGRAM = "python -m explorer.encode"
_SOME_FAILED, _NOTHING, _INTERRUPTED = 1, 2, 130


def build_parser() -> argparse.ArgumentParser:
    """The flags of `python -m explorer.encode`."""
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        description="Encode pictures, and ZIP archives of pictures, as the app's Encode page does, "
        "and write a table: a row a picture with its code, its posterior's log variance, "
        "reconstruction NLL, KL, negative ELBO (nats) and the class of the nearest held-out codes; "
        "where the checkpoint has held-out scores, also the bound's percentile among held-out "
        "images, and whether the picture is familiar, unusual or unlike them (with the share of "
        "them that is as odd); not of a model that is dead or hardly trained.",
        epilog="Exit status: 0 if all was encoded, 1 if some files were not, 2 if nothing was.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="a picture or a ZIP archive")
    parser.add_argument(
        "--checkpoint", required=True, metavar="NAME", help="a checkpoint's name, or its folder"
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="TABLE", help="what to write, .csv or .npz"
    )
    choices = parser.add_argument_group("preparation of all of them (default: guessed for each)")
    for name, allowed, text in (
        ("turn", TURNS, "degrees to the right from how the file stores it"),
        ("ground", GROUNDS, "under a transparent picture"),
        ("polarity", POLARITIES, "whether dark and light change places"),
        ("contrast", CONTRASTS, "whether the ground is made flat and strokes full"),
        ("framing", FRAMINGS, "how it is put into the model's frame"),
        ("strokes", STROKES, "whether thin strokes are made thicker"),
    ):
        choices.add_argument(f"--{name}", choices=allowed, default="auto", help=text)
    choices.add_argument(
        "--crop",
        metavar="L,T,R,B",
        help="what to keep, as shares of the upright picture: left, top, right, bottom",
    )
    return parser


def read_preparation(flags: argparse.Namespace) -> Preparation:
    """What the flags choose.

    Raises:
        ConfigError: a crop that is none.
    """
    chosen = {choice.name: getattr(flags, choice.name) for choice in fields(Preparation)}
    if flags.crop is not None:
        try:
            chosen["crop"] = tuple(float(share) for share in flags.crop.split(","))
        except ValueError as error:
            raise ConfigError(
                f"--crop is {flags.crop!r}; it must be four shares from 0 to 1, as in 0,0,0.5,1."
            ) from error
    return Preparation(**chosen)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        The exit status: 0 if all was encoded, 1 if some files were not, 2 if nothing was, 130
        after Ctrl-C.
    """
    flags = build_parser().parse_args(arguments)
    told = Forgiving(sys.stderr)
    try:
        return _encode(flags, told)
    except ExplorerError as error:
        told.write(f"{_PROGRAM}: {error}\n")
        return _NOTHING
    except KeyboardInterrupt:
        told.write("\nEnded; nothing was written.\n")
        return _INTERRUPTED


def _encode(flags: argparse.Namespace, told: Forgiving) -> int:
    from explorer.storage import check_writable

    preparation = read_preparation(flags)
    out: Path = flags.out.expanduser()
    # Torch takes two seconds to import, which a wrong flag is not to pay.
    from tqdm import tqdm

    from explorer.encode.files import check_suffix, encode_files
    from explorer.regularity.health import describe_faults, severe_fault

    check_suffix(out)
    check_writable(out.parent)
    with tqdm(total=len(flags.files), unit=" files", leave=False, file=told) as bar:

        def refuse(one: "Refused") -> None:
            kind = "skipped" if one.skipped else "refused"
            bar.write(f"{kind}: {_printable(one.path)}: {one.reason}", file=told)

        def progress(done: int) -> None:
            bar.update(done - bar.n)

        found = encode_files(
            flags.checkpoint, flags.files, preparation=preparation, progress=progress, refuse=refuse
        )
    if found.faults:
        severe = severe_fault(found.faults) is not None
        silent = " So the table does not say whether the pictures are like the training data."
        told.write(
            f"{flags.checkpoint}: {describe_faults(found.faults)}{silent if severe else ''}\n"
        )
    failed = sum(not one.skipped for one in found.refused)
    if found.codes is None:
        told.write(f"{_PROGRAM}: none of the files could be encoded; nothing was written.\n")
        return _NOTHING
    found.save(out)
    out_stream = Forgiving(sys.stdout)
    out_stream.write(f"{len(found.names):,} encoded, {failed:,} refused; written to {out}\n")
    out_stream.flush()
    return _SOME_FAILED if failed else 0


def _printable(path: str) -> str:
    return "".join(sign if sign.isprintable() else "?" for sign in path)


if __name__ == "__main__":
    sys.exit(main())

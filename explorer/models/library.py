"""The checkpoints at hand: what each is, or why it cannot be used."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from explorer.errors import CheckpointError
from explorer.models.checkpoint import CONFIG, NEEDED, load_config, read_weights_header
from explorer.models.config import CheckpointConfig

SHIPPED = Path(__file__).resolve().parents[2] / "pretrained"
FOLDERS_VARIABLE = "EXPLORER_CHECKPOINTS"


@dataclass(frozen=True)
class Listing:
    """One checkpoint folder.

    Attributes:
        name: the folder's name, which is what a user calls it by.
        folder: where it lies.
        config: what it is; None if it is broken.
        error: why it cannot be used; None if nothing is known against it.
        stamp: changes when its files do.
    """

    name: str
    folder: Path
    config: CheckpointConfig | None
    error: str | None
    stamp: tuple[tuple[int, int], ...]


def checkpoint_folders() -> list[Path]:
    """Where checkpoints are looked for.

    The shipped folder first, then each folder that the variable EXPLORER_CHECKPOINTS names,
    separated as PATH is.
    """
    more = os.environ.get(FOLDERS_VARIABLE, "")
    return [SHIPPED, *(Path(part).expanduser() for part in more.split(os.pathsep) if part)]


def list_checkpoints(folders: Sequence[Path]) -> list[Listing]:
    """Every checkpoint in the folders, by name; of one name the first found counts.

    A quick look that reads no weights: what is wrong inside them shows when they are opened.
    """
    found: dict[str, Listing] = {}
    for parent in folders:
        if not parent.is_dir():
            continue
        try:
            folders_here = sorted(parent.iterdir())
        except OSError:  # a folder that may not be read holds nothing for us
            continue
        for folder in folders_here:
            name = readable_name(folder)
            # A dot marks a folder that is still being written.
            if not folder.is_dir() or name.startswith(".") or name in found:
                continue
            found[name] = _look(folder, name)
    return [found[name] for name in sorted(found)]


def find_checkpoint(name: str, parent: Path | None = None) -> Path:
    """The folder of a checkpoint, by its name or its path.

    Args:
        name: what the user calls it.
        parent: where names are looked for; None looks where the app does.

    Raises:
        CheckpointError: there is none, naming those that are there, or it is broken.
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


def readable_name(folder: Path) -> str:
    """The folder's name; bytes that are no UTF-8 become question marks."""
    return folder.name.encode("utf-8", "replace").decode()


def _look(folder: Path, name: str) -> Listing:
    stamp = _stamp(folder)
    try:
        config = load_config(folder)
        read_weights_header(folder, config)
    except CheckpointError as error:
        return Listing(name, folder, None, str(error), stamp)
    except OSError as error:
        return Listing(name, folder, None, f"{CONFIG} cannot be read: {error}.", stamp)
    # The folder's name wins, so that a copied or renamed checkpoint goes by its new name.
    return Listing(name, folder, replace(config, name=name), None, stamp)


def _stamp(folder: Path) -> tuple[tuple[int, int], ...]:
    found = []
    for name in NEEDED:
        try:
            status = (folder / name).stat()
        except OSError:
            found.append((0, 0))
        else:
            found.append((status.st_mtime_ns, status.st_size))
    return tuple(found)


def find_pair(listing: Listing, others: Sequence[Listing]) -> Listing | None:
    """The checkpoint which differs from this one in kind alone.

    Same data, network and training settings. Where several fit: a VAE or an AE before an InfoVAE,
    a plain VAE before one of another beta, then the first by name.
    """
    if listing.config is None:
        return None
    mine = listing.config
    fitting = [
        other
        for other in others
        if other.config is not None
        and other.config.kind != mine.kind
        and differences(mine, other.config) == []
    ]

    def rank(other: Listing) -> tuple[bool, bool, str]:
        assert other.config is not None
        beta = other.config.training.get("beta", 1)
        return other.config.kind == "infovae", beta != 1, other.name

    return min(fitting, key=rank, default=None)


def find_partner(listing: Listing, others: Sequence[Listing]) -> Listing | None:
    """The checkpoint to compare with first: its matched pair, else a model of the same images.

    Of several models of the same images, the one that differs in the fewest settings, then the
    first by name. None where nobody was trained on the same data at the same image shape: figures
    of other images do not compare.
    """
    mine, pair = listing.config, find_pair(listing, others)
    if mine is None or pair is not None:
        return pair
    same = [
        (len(differences(mine, other.config)), other.name, other)
        for other in others
        if other.config is not None
        and other.name != listing.name
        and other.config.data.fingerprint == mine.data.fingerprint
        and other.config.data.image_shape == mine.data.image_shape
    ]
    return min(same, key=lambda one: one[:2], default=(0, "", None))[2]


def differences(one: CheckpointConfig, other: CheckpointConfig) -> list[str]:
    """What else than the kind differs between two checkpoints, in words; [] for a fair pair."""
    found = []
    kinds = {one.kind, other.kind}
    architectures = {one.network.architecture, other.network.architecture}
    likelihoods = {one.network.likelihood, other.network.likelihood}
    # What a model has no use for does not tell two of them apart.
    unused = set()
    if "ae" in kinds:
        unused |= {"beta", "kl_warmup", "kl_cycles", "free_bits", "importance_samples"}
    if "infovae" not in kinds or "ae" in kinds:
        unused |= {"info_alpha", "info_lambda"}
    if architectures == {"mlp"}:
        unused.add("width")
    if likelihoods == {"bernoulli"}:
        unused.add("sigma")
    # Patience ends each run where its own held-out loss has stopped falling: one rule for both.
    if one.training.get("patience") and one.training.get("patience") == other.training.get(
        "patience"
    ):
        unused.add("epochs_run")
    if one.data.fingerprint != other.data.fingerprint:
        found.append(f"data: {one.data.name} against {other.data.name}")
    if one.data.image_shape != other.data.image_shape:
        shapes = (" x ".join(map(str, each.data.image_shape)) for each in (one, other))
        found.append(f"image shape: {' against '.join(shapes)}")
    for part, left, right in (
        ("network", vars(one.network), vars(other.network)),
        ("training", dict(one.training), dict(other.training)),
    ):
        for key in sorted(set(left) | set(right)):
            if key in unused:
                continue
            if left.get(key) != right.get(key):
                found.append(f"{part} {key}: {left.get(key)} against {right.get(key)}")
    return found

"""A checkpoint is a folder: written whole or not at all, read strictly, never unpickled.

Torch is not imported here, so that the app can list and map checkpoints before torch is there.
"""

import json
import os
import struct
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from explorer.errors import CheckpointError, ConfigError
from explorer.models.config import CheckpointConfig
from explorer.storage import (
    load_arrays,
    open_regular,
    read_regular,
    save_arrays,
    write_file,
    write_folder,
)

FORMAT = 1
WEIGHTS, CONFIG, ENCODINGS = "model.safetensors", "config.json", "encodings.npz"
PROJECTION, HISTORY, CARD, REPORT = "projection.npz", "history.csv", "CARD.md", "regularity.json"
NEEDED = (WEIGHTS, CONFIG, ENCODINGS, PROJECTION)
HELD_OUT = "heldout.npz"  # scores of held-out images, which new ones are held against
AXES = "axes.json"  # what users called the latent axes; they may have it or not
DAMAGED_AXES = f"{AXES}.damaged-"  # a number follows: what could not be read is kept
LONGEST_AXIS_NAME = 40  # characters
LARGEST_WEIGHTS = 1 << 30  # bytes
LARGEST_JSON = 1 << 22
LARGEST_HEADER = 1 << 16  # of the weights, about
LARGEST_ENCODINGS = 1 << 29
LARGEST_INDEX = 1 << 40


@dataclass(frozen=True, eq=False)
class Encodings:
    """Held-out images as the encoder sees them.

    Attributes:
        mean: posterior means, (N, D) float32; an AE's codes.
        log_var: (N, D) float32, or None for an AE.
        labels: (N,) int64, or None.
        index: (N,) int64, each image's place in the data set.
    """

    mean: NDArray[np.float32]
    log_var: NDArray[np.float32] | None
    labels: NDArray[np.int64] | None
    index: NDArray[np.int64]


def check_replaceable(folder: Path) -> None:
    """See that nothing but a checkpoint would be replaced.

    Raises:
        CheckpointError: if the folder holds anything else, which is not ours to delete.
    """
    if not folder.exists():
        return
    found = {entry.name for entry in folder.iterdir()} if folder.is_dir() else {folder.name}
    ours = {*NEEDED, HISTORY, CARD, REPORT, HELD_OUT, AXES}
    foreign = sorted(name for name in found - ours if not name.startswith(DAMAGED_AXES))
    if foreign or CONFIG not in found:
        raise CheckpointError(
            f"{folder} is no checkpoint ({'it holds ' + foreign[0] if foreign else 'no ' + CONFIG}"
            "), so it is not replaced; give another name, or move it away."
        )


def save_checkpoint(
    folder: Path,
    config: CheckpointConfig,
    weights: Mapping[str, NDArray[np.float32]],
    encodings: Encodings,
    more: Mapping[str, Callable[[Path], None]],
) -> None:
    """Write a checkpoint folder, whole or not at all.

    Args:
        folder: the folder; a checkpoint that stands there is replaced.
        config: what stands in config.json.
        weights: the model's tensors by name, float32.
        encodings: of the held-out images.
        more: a writer for each further file, by the file's name.

    Raises:
        CheckpointError: if what stands there is no checkpoint, or nothing can be written.
    """
    check_replaceable(folder)

    def fill(target: Path) -> None:
        metadata = {"format": str(FORMAT), "kind": config.kind}
        arrays_by_name = {name: np.ascontiguousarray(weights[name]) for name in weights}
        # In memory first: of a disk that is full the file says so in Python's own words.
        (target / WEIGHTS).write_bytes(save(arrays_by_name, metadata=metadata))
        plain = {"format": FORMAT, **config.to_dict()}
        (target / CONFIG).write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")
        arrays: dict[str, NDArray[Any]] = {"mean": encodings.mean, "index": encodings.index}
        if encodings.log_var is not None:
            arrays["log_var"] = encodings.log_var
        if encodings.labels is not None:
            arrays["labels"] = encodings.labels
        save_arrays(target / ENCODINGS, arrays)
        for name, write in more.items():
            write(target / name)

    write_folder(folder, fill)


def check_storable(
    config: CheckpointConfig, weights_bytes: int, held_out: int, next_step: str
) -> None:
    """See, before a model is trained, that the reader of its checkpoint will not refuse it.

    Args:
        config: what would stand in config.json.
        weights_bytes: of all tensors.
        held_out: images that are held out, and encoded.
        next_step: what a user does about a model that is too large.

    Raises:
        ConfigError: what would be refused.
    """
    text = json.dumps({"format": FORMAT, **config.to_dict()}, indent=2)
    codes = held_out * (2 * 4 * config.network.latent_dim + 16)
    for what, size, most in (
        (CONFIG, len(text), LARGEST_JSON),
        (WEIGHTS, weights_bytes + LARGEST_HEADER, LARGEST_WEIGHTS),
        (ENCODINGS, codes, LARGEST_ENCODINGS),
    ):
        if size > most:
            raise ConfigError(
                f"The checkpoint's {what} would take {size:,} bytes; at most {most:,} are read: "
                f"{next_step}."
            )
    plain = json.loads(text)
    del plain["format"]
    try:
        CheckpointConfig.from_dict(plain)
    except CheckpointError as cause:
        raise ConfigError(f"The checkpoint could not be read again: {cause}") from cause


def load_config(folder: Path) -> CheckpointConfig:
    """Read and check config.json.

    Raises:
        CheckpointError: if the folder or a file it needs is missing, or the entries are not those
            of this format.
    """
    if not folder.is_dir():
        raise CheckpointError(f"There is no checkpoint folder {folder}; check the name.")
    missing = [name for name in NEEDED if not (folder / name).exists()]
    if missing:
        raise CheckpointError(
            f"The folder {folder.name} lacks {', '.join(missing)}; a checkpoint holds "
            f"{', '.join(NEEDED)}. Copy it again, or train it again."
        )
    if odd := [name for name in NEEDED if not (folder / name).is_file()]:
        raise CheckpointError(
            f"{', '.join(odd)} of {folder.name} must be a regular file, and is a pipe, a folder or "
            "a device: copy the checkpoint again."
        )
    try:
        text = read_regular(folder / CONFIG, LARGEST_JSON + 1)
    except OSError as cause:
        raise CheckpointError(
            f"{CONFIG} of {folder.name} cannot be read: {cause.strerror or cause}."
        ) from cause
    if len(text) > LARGEST_JSON:
        raise CheckpointError(f"{CONFIG} takes over {LARGEST_JSON:,} bytes: it is none of ours.")
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError) as cause:
        raise CheckpointError(
            f"{CONFIG} of {folder.name} is no JSON ({cause}); it may be truncated: copy it again."
        ) from cause
    if not isinstance(plain, dict):
        raise CheckpointError(f"{CONFIG} of {folder.name} holds no object.")
    version = plain.pop("format", None)
    if version != FORMAT:
        raise CheckpointError(
            f"{CONFIG} of {folder.name} has format {version!r}; this version reads format {FORMAT}."
        )
    return CheckpointConfig.from_dict(plain)


def read_weights_header(folder: Path, config: CheckpointConfig) -> dict[str, tuple[int, ...]]:
    """Shapes of the stored tensors, without reading them.

    Returns:
        Each tensor's shape by its name.

    Raises:
        CheckpointError: if the file is no safetensors file of this kind and format, is truncated,
            or holds anything but float32 tensors.
    """
    path = folder / WEIGHTS
    try:
        return _read_header(path, config)
    except OSError as cause:
        raise CheckpointError(
            f"{WEIGHTS} of {folder.name} cannot be read: {cause.strerror or cause}."
        ) from cause


def _read_header(path: Path, config: CheckpointConfig) -> dict[str, tuple[int, ...]]:
    folder = path.parent
    foreign = f"{WEIGHTS} of {folder.name} is no safetensors file, or is truncated: copy it again."
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > LARGEST_WEIGHTS:
            raise CheckpointError(
                f"{WEIGHTS} takes {size:,} bytes; at most {LARGEST_WEIGHTS:,} are read."
            )
        start = file.read(8)
        if len(start) < 8:
            raise CheckpointError(foreign)
        (length,) = struct.unpack("<Q", start)
        if length > min(size - 8, LARGEST_JSON):
            raise CheckpointError(foreign)
        try:
            header = json.loads(file.read(length))
            metadata = dict(header.pop("__metadata__", {}))
            shapes = {name: tuple(entry["shape"]) for name, entry in header.items()}
            end = max((int(entry["data_offsets"][1]) for entry in header.values()), default=0)
            kinds = {str(entry["dtype"]) for entry in header.values()}
        except (
            ValueError, TypeError, AttributeError, LookupError, OverflowError, RecursionError,
        ) as cause:  # fmt: skip
            raise CheckpointError(foreign) from cause
    if end + 8 + length != size:
        raise CheckpointError(foreign)
    if metadata.get("format") != str(FORMAT) or metadata.get("kind") != config.kind:
        raise CheckpointError(
            f"{WEIGHTS} of {folder.name} says format {metadata.get('format')!r} and kind "
            f"{metadata.get('kind')!r}, {CONFIG} says {str(FORMAT)!r} and {config.kind!r}: "
            "they are not of one checkpoint."
        )
    if kinds - {"F32"}:
        raise CheckpointError(
            f"{WEIGHTS} of {folder.name} holds {', '.join(sorted(kinds))}; only F32 is read."
        )
    return shapes


def load_weights(
    folder: Path, config: CheckpointConfig, expected: Mapping[str, tuple[int, ...]]
) -> dict[str, NDArray[np.float32]]:
    """Read the weights, after the stored shapes were held against those expected.

    Args:
        folder: the checkpoint.
        config: its config.json.
        expected: the shape of each tensor of the model that config.json describes.

    Returns:
        Each tensor by its name.

    Raises:
        CheckpointError: naming the tensor that is missing, unexpected, of another shape or not
            finite.
    """
    shapes = read_weights_header(folder, config)
    for name, shape in expected.items():
        if name not in shapes:
            raise CheckpointError(f"{WEIGHTS} of {folder.name} lacks the tensor {name} {shape}.")
        if shapes[name] != shape:
            raise CheckpointError(
                f"The tensor {name} of {folder.name} has the shape {shapes[name]}; "
                f"{CONFIG} asks for {shape}."
            )
    unexpected = sorted(set(shapes) - set(expected))
    if unexpected:
        raise CheckpointError(
            f"{WEIGHTS} of {folder.name} holds unexpected tensors: {', '.join(unexpected)}."
        )
    try:
        weights: dict[str, NDArray[np.float32]] = load_file(folder / WEIGHTS)
    except (SafetensorError, OSError) as cause:
        raise CheckpointError(f"{WEIGHTS} of {folder.name} cannot be read ({cause}).") from cause
    for name, values in weights.items():
        if not np.isfinite(values).all():
            raise CheckpointError(
                f"The tensor {name} of {folder.name} holds values that are not finite; "
                "the training diverged or the file is damaged."
            )
    return weights


def load_encodings(folder: Path, config: CheckpointConfig) -> Encodings:
    """Read and check encodings.npz.

    Raises:
        CheckpointError: naming the array that is missing, of the wrong shape or not finite.
    """
    required = {"mean", "index"} | ({"log_var"} if config.kind != "ae" else set())
    if config.data.classes:
        required.add("labels")
    arrays = load_arrays(folder / ENCODINGS, required=required, max_bytes=LARGEST_ENCODINGS)
    mean = arrays["mean"]
    if mean.ndim != 2 or mean.shape[1] != config.network.latent_dim or not len(mean):
        raise CheckpointError(
            f"The codes in {ENCODINGS} of {folder.name} have the shape {mean.shape}; "
            f"they need (N, {config.network.latent_dim})."
        )
    for name, shape in (
        ("log_var", mean.shape),
        ("labels", mean.shape[:1]),
        ("index", mean.shape[:1]),
    ):
        if name in arrays and arrays[name].shape != shape:
            raise CheckpointError(
                f"{name} in {ENCODINGS} of {folder.name} has the shape {arrays[name].shape}; "
                f"it needs {shape}."
            )
    for name in ("mean", "log_var"):
        if name in arrays and not (
            np.issubdtype(arrays[name].dtype, np.floating) and np.isfinite(arrays[name]).all()
        ):
            raise CheckpointError(
                f"{name} in {ENCODINGS} of {folder.name} holds values that are no finite numbers."
            )
    for name in ("labels", "index"):
        if name in arrays and not np.issubdtype(arrays[name].dtype, np.integer):
            raise CheckpointError(f"{name} in {ENCODINGS} of {folder.name} are no whole numbers.")
    if "labels" in arrays:
        low, high = arrays["labels"].min(), arrays["labels"].max()
        if low < 0 or high >= len(config.data.classes):
            raise CheckpointError(
                f"The labels in {ENCODINGS} of {folder.name} run from {low} to {high}; "
                f"there are {len(config.data.classes)} classes."
            )
    if arrays["index"].min() < 0 or arrays["index"].max() > LARGEST_INDEX:
        raise CheckpointError(
            f"{ENCODINGS} of {folder.name} holds an index outside 0 to {LARGEST_INDEX:,}."
        )
    return Encodings(
        mean=mean.astype(np.float32),
        log_var=arrays["log_var"].astype(np.float32) if "log_var" in arrays else None,
        labels=arrays["labels"].astype(np.int64) if "labels" in arrays else None,
        index=arrays["index"].astype(np.int64),
    )


def load_axis_names(folder: Path, latent_dim: int) -> dict[int, str]:
    """Read the names that users gave to latent axes.

    Returns:
        Names by axis, from 0; {} where there are none.

    Raises:
        CheckpointError: if axes.json is there, but cannot be read or is none of this format.
    """
    path = folder / AXES
    if not os.path.lexists(path):
        return {}
    try:
        return _read_axis_names(path, latent_dim)
    except CheckpointError as error:
        raise CheckpointError(
            f"The axis names of {folder.name} are not shown, {AXES} is damaged: "
            f"{str(error).removesuffix('.')}. Restore the file and reload the page, or name the "
            f"axes again: the damaged file then stays beside it as {_damaged_name(folder).name}."
        ) from error


def _read_axis_names(path: Path, latent_dim: int) -> dict[int, str]:
    try:
        text = read_regular(path, LARGEST_JSON + 1)
    except OSError as cause:
        raise CheckpointError(f"it cannot be read ({cause.strerror or cause})") from cause
    if len(text) > LARGEST_JSON:
        raise CheckpointError(f"it takes over {LARGEST_JSON:,} bytes and is none of ours")
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError) as cause:
        raise CheckpointError(f"it is no JSON ({cause})") from cause
    if not isinstance(plain, dict) or plain.keys() != {"format", "names"}:
        raise CheckpointError("it must hold an object of format and names")
    if plain["format"] != FORMAT:
        raise CheckpointError(
            f"it has format {plain['format']!r:.80}; this version reads format {FORMAT}"
        )
    return check_axis_names(plain["names"], latent_dim)


def _damaged_name(folder: Path) -> Path:
    """The first free name for an axes.json that cannot be read."""
    number = 1
    while os.path.lexists(folder / f"{DAMAGED_AXES}{number}"):
        number += 1
    return folder / f"{DAMAGED_AXES}{number}"


def _keep_damaged_axis_names(folder: Path, latent_dim: int) -> None:
    """Move an axes.json that cannot be read aside: somebody may still mend it."""
    try:
        load_axis_names(folder, latent_dim)
    except CheckpointError:
        try:
            (folder / AXES).rename(_damaged_name(folder))
        except OSError as cause:
            raise CheckpointError(
                f"The damaged {AXES} of {folder.name} cannot be moved aside "
                f"({cause.strerror or cause}), so no names are stored: make the folder writable."
            ) from cause


def check_axis_names(plain: object, latent_dim: int) -> dict[int, str]:
    """Hold names of axes, as JSON gives them, against what is allowed.

    Args:
        plain: an object of names by axis, whose keys are digits, from "0".
        latent_dim: D.

    Returns:
        Names by axis, in the axes' order, without those that are empty.

    Raises:
        CheckpointError: with what is wrong and what is allowed.
    """
    if not isinstance(plain, dict):
        raise CheckpointError(f"The axes' names are {plain!r:.80}; they must be an object.")
    names: dict[int, str] = {}
    for key, name in plain.items():
        if key not in {str(axis) for axis in range(latent_dim)}:
            raise CheckpointError(
                f"There is no latent axis {key!r:.80} to be named; there are 0 to {latent_dim - 1}."
            )
        if not isinstance(name, str):
            raise CheckpointError(f"The name of axis {key} is {name!r:.80}; it must be a text.")
        name = name.strip()
        # Neither line ends nor halves of a character, which no page can show.
        odd = any(unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") for sign in name)
        if odd or len(name) > LONGEST_AXIS_NAME:
            raise CheckpointError(
                f"The name of axis {key} is {name!r:.80}; it may have at most {LONGEST_AXIS_NAME} "
                "characters, none of them a control character."
            )
        if name:
            names[int(key)] = name
    return dict(sorted(names.items()))


def save_axis_names(folder: Path, names: Mapping[int, str], latent_dim: int) -> dict[int, str]:
    """Keep names of latent axes beside the checkpoint; they replace those that are there.

    A file that cannot be read is not overwritten: it stays as axes.json.damaged-1, -2 and so on.

    Args:
        folder: the checkpoint.
        names: by axis, from 0; an empty one removes.
        latent_dim: D.

    Returns:
        What is now stored.

    Raises:
        CheckpointError: a name that is not allowed, or a folder that cannot be written.
    """
    checked = check_axis_names({str(axis): name for axis, name in names.items()}, latent_dim)
    plain = {"format": FORMAT, "names": {str(axis): name for axis, name in checked.items()}}
    text = json.dumps(plain, indent=2, ensure_ascii=False) + "\n"
    _keep_damaged_axis_names(folder, latent_dim)
    write_file(folder / AXES, lambda file: file.write(text.encode()))
    return checked


def held_out_loss(config: CheckpointConfig) -> float | None:
    """The held-out negative ELBO of a VAE, the reconstruction NLL of an AE; nats per image.

    A VAE's is that of beta = 1, whatever it was trained with, so that models can be compared.
    """
    value = config.metrics.get("held_out_negative_elbo", config.metrics.get("held_out_loss"))
    return None if value is None else float(value)

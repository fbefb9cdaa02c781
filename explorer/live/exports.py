"""The encodings for other programs: a table, and TensorBoard's Embedding Projector."""

import csv
import io
import json
import math
import tempfile
import zipfile
from collections.abc import Iterator
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from explorer.images.sheet import tile
from explorer.live.model import OpenedModel
from explorer.live.sheets import pictures_of_rows
from explorer.storage import table_cell

LARGEST_SPRITE = 8192  # pixels a side: what graphics cards take as a texture
_ROWS = 2048  # written at once
_READ = 1 << 18  # bytes sent at once


def write_codes(model: OpenedModel) -> Iterator[bytes]:
    """A CSV table, piece by piece: index, label, z1 to zD; one row a held-out image."""
    header = ["index", "label", *(f"z{axis + 1}" for axis in range(model.latent_dim))]
    yield _as_csv([header])
    for rows in _pieces(len(model.encodings.mean)):
        columns = zip(
            model.encodings.index[rows].tolist(),
            _labels(model, rows),
            _shortest(model.encodings.mean[rows]),
            strict=True,
        )
        yield _as_csv([[index, label, *code] for index, label, code in columns])


def _as_csv(rows: list[list[object]] | list[list[str]]) -> bytes:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerows([table_cell(cell) for cell in row] for row in rows)
    return text.getvalue().encode()


def _pieces(count: int) -> Iterator[slice]:
    for start in range(0, count, _ROWS):
        yield slice(start, min(start + _ROWS, count))


def _labels(model: OpenedModel, rows: slice) -> list[str]:
    """Class names; "" where there is none."""
    labels, classes = model.encodings.labels, model.config.data.classes
    if labels is None:
        return [""] * len(model.encodings.mean[rows])
    return [classes[label] if classes else str(label) for label in labels[rows].tolist()]


def _shortest(codes: NDArray[np.float32]) -> list[list[str]]:
    """Each number in the fewest digits that give the same float32 again."""
    return [list(code) for code in codes.astype(np.str_).tolist()]


def projector_points(model: OpenedModel) -> tuple[int, int]:
    """How many encodings fit the projector's sprite, and how many of them stand in a row."""
    _, height, width = model.config.data.image_shape
    most_columns, most_rows = LARGEST_SPRITE // width, LARGEST_SPRITE // height
    count = min(len(model.encodings.mean), most_columns * most_rows)
    columns = min(most_columns, math.ceil(math.sqrt(count)))
    return count, max(columns, -(-count // most_rows))


def write_projector(model: OpenedModel) -> Iterator[bytes]:
    """A zip for TensorBoard's Embedding Projector, piece by piece.

    It is made whole, in a file without a name, before the first piece.
    """
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by whoever reads it to the end
    try:
        _fill_zip(model, file)
    except BaseException:
        file.close()
        raise
    return _read_pieces(file)


def _read_pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while piece := file.read(_READ):
            yield piece


def _fill_zip(model: OpenedModel, file: IO[bytes]) -> None:
    count, columns = projector_points(model)
    _, height, width = model.config.data.image_shape
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("tensors.tsv", "w") as tensors:
            for rows in _pieces(count):
                lines = ["\t".join(code) for code in _shortest(model.encodings.mean[rows])]
                tensors.write(("\n".join(lines) + "\n").encode())
        with archive.open("metadata.tsv", "w") as metadata:
            metadata.write(b"index\tlabel\n")
            for rows in _pieces(count):
                # No quoting is known to the projector: what would end a field or a line goes.
                names = [" ".join(label.split()) for label in _labels(model, rows)]
                indices = model.encodings.index[rows].tolist()
                lines = [f"{index}\t{name}" for index, name in zip(indices, names, strict=True)]
                metadata.write(("\n".join(lines) + "\n").encode())
        pictures, real = pictures_of_rows(model, np.arange(count))
        sheet = tile(pictures.transpose(0, 3, 1, 2), columns, gap=0, background=0)
        del pictures
        png = io.BytesIO()
        Image.fromarray(sheet).save(png, "PNG", compress_level=1)
        archive.writestr("sprite.png", png.getvalue(), zipfile.ZIP_STORED)
        config = {
            "embeddings": [
                {
                    "tensorName": model.folder.name,
                    "tensorShape": [count, model.latent_dim],
                    "tensorPath": "tensors.tsv",
                    "metadataPath": "metadata.tsv",
                    "sprite": {"imagePath": "sprite.png", "singleImageDim": [width, height]},
                }
            ]
        }
        archive.writestr("projector_config.json", json.dumps(config, indent=2) + "\n")
        archive.writestr("projector_config.pbtxt", _as_pbtxt(model.folder.name, width, height))
        archive.writestr("README.txt", _explain(model, count, real))


def _as_pbtxt(name: str, width: int, height: int) -> str:
    """The same settings for TensorBoard itself, which reads no JSON in its log directory."""
    return (
        "embeddings {\n"
        f"  tensor_name: {json.dumps(name)}\n"
        '  tensor_path: "tensors.tsv"\n'
        '  metadata_path: "metadata.tsv"\n'
        "  sprite {\n"
        '    image_path: "sprite.png"\n'
        f"    single_image_dim: {width}\n"
        f"    single_image_dim: {height}\n"
        "  }\n"
        "}\n"
    )


def _explain(model: OpenedModel, count: int, real: bool) -> str:
    total = len(model.encodings.mean)
    lines = [
        f"The codes of {count:,} held-out images of {model.folder.name}, for TensorBoard's "
        "Embedding Projector.",
        "",
        "In TensorBoard: unpack into a log directory and start tensorboard --logdir on it.",
        "At https://projector.tensorflow.org: Load, tensors.tsv first, then metadata.tsv.",
        "",
        f"sprite.png holds {'the images themselves' if real else 'reconstructions'}, in row order.",
    ]
    if count < total:
        lines.append(
            f"Of {total:,} codes these are the first {count:,}: more pictures do not fit a sprite "
            f"of {LARGEST_SPRITE} pixels a side."
        )
    return "\n".join(lines) + "\n"

"""What every layer of tests starts from: a small real set of images and a real checkpoint."""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from explorer.images.dataset import ImageSet
from explorer.latent.projection import fit_projection
from explorer.models.checkpoint import REPORT
from explorer.models.config import NetworkConfig
from explorer.regularity.measuring import ENCODING_FAMILIES, measure_all
from explorer.regularity.report import save_report
from explorer.regularity.subject import EncodedImages
from explorer.training.config import TrainConfig
from explorer.training.evaluation import encode_held_out
from explorer.training.loop import Trainer
from explorer.training.run import best_codec, save_run


def make_images(count: int = 80, shape: tuple[int, int, int] = (1, 10, 12)) -> ImageSet:
    """Bright bars on dark: class 0 stands, class 1 lies."""
    generator = np.random.default_rng(7)
    images = generator.integers(0, 30, (count, *shape), dtype=np.uint8)
    labels = np.arange(count) % 2
    for row, label in enumerate(labels):
        place = int(generator.integers(1, min(shape[1:]) - 2))
        if label:
            images[row, :, place : place + 2, :] = 230
        else:
            images[row, :, :, place : place + 2] = 230
    order = np.arange(count)
    return ImageSet(
        name="bars",
        images=images,
        labels=labels.astype(np.int64),
        classes=("standing", "lying"),
        train_index=order[: count - 24],
        held_out_index=order[count - 24 :],
        credit="",
        licence="",
    )


@pytest.fixture(scope="session")
def bars() -> ImageSet:
    return make_images()


def train_checkpoint(
    folder: Path, images: ImageSet, kind: str, latent_dim: int = 2, epochs: int = 2
) -> Path:
    """Train for a few epochs and save; D = 2 needs no UMAP."""
    config = TrainConfig(
        data=images.name,
        kind=kind,
        name=folder.name,
        network=NetworkConfig(latent_dim=latent_dim, hidden_dims=(16,)),
        epochs=epochs,
        batch_size=16,
    )
    trainer = Trainer(config, images)
    list(trainer.epochs())
    encodings, reconstructions = encode_held_out(best_codec(trainer), config.network, images)
    encoded = EncodedImages.from_evaluation(encodings, reconstructions, images)
    report = measure_all(encoded, families=ENCODING_FAMILIES)
    save_run(
        folder,
        trainer,
        encodings,
        fit_projection(encodings.mean),
        command="python train_vae.py",
        more={REPORT: lambda path: save_report(path, report)},
    )
    return folder


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory, bars: ImageSet) -> Path:
    """A folder with a pair, `bars-vae` and `bars-ae`; not to be written to."""
    parent = tmp_path_factory.mktemp("checkpoints")
    for kind in ("vae", "ae"):
        train_checkpoint(parent / f"bars-{kind}", bars, kind)
    return parent


@pytest.fixture
def make_pipe() -> Callable[[Path], Path]:
    """Put a named pipe in the place of a file.

    A writer waits at its other end, so that code that opens it without a look reads nothing and
    goes on instead of hanging the tests.
    """

    def write(path: Path) -> None:
        # Whoever is tested may have moved the pipe away before this thread begins.
        with suppress(FileNotFoundError):
            os.close(os.open(path, os.O_WRONLY))

    def make(path: Path) -> Path:
        path.unlink(missing_ok=True)
        os.mkfifo(path)
        threading.Thread(target=write, args=(path,), daemon=True).start()
        return path

    return make

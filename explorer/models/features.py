"""A feature space for images: the last hidden layer of a small classifier of the same data set.

Without classes to train by, the same network with random weights gives the features.
"""

import math
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from torch import Tensor, nn

from explorer.errors import CheckpointError, DataError
from explorer.images.dataset import ImageSet
from explorer.storage import cache_folder, open_regular, write_file

FORMAT = 1  # to be raised when the same images would give another classifier
WIDTH = 128  # features of an image
CHUNK = 1000  # images a pass
BATCH, LEARNING_RATE = 128, 1e-3
MOST_TRAINED = 60_000  # images; more take minutes and teach little that features need
# Few images are passed over often enough that the weights settle.
FEWEST_EPOCHS, MOST_EPOCHS, FEWEST_STEPS = 3, 60, 600
RANDOM_NOTE = (
    "features of a small convolutional network with random weights, as there are no classes to "
    "train one by"
)
_CHANNELS = (32, 64)
_SMALLEST_MAP = 7  # pixels a side at which the convolutions stop halving
_MOST_BYTES = 1 << 26
_FINGERPRINT = re.compile(r"blake2b:([0-9a-f]{32})")

Progress = Callable[[str, float | None], None]
"""Told what is being done and the share that is done; may raise to stop it."""

_training = threading.Lock()


class FeatureNet(nn.Module):
    """Two or more convolutions, a hidden layer whose values are the features, and the classes.

    Args:
        image_shape: (C, H, W).
        classes: how many.
    """

    def __init__(self, image_shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        before, height, width = image_shape
        layers: list[nn.Module] = []
        for stage, stride in enumerate(_strides(height, width)):
            after = _CHANNELS[min(stage, len(_CHANNELS) - 1)]
            layers += [nn.Conv2d(before, after, 3, stride=stride, padding=1), nn.ReLU()]
            height, width = -(-height // stride), -(-width // stride)
            before = after
        hidden = nn.Linear(before * height * width, WIDTH)
        self.body = nn.Sequential(*layers, nn.Flatten(), hidden, nn.ReLU())
        self.head = nn.Linear(WIDTH, classes)

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1] -> the classes' logits (N, classes)."""
        logits: Tensor = self.head(self.body(images))
        return logits


def _strides(height: int, width: int) -> list[int]:
    """One stride a convolution: halving down to 4 to 7 pixels, and at least two of them."""
    halvings = max(1, math.ceil(math.log2(min(height, width) / _SMALLEST_MAP)))
    return [1] * (2 - halvings) + [2] * halvings


class FeatureExtractor:
    """Features and classes of images, arrays in and arrays out.

    Args:
        net: the network; it is put into evaluation mode.
        image_shape: (C, H, W).
        accuracy: share of held-out images whose class it names; None of random weights.

    Attributes:
        accuracy: as given.
        note: which features these are instead, where there is no classifier; else "".
    """

    def __init__(
        self, net: FeatureNet, image_shape: tuple[int, int, int], accuracy: float | None
    ) -> None:
        self._net = net.eval()
        self._shape = image_shape
        self.accuracy = accuracy
        self.note = "" if accuracy is not None else RANDOM_NOTE

    @torch.inference_mode()
    def features(self, images: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """The last hidden layer of each image, (N, C, H, W) in [0, 1] -> (N, 128)."""
        found = [self._net.body(chunk) for chunk in self._chunks(images)]
        return torch.cat(found).numpy() if found else np.empty((0, WIDTH), np.float32)

    @torch.inference_mode()
    def classify(self, images: NDArray[np.floating[Any]]) -> NDArray[np.int64] | None:
        """The class of each image, (N, C, H, W) in [0, 1] -> (N,); None of random weights."""
        if self.accuracy is None:
            return None
        found = [self._net(chunk).argmax(dim=1) for chunk in self._chunks(images)]
        return torch.cat(found).numpy() if found else np.empty(0, np.int64)

    def _chunks(self, images: NDArray[np.floating[Any]]) -> Iterator[Tensor]:
        if images.ndim != 4 or images.shape[1:] != self._shape:
            raise DataError(
                f"Images of the shape {images.shape[1:]} do not fit a feature space of "
                f"{self._shape} images."
            )
        for start in range(0, len(images), CHUNK):
            yield torch.from_numpy(np.ascontiguousarray(images[start : start + CHUNK], np.float32))


def load_extractor(
    images: ImageSet,
    *,
    seed: int = 0,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> FeatureExtractor:
    """The feature space of a data set: kept from an earlier time, or trained now.

    Args:
        images: with two or more classes a classifier is trained on their training images; without,
            the weights are random, which tells pictures apart better than a network trained on
            photographs (Naeem et al. 2020, section 4, arXiv:2002.09797).
        seed: of the weights and the order of training.
        cache: folder of the classifiers; None takes `classifier_folder()`. One that cannot be
            written to only costs the time of training again.
        progress: told how far the training is.
    """
    shape, classes = images.image_shape, len(images.classes)
    if images.labels is None or len(np.unique(images.labels[images.train_index])) < 2:
        return FeatureExtractor(_random_net(shape, 2, seed), shape, None)
    folder = classifier_folder() if cache is None else cache
    known = _FINGERPRINT.fullmatch(images.fingerprint)
    path = folder / f"{known[1]}.safetensors" if known and not seed else None
    # Whoever waits finds what the other trained.
    with _training:
        if path is not None and (kept := _load(path, shape, classes)) is not None:
            return kept
        net = train_classifier(images, seed=seed, progress=progress)
        accuracy = _accuracy(net, images)
        if path is not None:
            with suppress(CheckpointError, OSError):
                folder.mkdir(parents=True, exist_ok=True)
                _save(path, net, accuracy)
    return FeatureExtractor(net, shape, accuracy)


def classifier_folder() -> Path:
    """Where classifiers are kept: in EXPLORER_CACHE, else in the user's cache."""
    return cache_folder() / "classifiers"


def train_classifier(
    images: ImageSet, *, seed: int = 0, progress: Progress | None = None
) -> FeatureNet:
    """A classifier of the training images: Adam on the cross entropy, its rate falling to 0.

    Args:
        images: with labels.
        seed: of the weights, the images (beyond 60,000) and their order.
        progress: told how far it is.
    """
    assert images.labels is not None
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(images.train_index), generator=generator)[:MOST_TRAINED]
    index = images.train_index[np.sort(order.numpy())]
    net = _random_net(images.image_shape, len(images.classes), seed).train()
    steps_an_epoch = math.ceil(len(index) / BATCH)
    epochs = min(max(FEWEST_EPOCHS, math.ceil(FEWEST_STEPS / steps_an_epoch)), MOST_EPOCHS)
    steps = epochs * steps_an_epoch
    optimizer = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE)
    falling = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0 - step / steps)
    done = 0
    for _ in range(epochs):
        shuffled = index[torch.randperm(len(index), generator=generator).numpy()]
        for start in range(0, len(index), BATCH):
            rows = shuffled[start : start + BATCH]
            logits = net(torch.from_numpy(images.floats(rows)))
            loss = nn.functional.cross_entropy(logits, torch.from_numpy(images.labels[rows]))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            falling.step()
            done += 1
            if progress is not None:
                progress("training the feature classifier", done / steps)
    return net.eval()


def _random_net(shape: tuple[int, int, int], classes: int, seed: int) -> FeatureNet:
    """A network with He's weights (arXiv:1502.01852), which keep the features' size."""
    net = FeatureNet(shape, classes)
    generator = torch.Generator().manual_seed(seed)
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return net


@torch.inference_mode()
def _accuracy(net: FeatureNet, images: ImageSet) -> float:
    assert images.labels is not None
    index, right = images.held_out_index, 0
    for start in range(0, len(index), CHUNK):
        rows = index[start : start + CHUNK]
        named = net(torch.from_numpy(images.floats(rows))).argmax(dim=1).numpy()
        right += int((named == images.labels[rows]).sum())
    return right / len(index)


def _save(path: Path, net: FeatureNet, accuracy: float) -> None:
    arrays = {name: values.numpy() for name, values in net.state_dict().items()}
    content = save(arrays, metadata={"format": str(FORMAT), "accuracy": repr(accuracy)})
    write_file(path, lambda file: file.write(content))


def _load(path: Path, shape: tuple[int, int, int], classes: int) -> FeatureExtractor | None:
    """The classifier of a file; None if it is missing, damaged, foreign or of another format."""
    net = FeatureNet(shape, classes)
    expected = {name: tuple(values.shape) for name, values in net.state_dict().items()}
    try:
        with open_regular(path) as raw:
            if os.fstat(raw.fileno()).st_size > _MOST_BYTES:
                return None
        with safe_open(path, framework="numpy") as file:
            about = file.metadata() or {}
            found = {
                name: (file.get_slice(name).get_dtype(), tuple(file.get_slice(name).get_shape()))
                for name in file.keys()  # noqa: SIM118 -- no mapping
            }
            if about.get("format") != str(FORMAT):
                return None
            if found != {name: ("F32", sizes) for name, sizes in expected.items()}:
                return None
            weights = {name: file.get_tensor(name) for name in expected}
        accuracy = float(about["accuracy"])
    except (OSError, SafetensorError, KeyError, ValueError):
        return None
    if not 0.0 <= accuracy <= 1.0 or not all(np.isfinite(one).all() for one in weights.values()):
        return None
    net.load_state_dict({name: torch.from_numpy(one) for name, one in weights.items()})
    return FeatureExtractor(net, shape, accuracy)

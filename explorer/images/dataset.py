"""A set of images in memory, with a split that never changes."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from explorer.errors import DataError

MIN_SIDE = 8
MAX_SIDE = 128
MIN_IMAGES = 20
MAX_BYTES = 4 * 2**30

# Any number does; another one would move images of existing checkpoints across the split.
_SPLIT_SEED = 20131220


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images, their labels and a fixed split.

    Attributes:
        name: the spec that loads the set again: the name of a named set, else a resolved path.
        images: (N, C, H, W) uint8, C 1 or 3.
        labels: (N,) indices into `classes`, or None.
        classes: one name a class; () when unlabelled.
        train_index, held_out_index: rows of `images`; together every row once.
        credit, licence: of a named set; "" for the user's own images.
    """

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64] | None
    classes: tuple[str, ...]
    train_index: NDArray[np.int64]
    held_out_index: NDArray[np.int64]
    credit: str
    licence: str

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.shape[1] not in (1, 3):
            raise ValueError(f"images must be (N, 1 or 3, H, W), got {self.images.shape}")
        if self.images.dtype != np.uint8:
            raise ValueError(f"images must be uint8, got {self.images.dtype}")
        if self.labels is not None and self.labels.shape != self.images.shape[:1]:
            raise ValueError(f"{self.labels.shape} labels for {len(self.images)} images")

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        _, channels, height, width = self.images.shape
        return channels, height, width

    @cached_property
    def fingerprint(self) -> str:
        """Hash of shape, pixels and labels, e.g. "blake2b:9f2c..."; the split has no part in it."""
        digest = hashlib.blake2b(digest_size=16)
        labelled = "unlabelled" if self.labels is None else "labelled"
        digest.update(f"{self.images.shape} {labelled}\n".encode())
        digest.update(np.ascontiguousarray(self.images).data)
        if self.labels is not None:
            # Little-endian, so that every machine gives the same hash.
            digest.update(np.ascontiguousarray(self.labels, dtype="<i8").data)
        return f"blake2b:{digest.hexdigest()}"

    @cached_property
    def background(self) -> float:
        """Mean of the border pixels over the training images, in [0, 1].

        Near 0 the set is light on dark (MNIST), near 1 dark on light.
        """
        rows = self.images[self.train_index]
        sides = (rows[:, :, 0], rows[:, :, -1], rows[:, :, 1:-1, 0], rows[:, :, 1:-1, -1])
        total = sum(int(side.sum(dtype=np.int64)) for side in sides)
        return total / (255 * sum(side.size for side in sides))

    def floats(self, index: NDArray[np.int64] | slice) -> NDArray[np.float32]:
        """The images at `index` as (n, C, H, W) float32 in [0, 1]."""
        floats: NDArray[np.float32] = np.divide(
            self.images[index], np.float32(255), dtype=np.float32
        )
        return floats


def split_images(count: int, held_out_share: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A split that depends on the number of images alone.

    Returns:
        training and held-out rows, both ascending, at least one each.
    """
    held_out = min(max(1, round(count * held_out_share)), count - 1)
    order = np.random.default_rng(_SPLIT_SEED).permutation(count).astype(np.int64)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def check_sides(height: int, width: int, where: str, next_step: str) -> None:
    """Raise DataError unless both sides are ones that the networks take."""
    if not (MIN_SIDE <= height <= MAX_SIDE and MIN_SIDE <= width <= MAX_SIDE):
        raise DataError(
            f"{where} is {height} x {width} pixels (height x width), but each side must be from "
            f"{MIN_SIDE} to {MAX_SIDE}: {next_step}."
        )


def check_count(count: int, where: str) -> None:
    """Raise DataError when there are too few images to split and to learn from."""
    if count < MIN_IMAGES:
        raise DataError(
            f"{where} holds {count} image{'' if count == 1 else 's'}, but at least {MIN_IMAGES} "
            "are needed to train and to hold some out: add more."
        )


def check_bytes(count: int, height: int, width: int, channels: int, where: str) -> None:
    """Raise DataError when the pixels would not fit the memory that is allowed."""
    size = count * height * width * channels
    if size > MAX_BYTES:
        raise DataError(
            f"{where}: {count} images of {height} x {width} x {channels} take "
            f"{size / 2**30:.1f} GiB, the limit is {MAX_BYTES // 2**30} GiB: use fewer or smaller "
            "images."
        )

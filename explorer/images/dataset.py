"""A set of images, in memory or mapped from a file, with a split that never changes."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from explorer.errors import DataError

MIN_SIDE = 8
MAX_SIDE = 128
MIN_IMAGES = 20
MAX_BYTES = 4 * 2**30

# What is read of a mapped array at once: enough for speed, and too little to matter in memory.
_CHUNK_BYTES = 2**24

# Any number does; another one would move images of existing checkpoints across the split.
_SPLIT_SEED = 20131220


@dataclass(frozen=True, eq=False)
class Factor:
    """What is known of one cause of the images, e.g. a shape's rotation.

    Attributes:
        name: in words.
        values: (N,) float32; of a discrete factor, indices into `choices`.
        choices: one name a value of a discrete factor; () when it is continuous.
    """

    name: str
    values: NDArray[np.float32]
    choices: tuple[str, ...] = ()

    @property
    def discrete(self) -> bool:
        """Whether the values are choices, which have no order, rather than amounts."""
        return bool(self.choices)


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images, their labels and a fixed split.

    Attributes:
        name: the spec that loads the set again: the name of a named set, else a resolved path.
        images: (N, C, H, W) uint8, C 1 or 3; may be a memory map of more than the memory, so not
            to be copied as a whole.
        labels: (N,) indices into `classes`, or None.
        classes: one name a class; () when unlabelled.
        train_index, held_out_index: rows of `images`; together with `test_index` every row once.
        credit, licence: of a named set; "" for the user's own images.
        factors: what the images were made from, where it is known; () elsewhere.
        test_index: rows that nothing but a final evaluation may see; empty in most sets.
        notes: sentences about how the set was read: what was passed over or left out.
    """

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64] | None
    classes: tuple[str, ...]
    train_index: NDArray[np.int64]
    held_out_index: NDArray[np.int64]
    credit: str
    licence: str
    factors: tuple[Factor, ...] = ()
    test_index: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.shape[1] not in (1, 3):
            raise ValueError(f"images must be (N, 1 or 3, H, W), got {self.images.shape}")
        if self.images.dtype != np.uint8:
            raise ValueError(f"images must be uint8, got {self.images.dtype}")
        if self.labels is not None and self.labels.shape != self.images.shape[:1]:
            raise ValueError(f"{self.labels.shape} labels for {len(self.images)} images")
        for factor in self.factors:
            if factor.values.shape != self.images.shape[:1]:
                raise ValueError(
                    f"{factor.values.shape} values of {factor.name} for {len(self.images)} images"
                )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        _, channels, height, width = self.images.shape
        return channels, height, width

    @cached_property
    def fingerprint(self) -> str:
        """Hash of shape, pixels and labels, e.g. "blake2b:9f2c..."; the split has no part in it."""
        hashing = FingerprintHash(self.images.shape, labelled=self.labels is not None)
        for rows in _chunks(self.images):
            hashing.add(self.images[rows])
        return hashing.finish(self.labels)

    def trust_fingerprint(self, known: str) -> None:
        """Spare the hashing to whoever stored the fingerprint with the very same pixels."""
        # Where cached_property keeps it; `dataclasses.replace` does not carry it to other pixels.
        self.__dict__["fingerprint"] = known

    @cached_property
    def background(self) -> float:
        """Mean of the border pixels over the training images, in [0, 1].

        Near 0 the set is light on dark (MNIST), near 1 dark on light.
        """
        total = size = 0
        for chunk in _chunks(self.images, len(self.train_index)):
            rows = self.images[self.train_index[chunk]]
            for side in (rows[:, :, 0], rows[:, :, -1], rows[:, :, 1:-1, 0], rows[:, :, 1:-1, -1]):
                total += int(side.sum(dtype=np.int64))
                size += side.size
        return total / (255 * size)

    def floats(self, index: NDArray[np.int64] | slice) -> NDArray[np.float32]:
        """The images at `index` as (n, C, H, W) float32 in [0, 1]."""
        floats: NDArray[np.float32] = np.divide(
            self.images[index], np.float32(255), dtype=np.float32
        )
        return floats


class FingerprintHash:
    """Hashes images as they pass, so that none need to be kept.

    Args:
        shape: (N, C, H, W) of all of them.
        labelled: whether `finish` will be given labels.
    """

    def __init__(self, shape: tuple[int, ...], *, labelled: bool) -> None:
        self._digest = hashlib.blake2b(digest_size=16)
        self._digest.update(f"{shape} {'labelled' if labelled else 'unlabelled'}\n".encode())

    def add(self, pixels: NDArray[np.uint8]) -> None:
        """The next images, or the next part of one."""
        self._digest.update(np.ascontiguousarray(pixels).data)

    def finish(self, labels: NDArray[np.int64] | None) -> str:
        """The fingerprint, once every image was added."""
        if labels is not None:
            # Little-endian, so that every machine gives the same hash.
            self._digest.update(np.ascontiguousarray(labels, dtype="<i8").data)
        return f"blake2b:{self._digest.hexdigest()}"


def _chunks(images: NDArray[np.uint8], count: int | None = None) -> Iterator[slice]:
    """Slices over `count` rows (all of them) that hold a bounded number of bytes each."""
    step = max(1, _CHUNK_BYTES // max(1, images[:1].nbytes))
    for start in range(0, len(images) if count is None else count, step):
        yield slice(start, start + step)


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


def check_bytes(
    count: int, height: int, width: int, channels: int, where: str, no_disk: str = ""
) -> None:
    """Raise DataError when the pixels would not fit the memory that is allowed.

    Args:
        count: images.
        height: pixels.
        width: pixels.
        channels: 1 or 3.
        where: whose images, the beginning of the sentence.
        no_disk: why they cannot be kept in a file instead, where they otherwise could.
    """
    size = count * height * width * channels
    if size > MAX_BYTES:
        limit = f"{MAX_BYTES / 2**30:.3g} GiB"
        if no_disk:
            limit += f" in memory, and {no_disk}"
            remedy = "make room, set EXPLORER_DATA to a folder on another disk, or use fewer"
        else:
            remedy = "use fewer"
        raise DataError(
            f"{where}: {count} images of {height} x {width} x {channels} take "
            f"{size / 2**30:.1f} GiB, the limit is {limit}: {remedy} or smaller images."
        )

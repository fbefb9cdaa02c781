"""What is measured: encoded held-out images, and a checkpoint that can decode."""

import hashlib
import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from explorer.errors import DataError, LatentError
from explorer.images.dataset import Factor, ImageSet
from explorer.latent.axes import sample_aggregate_posterior
from explorer.latent.codes import checked_codes
from explorer.models.checkpoint import load_encodings
from explorer.models.config import CheckpointConfig
from explorer.models.pictures import explain_missing, images_at_hand
from explorer.regularity.definitions import AS_BUILT, MIXTURE, SCALE_FAIR
from explorer.regularity.mixture import Mixture, fit_mixture
from explorer.regularity.prior import fit_noise

if TYPE_CHECKING:
    from explorer.models.checkpoint import Encodings
    from explorer.models.codec import Codec
    from explorer.training.evaluation import Reconstructions

# More images narrow the intervals by little, and the neighbours' time grows with their square.
MOST_IMAGES = 10_000
# Below it a 95th percentile is beyond the largest value.
FEWEST_IMAGES = 20
CHUNK = 500  # images in memory at once, of 128 x 128 x 3 float32 some 100 MB
Where = slice | NDArray[np.int64]


class FeatureExtractor(Protocol):
    """What turns images into features in which their likeness is measured.

    Attributes:
        accuracy: held-out accuracy of the classifier; None where there is no classifier.
        note: which fallback this is; "" for a classifier's features.
    """

    accuracy: float | None
    note: str

    def features(self, images: NDArray[np.floating], /) -> NDArray[np.float32]:
        """Images (n, C, H, W) in [0, 1] to features (n, F)."""
        ...

    def classify(self, images: NDArray[np.floating], /) -> NDArray[np.int64] | None:
        """The class seen in each image, (n,); None where there is no classifier."""
        ...


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What is measured: held-out images as a model encodes and gives them back.

    Attributes:
        mean: posterior means, (N, D); an AE's codes.
        log_var: posterior log variances, (N, D), or None for an AE.
        labels: classes, (N,), or None where there are none.
        reconstruction_nll: -log p(x|z) at the posterior mean code, (N,), nats per image.
        reconstruction_mse: squared error of the decoder's mean image, averaged over pixels, (N,).
        null_nll: mean nats per image when every image is answered with the mean training image.
        null_mse: mean squared error per pixel of the same answer.
    """

    mean: NDArray[np.floating[Any]]
    log_var: NDArray[np.floating[Any]] | None
    labels: NDArray[np.integer[Any]] | None
    reconstruction_nll: NDArray[np.floating[Any]]
    reconstruction_mse: NDArray[np.floating[Any]]
    null_nll: float
    null_mse: float

    @classmethod
    def from_evaluation(
        cls, encodings: "Encodings", reconstructions: "Reconstructions"
    ) -> "HeldOut":
        """What an evaluation of the held-out split gave, side by side."""
        return cls(
            mean=encodings.mean,
            log_var=encodings.log_var,
            labels=encodings.labels,
            reconstruction_nll=reconstructions.nll,
            reconstruction_mse=reconstructions.mse,
            null_nll=reconstructions.null_nll,
            null_mse=reconstructions.null_mse,
        )

    def rows(self, kept: NDArray[np.integer[Any]]) -> "HeldOut":
        """The same of some images."""
        return replace(
            self,
            mean=self.mean[kept],
            log_var=None if self.log_var is None else self.log_var[kept],
            labels=None if self.labels is None else self.labels[kept],
            reconstruction_nll=self.reconstruction_nll[kept],
            reconstruction_mse=self.reconstruction_mse[kept],
        )


class EncodedImages:
    """Held-out images as a model encodes and gives them back, and what follows from these alone.

    Args:
        held_out: the images; more than 10,000 are sub-sampled.
        seed: of every draw, and of the sub-sample.
        note: what was left out of the held-out images; "" if nothing.
    """

    def __init__(self, held_out: HeldOut, *, seed: int = 0, note: str = "") -> None:
        self.seed = seed
        self.note = note
        self._held_out = held_out
        if len(held_out.mean) > MOST_IMAGES:
            places, sub_sampled = sub_sample(len(held_out.mean), MOST_IMAGES, seed)
            self._held_out = held_out.rows(places)
            self.note = " ".join(filter(None, [note, sub_sampled]))

    @classmethod
    def from_evaluation(
        cls,
        encodings: "Encodings",
        reconstructions: "Reconstructions",
        images: ImageSet,
        *,
        seed: int = 0,
    ) -> "EncodedImages":
        """What an evaluation of the held-out split gave, without copies of the same image."""
        held_out = HeldOut.from_evaluation(encodings, reconstructions)
        kept, note = without_copies(images, encodings.index)
        return cls(held_out.rows(kept), seed=seed, note=note)

    @property
    def held_out(self) -> HeldOut:
        """The images as the model encodes and gives them back."""
        return self._held_out

    @property
    def n(self) -> int:
        """How many images are measured with."""
        return len(self.held_out.mean)

    def pointer(self, row: int) -> dict[str, int | None]:
        """What leads to a measured image, as plain values for a report's examples.

        Args:
            row: its index among the measured images.
        """
        return {"row": row, "label": None if self.labels is None else int(self.labels[row])}

    @property
    def mean(self) -> NDArray[np.float32]:
        """Posterior means, (N, D); an AE's codes."""
        return self.held_out.mean.astype(np.float32, copy=False)

    @property
    def log_var(self) -> NDArray[np.float32] | None:
        """Posterior log variances, (N, D), or None for an AE."""
        found = self.held_out.log_var
        return None if found is None else found.astype(np.float32, copy=False)

    @cached_property
    def codes(self) -> NDArray[np.float64]:
        """One draw an image from its posterior, (N, D): a sample of the aggregate posterior."""
        drawn = sample_aggregate_posterior(self.mean, self.log_var, seed=self.seed)
        return drawn.astype(np.float64)

    @cached_property
    def labels(self) -> NDArray[np.int64] | None:
        """Classes, (N,), or None where there are none."""
        labels = self.held_out.labels
        return None if labels is None else labels.astype(np.int64)

    @cached_property
    def mixture(self) -> Mixture:
        """Ten Gaussians fitted to the codes."""
        return fit_mixture(self.codes, self.seed)

    def inputs(self) -> dict[str, str]:
        """What the figures rest on beside the seed, in words and hashes."""
        return {}


def sub_sample(n: int, most: int, seed: int) -> tuple[NDArray[np.int64], str]:
    """At most so many of n images, drawn at random and in order, and what is to be said of it."""
    if n <= most:
        return np.arange(n), ""
    places = np.sort(np.random.default_rng([seed, 0]).choice(n, most, replace=False))
    return places, f"{most:,} of the {n:,} held-out images, drawn at random."


def without_copies(
    images: ImageSet, rows: NDArray[np.integer[Any]]
) -> tuple[NDArray[np.int64], str]:
    """Where each held-out image stands first, and what is to be said of its copies.

    A copy is its original's nearest neighbour, so that with copies a set would look denser to
    itself than it is to anything else, and every prior sample would fall into a hole.

    Args:
        images: the set.
        rows: of the held-out images, (N,).

    Returns:
        Indices into `rows`, in order, and a sentence, "" where there are no copies.
    """
    seen: set[bytes] = set()
    kept = []
    for place, row in enumerate(rows):
        digest = hashlib.blake2b(images.images[row].tobytes(), digest_size=16).digest()
        if digest not in seen:
            seen.add(digest)
            kept.append(place)
    copies = len(rows) - len(kept)
    note = (
        f"{copies:,} of the {len(rows):,} held-out images "
        f"{'is a copy' if copies == 1 else 'are copies'} of another one; each image is measured "
        "once."
        if copies
        else ""
    )
    return np.array(kept, np.int64), note


class ModelUnderTest(EncodedImages):
    """A model and the held-out images that it is measured with.

    Nothing here holds all pictures at once: images, reconstructions and decodings come a chunk at
    a time, and what is kept of them are codes and features.

    Args:
        config: the checkpoint's.
        codec: the model.
        image_set: the images that it was made for.
        rows: those to measure with, (N,) rows of the set, which the model did not see.
        seed: of every draw.
        note: what was left out of the held-out images; "" if nothing.
        places: which of the checkpoint's encodings they are, (N,); None for all, in their order.
        extractor: the feature extractor; None loads or trains the data set's own when first used.
    """

    def __init__(
        self,
        config: CheckpointConfig,
        codec: "Codec",
        image_set: ImageSet,
        rows: NDArray[np.int64],
        *,
        seed: int = 0,
        note: str = "",
        places: NDArray[np.int64] | None = None,
        extractor: FeatureExtractor | None = None,
    ) -> None:
        self.config = config
        self.codec = codec
        self.image_set = image_set
        self.rows = rows
        self.seed = seed
        self.note = note
        self.places = np.arange(len(rows)) if places is None else places
        self._extractor = extractor

    @classmethod
    def from_folder(
        cls,
        folder: Path,
        *,
        images: ImageSet | None = None,
        seed: int = 0,
        most: int = MOST_IMAGES,
        extractor: FeatureExtractor | None = None,
    ) -> "ModelUnderTest":
        """A checkpoint on the images that it held out; more than `most` are sub-sampled.

        Args:
            folder: the checkpoint.
            images: its images; None takes those at hand, without a download.
            seed: of every draw, and of the sub-sample.
            most: images to measure with.
            extractor: as for the class.

        Raises:
            CheckpointError: the checkpoint cannot be used.
            DataError: its images are not at hand, or are no longer the same.
        """
        from explorer.models.codec import Codec, load_model

        config, model = load_model(folder)
        rows = load_encodings(folder, config).index
        found = images if images is not None else images_at_hand(config.data)
        if found is None or rows.max() >= len(found.images):
            raise DataError(explain_missing(config.data))
        kept, copies = without_copies(found, rows)
        chosen, sub_sampled = sub_sample(len(kept), most, seed)
        places = kept[chosen]
        note = " ".join(filter(None, [copies, sub_sampled]))
        return cls(
            config,
            Codec(model),
            found,
            rows[places],
            seed=seed,
            note=note,
            places=places,
            extractor=extractor,
        )

    @property
    def name(self) -> str:
        """The checkpoint's name."""
        return self.config.name

    @property
    def n(self) -> int:
        """How many images are measured with."""
        return len(self.rows)

    @property
    def latent_dim(self) -> int:
        """D."""
        return self.codec.latent_dim

    def pointer(self, row: int) -> dict[str, int | None]:
        """What leads to a measured image, as plain values for a report's examples.

        Args:
            row: its place among the measured images.

        Returns:
            Its row in the checkpoint's encodings, its index in the data set, and its class.
        """
        return {
            "row": int(self.places[row]),
            "index": int(self.rows[row]),
            "label": None if self.labels is None else int(self.labels[row]),
        }

    def rng(self, name: str) -> np.random.Generator:
        """A stream of draws of its own for each name."""
        return np.random.default_rng([self.seed, zlib.crc32(name.encode())])

    def chunks(self, n: int | None = None) -> Iterator[slice]:
        """Slices over n rows (all of them), few enough each for their pictures to fit in memory."""
        for start in range(0, self.n if n is None else n, CHUNK):
            yield slice(start, min(start + CHUNK, self.n if n is None else n))

    @property
    def held_out(self) -> HeldOut:
        """The images as the model encodes and gives them back.

        Raises:
            LatentError: codes that are not finite.
        """
        return self._evaluated

    @cached_property
    def _evaluated(self) -> HeldOut:
        """The images as the model encodes and gives them back.

        Raises:
            LatentError: codes that are not finite.
        """
        from explorer.training.evaluation import encode_held_out

        measured = replace(self.image_set, held_out_index=self.rows)
        encodings, reconstructions = encode_held_out(self.codec, self.config.network, measured)
        checked_codes(encodings.mean, name="posterior means")
        return HeldOut.from_evaluation(encodings, reconstructions)

    @cached_property
    def labels(self) -> NDArray[np.int64] | None:
        """Classes, (N,), or None where there are none."""
        return None if self.image_set.labels is None else self.image_set.labels[self.rows]

    @cached_property
    def factors(self) -> tuple[Factor, ...]:
        """What the images were made from, (N,) values each; () where it is not known."""
        return tuple(
            replace(factor, values=factor.values[self.rows]) for factor in self.image_set.factors
        )

    def images(self, where: Where) -> NDArray[np.float32]:
        """Images by their place among the measured ones, (n, C, H, W) in [0, 1]."""
        return self.image_set.floats(self.rows[where])

    def reconstructions(self, where: Where) -> NDArray[np.float32]:
        """What the posterior mean of each image decodes to, (n, C, H, W) in [0, 1]."""
        return self.codec.decode(self.mean[where])

    def decode(self, latents: NDArray[np.floating]) -> NDArray[np.float32]:
        """Codes (n, D) to mean images (n, C, H, W) in [0, 1]."""
        return self.codec.decode(latents)

    def encode(
        self, images: NDArray[np.floating]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Images (n, C, H, W) to posterior mean and log_var (n, D); None for an AE."""
        return self.codec.encode(images)

    @property
    def extractor(self) -> FeatureExtractor:
        """What turns images into features, and names their class where the set has classes."""
        return self.load_extractor()

    def load_extractor(
        self, progress: Callable[[str, float | None], None] | None = None
    ) -> FeatureExtractor:
        """The extractor; the data set's own is loaded or trained when it is first asked for.

        Args:
            progress: told how far its training is; may raise to stop it.
        """
        if self._extractor is None:
            from explorer.models.features import load_extractor

            self._extractor = load_extractor(self.image_set, progress=progress)
        return self._extractor

    def inputs(self) -> dict[str, str]:
        """What the figures rest on beside the seed, in words and hashes."""
        accuracy = self.extractor.accuracy
        features = (
            self.extractor.note
            if accuracy is None
            else f"a classifier of the same data, {100 * accuracy:.1f} % right on held-out images"
        )
        return {
            "model": self.config.name,
            "data": self.config.data.fingerprint,
            "features": features,
        }

    def features(self, images: NDArray[np.floating]) -> NDArray[np.float32]:
        """Images (n, C, H, W) to features (n, F)."""
        return self.extractor.features(images)

    def classify(self, images: NDArray[np.floating]) -> NDArray[np.int64] | None:
        """The class that the classifier sees in each image, (n,); None where there is none."""
        return self.extractor.classify(images)

    @cached_property
    def image_features(self) -> NDArray[np.float32]:
        """Features of the images, (N, F)."""
        return self._by_chunk(self.n, lambda chunk: self.features(self.images(chunk)))

    @cached_property
    def reconstruction_features(self) -> NDArray[np.float32]:
        """Features of the reconstructions, (N, F)."""
        return self._by_chunk(self.n, lambda chunk: self.features(self.reconstructions(chunk)))

    def features_of(self, latents: NDArray[np.floating]) -> NDArray[np.float32]:
        """Features of what codes decode to, (n, D) -> (n, F)."""
        return self._by_chunk(
            len(latents), lambda chunk: self.features(self.decode(latents[chunk]))
        )

    def classes_of(self, latents: NDArray[np.floating]) -> NDArray[np.int64] | None:
        """The class that the classifier sees in what codes decode to, (n, D) -> (n,), or None."""
        found = []
        for chunk in self.chunks(len(latents)):
            classes = self.classify(self.decode(latents[chunk]))
            if classes is None:
                return None
            found.append(classes)
        return np.concatenate(found)

    def draw(self, column: str, n: int, stream: str) -> NDArray[np.float64]:
        """Codes drawn from a prior, (n, D).

        The noise behind "as built" and "scale-fair" is the same, for every model of one D.

        Args:
            column: "as built" (N(0, I)), "scale-fair" (a Gaussian fitted to the codes) or
                "mixture" (ten Gaussians fitted to them).
            n: draws.
            stream: name of the stream of draws.

        Raises:
            LatentError: another column.
        """
        generator = self.rng(stream)
        if column == MIXTURE:
            return self.mixture.sample(n, generator)
        noise = generator.standard_normal((n, self.latent_dim))
        if column == AS_BUILT:
            return noise
        if column == SCALE_FAIR:
            return fit_noise(noise, self.codes)
        raise LatentError(
            f"There is no prior {column!r}: {AS_BUILT!r}, {SCALE_FAIR!r} and {MIXTURE!r} are known."
        )

    def _by_chunk(
        self, n: int, features: Callable[[slice], NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        return np.concatenate([features(chunk) for chunk in self.chunks(n)])


def checked_held_out(held_out: HeldOut) -> HeldOut:
    """What is to be measured, as it is.

    Raises:
        LatentError: arrays that disagree or are not finite, or too few images: at least 20, and
            at least two more than there are latent axes.
    """
    mean = checked_codes(held_out.mean, name="posterior means")
    n, dim = mean.shape
    needed = max(FEWEST_IMAGES, dim + 2)
    if n < needed:
        raise LatentError(
            f"There are {n} held-out images; measuring {dim} latent axes needs at least {needed}."
        )
    per_image: dict[str, NDArray[Any] | None] = {
        "log_var": held_out.log_var,
        "labels": held_out.labels,
        "reconstruction_nll": held_out.reconstruction_nll,
        "reconstruction_mse": held_out.reconstruction_mse,
    }
    for name, values in per_image.items():
        shape = (n, dim) if name == "log_var" else (n,)
        if values is not None and np.shape(values) != shape:
            raise LatentError(
                f"{name} has shape {np.shape(values)}; {n} images of {dim} latent axes need "
                f"{shape}."
            )
    labels = held_out.labels
    if labels is not None and labels.dtype.kind not in "iu":
        raise LatentError(f"The labels must be whole numbers; they are {labels.dtype}.")
    for name in ("reconstruction_nll", "reconstruction_mse"):
        checked_codes(getattr(held_out, name)[:, None], name=f"values of {name}")
    for name in ("null_nll", "null_mse"):
        if not math.isfinite(getattr(held_out, name)):
            raise LatentError(f"{name} is {getattr(held_out, name)}; it must be finite.")
    return held_out

"""A checkpoint with its held-out images: what every measure that needs pictures starts from."""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from explorer.errors import DataError, LatentError
from explorer.images.dataset import Factor, ImageSet
from explorer.latent.axes import sample_aggregate_posterior
from explorer.latent.codes import checked_codes
from explorer.models.checkpoint import load_encodings
from explorer.models.config import CheckpointConfig
from explorer.models.pictures import explain_missing, images_at_hand
from explorer.regularity.measure import AS_BUILT, MIXTURE, SCALE_FAIR
from explorer.regularity.mixture import Mixture, fit_mixture
from explorer.regularity.prior import fit_noise
from explorer.regularity.report import MOST_IMAGES, HeldOut

if TYPE_CHECKING:
    from explorer.models.codec import Codec

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


class ModelUnderTest:
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
        note = ""
        places = np.arange(len(rows))
        if len(rows) > most:
            note = f"{most:,} of the {len(rows):,} held-out images, drawn at random."
            stream = np.random.default_rng([seed, 0])
            places = np.sort(stream.choice(len(rows), most, replace=False))
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

    @cached_property
    def held_out(self) -> HeldOut:
        """The images as the model encodes and gives them back.

        Raises:
            LatentError: codes that are not finite.
        """
        from explorer.training.evaluation import encode_held_out

        measured = replace(self.image_set, held_out_index=self.rows)
        encodings, reconstructions = encode_held_out(self.codec, self.config.network, measured)
        checked_codes(encodings.mean, name="posterior means")
        return HeldOut.from_evaluation(encodings, reconstructions)

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

    @cached_property
    def mixture(self) -> Mixture:
        """Ten Gaussians fitted to the codes."""
        return fit_mixture(self.codes, self.seed)

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

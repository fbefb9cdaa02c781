"""What a trained model thinks of held-out images: the bound, its terms and the likelihood."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from explorer.errors import CheckpointError, ConfigError, DataNotAtHandError
from explorer.images.dataset import ImageSet
from explorer.images.registry import load_again
from explorer.models.autoencoder import Autoencoder
from explorer.models.codec import load_model
from explorer.models.config import CheckpointConfig, check_range
from explorer.models.objectives import draw
from explorer.storage import write_file
from explorer.training.config import TrainConfig
from explorer.training.corruption import draw_inputs

ROWS = 2000  # images decoded in one pass, draws counted
MOST_SAMPLES = 100_000


@dataclass(frozen=True)
class Figure:
    """A mean over images.

    Attributes:
        value: the mean.
        standard_error: its standard error over images; the draws' own error is not in it. None of
            a single image, which has none.
    """

    value: float
    standard_error: float | None

    @classmethod
    def over(cls, values: NDArray[np.floating]) -> "Figure":
        """The mean of (N,) values."""
        error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
        return cls(float(values.mean(dtype=np.float64)), error)


@dataclass(frozen=True, eq=False)
class Likelihood:
    """The bound and the likelihood of images, nats per image.

    Attributes:
        reconstruction_nll: -log p(x|z) at one posterior draw, (N,); an autoencoder's at its code.
        kl: to the prior, per axis, (N, D); zeros for an autoencoder.
        nll: the importance-weighted estimate of -log p(x) with `samples` draws, (N,), an upper
            bound in expectation; None for an autoencoder, which has no p(x).
        means: posterior means, (N, D).
        samples: K.
    """

    reconstruction_nll: NDArray[np.float32]
    kl: NDArray[np.float32]
    nll: NDArray[np.float32] | None
    means: NDArray[np.float32]
    samples: int

    @property
    def negative_elbo(self) -> NDArray[np.float32]:
        """reconstruction_nll + kl, (N,)."""
        total: NDArray[np.float32] = self.reconstruction_nll + self.kl.sum(axis=1)
        return total

    @property
    def active_units(self) -> int:
        """Axes whose posterior mean varies by more than 0.01 (Burda et al. 2016, section 5)."""
        return int((self.means.var(axis=0) > 0.01).sum())


@torch.inference_mode()
def measure_likelihood(
    model: Autoencoder,
    config: TrainConfig,
    images: ImageSet,
    index: NDArray[np.int64],
    *,
    samples: int = 200,
    seed: int = 0,
    progress: Callable[[int], None] = lambda _count: None,
) -> Likelihood:
    """Measure the bound of images and estimate their likelihood.

    Args:
        model: the trained model.
        config: what it was trained with: binary or corrupted input is drawn once, by the seed.
        images: the data set.
        index: the images in it to measure, (N,).
        samples: K, draws an image; the estimate grows tighter with it.
        seed: of all draws.
        progress: told after each piece how many images it held.

    Returns:
        The figures of each image.

    Raises:
        ConfigError: if K is out of bounds or there is no image.

    Source: Burda, Grosse & Salakhutdinov 2016, equation 8, arXiv:1509.00519.
    """
    check_range("samples", samples, 1, MOST_SAMPLES)
    if not len(index):
        raise ConfigError("There is no image to evaluate.")
    model.eval()
    device = next(model.parameters()).device
    variational = model.kind != "ae"
    width = model.network.latent_dim
    block = min(samples, ROWS)
    noise = torch.Generator().manual_seed(seed)
    drawn = torch.Generator().manual_seed(seed + 1)
    nlls, kls, bounds, means = [], [], [], []
    for start in range(0, len(index), max(1, ROWS // block)):
        rows = index[start : start + max(1, ROWS // block)]
        inputs, targets = (
            part.to(device)
            for part in draw_inputs(config, torch.from_numpy(images.floats(rows)), drawn)
        )
        weights = []
        for done in range(0, samples if variational else 1, block):
            count = min(block, samples - done) if variational else 1
            eps = torch.randn(count, len(rows), width, generator=noise).to(device)
            draws = draw(model, inputs, targets, eps)
            if not done:
                nlls.append(draws.reconstruction_nll[0])
                kls.append(draws.kl)
                means.append(draws.posterior.mean)
            if variational:
                weights.append(draws.log_weights().double())
        if variational:
            bound = torch.logsumexp(torch.cat(weights), 0) - np.log(samples)
            bounds.append(-bound)
        progress(len(rows))

    def joined(parts: list[torch.Tensor]) -> NDArray[np.float32]:
        array: NDArray[np.float32] = torch.cat(parts).float().cpu().numpy()
        return array

    return Likelihood(
        reconstruction_nll=joined(nlls),
        kl=joined(kls),
        nll=joined(bounds) if bounds else None,
        means=joined(means),
        samples=samples,
    )


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What `train_vae.py evaluate` found.

    Attributes:
        config: of the checkpoint.
        likelihood: the figures of each image.
        split: which images, in words.
        seed: of the draws.
    """

    config: CheckpointConfig
    likelihood: Likelihood
    split: str
    seed: int

    def figures(self) -> dict[str, Figure]:
        """The means, nats per image, by name."""
        found = self.likelihood
        figures = {"reconstruction_nll": Figure.over(found.reconstruction_nll)}
        if found.nll is None:
            return figures
        return {
            "negative_elbo": Figure.over(found.negative_elbo),
            **figures,
            "kl": Figure.over(found.kl.sum(axis=1)),
            "nll": Figure.over(found.nll),
        }

    def describe(self) -> str:
        """A small table."""
        found = self.likelihood
        words = {
            "negative_elbo": "negative ELBO",
            "reconstruction_nll": "  reconstruction NLL",
            "kl": "  KL",
            "nll": f"NLL estimate, K = {found.samples:,}",
        }
        lines = [
            f"{self.config.name}: {len(found.means):,} {self.split} images of "
            f"{Path(self.config.data.name).name}, nats per image, \u00b1 standard error"
        ]
        for name, figure in self.figures().items():
            known = figure.standard_error is not None
            error = f"\u00b1 {figure.standard_error:.2f}" if known else "(one image)"
            lines.append(f"{words[name]:<28} {figure.value:9.2f} {error}")
        if found.nll is None:
            lines.append("An autoencoder has no posterior, so it has neither bound nor likelihood.")
        else:
            width = found.kl.shape[1]
            lines.append(f"{'active units':<28} {found.active_units:6d}    of {width}")
            order = found.kl.mean(axis=0).argsort()[::-1]
            axes = ", ".join(f"z{axis} {found.kl[:, axis].mean():.2f}" for axis in order[:8])
            more = f" and {width - 8} more" if width > 8 else ""
            lines.append(f"KL per axis: {axes}{more}")
        return "\n".join(lines)

    def save(self, path: Path) -> None:
        """Write the figures as JSON.

        Raises:
            CheckpointError: if the file cannot be written.
        """
        found = self.likelihood
        plain: dict[str, Any] = {
            "name": self.config.name,
            "data": self.config.data.name,
            "split": self.split,
            "images": len(found.means),
            "samples": found.samples,
            "seed": self.seed,
            "nats_per_image": {name: asdict(figure) for name, figure in self.figures().items()},
            "active_units": found.active_units,
            "kl_per_axis": found.kl.mean(axis=0).tolist(),
        }
        write_file(path, lambda file: file.write((json.dumps(plain, indent=2) + "\n").encode()))


def evaluate_checkpoint(
    folder: Path,
    load_data: Callable[[str, tuple[int, int] | None], ImageSet],
    *,
    samples: int = 200,
    most: int = 0,
    seed: int = 0,
    threads: int = 0,
    progress: Callable[[int, int], None] = lambda _count, _total: None,
) -> Evaluation:
    """Measure a checkpoint on the images that it did not see.

    Args:
        folder: the checkpoint.
        load_data: gives the data set of a spec and a size.
        samples: K, draws an image for the likelihood estimate.
        most: measure the first so many only; 0 takes all.
        seed: of the draws.
        threads: processor threads; 0 leaves them to torch.
        progress: told after each piece how many images it held, and how many there are.

    Returns:
        The figures: of the test split where the data set has one, else of the held-out images.

    Raises:
        ExplorerError: if checkpoint, data or a number do not allow it.
    """
    check_range("images", most, 0, 10**9)
    check_range("threads", threads, 0, 1024)
    check_range("seed", seed, 0, 2**31 - 1)
    config, model = load_model(folder)
    if threads:
        torch.set_num_threads(threads)
    known = {**config.training, **vars(config.network), "kind": config.kind}
    settings = TrainConfig.from_settings(known)
    try:
        images = load_again(
            config.data.name, config.data.fingerprint, lambda name: load_data(name, settings.size)
        )
    except DataNotAtHandError as error:
        raise CheckpointError(
            f"The images that {config.name} was trained on are not at hand. {error}"
        ) from error
    tested = len(images.test_index) > 0
    index = images.test_index if tested else images.held_out_index
    index = index[:most] if most else index
    likelihood = measure_likelihood(
        model,
        settings,
        images,
        index,
        samples=samples,
        seed=seed,
        progress=lambda count: progress(count, len(index)),
    )
    for name, values in vars(likelihood).items():
        wrong = isinstance(values, np.ndarray) and not np.isfinite(values).all()
        if wrong:
            raise CheckpointError(
                f"The {name} of some images is not finite: {config.name} gives no likelihood. Look "
                "at its history.csv, and train it with a smaller --learning-rate or --clip 10."
            )
    return Evaluation(config, likelihood, "test" if tested else "held-out", seed)

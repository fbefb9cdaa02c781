"""What a trained model thinks of held-out images: the bound, its terms and the likelihood."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from explorer.errors import CheckpointError, ConfigError, DataNotAtHandError, LatentError
from explorer.images.dataset import ImageSet
from explorer.images.registry import load_again
from explorer.models.autoencoder import Autoencoder
from explorer.models.codec import load_model
from explorer.models.config import PROPOSALS, CheckpointConfig, check_choice, check_range
from explorer.models.importance import effective_samples, least_effective
from explorer.models.objectives import draw
from explorer.models.proposal import Noise, fit_proposal
from explorer.storage import write_file
from explorer.training.config import TrainConfig
from explorer.training.corruption import draw_inputs

ROWS = 2000  # images decoded in one pass, draws counted
MOST_SAMPLES = 100_000
MOST_SMALL = 0.05  # share of images that may have few effective draws in a mean that is claimed
_FITTED = 50  # images whose proposals are fitted together


@dataclass(frozen=True)
class Figure:
    """A mean over images.

    Attributes:
        value: the mean.
        standard_error: its standard error over images. Each image has draws of its own, so their
            noise is in it; the shift of an estimate from few effective draws is not. None of a
            single image, which has none.
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
        effective: effective sample size of each estimate, (N,), 1 to K; None for an autoencoder.
        means: posterior means, (N, D).
        samples: K.
        proposal: what the draws came from, one of `PROPOSALS`.
    """

    reconstruction_nll: NDArray[np.float32]
    kl: NDArray[np.float32]
    nll: NDArray[np.float32] | None
    effective: NDArray[np.float32] | None
    means: NDArray[np.float32]
    samples: int
    proposal: str

    @property
    def negative_elbo(self) -> NDArray[np.float32]:
        """reconstruction_nll + kl, (N,)."""
        total: NDArray[np.float32] = self.reconstruction_nll + self.kl.sum(axis=1)
        return total

    @property
    def small_share(self) -> float:
        """The share of images whose estimate is carried by too few draws (`least_effective`)."""
        if self.effective is None:
            return float("nan")
        return float((self.effective < least_effective(self.samples)).mean())

    @property
    def claimed(self) -> bool:
        """Whether the mean of `nll` may be stated as an NLL and not as an upper bound alone."""
        return self.small_share <= MOST_SMALL

    @property
    def active_units(self) -> int:
        """Axes whose posterior mean varies by more than 0.01 (Burda et al. 2016, section 5)."""
        return int((self.means.var(axis=0) > 0.01).sum())


@torch.no_grad()  # not inference mode, in which the decoder has no derivatives
def measure_likelihood(
    model: Autoencoder,
    config: TrainConfig,
    images: ImageSet,
    index: NDArray[np.int64],
    *,
    samples: int = 200,
    proposal: str = "laplace",
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
        proposal: "laplace", a wide mixture at the mode of p(z|x) (`fit_proposal`), or "posterior",
            q(z|x) itself, as most published figures were measured.
        seed: of all draws.
        progress: told after each piece how many images it held.

    Returns:
        The figures of each image.

    Raises:
        ConfigError: if K is out of bounds, the proposal is unknown or there is no image.

    Source: Burda, Grosse & Salakhutdinov 2016, equation 8, arXiv:1509.00519; that draws from
    q(z|x) may be far off: Wu et al. 2017, arXiv:1611.02648.
    """
    check_range("samples", samples, 1, MOST_SAMPLES)
    check_choice("proposal", proposal, PROPOSALS)
    if not len(index):
        raise ConfigError("There is no image to evaluate.")
    model.eval()
    device = next(model.parameters()).device
    variational = model.kind != "ae"
    width = model.network.latent_dim
    block = min(samples, ROWS)
    noise = torch.Generator().manual_seed(seed)
    drawn = torch.Generator().manual_seed(seed + 1)
    nlls, kls, bounds, effective, means = [], [], [], [], []
    for start in range(0, len(index), _FITTED):
        rows = index[start : start + _FITTED]
        inputs, targets = (
            part.to(device)
            for part in draw_inputs(config, torch.from_numpy(images.floats(rows)), drawn)
        )
        eps = torch.randn(1, len(rows), width, generator=noise).to(device)
        once = draw(model, inputs, targets, eps)
        nlls.append(once.reconstruction_nll[0])
        kls.append(once.kl)
        means.append(once.posterior.mean)
        if not variational:
            progress(len(rows))
            continue
        fitted = fit_proposal(model, inputs, targets) if proposal == "laplace" else None
        step = max(1, ROWS // block)
        for first in range(0, len(rows), step):
            part = slice(first, first + step)
            here = len(targets[part])
            weights = []
            for done in range(0, samples, block):
                count = min(block, samples - done)
                if fitted is None:
                    eps = torch.randn(count, here, width, generator=noise).to(device)
                    weight = draw(model, inputs[part], targets[part], eps).log_weights()
                else:
                    draws = Noise.draw(count, here, width, noise).to(device)
                    weight = fitted.take(part).log_weights(model, targets[part], draws)
                weights.append(weight.double().cpu())
            every = torch.cat(weights)
            total, squares = every.logsumexp(0).numpy(), (2 * every).logsumexp(0).numpy()
            bounds.append(np.log(samples) - total)
            effective.append(effective_samples(total, squares, samples))
            progress(here)

    def joined(parts: list[torch.Tensor]) -> NDArray[np.float32]:
        array: NDArray[np.float32] = torch.cat(parts).float().cpu().numpy()
        return array

    return Likelihood(
        reconstruction_nll=joined(nlls),
        kl=joined(kls),
        nll=np.concatenate(bounds).astype(np.float32) if bounds else None,
        effective=np.concatenate(effective).astype(np.float32) if effective else None,
        means=joined(means),
        samples=samples,
        proposal=proposal,
    )


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What `train_vae.py evaluate` found.

    Attributes:
        config: of the checkpoint.
        likelihood: the figures of each image.
        split: which images, in words.
        available: how many images that split has; where fewer were measured, they were drawn.
        grey: whether some values lie between 0 and 1.
        seed: of the draws, and of the images where not all are measured.
    """

    config: CheckpointConfig
    likelihood: Likelihood
    split: str
    available: int
    grey: bool
    seed: int

    def figures(self) -> dict[str, Figure]:
        """The means, nats per image, by name.

        "nll" is there where enough draws count, else "log_likelihood_at_least".
        """
        found = self.likelihood
        figures = {"reconstruction_nll": Figure.over(found.reconstruction_nll)}
        if found.nll is None:
            return figures
        estimate = (
            {"nll": Figure.over(found.nll)}
            if found.claimed
            else {"log_likelihood_at_least": Figure.over(-found.nll)}
        )
        return {
            "negative_elbo": Figure.over(found.negative_elbo),
            **figures,
            "kl": Figure.over(found.kl.sum(axis=1)),
            **estimate,
        }

    def describe(self) -> str:
        """A small table."""
        found = self.likelihood
        words = {
            "negative_elbo": "negative ELBO, 1 draw",
            "reconstruction_nll": "  reconstruction NLL",
            "kl": "  KL",
            "nll": f"NLL estimate, K = {found.samples:,}",
            "log_likelihood_at_least": f"log p(x) >=, K = {found.samples:,}",
        }
        count = len(found.means)
        drawn = f", drawn at random from {self.available:,}" if count < self.available else ""
        lines = [
            f"{self.config.name}: {count:,} {self.split} images of "
            f"{Path(self.config.data.name).name}{drawn}, nats per image, \u00b1 standard error"
        ]
        for name, figure in self.figures().items():
            known = figure.standard_error is not None
            error = f"\u00b1 {figure.standard_error:.2f}" if known else "(one image)"
            lines.append(f"{words[name]:<28} {figure.value:9.2f} {error}")
        lines += self._describe_draws()
        lines += self._describe_scale()
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

    def _describe_draws(self) -> list[str]:
        """Whether the estimate may be believed."""
        found = self.likelihood
        if found.effective is None:
            return []
        source = {
            "laplace": "Student-t at the mode of p(z|x), mixed with q(z|x)",
            "posterior": "q(z|x)",
        }
        median, mean = np.median(found.effective), found.effective.mean()
        small = least_effective(found.samples)
        told = (
            f"Effective sample size of {found.samples:,} draws from {source[found.proposal]}: "
            f"median {median:.1f}, mean {mean:.1f}; below {small:g} for {found.small_share:.1%} of "
            "images."
        )
        if found.claimed:
            return [told]
        cure = "take --proposal laplace" if found.proposal == "posterior" else "take more --samples"
        return [
            told,
            f"So no NLL is claimed, only a lower bound on log p(x): {cure} for an estimate.",
        ]

    def _describe_scale(self) -> list[str]:
        """What the nats are nats of, where that misleads."""
        network = self.config.network
        if network.likelihood == "gaussian":
            return [
                "Of a Gaussian's density, which may exceed 1: nats may be below 0. They compare "
                "only with a Gaussian's on the same images."
            ]
        if self.grey:
            return [
                "A Bernoulli over grey levels is no density of grey images (Loaiza-Ganem & "
                "Cunningham 2019): these nats compare only with other Bernoullis' on the same "
                "images."
            ]
        return []

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
            "images_available": self.available,
            "samples": found.samples,
            "seed": self.seed,
            "nats_per_image": {name: asdict(figure) for name, figure in self.figures().items()},
            "active_units": found.active_units,
            "kl_per_axis": found.kl.mean(axis=0).tolist(),
        }
        if found.effective is not None:
            plain["proposal"] = found.proposal
            plain["claimed"] = found.claimed
            plain["effective_samples"] = {
                "median": float(np.median(found.effective)),
                "mean": float(found.effective.mean()),
                "least": float(found.effective.min()),
                "small_below": least_effective(found.samples),
                "small_share": found.small_share,
            }
        write_file(path, lambda file: file.write((json.dumps(plain, indent=2) + "\n").encode()))


def evaluate_checkpoint(
    folder: Path,
    load_data: Callable[[str, tuple[int, int] | None], ImageSet],
    *,
    samples: int = 200,
    proposal: str = "laplace",
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
        proposal: what the draws come from, see `measure_likelihood`.
        most: measure so many images, drawn at random; 0 takes all.
        seed: of the draws, and of the images where not all are measured.
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
    available = len(index)
    if 0 < most < available:
        # Not the first ones: a file may hold its easy images first, as MNIST's test set does.
        index = np.sort(np.random.default_rng(seed).choice(index, most, replace=False))
    advice = "Look at its history.csv, and train it with a smaller --learning-rate or --clip 10."
    try:
        likelihood = measure_likelihood(
            model,
            settings,
            images,
            index,
            samples=samples,
            proposal=proposal,
            seed=seed,
            progress=lambda count: progress(count, len(index)),
        )
    except LatentError as error:
        raise CheckpointError(
            f"The decoder's derivative is not finite: {config.name} gives no likelihood. {advice}"
        ) from error
    split = "test" if tested else "held-out"
    grey = not settings.binarize and _has_grey(images.floats(index[:100]))
    for name, values in vars(likelihood).items():
        wrong = isinstance(values, np.ndarray) and not np.isfinite(values).all()
        if wrong:
            raise CheckpointError(
                f"The {name} of some images is not finite: {config.name} gives no likelihood. "
                f"{advice}"
            )
    return Evaluation(config, likelihood, split, available, grey, seed)


def _has_grey(pixels: NDArray[np.float32]) -> bool:
    return bool(((pixels > 0) & (pixels < 1)).any())

"""Which metrics compare between models of other images, likelihoods or numbers of latents."""

from collections.abc import Sequence
from pathlib import Path

from explorer.models.config import CheckpointConfig

DATA, LIKELIHOOD, DIMENSION = "data", "likelihood", "latent_dim"
_IN_THE_IMAGES = (
    "reconstruction_mse", "knn_accuracy", "linear_probe", "coverage_ratio", "midpoint_realism",
    "class_kept", "precision", "recall", "density", "coverage", "frechet_distance",
    "perceptual_path_length", "arc_over_chord", "mig", "sap", "disentanglement", "completeness",
    "informativeness", "factor_vae_score",
)  # fmt: skip
_IN_THE_CODES = ("hole_rate", "escape_rate", "prior_match", "mmd")
# What has to be the same for the figures of two models to compare; of a metric that is not named
# here, everything.
NEEDS: dict[str, frozenset[str]] = {
    "reconstruction_nll": frozenset({DATA, LIKELIHOOD}),
    **dict.fromkeys(_IN_THE_IMAGES, frozenset({DATA})),
    **dict.fromkeys(_IN_THE_CODES, frozenset({DIMENSION})),
}


def find_obstacles(configs: Sequence[CheckpointConfig]) -> dict[str, str]:
    """What differs so that not everything compares, in words, by its name.

    Args:
        configs: of the models.

    Returns:
        DATA (images or their shape), LIKELIHOOD and DIMENSION, those that differ.
    """
    found = {}
    data = [f"{Path(one.data.name).name} {_shape(one)}" for one in configs]
    if len({(one.data.fingerprint, one.data.image_shape) for one in configs}) > 1:
        found[DATA] = f"the images ({_against(data)})"
    likelihoods = [_likelihood(one) for one in configs]
    if len(set(likelihoods)) > 1:
        found[LIKELIHOOD] = f"the likelihood ({_against(likelihoods)})"
    dimensions = [f"D = {one.network.latent_dim}" for one in configs]
    if len(set(dimensions)) > 1:
        found[DIMENSION] = f"the number of latents ({_against(dimensions)})"
    return found


def compares(key: str, obstacles: dict[str, str]) -> bool:
    """Whether the figures of a metric compare in spite of what `find_obstacles` found."""
    return not NEEDS.get(key, frozenset({DATA, LIKELIHOOD, DIMENSION})) & set(obstacles)


def _likelihood(config: CheckpointConfig) -> str:
    network = config.network
    if network.likelihood == "bernoulli":
        return "Bernoulli"
    if network.learn_sigma:
        return "Gaussian, σ learned"
    return f"Gaussian, σ = {network.sigma:g}"


def _shape(config: CheckpointConfig) -> str:
    return " x ".join(map(str, config.data.image_shape))


def _against(words: Sequence[str]) -> str:
    told = list(dict.fromkeys(words))
    return " against ".join(told) if len(told) > 1 else f"{told[0]}, with other contents"

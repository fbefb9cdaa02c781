"""Reports of made-up models, whose figures a test chooses."""

from dataclasses import replace

import numpy as np

from explorer.models.checkpoint import load_config
from explorer.models.library import SHIPPED
from explorer.regularity.definitions import AS_BUILT, DEFINITIONS, NO_PRIOR, SCALE_FAIR
from explorer.regularity.estimate import Estimate
from explorer.regularity.health import COLLAPSED, Fault
from explorer.regularity.verdict import ComparedModel

CONFIG = load_config(SHIPPED / "digits-vae-8")
CHANCE = {
    "reconstruction_nll": 30.0, "reconstruction_mse": 0.07, "knn_accuracy": 0.1,
    "coverage_ratio": 0.02, "midpoint_realism": 0.6, "class_kept": 0.15,
}  # fmt: skip
USUAL = {
    "reconstruction_nll": 18.0, "reconstruction_mse": 0.02, "knn_accuracy": 0.9,
    "prior_match": 0.02, "hole_rate": 0.1, "escape_rate": 0.04, "coverage_ratio": 0.8,
    "midpoint_realism": 0.8, "class_kept": 0.9,
}  # fmt: skip
DEAD = Fault(COLLAPSED, "The posterior has collapsed.", "Train it again with a lower --beta.")


def estimate(key, value, half=0.005, *, column=None, low=None, high=None, **more):
    definition = DEFINITIONS[key]
    column = (
        (NO_PRIOR if definition.columns == (NO_PRIOR,) else AS_BUILT)
        if column is None
        else (NO_PRIOR if definition.columns == (NO_PRIOR,) else column)
    )
    known = {"n": 1000, "seed": 0, "chance": CHANCE.get(key), "ideal": definition.ideal, **more}
    return Estimate(
        key=key, column=column, value=value,
        low=value - half if low is None else low,
        high=value + half if high is None else high,
        **known,
    )  # fmt: skip


def report(column=SCALE_FAIR, half=0.005, **values):
    """Estimates of the headline; what is not given is as usual."""
    found = {**USUAL, **values}
    return tuple(
        Estimate(
            key=key, column=column, value=0.0, low=0.0, high=0.0, chance=None, ideal=0.0, n=1000,
            seed=0,
        )
        if key == "prior_match" and column == SCALE_FAIR
        else estimate(key, value, half * max(1.0, abs(value)), column=column)
        for key, value in found.items()
    )  # fmt: skip


def model(name, estimates=None, *, data=None, network=None, training=None, **more):
    """A compared model; `data`, `network` and `training` change its config."""
    config = replace(
        CONFIG,
        name=name,
        data=replace(CONFIG.data, **(data or {})),
        network=replace(CONFIG.network, **(network or {})),
        training={**CONFIG.training, **(training or {})},
    )
    return ComparedModel(name, config, report() if estimates is None else estimates, **more)


def resampled(one, noise, sigma):
    """The estimate with resamples that follow some noise."""
    values = one.value + sigma * np.asarray(noise)
    low, high = np.quantile(values - values.mean(), [0.025, 0.975]) + one.value
    return replace(one, low=float(low), high=float(high), resamples=tuple(values.tolist()))

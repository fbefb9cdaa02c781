import re
from dataclasses import replace

import numpy as np
import pytest

from explorer.models.config import NetworkConfig
from explorer.models.objectives import LossTerms
from explorer.training.collapse import describe_collapse
from explorer.training.config import TrainConfig
from explorer.training.loop import EpochReport

TERMS = LossTerms(80.0, 1.0, 0.0, 81.0)


def make_config(latent_dim=8, **changes):
    return TrainConfig(**{"network": NetworkConfig(latent_dim=latent_dim), "epochs": 60, **changes})


def make_history(*active):
    return [
        EpochReport(
            epoch=epoch,
            train=TERMS,
            held_out=TERMS,
            kl_per_axis=(0.1,),
            active_units=units,
            kl_weight=1.0,
            learning_rate=1e-3,
            images_per_second=1.0,
            seconds=1.0,
            best=False,
            codes=np.empty((0, 0), np.float32),
            samples=np.empty((0, 0, 0, 0), np.uint8),
        )
        for epoch, units in enumerate(active, 1)
    ]


def told_at(config, *active):
    """The epochs after which something was said."""
    history = make_history(*active)
    counts = range(1, len(history) + 1)
    return [count for count in counts if describe_collapse(config, history[:count]) is not None]


def test_axes_that_never_wake_are_told_once():
    assert told_at(make_config(), *[1] * 20) == [5]


def test_axes_that_fall_asleep_are_told_when_they_do():
    assert told_at(make_config(), 8, 8, 8, 1, 0, 0, 0, 0, 0) == [4]


def test_axes_that_woke_and_fell_asleep_again_are_told_again():
    assert told_at(make_config(), 8, 1, 8, 8, 1) == [2, 5]


def test_a_quarter_of_the_axes_is_enough():
    assert told_at(make_config(), *[2] * 20) == []


def test_the_warm_up_is_waited_for():
    assert told_at(make_config(kl_warmup=10), *[0] * 20) == [15]
    assert told_at(make_config(kl_warmup=10), *[8] * 9, 0, 8, 8) == []


def test_an_autoencoder_has_no_posterior_to_collapse():
    assert told_at(make_config(kind="ae"), *[0] * 20) == []


@pytest.mark.parametrize("changes", [{"epochs": 3}, {"epochs": 30, "kl_cycles": 4}])
def test_a_run_too_short_to_wait_for_is_told_at_its_end(changes):
    config = make_config(**changes)
    assert told_at(config, *[0] * config.epochs) == [config.epochs]


def test_the_sentence_has_the_counts():
    sentence = describe_collapse(make_config(), make_history(*[1] * 5))
    assert sentence.startswith("Only 1 of 8 latent axes carry information: the posterior has coll")


REMEDY = re.compile(
    r"--kl-warmup (?P<kl_warmup>\d+)|--free-bits (?P<free_bits>[\d.]+)|lower --(?P<lower>[a-z-]+)|"
    r"higher --(?P<higher>[a-z-]+)|smaller --(?P<smaller>[a-z-]+)|more --(?P<more>epochs)"
)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"beta": 4.0},
        {"beta": 0.0},
        {"kl_warmup": 2},
        {"kl_cycles": 2},
        {"free_bits": 0.5},
        {"kind": "infovae"},
        {"kind": "infovae", "info_alpha": 0.5},
        {"kind": "infovae", "info_alpha": -1.0},
        {"importance_samples": 5},
        {"latent_dim": 1},
    ],
)
def test_every_remedy_named_is_one_that_this_run_can_take(changes):
    config = make_config(**changes)
    sentence = describe_collapse(config, make_history(*[0] * (config.warmup_epochs + 5)))
    found = list(REMEDY.finditer(sentence))
    assert sentence.count("--") == sum(match[0].count("--") for match in found)
    for match in found:
        if match["kl_warmup"]:
            remedied = replace(config, kl_warmup=int(match["kl_warmup"]))
        elif match["free_bits"]:
            remedied = replace(config, free_bits=float(match["free_bits"]))
        else:
            flag = match["lower"] or match["smaller"] or match["higher"] or match["more"]
            name = flag.replace("-", "_")
            if name == "latent_dim":
                assert config.network.latent_dim > 1
                continue
            value = getattr(config, name)
            step = 1 if match["higher"] or match["more"] else -0.5
            remedied = replace(config, **{name: value + step * (abs(value) or 1)})
        assert remedied != config

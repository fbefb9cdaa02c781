import re
from dataclasses import replace
from itertools import repeat

import numpy as np
import pytest

from explorer.models.config import NetworkConfig
from explorer.models.objectives import LossTerms
from explorer.training.collapse import describe_collapse
from explorer.training.config import TrainConfig
from explorer.training.flags import parse_flags
from explorer.training.loop import EpochReport

TERMS = LossTerms(80.0, 1.0, 0.0, 81.0)


def make_config(latent_dim=8, likelihood="bernoulli", **changes):
    network = NetworkConfig(latent_dim=latent_dim, likelihood=likelihood)
    return TrainConfig(**{"network": network, "epochs": 60, **changes})


def make_history(*active, kl=()):
    kl = [*kl, *repeat(TERMS.kl, len(active) - len(kl))]
    return [
        EpochReport(
            epoch=epoch,
            train=TERMS,
            held_out=replace(TERMS, kl=kl[epoch - 1]),
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
    assert sentence.startswith("Only 1 of 8 dimensions are active: the posterior has collapsed")


def test_a_code_of_less_than_ln_2_nats_has_collapsed_though_its_axes_are_active():
    # Digits, beta 3: 4 of 8 axes just over the threshold, KL 0.08 nats, 4 % of the variance.
    history = make_history(*[4] * 5, kl=[0.08] * 5)
    sentence = describe_collapse(make_config(beta=3.0), history)
    assert sentence.startswith(
        "The posterior has collapsed: 4 of 8 dimensions are active, KL 0.08 nats. "
        "The usual remedies: --beta 1, "
    )
    assert describe_collapse(make_config(beta=3.0), make_history(*[4] * 5, kl=[0.7] * 5)) is None


def test_before_200_steps_no_posterior_is_called_collapsed():
    config, history = make_config(epochs=3), make_history(0, 0, 0)
    assert describe_collapse(config, history, steps_an_epoch=66) is None
    assert describe_collapse(config, history, steps_an_epoch=67) is not None


REMEDY = re.compile(
    r"smaller --(?P<smaller>[a-z-]+)|more --(?P<more>epochs)|"
    r"(?P<exact>--[a-z-]+)(?: (?P<value>[\d.]+))?"
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
        {"likelihood": "gaussian"},
    ],
)
def test_every_remedy_named_is_one_that_this_run_can_take(changes):
    config = make_config(**changes)
    sentence = describe_collapse(config, make_history(*[0] * (config.warmup_epochs + 5)))
    found = list(REMEDY.finditer(sentence))
    assert sentence.count("--") == sum(match[0].count("--") for match in found)
    for match in found:
        if match["exact"]:
            # The flag as it stands, through the command line's own reader.
            words = [match["exact"], *([match["value"]] if match["value"] else [])]
            parsed = vars(parse_flags(words))
            name = match["exact"].removeprefix("--").replace("-", "_")
            holder = config.network if hasattr(config.network, name) else config
            assert getattr(holder, name) != parsed[name]
            replace(holder, **{name: parsed[name]})  # raises what this run cannot take
        else:
            name = (match["smaller"] or match["more"]).replace("-", "_")
            if name == "latent_dim":
                assert config.network.latent_dim > 1
                continue
            value = getattr(config, name)
            changed = value + 1 if match["more"] else 0.5 * value
            assert replace(config, **{name: changed}) != config

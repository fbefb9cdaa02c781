"""Settings: their bounds, schedules and round trips."""

import json

import pytest
import torch

from explorer.errors import ConfigError
from explorer.models.config import NetworkConfig
from explorer.training.config import TrainConfig, flag_values


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"corrupt": "blur"}, "corrupt is 'blur'; it must be one of none, noise, mask"),
        ({"corrupt": "mask", "corrupt_amount": 1.5}, "corrupt_amount is 1.5"),
        ({"corrupt": "downsample", "corrupt_amount": 2.5}, "whole factor"),
        ({"corrupt_amount": 0.3}, "corrupt is 'none'"),
        ({"kl_warmup": 3, "kl_cycles": 2}, "give one of them"),
        ({"schedule": "step"}, "needs milestones"),
        ({"milestones": (3,)}, "no other schedule has them"),
        ({"schedule": "step", "milestones": (5, 3)}, "each later than the one before"),
        ({"schedule": "step", "milestones": (0,)}, "epochs from 1"),
        ({"kind": "ae", "importance_samples": 5}, "only a vae has it"),
        ({"kind": "infovae", "beta": 4.0}, "only a vae has it"),
        ({"importance_samples": 5, "beta": 2.0}, "beta must be 1"),
        ({"importance_samples": 5, "free_bits": 0.1}, "without warm-up and free bits"),
        ({"kind": "infovae", "batch_size": 1}, "at least 2"),
        ({"kind": "infovae", "info_alpha": 0.0, "info_lambda": 0.5}, "sum must be at least 1"),
        ({"ema": 1.0}, "ema is 1.0"),
        ({"precision": "float16"}, "precision is 'float16'"),
        ({"beta": float("nan")}, "beta is nan"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(wrong, words):
    with pytest.raises(ConfigError, match=words):
        TrainConfig(**wrong)


def test_sigma_is_learned_by_a_gaussian_alone():
    with pytest.raises(ConfigError, match="'bernoulli' has no sigma"):
        NetworkConfig(learn_sigma=True)


def test_the_kl_rises_in_a_line_and_stays():
    config = TrainConfig(beta=4.0, kl_warmup=10, epochs=30)
    assert [config.kl_weight(progress) for progress in (0, 5, 10, 29)] == [0, 2, 4, 4]
    assert config.warmup_epochs == 10


def test_the_kl_rises_over_half_of_each_cycle():
    config = TrainConfig(kl_cycles=4, epochs=40)
    told = [config.kl_weight(progress) for progress in (0, 2.5, 5, 9.9, 10, 12.5, 35, 39.9)]
    assert told == pytest.approx([0, 0.5, 1, 1, 0, 0.5, 1, 1])
    assert config.warmup_epochs == 35


def test_infovaes_weights_are_the_papers():
    config = TrainConfig(kind="infovae", info_alpha=0.25, info_lambda=10)
    assert config.full_kl_weight == 0.75
    assert config.mmd_weight == 9.25
    assert TrainConfig().mmd_weight == 0


def rates_of_torch(make, epochs):
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    scheduler = make(optimizer)
    rates = []
    for _ in range(epochs):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def test_schedules_are_torchs():
    step = TrainConfig(learning_rate=0.1, schedule="step", milestones=(2, 5), gamma=0.5, epochs=8)
    expected = rates_of_torch(
        lambda optimizer: torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 5], 0.5), 8
    )
    assert [step.learning_rate_at(epoch) for epoch in range(8)] == pytest.approx(expected)
    cosine = TrainConfig(learning_rate=0.1, schedule="cosine", epochs=8)
    expected = rates_of_torch(
        lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 8), 8
    )
    assert [cosine.learning_rate_at(epoch) for epoch in range(8)] == pytest.approx(expected)


def test_settings_survive_json():
    config = TrainConfig(
        data="mnist", name="mine", network=NetworkConfig(hidden_dims=(20, 10), activation="tanh"),
        size=(16, 12), schedule="step", milestones=(1, 4), gamma=0.5, binarize=True, corrupt="mask",
    )  # fmt: skip
    plain = json.loads(json.dumps(config.to_dict()))
    again = TrainConfig.from_settings({**plain, **plain["training"], **plain["network"]})
    assert again == config


def test_a_config_json_gives_its_flags():
    config = TrainConfig(data="mnist", kind="ae", network=NetworkConfig(latent_dim=5), epochs=7)
    plain = json.loads(json.dumps(config.to_dict()))
    plain["data"] = {"name": "mnist", "image_shape": [1, 28, 28]}
    plain["training"] |= {"epochs_run": 7, "optimizer": "adam", "train_images": 60_000}
    found = flag_values(plain, "config.json")
    assert found["data"] == "mnist"
    assert TrainConfig.from_settings(found) == config
    alone = flag_values(plain["training"], "training.json")
    assert "data" not in alone
    assert alone["epochs"] == 7


@pytest.mark.parametrize(
    ("plain", "words"),
    [
        ({"epoch": 3}, "'epoch', which is no setting"),
        ({"epochs": "many"}, "'epochs' in f.json is 'many'"),
        ({"epochs": True}, "'epochs' in f.json is True"),
        ({"milestones": [1.5]}, "'milestones'"),
        ({"training": 5}, "no config.json"),
        ({"training": {}, "data": 7, "kind": "vae"}, "'data' in f.json is 7"),
        ({"name": "other"}, "'name', which is no setting"),
    ],
)
def test_a_config_file_with_anything_else_is_refused(plain, words):
    with pytest.raises(ConfigError, match=words):
        flag_values(plain, "f.json")

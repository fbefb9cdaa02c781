import csv

import numpy as np
import pytest
import torch

from explorer.errors import ConfigError, TrainingError
from explorer.models.config import NetworkConfig
from explorer.training.config import TrainConfig
from explorer.training.loop import Trainer
from explorer.training.run import write_history

NETWORK = NetworkConfig(latent_dim=2, hidden_dims=(16,))


def make_trainer(images, **changes):
    settings = {"data": "bars", "network": NETWORK, "epochs": 3, "batch_size": 16, **changes}
    return Trainer(TrainConfig(**settings), images)


def test_training_lowers_the_held_out_loss(bars):
    trainer = make_trainer(bars, epochs=30, learning_rate=5e-3)
    before = trainer.evaluate().loss
    reports = list(trainer.epochs())
    assert trainer.best.held_out.loss < before - 5
    assert [report.epoch for report in reports] == list(range(1, 31))


@pytest.mark.parametrize("kind", ["vae", "ae"])
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("architecture", ["mlp", "conv"])
def test_every_combination_trains_to_finite_terms(bars, kind, likelihood, architecture):
    network = NetworkConfig(
        latent_dim=2, hidden_dims=(8,), width=2, likelihood=likelihood, architecture=architecture
    )
    report = next(make_trainer(bars, kind=kind, network=network).epochs())
    assert np.isfinite(report.held_out.loss)
    assert (report.held_out.kl == 0) == (kind == "ae")


def test_the_same_seed_gives_the_same_weights(bars):
    torch.set_num_threads(1)
    weights = []
    for _ in range(2):
        trainer = make_trainer(bars, seed=4)
        list(trainer.epochs())
        weights.append(trainer.best_weights)
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_beta_weighs_the_kl(bars):
    report = next(make_trainer(bars, beta=4.0).epochs())
    terms = report.held_out
    assert terms.loss == pytest.approx(terms.reconstruction_nll + 4 * terms.kl)


def test_calibrating_threads_changes_no_weight_and_no_draw(bars):
    before = torch.get_num_threads()
    plain, calibrated = make_trainer(bars), make_trainer(bars)
    assert calibrated.calibrate_threads((1,), steps=2) == 1
    list(plain.epochs())
    list(calibrated.epochs())
    torch.set_num_threads(before)
    for name, values in plain.best_weights.items():
        np.testing.assert_array_equal(values, calibrated.best_weights[name])


def test_the_best_epochs_weights_are_kept(bars):
    trainer = make_trainer(bars, epochs=12, learning_rate=0.05)
    kept = {}
    for report in trainer.epochs():
        if report.best:
            kept = {k: v.detach().numpy().copy() for k, v in trainer.model.state_dict().items()}
    lowest = min(trainer.history, key=lambda report: report.held_out.loss)
    assert trainer.best.epoch == lowest.epoch
    assert all(np.array_equal(kept[name], values) for name, values in trainer.best_weights.items())


def test_a_stop_ends_after_the_batch_and_reports_no_half_epoch(bars):
    trainer = make_trainer(bars)
    batches = []
    reports = list(
        trainer.epochs(lambda count, _terms: batches.append(count), lambda: len(batches) >= 5)
    )
    assert len(batches) == 5
    assert [report.epoch for report in reports] == [1]


def test_a_diverging_run_says_what_and_what_to_try(bars):
    network = NetworkConfig(latent_dim=2, hidden_dims=(64, 64))
    trainer = make_trainer(bars, learning_rate=10.0, network=network, epochs=50)
    words = r"became (nan|inf) in epoch 1.*--learning-rate than 10"
    with pytest.raises(TrainingError, match=words):
        list(trainer.epochs())


def test_history_has_a_row_an_epoch_and_each_term_apart(bars, tmp_path):
    trainer = make_trainer(bars)
    list(trainer.epochs())
    write_history(tmp_path / "history.csv", trainer.history)
    with (tmp_path / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    for row in rows:
        for split in ("train", "held_out"):
            nll, kl = float(row[f"{split}_reconstruction_nll"]), float(row[f"{split}_kl"])
            assert float(row[f"{split}_loss"]) == pytest.approx(nll + kl, abs=1e-3)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"kind": "gan"}, "'gan'.*vae, ae"),
        ({"epochs": 0}, "epochs is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"learning_rate": -1.0}, "learning_rate is -1.0"),
        ({"beta": -0.5}, "beta is -0.5"),
        ({"name": "../escape"}, "'../escape'; it becomes a folder's name"),
        ({"name": ".hidden"}, "a letter or digit first"),
    ],
)
def test_a_setting_out_of_bounds_is_named(wrong, words):
    with pytest.raises(ConfigError, match=words):
        TrainConfig(**wrong)

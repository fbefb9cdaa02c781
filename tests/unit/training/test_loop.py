import csv
import io

import numpy as np
import pytest
import torch

from explorer.errors import ConfigError, TrainingError
from explorer.models.config import NetworkConfig
from explorer.training import train
from explorer.training.config import TrainConfig
from explorer.training.loop import Trainer
from explorer.training.runs import write_history

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


MANY = [
    {},
    {"kind": "ae", "corrupt": "noise"},
    {"kind": "infovae", "clip": 1.0},
    {"importance_samples": 3, "binarize": True},
    {"free_bits": 0.1, "kl_warmup": 3, "ema": 0.9},
    {"kl_cycles": 2, "schedule": "cosine", "corrupt": "mask"},
    {"schedule": "step", "milestones": (2,), "corrupt": "downsample", "patience": 50},
]


@pytest.mark.parametrize("stop_after", [1, 4, 6, 15])
@pytest.mark.parametrize("changes", MANY, ids=str)
def test_a_run_taken_up_again_is_the_uninterrupted_one_to_the_bit(bars, changes, stop_after):
    """56 training images in batches of 16 make 4 steps an epoch: 4 stops at an epoch's end."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    whole = make_trainer(bars, epochs=4, **changes)
    reports = list(whole.epochs())
    steps = iter(range(1, 1000))
    first = make_trainer(bars, epochs=4, **changes)
    list(first.epochs(should_stop=lambda: next(steps) == stop_after))
    file = io.BytesIO()
    torch.save(first.state(), file)
    file.seek(0)
    second = make_trainer(bars, epochs=4, **changes)
    second.load_state(torch.load(file, weights_only=True))
    list(second.epochs())
    torch.set_num_threads(before)
    for name, values in whole.model.state_dict().items():
        assert torch.equal(values, second.model.state_dict()[name]), name
    for name, values in whole.best_weights.items():
        np.testing.assert_array_equal(values, second.best_weights[name])
    assert [report.held_out for report in reports] == [one.held_out for one in second.history]
    assert [report.train for report in reports] == [one.train for one in second.history]


def test_images_done_counts_epochs_and_batches(bars):
    steps = iter(range(1, 1000))
    trainer = make_trainer(bars)
    list(trainer.epochs(should_stop=lambda: next(steps) == 6))
    assert trainer.images_done == 56 + 2 * 16


def test_a_state_of_another_model_is_refused(bars):
    state = make_trainer(bars, network=NetworkConfig(latent_dim=3, hidden_dims=(16,))).state()
    with pytest.raises(TrainingError, match=r"does not fit its settings.*--overwrite"):
        make_trainer(bars).load_state(state)


def test_reports_follow_the_same_images_and_the_same_codes(bars):
    trainer = make_trainer(bars, epochs=2)
    reports = list(trainer.epochs())
    assert [report.codes.shape for report in reports] == [(24, 2)] * 2
    assert [report.samples.shape for report in reports] == [(16, 1, 10, 12)] * 2
    assert reports[0].samples.dtype == np.uint8
    assert not np.array_equal(reports[0].codes, reports[1].codes)
    codec_codes = trainer.model.encode(torch.from_numpy(bars.floats(trainer.watched_index))).mean
    np.testing.assert_allclose(reports[1].codes, codec_codes.detach().numpy(), rtol=1e-5, atol=1e-6)
    decoded = trainer.model.decode(torch.from_numpy(trainer.fixed_codes)).detach().numpy() * 255
    assert np.abs(reports[1].samples - decoded).max() <= 0.51


def test_kl_per_axis_and_active_units_are_of_the_held_out_images(bars):
    trainer = make_trainer(bars, epochs=8, learning_rate=5e-3)
    report = list(trainer.epochs())[-1]
    posterior = trainer.model.encode(torch.from_numpy(bars.floats(bars.held_out_index)))
    kl = posterior.kl().mean(0).detach().numpy()
    np.testing.assert_allclose(report.kl_per_axis, kl, rtol=1e-4)
    assert sum(report.kl_per_axis) == pytest.approx(report.held_out.kl, rel=1e-5)
    variance = posterior.mean.detach().numpy().var(axis=0)
    assert report.active_units == (variance > 0.01).sum()
    assert report.active_units > 0


def test_free_bits_leave_the_kl_of_an_axis_alone_below_them(bars):
    plain = list(make_trainer(bars, epochs=20).epochs())[-1]
    free = list(make_trainer(bars, epochs=20, free_bits=0.5).epochs())[-1]
    assert min(free.kl_per_axis) > min(plain.kl_per_axis)
    floors = sum(max(kl, 0.5) for kl in free.kl_per_axis)
    assert free.held_out.loss == pytest.approx(free.held_out.reconstruction_nll + floors, rel=1e-5)


def test_the_kl_weighs_nothing_at_first_and_all_in_the_held_out_loss(bars):
    trainer = make_trainer(bars, epochs=1, kl_warmup=1000)
    report = next(trainer.epochs())
    assert report.train.loss - report.train.reconstruction_nll < 0.01 * report.train.kl
    assert report.held_out.loss == pytest.approx(
        report.held_out.reconstruction_nll + report.held_out.kl
    )


def test_an_importance_weighted_loss_is_below_the_negative_elbo(bars):
    trainer = make_trainer(bars, epochs=10, importance_samples=20, learning_rate=5e-3)
    report = list(trainer.epochs())[-1]
    elbo = report.held_out.reconstruction_nll + report.held_out.kl
    assert report.held_out.loss < elbo


def test_an_infovae_draws_the_codes_to_the_prior(bars):
    losses = {}
    for weight in (1.0, 3000.0):
        trainer = make_trainer(
            bars, kind="infovae", info_lambda=weight, epochs=40, learning_rate=5e-3
        )
        losses[weight] = list(trainer.epochs())[-1].held_out
    assert losses[3000.0].mmd < losses[1.0].mmd - 0.01
    told = losses[3000.0]
    assert told.loss == pytest.approx(told.reconstruction_nll + 3000 * told.mmd, rel=1e-5)


def test_the_moving_average_is_what_is_evaluated_and_kept(bars):
    trainer = make_trainer(bars, epochs=6, ema=0.9, learning_rate=5e-3)
    list(trainer.epochs())
    trained = {name: one.detach().clone() for name, one in trainer.model.state_dict().items()}
    kept = trainer.best_weights
    assert any(not np.array_equal(kept[name], trained[name].numpy()) for name in kept)
    assert trainer.best.epoch == 6
    for name, values in kept.items():
        trainer.model.state_dict()[name].copy_(torch.from_numpy(values))
    plain = make_trainer(bars, epochs=6)
    plain.model.load_state_dict(trainer.model.state_dict())
    assert plain.evaluate().loss == pytest.approx(trainer.best.held_out.loss, rel=1e-6)


def test_patience_ends_a_run_that_no_longer_improves_but_not_in_the_warm_up(bars):
    stubborn = {"learning_rate": 0.05, "epochs": 60, "patience": 3}
    early = make_trainer(bars, **stubborn)
    list(early.epochs())
    assert early.done
    assert len(early.history) == early.best.epoch + 3 < 60
    warm = make_trainer(bars, **stubborn, kl_warmup=40)
    list(warm.epochs())
    assert len(warm.history) >= 43


def test_clipping_bounds_the_step_and_lets_a_wild_run_live(bars):
    network = NetworkConfig(latent_dim=2, hidden_dims=(64, 64))
    trainer = make_trainer(bars, network=network, clip=1e-4, epochs=1)
    next(trainer.epochs())
    norms = [one.grad.norm() for one in trainer.model.parameters()]
    assert torch.stack(norms).norm() <= 1.01e-4


def test_bfloat16_is_close_to_float32_where_the_hardware_has_it(bars):
    at_home = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    if not at_home:
        with pytest.raises(ConfigError, match="no instructions for it"):
            make_trainer(bars, precision="bfloat16")
        return
    half = make_trainer(bars, precision="bfloat16", epochs=2)
    full = make_trainer(bars, epochs=2)
    losses = [list(trainer.epochs())[-1].held_out.loss for trainer in (half, full)]
    assert losses[0] == pytest.approx(losses[1], rel=0.01)
    assert all(values.dtype == np.float32 for values in half.best_weights.values())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_compiled_model_learns_the_same(bars):
    config = make_trainer(bars, epochs=1).config
    compiled = Trainer(config, bars, compiled=True)
    loss = next(compiled.epochs()).held_out.loss
    assert loss == pytest.approx(next(Trainer(config, bars).epochs()).held_out.loss, rel=1e-4)


def test_compiling_without_a_compiler_is_refused_in_a_sentence(bars, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(ConfigError, match=r"--compile needs a C\+\+ compiler"):
        Trainer(make_trainer(bars).config, bars, compiled=True)


def test_unlabelled_images_train_as_labelled_ones_do(bars):
    import dataclasses

    unlabelled = dataclasses.replace(bars, labels=None, classes=())
    losses = [next(make_trainer(images).epochs()).held_out.loss for images in (bars, unlabelled)]
    assert losses[0] == losses[1]


def test_read_only_images_train_without_a_copy_or_a_warning(bars):
    import dataclasses

    pixels = bars.images.copy()
    pixels.flags.writeable = False
    trainer = make_trainer(dataclasses.replace(bars, images=pixels))
    next(trainer.epochs())
    assert np.shares_memory(trainer._pixels.numpy(), pixels)


def test_train_yields_a_report_an_epoch_and_loads_what_it_is_told(bars):
    network = NetworkConfig(latent_dim=2, hidden_dims=(8,))
    reports = list(train(TrainConfig(data="bars", network=network, epochs=2), bars))
    assert [report.epoch for report in reports] == [1, 2]
    report = next(train(TrainConfig(data="digits", network=network, epochs=1)))
    assert report.samples.shape == (16, 1, 8, 8)

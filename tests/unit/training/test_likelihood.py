"""The likelihood estimate against an integral, and the bound against the loop's own."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save

from explorer.errors import CheckpointError, ConfigError
from explorer.models.autoencoder import Autoencoder
from explorer.models.config import NetworkConfig
from explorer.models.library import find_checkpoint
from explorer.models.objectives import reconstruction_nll
from explorer.models.posterior import prior_log_density
from explorer.training.config import TrainConfig
from explorer.training.likelihood import (
    ROWS,
    Figure,
    evaluate_checkpoint,
    measure_likelihood,
)
from explorer.training.loop import Trainer


@pytest.fixture(scope="module")
def one_axis(bars):
    """A model of one latent axis, whose likelihood an integral gives.

    Its posteriors are wide, so that few draws estimate the integral well, and its decoder is steep,
    so that the bound is far from it.
    """
    network = NetworkConfig(latent_dim=1, hidden_dims=(16,))
    trainer = Trainer(TrainConfig(data="bars", network=network), bars)
    with torch.no_grad():
        for weight in trainer.model.decoder.parameters():
            weight.mul_(3)
    return trainer


def integrate_nll(model: Autoencoder, images: torch.Tensor) -> torch.Tensor:
    """-log of the integral of p(x|z) p(z) over z, by the trapezoidal rule."""
    grid = torch.linspace(-8, 8, 4001)[:, None]
    with torch.inference_mode():
        logits = model.decode_logits(grid)
        log_joint = torch.stack(
            [
                prior_log_density(grid).double()
                - reconstruction_nll(logits, image.expand_as(logits), model.network).double()
                for image in images
            ],
            dim=1,
        )
    return -(torch.logsumexp(log_joint, 0) + np.log(16 / 4000))


@pytest.mark.parametrize("samples", [300, ROWS + 500])
def test_the_estimate_is_the_integral(one_axis, bars, samples):
    index = bars.held_out_index[:6]
    found = measure_likelihood(one_axis.model, one_axis.config, bars, index, samples=samples)
    expected = integrate_nll(one_axis.model, torch.from_numpy(bars.floats(index))).numpy()
    np.testing.assert_allclose(found.nll, expected, atol=5 / np.sqrt(samples))
    assert (found.nll <= found.negative_elbo + 5).all()
    assert found.nll.mean() < found.negative_elbo.mean()


def test_the_bounds_mean_is_the_loops_within_its_error(one_axis, bars):
    found = measure_likelihood(
        one_axis.model, one_axis.config, bars, bars.held_out_index, samples=1
    )
    kl = one_axis.evaluate().kl
    assert found.kl.sum(axis=1).mean() == pytest.approx(kl, rel=1e-4)
    figure = Figure.over(found.reconstruction_nll)
    assert abs(figure.value - one_axis.evaluate().reconstruction_nll) < 6 * figure.standard_error


def test_one_sample_estimates_the_bound_itself(one_axis, bars):
    index = bars.held_out_index
    runs = [
        measure_likelihood(one_axis.model, one_axis.config, bars, index, samples=1, seed=seed)
        for seed in range(40)
    ]
    differences = np.array([(run.nll - run.negative_elbo).mean() for run in runs])
    assert abs(differences.mean()) < 4 * differences.std(ddof=1) / np.sqrt(len(differences))


def test_the_same_seed_gives_the_same_figures_and_another_does_not(one_axis, bars):
    index = bars.held_out_index[:5]
    first, again, other = (
        measure_likelihood(one_axis.model, one_axis.config, bars, index, samples=20, seed=seed)
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.nll, again.nll)
    assert not np.array_equal(first.nll, other.nll)


def test_an_autoencoder_has_a_reconstruction_and_no_likelihood(bars):
    network = NetworkConfig(latent_dim=2, hidden_dims=(8,))
    config = TrainConfig(data="bars", kind="ae", network=network)
    trainer = Trainer(config, bars)
    found = measure_likelihood(trainer.model, config, bars, bars.held_out_index, samples=50)
    assert found.nll is None
    assert found.reconstruction_nll.mean() == pytest.approx(trainer.evaluate().loss, rel=1e-4)


def test_progress_counts_every_image_once(one_axis, bars):
    seen = []
    measure_likelihood(
        one_axis.model, one_axis.config, bars, bars.held_out_index, samples=500,
        progress=seen.append,
    )  # fmt: skip
    assert len(seen) > 1
    assert sum(seen) == len(bars.held_out_index)


@pytest.mark.parametrize("samples", [0, 10**9])
def test_a_number_of_samples_out_of_bounds_is_named(one_axis, bars, samples):
    with pytest.raises(ConfigError, match=f"samples is {samples}"):
        measure_likelihood(
            one_axis.model, one_axis.config, bars, bars.held_out_index, samples=samples
        )


def test_a_checkpoint_is_evaluated_with_its_settings(checkpoints, bars, tmp_path):
    evaluation = evaluate_checkpoint(
        checkpoints / "bars-vae", lambda _name, _size: bars, samples=20, most=10
    )
    told = evaluation.describe()
    assert "10 held-out images of bars" in told
    assert "NLL estimate, K = 20" in told
    assert "of 2" in told
    evaluation.save(tmp_path / "figures.json")
    plain = json.loads((tmp_path / "figures.json").read_text())
    figures = plain["nats_per_image"]
    assert figures["negative_elbo"]["value"] == pytest.approx(
        figures["reconstruction_nll"]["value"] + figures["kl"]["value"], rel=1e-5
    )
    assert figures["negative_elbo"]["standard_error"] > 0


def test_one_image_has_no_standard_error_and_the_table_no_nan(checkpoints, bars, tmp_path):
    evaluation = evaluate_checkpoint(
        checkpoints / "bars-vae", lambda _name, _size: bars, samples=2, most=1
    )
    assert "nan" not in evaluation.describe()
    evaluation.save(tmp_path / "figures.json")
    text = (tmp_path / "figures.json").read_text()
    assert "NaN" not in text
    assert json.loads(text)["nats_per_image"]["kl"]["standard_error"] is None


def test_figures_that_are_not_finite_are_an_error(checkpoints, bars, tmp_path):
    folder = tmp_path / "bars-vae"
    shutil.copytree(checkpoints / "bars-vae", folder)
    weights = {
        name: values * np.float32(1e25)
        for name, values in load_file(folder / "model.safetensors").items()
    }
    metadata = {"format": "1", "kind": "vae"}
    (folder / "model.safetensors").write_bytes(save(weights, metadata=metadata))
    with pytest.raises(CheckpointError, match="is not finite: bars-vae gives no likelihood"):
        evaluate_checkpoint(folder, lambda _name, _size: bars, samples=2)


def test_an_autoencoders_table_says_what_it_has_not(checkpoints, bars):
    evaluation = evaluate_checkpoint(checkpoints / "bars-ae", lambda _name, _size: bars)
    assert "neither bound nor likelihood" in evaluation.describe()
    assert "nll" not in evaluation.figures()


def test_other_images_than_those_trained_on_are_refused(checkpoints, bars):
    import dataclasses

    other = dataclasses.replace(bars, images=255 - bars.images)
    with pytest.raises(CheckpointError, match="another fingerprint"):
        evaluate_checkpoint(checkpoints / "bars-vae", lambda _name, _size: other)


def test_a_checkpoint_is_found_by_name_and_by_path(checkpoints, monkeypatch):
    assert find_checkpoint(str(checkpoints / "bars-vae")) == checkpoints / "bars-vae"
    monkeypatch.setenv("EXPLORER_CHECKPOINTS", str(checkpoints))
    assert find_checkpoint("bars-ae") == checkpoints / "bars-ae"
    with pytest.raises(CheckpointError, match=r"no checkpoint 'nothing': there are .*bars-ae"):
        find_checkpoint("nothing")

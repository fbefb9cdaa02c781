import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from explorer.errors import ConfigError
from explorer.models.autoencoder import Autoencoder
from explorer.models.config import NetworkConfig
from explorer.models.objectives import objective_terms, reconstruction_nll


@given(
    st.sampled_from(["mlp", "conv"]),
    st.sampled_from([1, 3]),
    st.integers(8, 128),
    st.integers(8, 128),
)
@settings(max_examples=30, deadline=None)
def test_every_allowed_size_comes_back_in_its_own_shape(architecture, channels, height, width):
    network = NetworkConfig(architecture=architecture, latent_dim=3, hidden_dims=(8,), width=2)
    model = Autoencoder("vae", network, (channels, height, width))
    images = torch.rand(2, channels, height, width)
    posterior = model.encode(images)
    decoded = model.decode(posterior.mean)
    assert posterior.mean.shape == posterior.log_var.shape == (2, 3)
    assert decoded.shape == images.shape
    assert 0 <= decoded.min() <= decoded.max() <= 1


def test_an_ae_is_the_vae_without_the_variance_head():
    models = {}
    for kind in ("vae", "ae"):
        torch.manual_seed(3)
        models[kind] = Autoencoder(kind, NetworkConfig(), (1, 8, 8)).state_dict()
    only_vae = set(models["vae"]) - set(models["ae"])
    assert only_vae == {"encoder.log_var.weight", "encoder.log_var.bias"}
    assert all(torch.equal(models["vae"][name], values) for name, values in models["ae"].items())


def test_bernoulli_nll_is_torchs_cross_entropy():
    logits, images = torch.randn(5, 1, 8, 9), torch.rand(5, 1, 8, 9)
    theirs = functional.binary_cross_entropy_with_logits(logits, images, reduction="none")
    got = reconstruction_nll(logits, images, NetworkConfig())
    assert torch.allclose(got, theirs.sum((1, 2, 3)))


def test_gaussian_nll_is_torchs_log_prob_in_nats():
    logits, images = torch.randn(5, 3, 8, 8), torch.rand(5, 3, 8, 8)
    theirs = -torch.distributions.Normal(torch.sigmoid(logits), 0.3).log_prob(images)
    got = reconstruction_nll(logits, images, NetworkConfig(likelihood="gaussian", sigma=0.3))
    assert torch.allclose(got, theirs.sum((1, 2, 3)), rtol=1e-4)


def test_an_aes_objective_has_no_kl():
    model = Autoencoder("ae", NetworkConfig(hidden_dims=(8,)), (1, 8, 8))
    _, kl = objective_terms(model, torch.rand(4, 1, 8, 8), None)
    assert kl.abs().max() == 0


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"architecture": "transformer"}, "'transformer'.*mlp, conv"),
        ({"likelihood": "poisson"}, "'poisson'.*bernoulli, gaussian"),
        ({"latent_dim": 0}, "latent_dim is 0.*1 to 512"),
        ({"hidden_dims": ()}, "number of hidden_dims is 0"),
        ({"hidden_dims": (99_999,)}, "hidden_dims entry is 99999"),
        ({"sigma": 0.0}, "sigma is 0.0"),
    ],
)
def test_a_setting_out_of_bounds_is_named(wrong, words):
    with pytest.raises(ConfigError, match=words):
        NetworkConfig(**wrong)


def test_an_unknown_kind_is_named():
    with pytest.raises(ConfigError, match=r"'gan'.*vae, ae"):
        Autoencoder("gan", NetworkConfig(), (1, 8, 8))

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Normal, kl_divergence

from explorer.models.posterior import Posterior, kl_to_prior

numbers = st.floats(-8, 8, width=32)


@given(numbers, numbers)
def test_kl_is_torchs_own_and_never_negative(mean, log_var):
    got = kl_to_prior(torch.tensor([[mean]]), torch.tensor([[log_var]]))
    theirs = kl_divergence(
        Normal(torch.tensor(mean).double(), math.exp(log_var / 2)),
        Normal(torch.tensor(0.0).double(), 1.0),
    )
    assert got.item() >= 0
    assert got.item() == pytest.approx(theirs.item(), rel=1e-4, abs=1e-5)


def test_kl_of_the_prior_itself_is_zero():
    assert kl_to_prior(torch.zeros(3, 2), torch.zeros(3, 2)).abs().max() == 0


def test_sample_has_the_posterior_mean_and_variance():
    mean, log_var = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.0, -2.0]])
    posterior = Posterior(mean.expand(200_000, 2), log_var.expand(200_000, 2))
    drawn = posterior.sample(torch.Generator().manual_seed(0))
    assert torch.allclose(drawn.mean(0), mean[0], atol=0.02)
    assert torch.allclose(drawn.var(0).log(), log_var[0], atol=0.02)


def test_sample_depends_on_the_generator_alone():
    posterior = Posterior(torch.zeros(4, 3), torch.zeros(4, 3))
    one, two = (posterior.sample(torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(one, two)


def test_an_autoencoders_code_has_no_variance_and_no_kl():
    posterior = Posterior(torch.ones(4, 3), None)
    assert torch.equal(posterior.sample(None), posterior.mean)
    assert posterior.kl().abs().max() == 0

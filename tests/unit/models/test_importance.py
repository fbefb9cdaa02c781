import numpy as np
import pytest

from explorer.errors import LatentError
from explorer.models.importance import grow_likelihood
from tests.unit.models.test_bound import make_codec, make_images


def exact_log_likelihood(codec, images):
    """Log p(x) of a model with one latent axis, by quadrature over it."""
    grid = np.linspace(-8, 8, 4001)
    prior = -0.5 * grid**2 - 0.5 * np.log(2 * np.pi) + np.log(grid[1] - grid[0])
    found = []
    for image in images:
        nll = codec.reconstruction_nll(
            np.repeat(image[None], len(grid), 0), grid[:, None].astype(np.float32)
        )
        found.append(np.logaddexp.reduce(prior - nll))
    return np.array(found)


def test_it_grows_by_powers_of_two_and_ends_at_the_most():
    estimates = list(grow_likelihood(make_codec(), make_images(2), most=11))
    assert [one.samples for one in estimates] == [1, 2, 4, 8, 11]
    assert np.isnan(estimates[0].standard_error).all()
    for one in estimates:
        assert (one.effective_samples >= 1).all()
        assert (one.effective_samples <= one.samples).all()
    assert (estimates[-1].standard_error > 0).all()


def test_it_reaches_the_likelihood_by_quadrature_within_its_error():
    codec, images = make_codec(latent_dim=1), make_images(6)
    exact = exact_log_likelihood(codec, images)
    *_, last = grow_likelihood(codec, images, most=4096)
    assert (np.abs(last.log_likelihood - exact) < 5 * last.standard_error + 1e-3).all()


def test_the_delta_method_agrees_with_the_spread_over_seeds():
    codec, images = make_codec(latent_dim=1), make_images(1)
    last = [list(grow_likelihood(codec, images, most=64, seed=seed))[-1] for seed in range(200)]
    values = np.array([one.log_likelihood[0] for one in last])
    claimed = np.array([one.standard_error[0] for one in last])
    assert np.sqrt((claimed**2).mean()) == pytest.approx(values.std(), rel=0.25)


def test_weights_of_very_different_size_stay_finite():
    """A sigma of 0.001 makes p(z|x) so narrow that a grey level's rounding moves it far."""
    codec = make_codec(likelihood="gaussian", sigma=0.001)
    images = make_images(2)
    for one in grow_likelihood(codec, images, most=64):
        assert np.isfinite(one.log_likelihood).all()
        assert (one.effective_samples >= 1).all()


def test_an_autoencoder_has_none_and_says_so_at_once():
    with pytest.raises(LatentError, match="no p\\(x\\)"):
        grow_likelihood(make_codec("ae"), make_images(1))
    with pytest.raises(LatentError, match="0 draws"):
        grow_likelihood(make_codec(), make_images(1), most=0)

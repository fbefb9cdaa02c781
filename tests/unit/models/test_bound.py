from dataclasses import fields

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.errors import CheckpointError, LatentError
from explorer.latent.axes import kl_per_axis
from explorer.models.autoencoder import Autoencoder
from explorer.models.bound import draw_posterior, join_bounds, measure_axes, measure_bounds
from explorer.models.codec import Codec
from explorer.models.config import NetworkConfig

SHAPE = (1, 8, 9)


def make_codec(kind="vae", latent_dim=3, shape=SHAPE, seed=0, **network):
    torch.manual_seed(seed)
    model = Autoencoder(
        kind, NetworkConfig(latent_dim=latent_dim, hidden_dims=(8,), **network), shape
    )
    return Codec(model)


def make_images(count=5, shape=SHAPE, seed=1):
    return np.random.default_rng(seed).random((count, *shape)).astype(np.float32)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("shape", [(1, 8, 9), (3, 9, 8)])
def test_the_map_sums_to_the_term_and_the_axes_to_the_kl(likelihood, shape):
    codec, images = make_codec(shape=shape, likelihood=likelihood), make_images(shape=shape)
    found = measure_bounds(codec, images)
    assert found.nll_map.shape == (5, *shape[1:])
    np.testing.assert_allclose(
        found.nll_map.sum(axis=(1, 2)), found.reconstruction_nll, rtol=1e-5, atol=1e-3
    )
    np.testing.assert_allclose(
        found.kl_axes, kl_per_axis(found.mean, found.log_var), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(found.negative_elbo, found.reconstruction_nll + found.kl)
    np.testing.assert_allclose(
        found.nll_at_mean, codec.reconstruction_nll(images, found.mean), rtol=1e-5
    )
    np.testing.assert_allclose(found.reconstruction, codec.decode(found.mean), atol=1e-6)
    # Each pixel of each draw pays the floor at least, hence so does their mean.
    assert (found.nll_map - found.floor_map).min() > -1e-5
    assert (found.floor < found.reconstruction_nll).all()


@pytest.mark.parametrize("draws", [1, 7, 32])
def test_the_draws_are_those_of_the_command_line(draws):
    codec, images = make_codec(), make_images()
    found = measure_bounds(codec, images, draws=draws)
    for row, image in enumerate(images):
        nll, kl = codec.bound_terms(np.repeat(image[None], draws, 0), seed=0)
        assert found.reconstruction_nll[row] == pytest.approx(nll.mean(), rel=1e-5)
        assert found.kl[row] == pytest.approx(kl[0], rel=1e-5)
        if draws > 1:
            assert found.nll_error[row] == pytest.approx(
                nll.astype(np.float64).std(ddof=1) / draws**0.5, rel=1e-3
            )


def test_an_image_does_not_depend_on_those_beside_it():
    codec, images = make_codec(), make_images(70)
    together = measure_bounds(codec, images)
    alone = measure_bounds(codec, images[-1:])
    np.testing.assert_allclose(together.nll_map[-1], alone.nll_map[0], rtol=1e-4, atol=1e-5)
    one = measure_bounds(codec, images[:1], draws=1500)
    assert one.nll_map.shape == (1, 8, 9)


@pytest.mark.parametrize("kind", ["vae", "ae"])
def test_bounds_are_joined_in_order(kind):
    codec, images = make_codec(kind), make_images()
    found = join_bounds([measure_bounds(codec, images[:2]), measure_bounds(codec, images[2:])])
    whole = measure_bounds(codec, images)
    for field in fields(whole):
        mine, theirs = getattr(found, field.name), getattr(whole, field.name)
        if theirs is None:
            assert mine is None
        else:
            np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-4)


def test_the_bound_is_the_negative_elbo_and_of_an_autoencoder_the_reconstruction():
    images = make_images()
    vae, ae = (measure_bounds(make_codec(kind), images) for kind in ("vae", "ae"))
    np.testing.assert_array_equal(vae.bound, vae.reconstruction_nll + vae.kl)
    np.testing.assert_array_equal(ae.bound, ae.reconstruction_nll)


def test_one_draw_has_no_error_and_more_shrink_it():
    codec, images = make_codec(), make_images()
    assert np.isnan(measure_bounds(codec, images, draws=1).nll_error).all()
    few, many = (measure_bounds(codec, images, draws=n).nll_error for n in (64, 4096))
    assert (many < few).all()


def test_an_autoencoder_has_no_kl_and_one_code():
    codec, images = make_codec("ae"), make_images()
    found = measure_bounds(codec, images)
    assert found.log_var is None
    assert found.kl_axes is None
    assert found.kl is None
    assert found.negative_elbo is None
    np.testing.assert_allclose(found.reconstruction_nll, found.nll_at_mean, rtol=1e-5)
    assert (found.nll_error == 0).all()
    draws = draw_posterior(codec, found.mean[0], None)
    assert draws.codes.shape == (1, 3)
    assert draws.pictures.shape == (1, *SHAPE)
    assert (draws.spread == 0).all()


def test_the_floor_of_a_bernoulli_is_the_entropy_of_grey():
    image = np.zeros((1, 1, 8, 8), np.float32)
    image[..., 0], image[..., 1] = 0.5, 1.0
    floor = measure_bounds(make_codec(shape=(1, 8, 8)), image).floor_map[0]
    np.testing.assert_allclose(floor[:, 0], np.log(2), rtol=1e-6)
    assert (floor[:, 1:] == 0).all()


def test_the_floor_of_a_gaussian_is_its_constants():
    codec = make_codec(likelihood="gaussian", sigma=0.25)
    found = measure_bounds(codec, make_images(2))
    np.testing.assert_allclose(found.floor_map, 0.5 * np.log(2 * np.pi * 0.25**2), rtol=1e-5)
    error = measure_bounds(make_codec("ae", likelihood="gaussian", sigma=0.25), make_images(2))
    expected = 0.5 * ((error.reconstruction - make_images(2))[:, 0] / 0.25) ** 2
    np.testing.assert_allclose(error.excess_map, expected, rtol=1e-3, atol=1e-5)


def test_posterior_draws_are_at_their_noise_and_spread_as_many():
    codec, images = make_codec(), make_images(1)
    mean, log_var = (one[0] for one in codec.encode(images))
    found = draw_posterior(codec, mean, log_var, shown=8, draws=64)
    np.testing.assert_allclose(
        found.codes, mean + found.noise * np.exp(0.5 * log_var), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(found.pictures, codec.decode(found.codes), atol=1e-6)
    every = draw_posterior(codec, mean, log_var, shown=64, draws=64)
    np.testing.assert_allclose(found.spread, every.pictures[:, 0].std(axis=0), atol=1e-5)
    # A posterior without width leaves nothing unsure.
    sure = draw_posterior(codec, mean, np.full_like(log_var, -60.0))
    assert sure.spread.max() < 1e-6


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), kind=st.sampled_from(["vae", "ae"]))
def test_an_axis_saves_what_putting_it_to_rest_costs(seed, kind):
    codec, image = make_codec(kind, seed=seed), make_images(1, seed=seed)[0]
    typical = np.array([0.5, -1.0, 2.0], np.float32)
    found = measure_axes(codec, image, typical=typical)
    mean, _ = codec.encode(image[None])
    for axis in range(3):
        code = mean.copy()
        code[0, axis] = typical[axis]
        cost = codec.reconstruction_nll(image[None], code) - codec.reconstruction_nll(
            image[None], mean
        )
        assert found.saved[axis] == pytest.approx(cost[0], abs=1e-3)
        change = (codec.decode(mean) - codec.decode(code))[0].mean(axis=0)
        np.testing.assert_allclose(found.change[axis], change, atol=1e-5)
    assert (found.kl is None) == (kind == "ae")
    assert found.all_changes.shape == SHAPE[1:]


def test_what_cannot_be_measured_is_told():
    codec, images = make_codec(), make_images(1)
    with pytest.raises(LatentError, match="0 draws were asked for; 1 to 4,096"):
        measure_bounds(codec, images, draws=0)
    with pytest.raises(LatentError, match="9 draws are to be shown; 1 to 8"):
        draw_posterior(codec, np.zeros(3), np.zeros(3), shown=9, draws=8)
    with pytest.raises(CheckpointError, match="do not fit"):
        measure_bounds(codec, make_images(shape=(1, 9, 9)))
    with pytest.raises(LatentError, match="typical code has the shape"):
        measure_axes(codec, images[0], typical=np.zeros(2))

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.errors import DataError
from explorer.images.quality import psnr, ssim


@pytest.mark.parametrize(
    ("shape", "seed", "similarity", "decibels"),
    [
        ((28, 28), 0, 0.800462052956239, 15.259956812229749),
        ((40, 33), 1, 0.8282560766194048, 14.935504975082015),
    ],
)
def test_they_are_those_of_scikit_image(shape, seed, similarity, decibels):
    # scikit-image 0.25's structural_similarity(data_range=1, gaussian_weights=True, sigma=1.5,
    # use_sample_covariance=False), which is Wang et al.'s, and its peak_signal_noise_ratio.
    rng = np.random.default_rng(seed)
    one = rng.random(shape)
    other = np.clip(one + 0.2 * rng.standard_normal(shape), 0, 1)
    assert ssim(one[None, None], other[None, None])[0] == pytest.approx(similarity, abs=1e-10)
    assert psnr(one[None, None], other[None, None])[0] == pytest.approx(decibels, abs=1e-10)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    channels=st.sampled_from([1, 3]),
    height=st.integers(3, 20),
    width=st.integers(3, 20),
)
def test_a_picture_is_most_like_itself_and_noise_takes_from_it(seed, channels, height, width):
    rng = np.random.default_rng(seed)
    images = rng.random((2, channels, height, width)).astype(np.float32)
    np.testing.assert_allclose(ssim(images, images), 1)
    assert (psnr(images, images) == np.inf).all()
    near, far = (
        np.clip(images + size * rng.standard_normal(images.shape), 0, 1) for size in (0.02, 0.6)
    )
    assert (ssim(near, images) <= 1).all()
    assert (ssim(far, images) < ssim(near, images)).all()
    assert (psnr(far, images) < psnr(near, images)).all()
    np.testing.assert_allclose(ssim(far, images), ssim(images, far))


def test_psnr_of_a_known_difference():
    zero = np.zeros((1, 1, 4, 4))
    assert psnr(zero + 0.1, zero)[0] == pytest.approx(20)


def test_pictures_of_two_shapes_are_refused():
    with pytest.raises(DataError, match="cannot be compared"):
        psnr(np.zeros((1, 1, 8, 8)), np.zeros((1, 1, 8, 9)))
    with pytest.raises(DataError, match="cannot be compared"):
        ssim(np.zeros((8, 8)), np.zeros((8, 8)))

import hashlib
import itertools

import numpy as np
import pytest

from explorer.images.sprites import FACTORS, SPRITES, draw, draw_sprite

SHAPES = FACTORS[0].choices
NAMES = [factor.name for factor in FACTORS]


@pytest.fixture(scope="module")
def drawn():
    """Factor values by name and images (300, 64, 64) of the set's first sprites."""
    values = SPRITES.factor_values(300)
    images = np.stack([draw(row)[0] for row in values])
    return dict(zip(NAMES, values.T, strict=True)), images


def centroids(images):
    """x and y (N,) of the light, in pixels from the upper left corner of the image."""
    light = images.astype(np.float64)
    total = light.sum(axis=(1, 2))
    middles = np.arange(64) + 0.5
    return (light.sum(axis=1) @ middles) / total, (light.sum(axis=2) @ middles) / total


def test_the_drawings_never_change():
    # Checkpoints know their images by the pixels. If Pillow draws otherwise one day, or the
    # drawing is changed, Scheme.version goes up, and shipped checkpoints are trained again.
    digest = hashlib.blake2b(digest_size=16)
    for row in SPRITES.factor_values(100):
        digest.update(draw(row).tobytes())
    assert digest.hexdigest() == "1d631251a3cd5a2b15c5222989b90b28"


def test_a_sprite_is_one_light_shape_on_black_with_soft_edges(drawn):
    _, images = drawn
    assert images.dtype == np.uint8
    assert images.shape[1:] == (64, 64)
    assert (images.min(axis=(1, 2)) == 0).all()
    assert (images.max(axis=(1, 2)) == 255).all()
    between = ((images > 0) & (images < 255)).sum(axis=(1, 2))
    assert (between[drawn[0]["shape"] == SHAPES.index("star")] > 20).all()


def test_the_centroid_is_where_the_factors_say(drawn):
    factors, images = drawn
    for name, measured in zip(("x", "y"), centroids(images), strict=True):
        assert np.corrcoef(measured, factors[name])[0, 1] > 0.999
        assert np.abs(measured - factors[name]).max() < 0.15


def test_the_area_is_the_scale_squared_whatever_the_shape(drawn):
    factors, images = drawn
    side = np.sqrt(images.sum(axis=(1, 2)) / 255)
    for shape in range(len(SHAPES)):
        rows = factors["shape"] == shape
        assert rows.sum() > 40
        assert np.corrcoef(side[rows], factors["scale"][rows])[0, 1] > 0.999
    assert np.abs(side - factors["scale"]).max() < 0.3


def test_the_rotation_is_that_of_the_ellipses_long_axis(drawn):
    factors, images = drawn
    rows = factors["shape"] == SHAPES.index("ellipse")
    light = images[rows].astype(np.float64)
    x, y = centroids(images[rows])
    across = np.arange(64) + 0.5 - x[:, None]
    down = np.arange(64) + 0.5 - y[:, None]
    xx = (light.sum(axis=1) * across**2).sum(axis=1)
    yy = (light.sum(axis=2) * down**2).sum(axis=1)
    xy = np.einsum("nij,ni,nj->n", light, down, across)
    turn = np.rad2deg(np.arctan2(2 * xy, xx - yy) / 2)
    assert np.abs(turn - factors["rotation"][rows]).max() < 1.5


@pytest.mark.parametrize("shape", SHAPES)
def test_no_two_rotations_look_alike(shape):
    turned = [draw_sprite(shape=shape, rotation=angle) for angle in range(-30, 31, 5)]
    for one, other in itertools.combinations(turned, 2):
        assert np.abs(one.astype(int) - other).sum() > 10 * 255


def test_no_two_shapes_look_alike():
    for one, other in itertools.combinations(SHAPES, 2):
        difference = draw_sprite(shape=one).astype(int) - draw_sprite(shape=other)
        assert np.abs(difference).sum() > 60 * 255


@pytest.mark.parametrize("shape", SHAPES)
def test_no_shape_is_cut_off_at_the_border(shape):
    for x, y, rotation in itertools.product((20, 44), (20, 44), range(-30, 31, 6)):
        image = draw_sprite(shape=shape, scale=24, x=x, y=y, rotation=rotation)[0]
        assert np.sqrt(image.sum() / 255) == pytest.approx(24, abs=0.3)


def test_a_sprite_by_hand_is_the_one_of_the_set():
    row = SPRITES.factor_values(8)[7]
    given = dict(zip(NAMES, row.tolist(), strict=True))
    assert np.array_equal(draw_sprite(**given), draw(row))
    assert np.array_equal(draw_sprite(), draw_sprite(shape=0, scale=18, rotation=0, x=32, y=32))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"shape": "circle"}, "shape is 'circle'; it must be one of"),
        ({"shape": 4}, "shape is 4; it must lie from 0 to 3"),
        ({"shape": 0.5}, "shape is 0.5"),
        ({"x": 45}, "x is 45; it must lie from 20 to 44"),
        ({"x": float("nan")}, "x is nan"),
        ({"x": "left"}, "x is 'left'"),
        ({"hue": 1}, "sprites have no factor 'hue'; there are shape, scale, rotation, x, y"),
    ],
)
def test_a_value_that_no_sprite_has_is_refused(given, told):
    with pytest.raises(ValueError, match=told):
        draw_sprite(**given)

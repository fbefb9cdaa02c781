import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageDraw

from explorer.images.framing import keep_main_parts, place_ink
from explorer.images.ink import find_ink

HEIGHT, WIDTH = 300, 400
Y, X = np.mgrid[0:HEIGHT, 0:WIDTH]


def stroke(pen=12, points=((120, 60), (250, 60), (180, 240))):
    image = Image.new("L", (WIDTH, HEIGHT))
    ImageDraw.Draw(image).line(points, fill=255, width=pen, joint="curve")
    return np.asarray(image) / 255


def photograph(light, ink, depth=0.75, grain=0.015):
    noise = np.random.default_rng(0).normal(0, grain, light.shape)
    return np.rint(255 * np.clip(light * (1 - depth * ink) + noise, 0, 1)).astype(np.uint8)


LIGHTS = {
    "even": np.full((HEIGHT, WIDTH), 0.9),
    "ramp": 0.9 - 0.45 * X / WIDTH - 0.1 * Y / HEIGHT,
    "vignette": 0.95 - 0.5 * ((X / WIDTH - 0.5) ** 2 + (Y / HEIGHT - 0.5) ** 2),
    "shadow": np.where(X + 0.5 * Y > 290, 0.45, 0.9),
}


@pytest.mark.parametrize("light", LIGHTS)
@pytest.mark.parametrize("pen", [4, 12, 40])
def test_strokes_come_out_of_unevenly_lit_paper(light, pen):
    drawn = stroke(pen)
    ink = find_ink(photograph(LIGHTS[light], drawn), strokes=True)
    assert ink.dark
    assert ink.strength[drawn == 0].mean() < 0.02
    assert np.median(ink.strength[drawn == 1]) > 0.7


@pytest.mark.parametrize("light", LIGHTS)
def test_chalk_on_a_board_is_light_ink(light):
    ink = find_ink(255 - photograph(LIGHTS[light], stroke()), strokes=True)
    assert not ink.dark
    assert np.median(ink.strength[stroke() == 1]) > 0.7


@pytest.mark.parametrize("light", ["even", "ramp", "vignette"])
def test_empty_paper_is_blank(light):
    assert find_ink(photograph(LIGHTS[light], 0 * X), strokes=True) is None


def test_a_filled_shape_stays_filled_and_keeps_its_tones():
    shape = ((abs(X - 200) < 120) & (abs(Y - 150) < 130)) * (0.4 + 0.6 * (X > 200))
    ink = find_ink(photograph(LIGHTS["even"], shape, depth=1.0), strokes=False)
    left, right = ink.strength[150, 100:190], ink.strength[150, 210:300]
    assert left.min() > 0.3
    assert left.max() < 0.5
    assert right.min() > 0.9


def test_a_shape_that_touches_the_border_is_still_ink():
    garment = np.zeros((28, 28), np.uint8)
    garment[:, 8:20] = 180
    garment[:8, 3:25] = 200
    assert not find_ink(garment, strokes=False).dark
    assert find_ink(255 - garment, strokes=False).dark


def test_digits_are_placed_as_mnist_places_them():
    placed, _ = place_ink(stroke(20).astype(np.float32), 28, 28, strokes=True)
    rows, columns = np.nonzero(placed > 0.1)
    assert rows.max() - rows.min() + 1 == 20
    assert columns.max() - columns.min() + 1 <= 20
    y, x = np.mgrid[0:28, 0:28]
    assert abs((placed * y).sum() / placed.sum() - 14) <= 0.5
    assert abs((placed * x).sum() / placed.sum() - 14) <= 0.5
    assert placed.max() == 1


def test_thin_strokes_are_thickened_and_thick_ones_are_not():
    thin, was_thin = place_ink(stroke(3).astype(np.float32), 28, 28, strokes=True)
    thick, was_thick = place_ink(stroke(36).astype(np.float32), 28, 28, strokes=True)
    assert (was_thin, was_thick) == (True, False)
    assert thin.max() == 1
    assert 40 < (thin > 0.5).sum() < (thick > 0.5).sum() + 20


def test_things_fill_the_frame():
    placed, thickened = place_ink(stroke(30).astype(np.float32), 28, 28, strokes=False)
    rows = np.nonzero(placed.max(axis=1) > 0.1)[0]
    assert (rows.min(), rows.max()) == (0, 27)
    assert not thickened


def test_specks_are_cleared_and_parts_of_size_kept():
    strength = np.zeros((300, 300), np.float32)
    strength[100:200, 100:120] = 1
    strength[100:200, 160:170] = 0.8
    strength[20:24, 250:254] = 1
    kept = keep_main_parts(strength, drop_border=False)
    assert kept[150, 110] == 1
    assert kept[150, 165] == np.float32(0.8)
    assert kept[:50].max() == 0


def test_parts_at_the_border_go_only_when_others_stay():
    strength = np.zeros((100, 100), np.float32)
    strength[0:50, 10:20] = 1
    assert keep_main_parts(strength, drop_border=True).max() == 1
    strength[40:90, 50:60] = 1
    kept = keep_main_parts(strength, drop_border=True)
    assert kept[:, :30].max() == 0
    assert kept[60, 55] == 1


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40))),
    st.sampled_from([(28, 28), (8, 8), (28, 20), (128, 9)]),
    st.booleans(),
)
def test_any_picture_fits_the_frame(grey, size, strokes):
    ink = find_ink(grey, strokes=strokes)
    if ink is None:
        return
    placed, _ = place_ink(ink.strength, *size, strokes=strokes)
    assert placed.shape == size
    assert np.isfinite(placed).all()
    assert placed.min() >= 0
    assert placed.max() <= 1

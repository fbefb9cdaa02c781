import hashlib
import itertools

import numpy as np
import pytest

from explorer.images.faces import FACES, FACTORS, HAIR_COLOURS, HAIR_STYLES, draw, draw_face

RANGES = {factor.name: (factor.low, factor.high) for factor in FACTORS if not factor.choices}

# Rows and columns of an upright face of middle width, within which a factor may change pixels.
MOUTH = (slice(38, 52), slice(22, 42))
EYES = (slice(25, 39), slice(17, 47))
BROWS = (slice(17, 29), slice(17, 47))
GLASSES = (slice(25, 40), slice(12, 52))
ABOVE_SHIRT = (slice(0, 54), slice(0, 64))
EVERYWHERE = (slice(0, 64), slice(0, 64))


def sweep(name, steps=9, **rest):
    """Values of one factor and the faces (steps, 3, 64, 64) that have them."""
    values = np.linspace(*RANGES[name], steps)
    return values, np.stack([draw_face(**rest, **{name.replace(" ", "_"): v}) for v in values])


def correlation(first, second):
    return np.corrcoef(first, second)[0, 1]


def darkness(faces, rows, columns, below=255):
    """How much darker than `below` the green of a part of the faces is: (n, rows, columns)."""
    return np.clip(below - faces[:, 1, rows, columns].astype(np.float64), 0, None)


def place(weights, axis):
    """Mean position (n,) of the weights along an axis, 1 down or 2 across."""
    along = weights.sum(axis=3 - axis)
    return along @ np.arange(along.shape[1]) / along.sum(axis=1)


def test_the_drawings_never_change():
    # As with the sprites: another digest is another Scheme.version.
    digest = hashlib.blake2b(digest_size=16)
    for row in FACES.factor_values(100):
        digest.update(draw(row).tobytes())
    assert digest.hexdigest() == "d4480289081a0d919b65c1680e2d371d"


def test_there_are_ten_factors_and_more():
    assert len(FACTORS) >= 10
    assert len(HAIR_STYLES) >= 4
    assert "bald" in HAIR_STYLES


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("smile", MOUTH),
        ("mouth opening", MOUTH),
        ("eye size", EYES),
        ("gaze", EYES),
        ("brow angle", BROWS),
        ("head width", ABOVE_SHIRT),
        ("skin tone", EVERYWHERE),
        ("hair colour", ABOVE_SHIRT),
        ("hair style", EVERYWHERE),
        ("glasses", GLASSES),
        ("head tilt", EVERYWHERE),
    ],
)
def test_a_factor_changes_its_part_of_the_picture_and_no_other(name, where):
    factor = next(factor for factor in FACTORS if factor.name == name)
    ends = range(len(factor.choices)) if factor.choices else (factor.low, factor.high)
    faces = [
        draw_face(**{"hair_style": "short", name.replace(" ", "_"): end}).astype(int)
        for end in ends
    ]
    for one, other in itertools.combinations(faces, 2):
        changed = np.abs(one - other).max(axis=0)
        # At least thirty pixels that an eye can tell apart.
        assert (changed > 24).sum() >= 30
        changed[where] = 0
        assert not changed.any()


def test_every_factor_was_tried():
    marks = test_a_factor_changes_its_part_of_the_picture_and_no_other.pytestmark
    assert [case[0] for case in marks[0].args[1]] == [factor.name for factor in FACTORS]


def test_a_smile_lifts_the_corners_of_the_mouth():
    values, faces = sweep("smile", mouth_opening=0)
    # As dark as the nose, which is near.
    lips = int(faces[0, 1, 20, 36]) - 28
    corners = place(darkness(faces, slice(38, 49), slice(24, 26), lips), 1)
    middle = place(darkness(faces, slice(38, 49), slice(31, 33), lips), 1)
    assert correlation(middle - corners, values) > 0.99
    assert (middle - corners)[[0, -1]] == pytest.approx([-3, 3], abs=1.5)


def test_an_opening_mouth_grows_and_shows_teeth():
    values, faces = sweep("mouth opening")
    rows, columns = MOUTH
    skin = faces[0, 1, 20, 36].astype(int)
    mouth = np.abs(faces[:, 1, 38:49, columns].astype(int) - skin) > 24
    area = mouth.sum(axis=(1, 2))
    assert correlation(area, values) > 0.97
    assert area[-1] > 1.5 * area[0]
    white = (faces[:, :, rows, columns].min(axis=1) > 225).sum(axis=(1, 2))
    assert white[0] == 0
    assert white[-1] >= 8


def test_the_gaze_moves_both_pupils():
    values, faces = sweep("gaze")
    for columns in (slice(17, 31), slice(33, 47)):
        pupil = place(darkness(faces, EYES[0], columns, 110), 2)
        assert correlation(pupil, values) > 0.99
        assert np.ptp(pupil) > 2


def test_larger_eyes_show_more_white():
    values, faces = sweep("eye size")
    white = (faces.min(axis=1)[:, *EYES] / 255) ** 4
    assert correlation(white.sum(axis=(1, 2)), values**2) > 0.99


def test_the_brows_turn_against_each_other():
    values, faces = sweep("brow angle", hair_style="bald", hair_colour="black")
    for columns, sign in ((slice(18, 30), 1), (slice(34, 46), -1)):
        dark = darkness(faces, slice(17, 28), columns, 120)
        # The slope of the line through the dark pixels, in degrees.
        across = np.arange(12) - place(dark, 2)[:, None]
        down = np.arange(11) - place(dark, 1)[:, None]
        slope = np.einsum("nij,ni,nj->n", dark, down, across)
        slope /= (dark.sum(axis=1) * across**2).sum(axis=1)
        turn = np.rad2deg(np.arctan(slope))
        assert correlation(turn, values) * sign > 0.99
        assert np.abs(turn - sign * values).max() < 4


def test_the_head_is_as_wide_as_it_should_be():
    values, faces = sweep("head width", hair_style="bald")
    background = faces[0, :, 0, 0].astype(int)
    # The widest row above the ears.
    head = np.abs(faces[:, :, 26].astype(int) - background[:, None]).max(axis=1) > 40
    width = head.sum(axis=1)
    assert correlation(width, values) > 0.98
    assert (width > 0.9 * values).all()
    assert (width < 1.1 * values).all()


def test_the_skin_goes_from_light_to_dark_through_human_colours():
    _, faces = sweep("skin tone", steps=41, hair_style="bald")
    forehead = faces[:, :, 20, 36].astype(int)
    assert (np.diff(forehead.sum(axis=1)) < 0).all()
    assert (forehead[:, 0] > forehead[:, 1]).all()
    assert (forehead[:, 1] > forehead[:, 2]).all()
    assert forehead[0].min() > 190
    assert forehead[-1].max() < 110
    # Neither shirt nor background nor the white of the eyes belongs to the skin.
    unchanged = np.ptp(faces.astype(int), axis=0).max(axis=0) == 0
    assert unchanged[:8].all()
    assert unchanged[62:].all()
    assert unchanged[EYES].any()


def test_the_line_through_the_eyes_is_tilted_with_the_head():
    values, faces = sweep("head tilt", hair_style="bald", hair_colour="blond", skin_tone=0)
    # Pupils are the darkest there is above the mouth.
    dark = darkness(faces, slice(18, 42), slice(0, 64), 60)
    middle = int(place(dark, 2).mean().round())
    left, right = dark.copy(), dark.copy()
    left[:, :, middle:] = 0
    right[:, :, :middle] = 0
    rise = np.rad2deg(
        np.arctan2(place(right, 1) - place(left, 1), place(right, 2) - place(left, 2))
    )
    assert correlation(rise, values) > 0.99
    assert np.abs(rise - values).max() < 2


def test_the_shirt_stays_where_it_is_when_the_head_tilts():
    _, faces = sweep("head tilt")
    assert (np.ptp(faces[:, :, 60:], axis=0) == 0).all()


@pytest.mark.parametrize("style", HAIR_STYLES)
def test_every_hair_colour_is_seen_in_every_style_on_every_skin(style):
    for tone in (0, 0.25, 0.5, 0.75, 1):
        faces = [
            draw_face(hair_style=style, hair_colour=colour, skin_tone=tone).astype(int)
            for colour in HAIR_COLOURS
        ]
        for one, other in itertools.combinations(faces, 2):
            # A bald face keeps its brows.
            assert (np.abs(one - other).max(axis=0) > 24).sum() >= 10


@pytest.mark.parametrize("tone", np.linspace(0, 1, 11))
def test_hair_can_be_told_from_skin(tone):
    bald = draw_face(hair_style="bald", skin_tone=tone).astype(int)
    for style, colour in itertools.product(HAIR_STYLES[1:], HAIR_COLOURS):
        face = draw_face(hair_style=style, hair_colour=colour, skin_tone=tone).astype(int)
        rows = slice(10, 22)
        assert (np.abs(face - bald).max(axis=0)[rows] > 24).sum() >= 60


def test_a_face_by_hand_is_the_one_of_the_set():
    row = FACES.factor_values(4)[3]
    given = {factor.name: value for factor, value in zip(FACTORS, row.tolist(), strict=True)}
    face = draw_face(**given)
    assert face.shape == (3, 64, 64)
    assert face.dtype == np.uint8
    assert np.array_equal(face, draw(row))
    with pytest.raises(ValueError, match="hair style is 'mohawk'; it must be one of"):
        draw_face(hair_style="mohawk")

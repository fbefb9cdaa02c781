"""Each choice about an upload does what it says, and what was guessed can be chosen otherwise."""

import io

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from explorer.errors import ConfigError, UploadError
from explorer.images.intake import ModelInput, prepare_upload
from explorer.images.preparation import (
    CONTRASTS,
    FRAMINGS,
    GROUNDS,
    POLARITIES,
    STROKES,
    TURNS,
    Preparation,
    crop_box,
)

DIGITS = ModelInput((1, 28, 28), 0.0)
DARK_DIGITS = ModelInput((1, 28, 28), 1.0)
GARMENTS = ModelInput((1, 28, 28), 0.05)
FACES = ModelInput((1, 32, 24), 0.45)
COLOUR = ModelInput((3, 32, 32), 0.5)
TARGETS = (DIGITS, DARK_DIGITS, GARMENTS, FACES, COLOUR)


def picture_bytes(image, file_format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def drawing(size=(200, 120), mode="L", ink=0, paper=255, at=(0.2, 0.2, 0.5, 0.8)):
    """An L, which no turn or mirror leaves as it is."""
    image = Image.new(mode, size, paper)
    left, top, right, bottom = (share * size[i % 2] for i, share in enumerate(at))
    line = [(left, top), (left, bottom), (right, bottom)]
    ImageDraw.Draw(image).line(line, fill=ink, width=10, joint="curve")
    return image


def decision(prepared, choice):
    return next(one for one in prepared.decisions if one.choice == choice)


def prepare(image, target=DIGITS, **choices):
    data = image if isinstance(image, bytes) else picture_bytes(image)
    return prepare_upload(data, "a", target, Preparation(**choices))


@pytest.mark.parametrize(
    "choices",
    [
        {"turn": "45"},
        {"turn": 90},
        {"polarity": "flip"},
        {"framing": ""},
        {"ground": "white"},
        {"contrast": "more"},
        {"strokes": "thin"},
        {"crop": (0, 0, 1)},
        {"crop": (0.5, 0, 0.5, 1)},
        {"crop": (0, 0, 1, 1.01)},
        {"crop": (float("nan"), 0, 1, 1)},
        {"crop": "abcd"},
        {"crop": 3},
    ],
)
def test_a_choice_that_is_not_allowed_is_told(choices):
    (name,) = choices
    with pytest.raises(ConfigError, match=rf"{name} is .*; it must be "):
        Preparation(**choices)


def test_what_was_changed_is_known():
    assert Preparation().changed == ()
    assert Preparation(crop=(0, 0, 1, 0.5), turn="90").changed == ("turn", "crop")


@pytest.mark.parametrize("target", TARGETS)
def test_choosing_what_was_guessed_changes_nothing(target):
    for image in (drawing(), drawing(mode="RGBA", ink=(0, 0, 0, 255), paper=(0, 0, 0, 0))):
        guessed = prepare(image, target)
        assert all(one.guessed for one in guessed.decisions)
        taken = {one.choice: one.taken for one in guessed.decisions}
        chosen = prepare(image, target, **taken)
        assert np.allclose(chosen.image, guessed.image, atol=1e-6)
        assert all(one.guessed == (one.taken == "auto") for one in chosen.decisions)
        assert {one.choice: one.taken for one in chosen.decisions} == taken


@pytest.mark.parametrize("target", TARGETS)
def test_every_other_choice_is_one_step_away_and_can_be_taken_back(target):
    guessed = prepare(drawing(), target)
    for one in guessed.decisions:
        assert one.taken not in one.others
        for other in one.others:
            preparation = one.instead(guessed.preparation, other)
            changed = prepare_upload(picture_bytes(drawing()), "a", target, preparation)
            assert decision(changed, one.choice).taken == other
            assert not decision(changed, one.choice).guessed
            back = decision(changed, one.choice).instead(preparation, "auto")
            assert back == Preparation()


def test_the_steps_name_the_decisions_that_they_stand_for():
    prepared = prepare(picture_bytes(drawing(mode="RGB", ink=(0, 0, 0), paper=(255, 255, 255))))
    by_title = {step.title: [one.choice for one in step.decisions] for step in prepared.steps}
    assert by_title["Inverted"] == ["polarity"]
    assert by_title["Contrast stretched"] == ["contrast"]
    assert by_title["Cropped and centred"] == ["framing", "strokes"]
    assert by_title["Model input"] == []


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_turn_by_hand_goes_to_the_right_and_replaces_the_note(degrees):
    exif = Image.Exif()
    exif[0x0112] = 6
    for note in ({}, {"exif": exif}):
        turned = prepare(picture_bytes(drawing(), **note), FACES, turn=str(degrees))
        expected = prepare(drawing().rotate(-degrees, expand=True), FACES)
        assert np.allclose(turned.image, expected.image, atol=0.02)


@pytest.mark.parametrize(("orientation", "taken"), [(3, "180"), (6, "90"), (8, "270"), (2, "auto")])
def test_the_cameras_note_is_told_as_a_turn(orientation, taken):
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = decision(prepare(picture_bytes(drawing(), exif=exif)), "turn")
    assert found.taken == taken
    assert found.guessed
    assert "as the camera's note says" in found.words


def test_polarity_is_kept_or_inverted_as_chosen():
    kept = prepare(drawing(), FACES).image
    assert np.allclose(prepare(drawing(), FACES, polarity="invert").image, 1 - kept, atol=1e-6)
    light = drawing(ink=255, paper=0)
    assert np.allclose(prepare(light).image, prepare(drawing(), polarity="invert").image)
    # The wrong side: the strokes themselves are taken for holes in what is drawn.
    wrong = prepare(drawing(), polarity="keep", framing="whole", contrast="keep")
    assert wrong.image.mean() > 0.5
    assert decision(wrong, "polarity").taken == "keep"


def test_a_side_without_strokes_is_blank_and_says_so():
    prepared = prepare(drawing(), polarity="keep")
    assert "no strokes lighter than their ground were found" in prepared.steps[-1].detail
    assert prepared.image.max() == 0
    assert decision(prepared, "polarity").others == ("invert",)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("contrast", ["stretch", "keep"])
def test_framings_show_what_they_say(target, contrast):
    image = drawing((200, 100), at=(0.05, 0.2, 0.2, 0.8))
    _, height, width = target.image_shape

    def inked(framing):
        found = prepare(image, target, framing=framing, contrast=contrast).image[0]
        return abs(found - np.median(found)) > 0.2

    # Left of the middle square there is nothing to be seen in it.
    assert inked("centre crop").sum() == 0
    rows = np.nonzero(inked("pad").any(axis=1))[0]
    assert rows.min() >= height / 4
    assert rows.max() < 0.9 * height
    whole = inked("whole")
    assert np.nonzero(whole.any(axis=1))[0].min() < height / 4
    assert np.nonzero(whole.any(axis=0))[0].max() < width / 2


def test_the_ink_box_needs_a_plain_ground():
    prepared = prepare(drawing(), FACES, framing="ink box")
    found = decision(prepared, "framing")
    assert found.taken == "centre crop"
    assert "no plain ground" in found.words
    assert "ink box" not in found.others


def test_an_ink_box_with_its_tones_kept():
    image = drawing(ink=100, paper=220)
    kept = prepare(image, contrast="keep").image[0]
    stretched = prepare(image).image[0]
    assert stretched.max() == 1
    assert kept.max() == pytest.approx(155 / 255, abs=0.05)  # resizing overshoots a little
    assert kept[0, 0] == pytest.approx(35 / 255, abs=0.01)
    inside = np.nonzero(stretched > 0.5)
    assert abs(np.nonzero(kept > 0.35)[0].min() - inside[0].min()) <= 1


def test_thin_strokes_stay_thin_if_so_chosen():
    image = Image.new("L", (400, 300), 255)
    ImageDraw.Draw(image).line([(100, 50), (100, 250), (250, 250)], fill=0, width=3)
    thick, thin = prepare(image), prepare(image, strokes="keep")
    assert decision(thick, "strokes").taken == "thicken"
    assert decision(thin, "strokes").others == ("thicken",)
    assert (thin.image > 0.5).sum() < (thick.image > 0.5).sum()


@pytest.mark.parametrize("target", TARGETS)
def test_a_crop_by_hand_is_like_a_smaller_file(target):
    image = drawing((240, 160))
    crop = (0.05, 0.1, 0.7, 0.95)
    cropped = prepare(image, target, crop=crop)
    smaller = prepare(image.crop(crop_box(crop, *image.size)), target)
    assert np.array_equal(cropped.image, smaller.image)
    step = next(step for step in cropped.steps if step.title == "Cropped by hand")
    assert step.detail == "from 5% to 70% across and 10% to 95% down"


def test_the_crop_is_of_the_upright_picture():
    exif = Image.Exif()
    exif[0x0112] = 6
    crop = (0.1, 0.1, 0.9, 0.6)
    image = drawing()
    sideways = image.transpose(Image.Transpose.ROTATE_90)
    turned = prepare(picture_bytes(sideways, exif=exif), FACES, crop=crop)
    assert np.array_equal(turned.image, prepare(image, FACES, crop=crop).image)


@pytest.mark.parametrize("turn", ["auto", "90"])
@pytest.mark.parametrize("crop", [None, (0.1, 0.2, 0.9, 0.8)])
@pytest.mark.parametrize("target", [DIGITS, FACES])
def test_the_last_whole_step_is_what_a_crop_is_of(turn, crop, target):
    image = Image.fromarray(np.add.outer(np.arange(90), np.arange(120)).astype(np.uint8))
    prepared = prepare(image.quantize(64), target, turn=turn, crop=crop)
    whole = [step.whole for step in prepared.steps]
    count = sum(whole)
    assert whole == [True] * count + [False] * (len(whole) - count)
    assert count == (2 if turn == "auto" else 3)
    assert prepared.steps[count - 1].picture.shape[:2] == (
        (90, 120) if turn == "auto" else (120, 90)
    )


@pytest.mark.parametrize("target", [DIGITS, FACES, COLOUR])
@pytest.mark.parametrize(("ground", "level"), [("dark", 0), ("light", 1)])
def test_the_ground_under_transparency_is_chosen(target, ground, level):
    image = Image.new("RGBA", (64, 64), (128, 128, 128, 0))
    image.paste((128, 128, 128, 255), (24, 24, 40, 40))
    prepared = prepare(image, target, ground=ground, framing="whole", contrast="keep")
    kept = decision(prepared, "polarity").taken == "keep"
    assert prepared.image[0, 0, 0] == pytest.approx(level if kept else 1 - level)


@given(
    st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)).filter(
        lambda crop: crop[0] < crop[2] and crop[1] < crop[3]
    ),
    st.integers(1, 50),
    st.integers(1, 50),
)
def test_a_crop_holds_at_least_a_pixel(crop, width, height):
    left, top, right, bottom = crop_box(crop, width, height)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height


@settings(max_examples=120, deadline=None)
@given(
    st.data(),
    st.builds(
        Preparation,
        turn=st.sampled_from(TURNS),
        ground=st.sampled_from(GROUNDS),
        polarity=st.sampled_from(POLARITIES),
        contrast=st.sampled_from(CONTRASTS),
        framing=st.sampled_from(FRAMINGS),
        strokes=st.sampled_from(STROKES),
        crop=st.sampled_from([None, (0, 0, 0.3, 0.3), (0.9, 0.2, 1, 0.21)]),
    ),
    st.sampled_from(TARGETS),
)
def test_every_choice_goes_with_every_other(data, preparation, target):
    size = data.draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    mode = data.draw(st.sampled_from(["L", "LA", "RGB", "RGBA", "P"]))
    pixels = data.draw(st.binary(min_size=4, max_size=64))
    bands = 1 if mode == "P" else len(mode)
    needed = size[0] * size[1] * bands
    content = (pixels * (needed // len(pixels) + 1))[:needed]
    image = Image.frombytes(mode, size, content)
    try:
        prepared = prepare_upload(picture_bytes(image), "a", target, preparation)
    except UploadError:
        pytest.fail("a sound picture was refused")
    assert prepared.image.shape == target.image_shape
    assert prepared.image.min() >= 0
    assert prepared.image.max() <= 1
    assert prepared.preparation == preparation
    assert {"turn", "polarity", "framing"} <= {one.choice for one in prepared.decisions}


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(2, 5), st.integers(2, 5)),
    st.sampled_from([(28, 28), (64, 48), (200, 30), (31, 180), (260, 200)]),
    st.sampled_from([*TARGETS, COLOUR]),
)
def test_no_picture_with_contrast_becomes_a_blank_input(seed, cells, size, target):
    levels = np.random.default_rng(seed).integers(0, 256, cells, dtype=np.uint8)
    image = Image.fromarray(levels).resize(size, Image.Resampling.BICUBIC)
    scaled = np.asarray(image.resize(target.size, Image.Resampling.LANCZOS))
    assume(np.ptp(scaled) >= 16)
    assert np.ptp(prepare(image, target).image) >= 8 / 255


@pytest.mark.parametrize("target", [DIGITS, DARK_DIGITS, GARMENTS])
def test_a_photograph_without_strokes_is_scaled_and_that_is_said(target):
    ramp = np.tile(np.linspace(0, 255, 300).astype(np.uint8), (200, 1))
    prepared = prepare(Image.fromarray(ramp), target)
    step = next(one for one in prepared.steps if one.title == "Scaled plainly")
    assert "the picture has contrast, but neither strokes nor a thing were told" in step.detail
    assert decision(prepared, "framing").taken == "centre crop"
    assert "blank" not in prepared.steps[-1].detail
    inverted = prepare(Image.fromarray(ramp), target, polarity="invert")
    assert np.allclose(inverted.image, 1 - prepared.image, atol=0.02)


def test_a_thing_beside_the_middle_is_not_cut_off_by_a_guess():
    image = drawing((400, 100), at=(0.02, 0.2, 0.15, 0.8))
    prepared = prepare(image, FACES)
    assert np.ptp(prepared.image) > 0.2
    assert decision(prepared, "framing").taken == "whole"
    assert "what was cut out of it is blank" in decision(prepared, "framing").words


def test_half_bright_strokes_on_transparent_ground_do_not_vanish_in_a_half_bright_set():
    image = Image.new("LA", (60, 60), (128, 0))
    image.paste((128, 255), (10, 10, 50, 50))
    assert np.ptp(prepare(image, ModelInput((1, 32, 32), 0.5)).image) > 0.3

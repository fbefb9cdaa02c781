"""Directions whose effects are known, and traits of drawn shapes."""

from types import SimpleNamespace

import numpy as np
import pytest

from explorer.encode.effects import Effect, TraitEffect, measure_effect
from explorer.encode.traits import (
    References,
    Trait,
    all_traits,
    factor_trait,
    label_trait,
    measure_height,
    measure_slant,
    measure_thickness,
    measure_width,
    picture_traits,
)
from explorer.errors import CheckpointError, LatentError
from explorer.images.dataset import Factor
from explorer.latent.directions import Direction, direction_between, random_directions
from explorer.models.checkpoint import load_config, load_encodings
from explorer.models.codec import Codec

SIDE = 12


class Blocks:
    """A model whose codes say what is drawn: brightness of the left, and of the right half.

    The third axis draws nothing. As a `Codec`, with arrays at both ends.
    """

    latent_dim = 3

    def decode(self, codes):
        images = np.zeros((len(codes), 1, SIDE, SIDE), np.float32)
        images[:, 0, :, : SIDE // 2] = codes[:, :1, None]
        images[:, 0, :, SIDE // 2 :] = codes[:, 1:2, None]
        return images

    def encode(self, images):
        left = images[:, 0, :, : SIDE // 2].mean(axis=(1, 2))
        right = images[:, 0, :, SIDE // 2 :].mean(axis=(1, 2))
        return np.stack([left, right, np.zeros_like(left)], axis=1).astype(np.float32), None


LEFT = Trait("left", "", lambda images, _: images[:, 0, :, 0].mean(axis=1).astype(np.float64))
RIGHT = Trait("right", "", lambda images, _: images[:, 0, :, -1].mean(axis=1).astype(np.float64))


def along(*vector, step=0.5):
    return Direction(np.array(vector, np.float32), step, "means", (1, 1))


@pytest.fixture
def codes():
    return np.random.default_rng(0).normal(size=(400, 3))


def test_a_direction_moves_what_it_is_made_of_and_nothing_else(codes):
    found = measure_effect(Blocks(), along(1, 0, 0), codes, [LEFT, RIGHT])
    left, right = found.of("left"), found.of("right")
    # Both ways by half a unit, and the trait's standard deviation is 1 over all codes.
    assert left.effect == pytest.approx(1.0, abs=0.15)
    assert left.moves
    assert left.low <= left.effect <= left.high
    assert right.effect == pytest.approx(0, abs=1e-6)
    assert not right.moves
    assert (found.n, found.randoms) == (96, 39)
    assert "moves left by +" in found.sentence("left")
    assert "nothing more than chance" in found.sentence("left")


def test_a_direction_that_draws_nothing_moves_nothing(codes):
    found = measure_effect(Blocks(), along(0, 0, 1), codes, [LEFT, RIGHT])
    assert not any(trait.moves for trait in found.traits)
    assert found.of("left").effect == pytest.approx(0, abs=1e-6)
    assert "does not move left more than chance" in found.sentence("left")


def test_what_else_moves_is_said_and_the_wrong_way_too():
    wrong = TraitEffect("left", "", -2.0, -2.1, -1.9, 0.7)
    beside = TraitEffect("right", "", 1.5, 1.4, 1.6, 0.7)
    more = TraitEffect("top", "", -1.7, -1.8, -1.6, 0.7)
    still = TraitEffect("ink", "", 0.1, -0.1, 0.3, 0.7)
    found = Effect((still, wrong, beside, more), 96, 1.0, 39)
    assert found.sentence("left") == (
        "It moves left the wrong way, by -2.00; 95 of 100 random directions stay below 0.70. "
        "It also moves top (-1.70), right (+1.50)."
    )


def test_twice_as_many_steps_move_twice_as_much(codes):
    one = measure_effect(Blocks(), along(0.6, 0.8, 0), codes, [LEFT], steps=1.0)
    two = measure_effect(Blocks(), along(0.6, 0.8, 0), codes, [LEFT], steps=2.0)
    assert two.of("left").effect == pytest.approx(2 * one.of("left").effect, rel=1e-4)
    assert two.of("left").random == pytest.approx(2 * one.of("left").random, rel=1e-4)


def test_random_directions_are_as_likely_beyond_their_own_level_as_is_said(codes):
    """The test of a direction that is itself random is passed 1 time in 20."""
    passed = []
    for seed in range(120):
        vector = random_directions(3, 1, seed + 1000, like=codes)[0]
        found = measure_effect(
            Blocks(), along(*vector), codes, [LEFT], images=16, randoms=39, seed=seed
        )
        passed.append(abs(found.of("left").effect) > found.of("left").random)
    assert np.mean(passed) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 120)


def test_random_directions_drawn_like_codes_go_where_codes_lie():
    codes = np.random.default_rng(0).normal(size=(300, 3)) * [5, 1, 0]
    found = random_directions(3, 2000, 0, like=codes)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert np.abs(found[:, 2]).max() < 1e-6
    assert (found[:, 0] ** 2).mean() > 0.7
    with pytest.raises(LatentError, match="All 4 codes coincide"):
        random_directions(2, 3, 0, like=np.ones((4, 2)))


def test_progress_ends_at_1(codes):
    shares = []
    measure_effect(
        Blocks(), along(1, 0, 0), codes, [LEFT], images=8, randoms=3, progress=shares.append
    )
    assert shares == [0.25, 0.5, 0.75, 1.0]


def test_a_trait_that_no_picture_differs_in_has_no_effect(codes):
    constant = Trait("constant", "", lambda images, _: np.ones(len(images)))
    found = measure_effect(Blocks(), along(1, 0, 0), codes, [constant])
    assert found.of("constant").effect == 0
    assert not found.of("constant").moves


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"codes": np.ones((3, 3))}, "3 codes"),
        ({"codes": np.ones((20, 2))}, "3 are needed"),
        ({"steps": 0.0}, "0 steps"),
        ({"randoms": 0}, "0 random directions"),
    ],
)
def test_what_measures_no_effect_is_told(change, said, codes):
    codes = change.pop("codes", codes)
    with pytest.raises(LatentError, match=said):
        measure_effect(Blocks(), along(1, 0, 0), codes, [LEFT], **change)


def test_a_trait_that_was_not_asked_for_is_told():
    with pytest.raises(LatentError, match="'smile' was not measured"):
        Effect((), 1, 1.0, 1).of("smile")


def test_an_effect_within_chance_is_no_move():
    trait = TraitEffect("x", "", 0.5, 0.4, 0.6, 0.7)
    assert not trait.moves
    tiny = TraitEffect("x", "", 0.05, 0.04, 0.06, 0.01)
    assert not tiny.moves


def bar(top, bottom, left, right, lean=0.0):
    rows, columns = np.mgrid[:40, :40]
    middle = (top + bottom) / 2
    shift = lean * (middle - rows)
    inside = (rows >= top) & (rows < bottom) & (columns - shift >= left) & (columns - shift < right)
    return inside.astype(np.float32)


def test_shapes_have_the_size_and_the_slant_that_they_were_drawn_with():
    upright, leaning = bar(5, 35, 18, 24), bar(5, 35, 18, 24, lean=0.5)
    pictures = np.stack([upright, leaning, leaning[:, ::-1], np.zeros((40, 40), np.float32)])
    assert measure_width(pictures)[0] == pytest.approx(6, abs=0.2)
    assert measure_height(pictures)[0] == pytest.approx(30, abs=0.2)
    slants = measure_slant(pictures)
    assert slants[0] == pytest.approx(0, abs=0.1)
    assert slants[1] == pytest.approx(np.degrees(np.arctan(0.5)), abs=1.5)
    assert slants[2] == pytest.approx(-slants[1], abs=0.1)
    assert slants[3] == 0
    thick = measure_thickness(np.stack([bar(5, 35, 18, 18 + width) for width in (2, 4, 6)]))
    assert thick[0] < thick[1] < thick[2]
    assert thick[1] == pytest.approx(2 * 4 * 30 / (2 * (4 + 30)), rel=0.05)
    assert measure_thickness(pictures)[3] == 0


def test_pictures_all_over_have_other_traits_than_strokes(checkpoints):
    config = load_config(checkpoints / "bars-vae")
    data = SimpleNamespace(image_shape=(3, 8, 8), background=0.6)
    colours = picture_traits(SimpleNamespace(data=data))
    assert [trait.name for trait in colours] == [
        "brightness", "contrast", "detail", "warmth", "saturation",
    ]  # fmt: skip
    warm = np.zeros((1, 3, 8, 8), np.float32)
    warm[:, 0] = 0.9
    values = {trait.name: trait.measure(warm, None)[0] for trait in colours}
    assert values["warmth"] == pytest.approx(0.9, abs=1e-6)
    assert values["saturation"] == pytest.approx(0.9, abs=1e-6)
    assert values["brightness"] == pytest.approx(0.3, abs=1e-6)
    assert values["contrast"] == 0
    ink = SimpleNamespace(data=SimpleNamespace(image_shape=(1, 8, 8), background=1.0))
    white = np.ones((1, 1, 8, 8), np.float32)
    assert [trait.measure(white, None)[0] for trait in picture_traits(ink)] == [0.0] * 5
    assert config.data.image_shape[0] == 1


def test_a_picture_is_what_its_nearest_codes_are():
    codes = np.concatenate([np.zeros((20, 2)), np.full((20, 2), 9.0)])
    codes += np.random.default_rng(0).normal(size=codes.shape) * 0.1
    labels = np.repeat([0, 1], 20)
    shared = References(codes)
    again = np.array([[0.0, 0.0], [9.0, 9.0]], np.float32)
    trait = label_trait("one", shared, labels, 1)
    assert trait.by_codes
    assert trait.measure(np.empty((2, 1, 1, 1)), again).tolist() == [0.0, 1.0]
    amount = factor_trait("amount", shared, np.repeat([5.0, 7.0], 20))
    assert amount.measure(np.empty((2, 1, 1, 1)), again).tolist() == [5.0, 7.0]
    # Other codes in another array are looked up anew.
    assert amount.measure(np.empty((2, 1, 1, 1)), again[::-1].copy()).tolist() == [7.0, 5.0]
    with pytest.raises(LatentError, match="3 values; there are 40 codes"):
        factor_trait("amount", codes, np.ones(3))


def test_classes_and_factors_become_traits(checkpoints, bars):
    folder = checkpoints / "bars-vae"
    config = load_config(folder)
    encodings = load_encodings(folder, config)
    count = len(bars.images)
    factors = (
        Factor("size", np.arange(count, dtype=np.float32)),
        Factor("hat", (np.arange(count) % 2).astype(np.float32), ("no", "yes")),
        Factor("hair", (np.arange(count) % 3).astype(np.float32), ("a", "b", "c")),
        Factor("bar", (np.arange(count) % 2).astype(np.float32), ("standing", "lying")),
    )
    pixels = [trait.name for trait in picture_traits(config)]

    def names(*factors, **wanted):
        found = [trait.name for trait in all_traits(config, encodings, factors, **wanted)]
        assert found[: len(pixels)] == pixels
        return found[len(pixels) :]

    classes, hair = ["class standing", "class lying"], ["hair: a", "hair: b", "hair: c"]
    assert names(*factors) == [*classes, "size", "hat: yes", *hair]
    # What a direction is to move is there, whatever would leave it out.
    assert names(*factors, target="hat: no") == [*classes, "size", "hat: no", *hair]
    assert names(factors[3], target="bar: lying") == [*classes, "bar: lying"]
    assert names(most_classes=1) == []
    assert names(most_classes=1, target="class lying") == ["class lying"]
    assert names(most_classes=2) == classes
    assert names(Factor(pixels[0], np.arange(count, dtype=np.float32))) == classes
    with pytest.raises(LatentError, match="size has 3 values"):
        all_traits(config, encodings, (Factor("size", np.ones(3, np.float32)),))


def test_a_real_model_is_tried(checkpoints):
    folder = checkpoints / "bars-vae"
    config = load_config(folder)
    encodings = load_encodings(folder, config)
    codec = Codec.from_folder(folder)
    labels = encodings.labels
    direction = direction_between(encodings.mean[labels == 0], encodings.mean[labels == 1])
    traits = all_traits(config, encodings)
    found = measure_effect(codec, direction, encodings.mean, traits, randoms=9)
    assert len(found.traits) == len(traits)
    assert all(np.isfinite(trait.effect) for trait in found.traits)
    assert found.n == 24
    with pytest.raises((LatentError, CheckpointError)):
        measure_effect(codec, along(1, 0, 0), encodings.mean, traits)

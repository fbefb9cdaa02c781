import numpy as np

from explorer.encode.effects import Effect, TraitEffect
from explorer.ui.encoding.directions import MOST_ROWS, moved_words, order_rows
from explorer.ui.encoding.wishes import halves


def trait(name, effect, random=0.5):
    return TraitEffect(
        name=name, unit="", effect=effect, low=effect - 0.1, high=effect + 0.1, random=random
    )


def test_what_is_learned_from_and_what_is_tried_on_share_nothing():
    learn, test = halves(101)
    assert sorted([*learn, *test]) == list(range(101))
    assert abs(len(learn) - len(test)) == 1
    np.testing.assert_array_equal(halves(101)[0], learn)


def test_the_target_comes_first_and_then_what_moves_most():
    traits = [trait("ink", 0.2), trait("slant", -2.0), trait("width", 0.9), trait("seven", 0.1)]
    assert [one.name for one in order_rows(traits, "seven")] == ["seven", "slant", "width", "ink"]
    assert len(order_rows([trait(str(at), at) for at in range(40)], "3")) == MOST_ROWS


def test_without_a_target_it_is_said_what_moves():
    effect = Effect((trait("ink", 0.2), trait("slant", -2.0), trait("width", 0.9)), 96, 1.0, 39)
    assert "slant (-2.00), width (+0.90)" in moved_words(effect)
    assert "ink" not in moved_words(effect)
    assert "nothing more" in moved_words(Effect((trait("ink", 0.2),), 96, 1.0, 39))

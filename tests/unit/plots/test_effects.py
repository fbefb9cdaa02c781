import numpy as np

from explorer.plots.effects import MOVED, STILL, plot_effects
from explorer.plots.maps import MARK


def test_each_trait_has_its_chance_and_its_effect_with_an_interval():
    figure = plot_effects(
        ["ink", "width", "<b>slant"],
        [1.5, -0.8, 0.1],
        [1.2, -1.0, -0.1],
        [1.8, -0.5, 0.4],
        [0.6, 0.5, 0.4],
        [True, True, False],
        target="ink",
    )
    chance, effect = figure.data
    assert list(effect.y) == ["ink", "width", "&lt;b&gt;slant"]
    np.testing.assert_allclose(chance.base, [-0.6, -0.5, -0.4])
    np.testing.assert_allclose(chance.x, [1.2, 1.0, 0.8])
    np.testing.assert_allclose(effect.error_x.array, [0.3, 0.3, 0.3])
    np.testing.assert_allclose(effect.error_x.arrayminus, [0.3, 0.2, 0.2])
    assert list(effect.marker.color) == [MARK, MOVED, STILL]

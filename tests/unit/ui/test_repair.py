from collections import OrderedDict

import numpy as np

from explorer.ui.encoding import repair as module
from explorer.ui.encoding.repair import keep_mask


def test_the_masks_of_a_session_are_bounded_and_the_oldest_makes_room(monkeypatch):
    monkeypatch.setattr(module, "MOST_MASKS", 2)
    masks = OrderedDict()
    mask = np.ones((2, 2), bool)
    for key in "aba":
        keep_mask(masks, key, mask)
    keep_mask(masks, "c", ~mask)
    assert list(masks) == ["a", "c"]
    assert not masks["c"].any()

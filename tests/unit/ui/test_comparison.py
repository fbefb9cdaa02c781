import numpy as np
import pytest

from explorer.live.evidence import Exhibit
from explorer.ui.comparing.comparison import GROUP_GAP, exhibit_sheet


@pytest.mark.parametrize("channels", [1, 3])
def test_groups_stand_apart_on_one_sheet(channels):
    pictures = np.zeros((8, 4, 5, channels), np.uint8)
    sheet = exhibit_sheet(Exhibit(pictures, columns=2, caption="", lines=2))
    one = exhibit_sheet(Exhibit(pictures[:4], columns=2, caption="", lines=2))
    assert sheet.ndim == (2 if channels == 1 else 3)
    assert sheet.shape[1] == one.shape[1]
    assert sheet.shape[0] == 2 * one.shape[0] + GROUP_GAP
    assert (sheet[one.shape[0] : one.shape[0] + GROUP_GAP] == 255).all()


def test_a_last_group_that_is_narrower_is_padded():
    pictures = np.zeros((3, 4, 5, 1), np.uint8)
    sheet = exhibit_sheet(Exhibit(pictures, columns=2, caption="", lines=1))
    assert (sheet[-1, -1] == 255).all()

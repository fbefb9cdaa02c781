import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.ui.mask import pack_mask, unpack_mask


@given(height=st.integers(1, 40), width=st.integers(1, 40), seed=st.integers(0, 1000))
def test_a_mask_comes_back_as_it_was(height, width, seed):
    mask = np.random.default_rng(seed).random((height, width)) < 0.5
    found = unpack_mask(pack_mask(mask), height, width)
    assert found is not None
    np.testing.assert_array_equal(found, mask)


@pytest.mark.parametrize("text", ["", "no base64!", base64.b64encode(bytes(99)).decode(), "None"])
def test_what_is_no_mask_of_that_size_is_none(text):
    assert unpack_mask(text, 28, 28) is None

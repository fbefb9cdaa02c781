import gc
import sys
import weakref

import numpy as np

from explorer.images.registry import load_images
from explorer.live.hub import MOST_OPEN, Hub, shared_hub
from explorer.models.library import SHIPPED, list_checkpoints


def test_the_hub_outlives_an_eviction_of_its_module():
    before = shared_hub()
    module = sys.modules.pop("explorer.live.hub")
    try:
        from explorer.live.hub import shared_hub as again

        assert again() is before
    finally:
        sys.modules["explorer.live.hub"] = module


def test_tokens_are_unlike_and_end_when_revoked():
    hub = Hub()
    one, two = hub.issue_token(), hub.issue_token()
    assert one != two
    assert len(one) >= 43
    hub.revoke(one)
    assert not hub.is_issued(one)
    assert hub.is_issued(two)


def test_a_grant_to_an_ended_token_brings_it_not_back(tmp_path):
    hub = Hub()
    token = hub.issue_token()
    hub.revoke(token)
    hub.allow(token, "model", tmp_path, ())
    assert hub.granted(token, "model") is None


def test_a_model_is_opened_once_and_the_longest_unused_is_closed(checkpoints):
    hub = Hub()
    listing = list_checkpoints([checkpoints])[0]
    first = hub.open(listing.folder, ((0, 0),))
    assert hub.open(listing.folder, ((0, 0),)) is first
    codes = first.encodings.mean
    closed = weakref.ref(first)
    del first
    for state in range(1, MOST_OPEN + 1):
        hub.open(listing.folder, ((state, 0),))
    gc.collect()
    assert closed() is None
    assert hub.opened(listing.folder, ((0, 0),)) is None
    np.testing.assert_array_equal(hub.open(listing.folder, ((0, 0),)).encodings.mean, codes)


def test_a_model_that_someone_still_shows_is_found_again_and_not_read_again(checkpoints):
    hub = Hub()
    listing = list_checkpoints([checkpoints])[0]
    shown = hub.open(listing.folder, ((0, 0),))
    for state in range(1, MOST_OPEN + 1):
        hub.open(listing.folder, ((state, 0),))
    assert hub.open(listing.folder, ((0, 0),)) is shown


def test_a_changed_checkpoint_is_another_model(checkpoints):
    hub = Hub()
    listing = list_checkpoints([checkpoints])[0]
    tags = {hub.open(listing.folder, ((state, 0),)).tag for state in range(4)}
    assert len(tags) == 4


def test_a_points_picture_is_the_real_image_where_it_is_at_hand():
    listing = next(one for one in list_checkpoints([SHIPPED]) if one.name == "digits-vae-8")
    model = Hub().open(listing.folder, listing.stamp)
    picture = model.picture(7)
    assert picture.real
    images = load_images("digits").images
    assert picture.pixels == images[model.encodings.index[7]].transpose(1, 2, 0).tobytes()

"""Maps on the disk: what they are known by, how many are kept, what is believed."""

import json
import os

import numpy as np
import pytest

from explorer.errors import CheckpointError, LatentError
from explorer.latent import mapcache
from explorer.latent.mapcache import MapCache
from explorer.latent.projection import MapRequest
from explorer.storage import save_arrays

CODES = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
ONTO = CODES[:, :2]
KEY = "0123456789abcdef" * 2


@pytest.fixture
def cache(tmp_path):
    return MapCache(tmp_path / "deep" / "maps")


def test_a_map_comes_back_with_what_gave_it(cache):
    assert cache.load(KEY) is None
    cache.save(KEY, ONTO, MapRequest(seed=3))
    places, request = cache.load(KEY)
    np.testing.assert_array_equal(places, ONTO)
    assert request == MapRequest(seed=3)


def test_a_key_is_of_all_that_a_map_depends_on(cache, monkeypatch):
    request = MapRequest()
    key = cache.key(CODES, ONTO, request)
    assert mapcache._KEY.fullmatch(key)
    assert cache.key(CODES.astype(float), ONTO.copy(), MapRequest(n_neighbors=15)) == key
    others = {
        cache.key(CODES[::-1], ONTO, request),
        cache.key(CODES, ONTO[::-1], request),
        cache.key(CODES.reshape(18, 2), ONTO, request),
        cache.key(CODES, ONTO, MapRequest(min_dist=0.2)),
        cache.key(CODES, ONTO, MapRequest(seed=1)),
    }
    monkeypatch.setattr(mapcache, "FORMAT", 2)
    others.add(cache.key(CODES, ONTO, request))
    monkeypatch.setattr(mapcache, "version", lambda package: "0.0")
    others.add(cache.key(CODES, ONTO, request))
    assert len(others - {key}) == 7


def test_the_maps_of_some_codes_are_listed_the_newest_first(cache):
    requests = [MapRequest(seed=seed) for seed in range(3)]
    for age, request in enumerate(requests):
        key = cache.key(CODES, ONTO, request)
        cache.save(key, ONTO, request)
        os.utime(cache._path(key), (1000 - age, 1000 - age))
    cache.save(cache.key(CODES[:5], ONTO[:5], MapRequest()), ONTO[:5], MapRequest())
    cache._path(cache.key(CODES, ONTO, MapRequest(seed=9))).write_bytes(b"damaged")
    found = cache.stored_for(CODES, ONTO)
    assert list(found.values()) == requests
    assert list(found) == [cache.key(CODES, ONTO, request) for request in requests]
    assert MapCache(cache._folder / "nowhere").stored_for(CODES, ONTO) == {}


def test_the_maps_used_last_are_kept(cache, monkeypatch):
    monkeypatch.setattr(mapcache, "MOST_KEPT", 3)
    keys = [f"{number:032x}" for number in range(4)]
    for age, key in enumerate(keys[:3]):
        cache.save(key, ONTO, MapRequest())
        os.utime(cache._path(key), (1000 + age, 1000 + age))
    assert cache.load(keys[0]) is not None
    cache.save(keys[3], ONTO, MapRequest())
    assert [cache.load(key) is not None for key in keys] == [True, False, True, True]


@pytest.mark.parametrize("key", ["", "../../x", "A" * 32, "0" * 31, "0" * 33, f"{'0' * 32}\n"])
def test_what_is_no_key_is_told(cache, key):
    with pytest.raises(LatentError, match="32 hexadecimal digits"):
        cache.load(key)


def good():
    return {
        "coordinates": ONTO,
        "request": np.array(json.dumps(MapRequest().fields())),
        "format": np.array(1),
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"coordinates": CODES},
        {"coordinates": ONTO.astype(float)},
        {"coordinates": np.full((9, 2), np.nan, np.float32)},
        {"coordinates": np.float32(1.0)},
        {"coordinates": np.zeros((200_000, 2), np.float32)},
        {"request": np.array("{")},
        {"request": np.array("[]")},
        {"request": np.array('{"seed": -1}')},
        {"request": np.array(3)},
        {"format": np.array(2)},
        {"format": np.array("1")},
        {"format": np.array([1])},
        {"foreign": np.array(1)},
        {"coordinates": None},
    ],
)
def test_a_file_that_is_not_what_was_saved_counts_as_missing(cache, wrong):
    cache.save(KEY, ONTO, MapRequest())
    arrays = {name: array for name, array in (good() | wrong).items() if array is not None}
    save_arrays(cache._path(KEY), arrays)
    assert cache.load(KEY) is None
    save_arrays(cache._path(KEY), good())
    assert cache.load(KEY) is not None


@pytest.mark.parametrize("part", [slice(0, -30), slice(0, 0), slice(9, None)])
def test_a_damaged_file_counts_as_missing(cache, part):
    cache.save(KEY, ONTO, MapRequest())
    path = cache._path(KEY)
    path.write_bytes(path.read_bytes()[part])
    assert cache.load(KEY) is None


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="EXPLORER_CACHE"):
        MapCache(tmp_path / "file" / "maps").save(KEY, ONTO, MapRequest())

"""Maps that somebody asks for."""

import json

import numpy as np
import pytest

from explorer.errors import LatentError
from explorer.latent import projection
from explorer.latent.neighbours import nearest
from explorer.latent.projection import MapRequest, fit_map, fit_projection

PCA = "principal components"


def clusters(n=300, dim=6, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    return 10.0 * np.eye(dim)[labels] + rng.normal(size=(n, dim)), labels


def silent(words, share):
    """Nobody listens."""


@pytest.fixture
def fake_umap(monkeypatch):
    """What umap's class was made with; a place is the code's first coordinates."""
    seen = []

    class FakeMap:
        def __init__(self, **options):
            seen.append(options)

        def fit_transform(self, codes):
            bar = seen[-1]["tqdm_kwds"]["file"]
            for epoch in (0, 250, 499):
                bar.write(f"\r{epoch} of 500")
            start = seen[-1]["init"]
            assert start.shape == (len(codes), seen[-1]["n_components"])
            assert len(np.unique(start, axis=0)) == len(codes)
            return codes[:, :1] * np.ones(seen[-1]["n_components"])

    monkeypatch.setattr(projection, "_import_umap", lambda: FakeMap)
    return seen


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"method": "tsne"}, "method is 'tsne'; it must be one of umap, principal components"),
        ({"method": None}, "method is None"),
        ({"n_neighbors": 1}, "n_neighbors is 1; it must be a whole number from 2 to 200"),
        ({"n_neighbors": 201}, "n_neighbors is 201"),
        ({"n_neighbors": 15.0}, r"n_neighbors is 15\.0"),
        ({"n_neighbors": True}, "n_neighbors is True"),
        ({"min_dist": -0.1}, r"min_dist is -0\.1; it must be a number from 0 to 1"),
        ({"min_dist": float("nan")}, "min_dist is nan"),
        ({"min_dist": "0.1"}, "min_dist is '0.1'"),
        ({"min_dist": True}, "min_dist is True"),
        ({"metric": "chebyshev"}, "metric is 'chebyshev'; it must be one of euclidean, cosine"),
        ({"components": 4}, "components is 4; it must be a whole number from 2 to 3"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**32}, "seed is 4294967296"),
        ({"perplexity": 30}, "no setting 'perplexity'; it has method, n_neighbors"),
        ([1, 2], r"not by \[1, 2\]"),
    ],
)
def test_a_request_that_is_not_allowed_is_told(fields, said):
    with pytest.raises(LatentError, match=said):
        MapRequest.from_fields(fields)


def test_a_request_survives_json():
    request = MapRequest(PCA, 30, 0, "cosine", 3, 7)
    assert MapRequest.from_fields(json.loads(json.dumps(request.fields()))) == request
    assert MapRequest.from_fields({}) == MapRequest()
    assert json.dumps(MapRequest(min_dist=0).fields()) == json.dumps(
        MapRequest(min_dist=0.0).fields()
    )


@pytest.mark.parametrize("components", [2, 3])
def test_principal_components_keep_the_distances_of_a_plane(components):
    rng = np.random.default_rng(0)
    frame, _ = np.linalg.qr(rng.normal(size=(6, components)))
    plane = rng.normal(size=(40, components))
    told = []
    found = fit_map(
        plane @ frame.T + 5.0,
        MapRequest(PCA, components=components),
        progress=lambda words, share: told.append(share),
    )
    assert found.shape == (40, components)
    assert found.dtype == np.float32
    np.testing.assert_allclose(
        np.linalg.norm(found[:, None] - found[None], axis=2),
        np.linalg.norm(plane[:, None] - plane[None], axis=2),
        atol=1e-5,
    )
    assert told == [None, 1.0]


@pytest.mark.parametrize("method", ["umap", PCA])
@pytest.mark.parametrize(
    ("codes", "said"),
    [
        (np.eye(3), "needs at least 4 codes; there are 3"),
        (np.full((50, 5), 3.3), "All 50 codes are identical"),
        (np.where(np.arange(20)[:, None] == 3, np.nan, np.ones(5)), "1 of 20 codes are not finite"),
        (np.zeros((100_001, 1)), "at most 100,000 codes; there are 100,001"),
        (np.zeros((5, 0)), r"shape \(N, D\)"),
        (np.zeros(5), r"shape \(N, D\)"),
    ],
)
def test_codes_that_cannot_be_mapped_are_told(codes, said, method, fake_umap):
    with pytest.raises(LatentError, match=said):
        fit_map(codes, MapRequest(method), progress=silent)
    assert not fake_umap


@pytest.mark.parametrize(
    ("codes", "request_", "said"),
    [
        (np.eye(10), MapRequest(), "n_neighbors is 15, but.*only 10 distinct.*at most 9"),
        (np.eye(3)[np.arange(60) % 3], MapRequest(n_neighbors=3), "only 3 distinct.*at most 2"),
        (
            np.random.default_rng(0).normal(size=(50, 2)),
            MapRequest(n_neighbors=4, metric="correlation"),
            "this metric tells apart; compare them by another metric",
        ),
        (np.arange(9.0)[:, None], MapRequest(PCA), "2 principal axes were asked for.*1 to 1"),
        (np.eye(9)[:, :2], MapRequest(PCA, components=3), "3 principal axes were asked for"),
    ],
)
def test_settings_that_these_codes_do_not_allow_are_told(codes, request_, said, fake_umap):
    with pytest.raises(LatentError, match=said):
        fit_map(codes, request_, progress=silent)
    assert not fake_umap


@pytest.mark.parametrize(
    ("metric", "dim"),
    [
        (metric, dim)
        # With fewer axes there are but two directions.
        for metric, fewest in {
            "euclidean": 1,
            "manhattan": 1,
            "cosine": 2,
            "correlation": 3,
        }.items()
        for dim in range(fewest, 6)
    ],
)
@pytest.mark.parametrize("components", [2, 3])
def test_umap_is_given_what_was_asked_for(metric, dim, components, fake_umap):
    codes = np.random.default_rng(0).normal(size=(60, dim))
    request = MapRequest("umap", 9, 0.4, metric, components, 5)
    found = fit_map(np.concatenate([codes, codes[:20]]), request, progress=silent)
    assert found.shape == (80, components)
    np.testing.assert_array_equal(found[60:], found[:20])
    (options,) = fake_umap
    assert options["n_components"] == components
    assert options["n_neighbors"] == 9
    assert options["min_dist"] == 0.4
    assert options["random_state"] == 5
    index, reach = options["precomputed_knn"]
    assert index.shape == reach.shape == (60, 9)


def test_progress_is_that_of_the_epochs_and_grows_to_one(fake_umap):
    told = []
    fit_map(
        clusters(50)[0], MapRequest(), progress=lambda words, share: told.append((words, share))
    )
    shares = [share for _, share in told if share is not None]
    assert shares == [0.0, 0.5, 0.998, 1.0]
    assert ("2-D map: epoch 250 of 500", 0.5) in told
    assert [share for _, share in told][: -len(shares)] == [None] * (len(told) - len(shares))


def test_a_code_that_umap_leaves_without_a_place_is_told(monkeypatch):
    class Broken:
        def __init__(self, **options):
            pass

        def fit_transform(self, codes):
            return np.where(np.arange(len(codes))[:, None] == 3, np.nan, codes[:, :2])

    monkeypatch.setattr(projection, "_import_umap", lambda: Broken)
    with pytest.raises(LatentError, match="left 1 of 50 codes without a place"):
        fit_map(clusters(50)[0], MapRequest(), progress=silent)


@pytest.mark.slow
def test_the_usual_settings_give_the_checkpoints_own_map():
    codes, labels = clusters()
    fitted = fit_projection(codes)
    np.testing.assert_array_equal(fit_map(codes, MapRequest(), progress=silent), fitted.coordinates)
    np.testing.assert_array_equal(
        fit_map(codes, MapRequest(components=3), progress=silent), fitted.coordinates_3d
    )
    for metric in ("cosine", "manhattan", "correlation"):
        places = fit_map(codes, MapRequest(metric=metric), progress=silent)
        _, index = nearest(places, places, 5, exclude_self=True)
        assert (labels[index] == labels[:, None]).mean() > 0.95

"""Fitting a map; what umap must never see, and what it gives."""

import numpy as np
import pytest

from explorer.errors import LatentError
from explorer.latent import projection
from explorer.latent.neighbours import nearest
from explorer.latent.projection import fit_projection


@pytest.fixture
def no_umap(monkeypatch):
    """Fails a test that would let umap see its codes."""

    def refuse():
        raise AssertionError("umap was asked")

    monkeypatch.setattr(projection, "_import_umap", refuse)


def clusters(n=300, dim=6, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    return 10.0 * np.eye(dim)[labels] + rng.normal(size=(n, dim)), labels


@pytest.mark.usefixtures("no_umap")
def test_two_axes_are_their_own_map():
    codes = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    fitted = fit_projection(codes)
    np.testing.assert_array_equal(fitted.coordinates, codes)
    assert fitted.coordinates_3d is None
    assert fitted.method == "latent plane"


@pytest.mark.usefixtures("no_umap")
def test_one_axis_lies_along_x():
    fitted = fit_projection(np.arange(5.0)[:, None])
    np.testing.assert_array_equal(fitted.coordinates, [[x, 0.0] for x in range(5)])
    assert fitted.method == "latent plane"


@pytest.mark.usefixtures("no_umap")
@pytest.mark.parametrize("n", [1, 2, 3, 4, 15])
def test_too_few_codes_show_their_principal_components(n):
    codes = np.random.default_rng(0).normal(size=(n, 8))
    fitted = fit_projection(codes)
    assert fitted.coordinates.shape == (n, 2)
    assert fitted.coordinates_3d.shape == (n, 3)
    assert fitted.method == "principal components"
    assert fitted.parameters == {"n_neighbors": 15, "distinct_codes": n}
    assert np.isfinite(fitted.coordinates).all()


@pytest.mark.usefixtures("no_umap")
def test_principal_components_keep_the_distances_of_a_plane():
    rng = np.random.default_rng(0)
    frame, _ = np.linalg.qr(rng.normal(size=(6, 2)))
    plane = rng.normal(size=(12, 2))
    fitted = fit_projection(plane @ frame.T + 5.0)
    expected = np.linalg.norm(plane[:, None] - plane[None], axis=2)
    found = np.linalg.norm(fitted.coordinates[:, None] - fitted.coordinates[None], axis=2)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.usefixtures("no_umap")
@pytest.mark.parametrize("n", [1, 100, 5000])
def test_identical_codes_share_one_place(n):
    fitted = fit_projection(np.full((n, 16), 3.3))
    assert fitted.method == "principal components"
    np.testing.assert_array_equal(fitted.coordinates, np.zeros((n, 2)))


@pytest.mark.usefixtures("no_umap")
def test_few_distinct_codes_among_many_share_few_places():
    codes = np.random.default_rng(0).normal(size=(10, 4))[np.arange(1000) % 10]
    fitted = fit_projection(codes)
    assert len(np.unique(fitted.coordinates, axis=0)) == 10
    np.testing.assert_array_equal(fitted.coordinates[:10], fitted.coordinates[-10:])


@pytest.mark.usefixtures("no_umap")
def test_three_d_may_be_left_out():
    assert fit_projection(np.eye(5), three_d=False).coordinates_3d is None


@pytest.mark.usefixtures("no_umap")
@pytest.mark.parametrize(
    ("codes", "options", "said"),
    [
        (np.where(np.eye(20) > 0, np.nan, 1.0)[:, :16], {}, "16 of 20 codes are not finite"),
        (np.zeros((3, 0)), {}, r"shape \(N, D\)"),
        (np.zeros((0, 3)), {}, r"shape \(N, D\)"),
        (np.zeros(3), {}, r"shape \(N, D\)"),
        (np.zeros((3, 3)), {"n_neighbors": 1}, "n_neighbors is 1"),
        (np.zeros((3, 3)), {"min_dist": 1.5}, "min_dist is 1.5"),
        (np.zeros((3, 3)), {"seed": -1}, "seed is -1"),
    ],
)
def test_bad_input_is_told(codes, options, said):
    with pytest.raises(LatentError, match=said):
        fit_projection(codes, **options)


class FakeMap:
    """Stands where umap's class stands; the place of a code is its first coordinates, or NaN."""

    def __init__(self, place, **options):
        self.place, self.options = place, options

    def fit_transform(self, codes):
        index, distances = self.options["precomputed_knn"]
        assert index.shape == distances.shape == (len(codes), self.options["n_neighbors"])
        np.testing.assert_array_equal(index[:, 0], np.arange(len(codes)))
        assert len(np.unique(self.options["init"], axis=0)) == len(codes)
        return self.place(codes[:, : self.options["n_components"]])


def test_a_map_that_umap_leaves_unfinished_falls_back(monkeypatch):
    def unplaced(places):
        return np.where(np.arange(len(places))[:, None] == 3, np.nan, places)

    monkeypatch.setattr(
        projection, "_import_umap", lambda: lambda **options: FakeMap(unplaced, **options)
    )
    fitted = fit_projection(clusters()[0])
    assert fitted.method == "principal components"
    assert np.isfinite(fitted.coordinates).all()


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_umap_sees_distinct_codes_of_unit_scale(monkeypatch, scale):
    seen = []

    def look(places):
        seen.append(len(places))
        assert 0.01 < np.abs(places).max() < 100.0
        return places

    monkeypatch.setattr(
        projection, "_import_umap", lambda: lambda **options: FakeMap(look, **options)
    )
    codes = clusters(60)[0]
    fitted = fit_projection(np.concatenate([codes, codes[:20]]) * scale)
    assert seen == [60, 60]
    assert fitted.method == "umap"
    np.testing.assert_array_equal(fitted.coordinates[60:], fitted.coordinates[:20])
    np.testing.assert_array_equal(fitted.coordinates_3d[60:], fitted.coordinates_3d[:20])


def test_three_axes_are_their_own_3d_map(monkeypatch):
    monkeypatch.setattr(
        projection, "_import_umap", lambda: lambda **options: FakeMap(lambda x: x, **options)
    )
    codes, _ = clusters(60, dim=3)
    fitted = fit_projection(codes)
    np.testing.assert_allclose(
        fitted.coordinates_3d - fitted.coordinates_3d[0], codes - codes[0], atol=1e-4
    )


@pytest.mark.slow
def test_umap_keeps_neighbours_and_repeats_itself_in_silence(capfd):
    codes, labels = clusters()
    said = []
    first = fit_projection(codes, seed=5, progress=said.append)
    assert first.method == "umap"
    assert first.seed == 5
    assert first.parameters["n_neighbors"] == 15
    assert first.coordinates.dtype == np.float32
    for places, width in ((first.coordinates, 2), (first.coordinates_3d, 3)):
        assert places.shape == (300, width)
        assert np.isfinite(places).all()
        _, index = nearest(places, places, 5, exclude_self=True)
        assert (labels[index] == labels[:, None]).mean() > 0.98

    again = fit_projection(codes, seed=5)
    np.testing.assert_array_equal(first.coordinates, again.coordinates)
    np.testing.assert_array_equal(first.coordinates_3d, again.coordinates_3d)
    other = fit_projection(codes, seed=6, three_d=False)
    assert not np.array_equal(first.coordinates, other.coordinates)

    assert said[0] == "finding neighbours"
    assert any(line.startswith("2-D map: epoch ") for line in said)
    assert any(line.startswith("3-D map: epoch ") for line in said)
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
@pytest.mark.parametrize(
    "codes",
    [
        np.random.default_rng(0).normal(size=(16, 4)),
        np.random.default_rng(0).normal(size=(40, 4)) * [1.0, 1.0, 0.0, 0.0],
        np.arange(40.0)[:, None] * np.ones(5),
        np.concatenate([np.zeros((50, 3)), np.random.default_rng(0).normal(size=(50, 3))]),
        np.concatenate([np.full((1, 3), 1e30), np.random.default_rng(0).normal(size=(50, 3))]),
        np.random.default_rng(0).integers(0, 3, size=(200, 4)),
    ],
    ids=["just enough", "flat", "a line", "half identical", "one far out", "a grid"],
)
def test_odd_codes_still_give_a_map(codes):
    fitted = fit_projection(codes)
    assert fitted.coordinates.shape == (len(codes), 2)
    assert np.isfinite(fitted.coordinates).all()
    assert np.isfinite(fitted.coordinates_3d).all()


@pytest.mark.slow
def test_a_fit_is_stopped_from_its_progress():
    class StopError(Exception):
        pass

    def stop(what):
        if "epoch" in what:
            raise StopError

    with pytest.raises(StopError):
        fit_projection(clusters()[0], progress=stop)


def test_a_bar_beside_another_one_tells_its_epochs_and_no_cursor_movement():
    told = []
    stream = projection._EpochStream("2-D map", told.append)
    for text in ("\r", "15 of 500", "\n", "\x1b[A", "\r\x1b[A", "30 of 500"):
        assert stream.write(text) == len(text)
    assert told == ["2-D map: epoch 15 of 500", "2-D map: epoch 30 of 500"]

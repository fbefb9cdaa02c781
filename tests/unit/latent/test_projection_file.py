"""The projection file: a round trip, and everything that a foreign one may hold."""

import contextlib
import io
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.errors import CheckpointError
from explorer.latent import projection
from explorer.latent.projection import Projection, load_projection, save_projection


def good(n=4):
    return {
        "coordinates": np.arange(2.0 * n, dtype=np.float32).reshape(n, 2),
        "coordinates_3d": np.arange(3.0 * n, dtype=np.float32).reshape(n, 3),
        "method": np.array("umap"),
        "parameters": np.array('{"n_neighbors": 15}'),
        "seed": np.array(7),
    }


def write(path, arrays, **options):
    with path.open("wb") as file:
        np.savez(file, **arrays, **options)
    return path


@pytest.mark.parametrize("solid", [True, False])
def test_round_trip(tmp_path, solid):
    arrays = good()
    before = Projection(
        arrays["coordinates"],
        arrays["coordinates_3d"] if solid else None,
        "umap",
        {"n_neighbors": 15, "min_dist": 0.1, "metric": "euclidean"},
        7,
    )
    path = tmp_path / "projection.npz"
    save_projection(path, before)
    after = load_projection(path)
    np.testing.assert_array_equal(after.coordinates, before.coordinates)
    if solid:
        np.testing.assert_array_equal(after.coordinates_3d, before.coordinates_3d)
    else:
        assert after.coordinates_3d is None
    assert (after.method, after.parameters, after.seed) == ("umap", before.parameters, 7)
    after.coordinates[0] = 0.0
    assert [file.name for file in tmp_path.iterdir()] == ["projection.npz"]


def test_the_same_projection_gives_the_same_bytes(tmp_path):
    arrays = good()
    for name in ("a", "b"):
        save_projection(tmp_path / name, Projection(arrays["coordinates"], None, "umap"))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_arrays_in_fortran_order_are_read_as_they_are(tmp_path):
    arrays = good() | {"coordinates": np.asfortranarray(good()["coordinates"])}
    loaded = load_projection(write(tmp_path / "p.npz", arrays))
    np.testing.assert_array_equal(loaded.coordinates, good()["coordinates"])


def without(key):
    return {name: array for name, array in good().items() if name != key}


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        (without("coordinates"), "lacks the array 'coordinates'"),
        (without("seed"), "lacks the array 'seed'"),
        (good() | {"colour": np.zeros(2)}, "holds 'colour', which is not part"),
        (good() | {"coordinates": np.zeros((4, 3), np.float32)}, r"shape \(N, 2\); .* \(4, 3\)"),
        (good() | {"coordinates": np.zeros((0, 2), np.float32)}, r"shape \(0, 2\)"),
        (good() | {"coordinates": np.zeros((4, 2), np.int64)}, "int64"),
        (good() | {"coordinates": np.full((4, 2), np.nan, np.float32)}, "4 of 4 rows of 'coord"),
        (good() | {"coordinates": np.full((4, 2), 1e300)}, "4 of 4 rows of 'coord"),
        (good() | {"coordinates_3d": np.zeros((5, 3), np.float32)}, "4 places, .* 5"),
        (good() | {"coordinates_3d": np.full((4, 3), np.inf)}, "'coordinates_3d' are not finite"),
        (good() | {"method": np.array("astrology")}, "'astrology' is none of umap, latent plane"),
        (good() | {"method": np.array(["umap"])}, "'method' must be one text"),
        (good() | {"method": np.array(b"umap")}, "'method' must be one text"),
        (good() | {"parameters": np.array("{")}, "not JSON"),
        (good() | {"parameters": np.array("[1]")}, "JSON object"),
        (good() | {"parameters": np.array('{"a": [1]}')}, "JSON object"),
        (good() | {"parameters": np.array("[" * 100_000)}, "not JSON"),
        (good() | {"seed": np.array(1.5)}, "'seed' must be one whole number"),
        (good() | {"seed": np.array([1])}, "'seed' must be one whole number"),
    ],
)
def test_a_foreign_file_is_told(tmp_path, arrays, said):
    path = write(tmp_path / "p.npz", arrays)
    with pytest.raises(CheckpointError, match=said) as told:
        load_projection(path)
    assert str(path) in str(told.value)


class Marked:
    """Leaves a trace when it is unpickled."""

    traces: list[str] = []  # noqa: RUF012 (a test's own notebook)

    def __reduce__(self):
        return (self.traces.append, ("unpickled",))


def test_pickle_is_never_run(tmp_path):
    arrays = good() | {"coordinates": np.array([[Marked(), Marked()]], dtype=object)}
    path = write(tmp_path / "p.npz", arrays)
    with pytest.raises(CheckpointError, match="would need pickle"):
        load_projection(path)
    assert Marked.traces == []


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(CheckpointError, match="is missing"):
        load_projection(tmp_path / "none.npz")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_projection(tmp_path)


def test_a_file_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(CheckpointError, match="cannot be written"):
        save_projection(tmp_path / "no" / "p.npz", Projection(np.zeros((1, 2)), None, "umap"))


def with_claimed_shape(path, shape):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": shape}
    )
    write(path, without("coordinates"))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("coordinates.npy", header.getvalue() + b"\0" * 64)
    return path


@pytest.mark.parametrize("shape", [(10**12, 2), (2**40, 2**40), (2**63, 2)])
def test_a_claim_of_terabytes_takes_no_memory(tmp_path, shape):
    with pytest.raises(CheckpointError, match="bytes"):
        load_projection(with_claimed_shape(tmp_path / "p.npz", shape))


@pytest.mark.parametrize("shape", [(9, 2), (7, 2)])
def test_an_array_of_another_length_than_its_shape_is_told(tmp_path, shape):
    with pytest.raises(CheckpointError, match="cut short or too long"):
        load_projection(with_claimed_shape(tmp_path / "p.npz", shape))


def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(projection, "_MAX_BYTES", 1_000)
    path = tmp_path / "p.npz"
    with path.open("wb") as file:
        np.savez_compressed(file, **(good() | {"coordinates": np.zeros((500, 2), np.float32)}))
    with pytest.raises(CheckpointError, match="takes 4,000 bytes"):
        load_projection(path)


def test_an_array_given_twice_is_told(tmp_path):
    path = write(tmp_path / "p.npz", good())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("seed", b"again")
    with pytest.raises(CheckpointError, match="'seed' twice"):
        load_projection(path)


@settings(deadline=None)  # it waits for the disk
@given(cut=st.floats(0.0, 0.999), byte=st.integers(0, 255), damage=st.booleans())
def test_a_damaged_file_never_escapes_as_another_error(tmp_path_factory, cut, byte, damage):
    path = tmp_path_factory.mktemp("damaged") / "p.npz"
    save_projection(path, Projection(good()["coordinates"], None, "umap"))
    content = bytearray(path.read_bytes())
    at = int(cut * len(content))
    if damage:
        content[at] = byte
    else:
        del content[at:]
    path.write_bytes(bytes(content))
    # A changed byte may hit what nothing depends on; a cut file is always told.
    with contextlib.suppress(CheckpointError):
        load_projection(path)
        assert damage

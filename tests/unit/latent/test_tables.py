import csv
import io

import numpy as np
import pytest

from explorer.errors import LatentError
from explorer.latent.tables import codes_to_csv, codes_to_npz

COLUMNS = {
    "name": np.array(['a "b", c.png', "ä\n2"]),
    "mean": np.array([[0.1, -1e-20], [1 / 3, 2.0]], np.float32),
    "row": np.array([3, 4]),
}


def test_csv_reads_back_with_every_digit():
    header, *rows = csv.reader(io.StringIO(codes_to_csv(COLUMNS).decode(), newline=""))
    assert header == ["name", "mean_0", "mean_1", "row"]
    assert [row[0] for row in rows] == list(COLUMNS["name"])
    read = np.array([[float(one) for one in row[1:3]] for row in rows], np.float32)
    np.testing.assert_array_equal(read, COLUMNS["mean"])
    assert [row[3] for row in rows] == ["3", "4"]


def test_npz_reads_back_without_pickle():
    with np.load(io.BytesIO(codes_to_npz(COLUMNS)), allow_pickle=False) as found:
        assert set(found) == set(COLUMNS)
        for name in found:
            np.testing.assert_array_equal(found[name], COLUMNS[name])


@pytest.mark.parametrize("write", [codes_to_csv, codes_to_npz])
def test_what_is_no_table_is_told(write):
    with pytest.raises(LatentError, match="one N; they are none"):
        write({})
    with pytest.raises(LatentError, match=r"one N; they are a \(2,\), b \(3,\)"):
        write({"a": np.zeros(2), "b": np.zeros(3)})
    with pytest.raises(LatentError, match="column a holds Python objects"):
        write({"a": np.array([None, 1])})

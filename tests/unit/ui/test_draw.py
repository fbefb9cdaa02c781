import base64
import json

import pytest

from explorer.ui import draw as module
from explorer.ui.draw import read_drawn

STROKE = {"erase": False, "colour": "#fff", "size": 12, "points": [[1, 2.5], [30.1, 40]]}
PNG = base64.b64encode(b"a picture").decode()


def told(**changes):
    return {"drawing": 3, "png": PNG, "strokes": [STROKE], "another": False} | changes


def test_a_drawing_is_read_with_its_strokes():
    found = read_drawn(told())
    assert (found.drawing, found.data, found.strokes) == (3, b"a picture", [STROKE])
    assert not found.another
    assert read_drawn(told(another=True)).another


def test_strokes_count_as_a_browser_writes_them(monkeypatch):
    size = len(json.dumps([STROKE], separators=(",", ":")))
    monkeypatch.setattr(module, "LARGEST_STROKES", size)
    assert read_drawn(told()).strokes == [STROKE]


@pytest.mark.parametrize("strokes", [[STROKE] * 20_000, None, "none"])
def test_a_picture_whose_strokes_cannot_be_kept_is_not_drawn_over(strokes):
    found = read_drawn(told(strokes=strokes))
    assert found.data == b"a picture"
    assert found.strokes == []
    assert found.another


@pytest.mark.parametrize("value", [None, [], {"drawing": 3, "png": "no base64!"}])
def test_what_is_no_drawing_is_none(value):
    assert read_drawn(value) is None

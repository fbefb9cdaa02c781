import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.images.names import escape_name, unescape_path


@given(st.binary(max_size=30))
def test_any_name_becomes_text_that_a_file_can_hold(content):
    assert len(escape_name(os.fsdecode(content)).encode()) >= len(content)


@given(st.text(st.characters(), max_size=20))
def test_half_a_character_becomes_text_too(text):
    assert len(escape_name(text).encode()) >= len(text)


@pytest.mark.parametrize("name", [b"Caf\xe9", b"\xff\xfe", b"plain", b"a\\xe9", "数据".encode()])
def test_an_escaped_path_leads_back(name, tmp_path):
    folder = tmp_path / os.fsdecode(name)
    folder.mkdir()
    assert unescape_path(escape_name(str(folder))) == folder

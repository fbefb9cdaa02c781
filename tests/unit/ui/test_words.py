import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.ui.words import plain


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("seven.jpg", "seven.jpg"),
        ("![x](http://a.example/b.png)", r"!\[x\](http://a.example/b.png)"),
        ("a_b*c", r"a\_b\*c"),
        ("$x$ `code` <b>", r"\$x\$ \`code\` \<b\>"),
    ],
)
def test_formatting_is_escaped_and_the_rest_left_alone(text, escaped):
    assert plain(text) == escaped


@given(st.text())
def test_every_character_is_kept(text):
    kept, found = [], plain(text)
    while found:
        found = found[1:] if found[0] == "\\" else found
        kept.append(found[0])
        found = found[1:]
    assert "".join(kept) == text

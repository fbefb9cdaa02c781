"""Every checkpoint that is shipped opens in the app."""

import pytest
from streamlit.testing.v1 import AppTest

from explorer.models import library
from explorer.training.gallery import GALLERY, REPAIRERS
from tests.app.test_pages import SECONDS, compare, explore


def open_page(page, model):
    app = AppTest.from_function(page, default_timeout=SECONDS)
    app.session_state["model"] = model
    app.run()
    assert not app.exception
    assert not app.error
    return app


@pytest.fixture(autouse=True)
def nothing_but_the_gallery(monkeypatch, tmp_path):
    monkeypatch.delenv(library.FOLDERS_VARIABLE, raising=False)
    monkeypatch.setenv("EXPLORER_DATA", str(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("name", GALLERY)
def test_a_shipped_checkpoint_opens_on_explore(name):
    app = open_page(explore, name)
    assert app.selectbox(key="model").value == name


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [name for name in GALLERY if ("mnist" in name or "digits" in name) and name not in REPAIRERS],
)
def test_a_shipped_checkpoint_is_compared_with_a_fair_partner(name):
    app = open_page(compare, name)
    assert any("A matched pair" in caption.value for caption in app.caption)

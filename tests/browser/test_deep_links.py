"""A page's own address: opened straight, reloaded, left and come back to, without an error."""

import io
import re

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.lab import PATIENCE, wait_for_idle, wait_for_lab, wait_for_page
from tests.browser.server import StreamlitServer

MODEL = "digits-vae-8"


@pytest.fixture(scope="module", params=["", "/studio/two"])
def server(request, environment, tmp_path_factory):
    """The app at the server's root, and below a base path as behind a proxy."""
    variables = environment | {"STREAMLIT_SERVER_BASE_URL_PATH": request.param}
    app = StreamlitServer(folder=tmp_path_factory.mktemp("server"), environment=variables)
    app.url += request.param
    with app:
        yield app


@pytest.fixture
def answers(page):
    """Every answer that was no success, and the addresses of the sockets."""
    found = {"failed": [], "sockets": []}
    page.on(
        "response",
        lambda one: found["failed"].append(f"{one.status} {one.url}") if one.status > 399 else None,
    )
    page.on("websocket", lambda one: found["sockets"].append(one.url))
    return found


def a_scan():
    file = io.BytesIO()
    Image.new("L", (40, 40), 200).save(file, "PNG")
    return {"name": "scan.png", "mimeType": "image/png", "buffer": file.getvalue()}


def test_encode_opens_uploads_reloads_and_leads_to_the_other_pages(page, server, answers):
    page.goto(f"{server.url}/encode?model={MODEL}")
    files = page.locator("input[type=file]")
    files.wait_for(state="attached", timeout=PATIENCE)
    wait_for_idle(page)
    expect(page.get_by_role("combobox", name="Model")).to_have_value(re.compile(MODEL))
    files.set_input_files([a_scan()])
    expect(page.locator(".tray-item")).to_have_count(1, timeout=PATIENCE)
    page.get_by_role("link", name="Explore", exact=True).first.click()
    wait_for_lab(page, MODEL)
    assert re.fullmatch(re.escape(server.url) + r"/?(\?.*)?", page.url)
    page.get_by_role("link", name="Compare", exact=True).first.click()
    page.wait_for_url(f"{server.url}/compare**")
    page.locator(".cursor").wait_for(timeout=PATIENCE)
    wait_for_page(page)
    page.reload()
    page.locator(".cursor").wait_for(timeout=PATIENCE)
    wait_for_page(page)
    assert answers["failed"] == []
    base = server.url.replace("http:", "ws:")
    streams = [one for one in answers["sockets"] if "_stcore" in one]
    assert len(streams) == 2
    assert all(one == f"{base}/_stcore/stream" for one in streams)


def test_the_name_of_the_default_page_leads_to_it(page, server, answers):
    page.goto(f"{server.url}/explore?model={MODEL}")
    wait_for_lab(page, MODEL)
    assert page.url.startswith(f"{server.url}/?")
    assert answers["failed"] == []

"""The app behind a real nginx, and under names that are not its own."""

import pytest
from playwright.sync_api import expect

from tests.browser.lab import PATIENCE, picture, wait_for_idle, wait_for_other_picture
from tests.browser.proxy import nginx
from tests.browser.server import StreamlitServer, free_port

LIVE = ".lab[data-phase=live]"
PAINTED = """() => {
  const canvas = document.querySelector('.lab-picture');
  if (!canvas?.width) return false;
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  return new Set(data).size > 10;
}"""
# Chromium resolves names below localhost by itself; to Streamlit it is a foreign one.
NAME = "explorer.localhost"


def wait_for_picture(page):
    page.wait_for_function(PAINTED, timeout=PATIENCE)


def assert_live(page, url):
    page.goto(url)
    page.wait_for_selector(LIVE, timeout=PATIENCE)
    wait_for_picture(page)
    page.goto("about:blank")  # before the proxy ends


def test_the_lab_is_live_behind_a_proxy_that_passes_the_host_on(app_server, page, tmp_path):
    with nginx(tmp_path, app_server.port, "$http_host") as port:
        assert_live(page, f"http://localhost:{port}")


def test_the_lab_is_live_behind_a_proxy_that_writes_its_own_host(app_server, page, tmp_path):
    with nginx(tmp_path, app_server.port, "app") as port:
        assert_live(page, f"http://localhost:{port}")


def test_the_lab_is_live_under_a_public_name_where_the_settings_have_it(
    environment, page, tmp_path
):
    port = free_port()
    settings = environment | {
        "STREAMLIT_SERVER_CORS_ALLOWED_ORIGINS": f"http://{NAME}:{port}",
    }
    with (
        StreamlitServer(folder=tmp_path, environment=settings) as app,
        nginx(tmp_path, app.port, "inner.service", port=port),
    ):
        assert_live(page, f"http://{NAME}:{port}")


def test_where_no_socket_opens_the_first_picture_comes_and_the_page_says_why(
    app_server, page, tmp_path, expected_errors
):
    expected_errors.append("WebSocket connection to .*/explorer-live/")
    with nginx(tmp_path, app_server.port, "$http_host", live=False) as port:
        page.goto(f"http://localhost:{port}")
        wait_for_picture(page)
        status = page.locator(".lab-status")
        expect(status).to_contain_text("Upgrade and Connection", timeout=PATIENCE)
        page.screenshot(path=tmp_path / "why.png")
        wait_for_idle(page)
        # A slider's picture comes with a run of the page.
        before = picture(page)
        page.locator(".lab input[type=range]").first.press("End")
        wait_for_other_picture(page, before)
        page.goto("about:blank")
    assert "a proxy in between must pass WebSockets on" in app_server.output()


@pytest.mark.parametrize("path", ["/", "/explorer-live/facts/mnist-vae-16"])
def test_a_page_under_a_name_that_a_stranger_may_own_is_told_what_to_set(
    app_server, page, path, expected_errors, tmp_path
):
    expected_errors.append("403")
    with nginx(tmp_path, app_server.port, "evil.example") as port:
        page.goto(f"http://localhost:{port}{path}")
        expect(page.locator("body")).to_contain_text("does not know the name 'evil.example'")
        expect(page.locator("body")).to_contain_text("browser.serverAddress")

"""A real Chromium against the app as a user starts it."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import sync_playwright

from tests.browser.chromium import launch_options
from tests.browser.server import ROOT, StreamlitServer

HERE = Path(__file__).parent
OUTPUT = HERE / "output"
WINDOW = {"width": 1440, "height": 900}
REPORTS = pytest.StashKey[dict[str, pytest.TestReport]]()


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """Keep each phase's report for the fixtures, and show the server's output on failure."""
    report = yield
    item.stash.setdefault(REPORTS, {})[report.when] = report
    if report.failed:
        for name, value in getattr(item, "funcargs", {}).items():
            if isinstance(value, StreamlitServer):
                report.sections.append((f"output of {name}", value.output()))
    return report


# One a module, not one a session: while playwright's loop runs, no test can run a loop of its own.
@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**launch_options())
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory):
    """A folder with one more checkpoint, of colour images that are not square."""
    folder = tmp_path_factory.mktemp("checkpoints")
    rng = np.random.default_rng(0)
    for name in ("calm", "wild"):
        (folder / "pictures" / name).mkdir(parents=True)
        for number in range(200):
            pixels = rng.integers(0, 256, (1 + 3 * (name == "wild"), 2, 3), np.uint8)
            image = Image.fromarray(pixels).resize((16, 24), Image.Resampling.NEAREST)
            image.save(folder / "pictures" / name / f"{number}.png")
    trained = folder / "trained"
    subprocess.run(
        [
            *(sys.executable, str(ROOT / "train_vae.py"), "--data", str(folder / "pictures")),
            *("--size", "24x16", "--architecture", "conv", "--width", "8", "--latent-dim", "3"),
            *("--epochs", "8", "--batch-size", "32", "--threads", "1"),
            *("--name", "colour", "--out", str(trained)),
        ],
        check=True,
    )
    return trained


@pytest.fixture(scope="session")
def environment(checkpoints, tmp_path_factory):
    """Variables of the app under test: its checkpoints, and a data folder that holds nothing."""
    return {
        "EXPLORER_CHECKPOINTS": str(checkpoints),
        "EXPLORER_DATA": str(tmp_path_factory.mktemp("data")),
    }


@pytest.fixture(scope="session")
def app_server(environment, tmp_path_factory):
    with StreamlitServer(folder=tmp_path_factory.mktemp("server"), environment=environment) as app:
        yield app


@pytest.fixture
def restartable_server(environment, tmp_path):
    """A server of the test's own, to stop and start."""
    with StreamlitServer(folder=tmp_path, environment=environment) as app:
        yield app


@pytest.fixture
def expected_errors():
    """Patterns of the browser errors that a test provokes: it appends them."""
    return []


@pytest.fixture
def new_page(chromium, expected_errors, request):
    """Open tabs of one browser; the test fails for any error in them that it did not expect."""
    context = chromium.new_context(viewport=WINDOW)
    errors = []

    def on_console(message):
        if message.type == "error":
            errors.append(f"console: {message.text} ({message.location.get('url')})")

    context.on("console", on_console)
    context.on("weberror", lambda error: errors.append(f"page: {error.error}"))
    yield context.new_page
    call = request.node.stash.get(REPORTS, {}).get("call")
    if call is not None and call.failed:
        OUTPUT.mkdir(exist_ok=True)
        for number, page in enumerate(context.pages, start=1):
            page.screenshot(path=OUTPUT / f"{request.node.name}-{number}.png")
    context.close()
    surprises = [
        error
        for error in errors
        if not any(re.search(pattern, error) for pattern in expected_errors)
    ]
    assert not surprises, "the browser reported errors:\n" + "\n".join(surprises)


@pytest.fixture
def page(new_page):
    """One tab of 1440 x 900."""
    return new_page()

"""A real Chromium against the app as a user starts it."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import sync_playwright

from explorer.images.dataset import ImageSet
from explorer.images.generated import load_generated
from explorer.images.sprites import SPRITES
from explorer.models.checkpoint import CONFIG, ENCODINGS, PROJECTION
from explorer.models.library import SHIPPED
from tests.browser.chromium import launch_options
from tests.browser.server import ROOT, StreamlitServer
from tests.conftest import make_images, train_checkpoint

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
def data_folder(tmp_path_factory):
    """Where the app under test looks for images: a thousand sprites are there, and no MNIST."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory, data_folder):
    """A folder with more checkpoints, each of which can do what no shipped one can.

    colour: of colour images that are not square. many: of 200 classes. sprites: of images whose
    factors are known and which are at hand. crowd: 30,000 points. own: to be written to. same,
    few: equal codes, and three codes, of which no map can be fitted. line: one latent axis. plain:
    four images without classes.
    """
    folder = tmp_path_factory.mktemp("checkpoints")
    trained = folder / "trained"
    train_colour(folder / "pictures", trained)
    train_checkpoint(trained / "many", many_classes(), "vae")
    sprites = load_generated(SPRITES, 1000, data_folder / SPRITES.name)
    train_checkpoint(trained / "sprites", sprites, "vae")
    rng = np.random.default_rng(0)
    shutil.copytree(SHIPPED / "digits-vae-8", trained / "own")
    tile = np.tile(np.arange(10_000), 3)
    noise = rng.normal(0, 0.2, (len(tile), 2)).astype(np.float32)
    copy_with_codes("mnist-vae-2", trained / "crowd", tile, lambda codes: codes + noise)
    copy_with_codes("digits-vae-8", trained / "same", np.arange(359), np.zeros_like)
    copy_with_codes("digits-vae-8", trained / "few", np.arange(3), np.asarray)
    train_checkpoint(trained / "line", make_images(200), "vae", latent_dim=1)
    unlabelled = replace(make_images(), labels=None, classes=())
    train_checkpoint(trained / "plain", unlabelled, "vae")
    keep_codes(trained / "plain", np.arange(4))
    return trained


def train_colour(pictures, trained):
    """A small convolutional model of 24 x 16 colour pictures, by the command line."""
    rng = np.random.default_rng(0)
    for name in ("calm", "wild"):
        (pictures / name).mkdir(parents=True)
        for number in range(200):
            pixels = rng.integers(0, 256, (1 + 3 * (name == "wild"), 2, 3), np.uint8)
            image = Image.fromarray(pixels).resize((16, 24), Image.Resampling.NEAREST)
            image.save(pictures / name / f"{number}.png")
    subprocess.run(
        [
            *(sys.executable, str(ROOT / "train_vae.py"), "--data", str(pictures)),
            *("--size", "24x16", "--architecture", "conv", "--width", "8", "--latent-dim", "2"),
            *("--epochs", "8", "--batch-size", "32", "--threads", "1"),
            *("--name", "colour", "--out", str(trained)),
        ],
        check=True,
    )


def many_classes(count=200, each=4):
    """Noise of 200 classes, of which as many are held out."""
    rng = np.random.default_rng(0)
    labels = np.tile(np.arange(count), each)
    return ImageSet(
        name="noise",
        images=rng.integers(0, 256, (len(labels), 1, 8, 8), np.uint8),
        labels=labels.astype(np.int64),
        classes=tuple(f"kind {number}" for number in range(count)),
        train_index=np.arange(2 * count, len(labels)),
        held_out_index=np.arange(2 * count),
        credit="",
        licence="",
    )


def keep_codes(folder, rows):
    """Leave a checkpoint of two latent axes no more than these of its codes."""
    for file in folder.glob("regularity.json"):
        file.unlink()
    with np.load(folder / ENCODINGS) as stored:
        arrays = {key: values[rows] for key, values in stored.items()}
    np.savez(folder / ENCODINGS, **arrays)
    with np.load(folder / PROJECTION) as stored:
        places = dict(stored)
    np.savez(folder / PROJECTION, **(places | {"coordinates": arrays["mean"]}))


def copy_with_codes(name, target, rows, change):
    """Copy a shipped checkpoint, with these of its codes, changed.

    Args:
        name: the shipped one.
        target: the new folder.
        rows: of the codes that the copy has.
        change: gives the copy's codes, (N, D), for the original's.
    """
    shutil.copytree(SHIPPED / name, target)
    for file in target.glob("regularity.json"):
        file.unlink()
    config = json.loads((target / CONFIG).read_text())
    (target / CONFIG).write_text(json.dumps(config | {"name": target.name}))
    with np.load(target / ENCODINGS) as stored:
        arrays = {key: values[rows] for key, values in stored.items()}
    arrays["mean"] = change(arrays["mean"])
    np.savez(target / ENCODINGS, **arrays)
    with np.load(target / PROJECTION) as stored:
        places = dict(stored)
    for key, values in places.items():
        if key.startswith("coordinates"):
            places[key] = values[rows]
    if config["network"]["latent_dim"] == 2:
        places["coordinates"] = arrays["mean"]
    np.savez(target / PROJECTION, **places)


@pytest.fixture(scope="session")
def environment(checkpoints, data_folder, tmp_path_factory):
    """Variables of the app under test: its checkpoints, its data, its fitted maps."""
    return {
        "EXPLORER_CHECKPOINTS": str(checkpoints),
        "EXPLORER_DATA": str(data_folder),
        "EXPLORER_CACHE": str(tmp_path_factory.mktemp("cache")),
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

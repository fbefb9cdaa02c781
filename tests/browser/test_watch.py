"""Checkpoints that come, go and change while a page is open, in a real Chromium."""

import re
import shutil

import pytest
from playwright.sync_api import expect

from explorer.models.library import SHIPPED
from explorer.storage import write_folder
from tests.browser.lab import PATIENCE, expect_no_overflow, wait_for_page
from tests.browser.server import StreamlitServer

FORMER, NEW = "digits-vae-8", "digits-vae-8-seed1"
IDLE_SECONDS, QUIET_SECONDS = 10, 2

# No request has gone out for a while: what a page fetches after its first sight is there.
QUIET = """(seconds) => {
  const count = performance.getEntriesByType('resource').length, now = performance.now();
  if (window.countOfRequests !== count) [window.countOfRequests, window.quietSince] = [count, now];
  return now - window.quietSince > 1000 * seconds;
}"""
PAGES = ("encode", "compare", "")  # by their addresses; Explore has the app's own
NAMES = ("encode", "compare", "explore")

SAMPLES = "[data-testid=stImage] img"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The folder that the tests train into."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def environment(runs, tmp_path_factory):
    return {
        "EXPLORER_CHECKPOINTS": str(runs),
        "EXPLORER_DATA": str(tmp_path_factory.mktemp("data")),
    }


@pytest.fixture(scope="module")
def server(environment, tmp_path_factory):
    with StreamlitServer(folder=tmp_path_factory.mktemp("watch"), environment=environment) as app:
        yield app


@pytest.fixture
def mine(runs, request):
    """A checkpoint of the test's own."""
    name = "mine-" + re.sub("[^a-z]+", "-", request.node.name.removeprefix("test_"))
    folder = shutil.copytree(SHIPPED / FORMER, runs / name)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def train_again(folder):
    """Write another model in its place, as the trainer does."""

    def fill(target):
        for file in (SHIPPED / NEW).iterdir():
            shutil.copyfile(file, target / file.name)

    write_folder(folder, fill)


def open_page(page, server, name, model):
    page.goto(f"{server.url}/{name}?model={model}")
    page.wait_for_selector(".checkpoint-watch[data-phase=live]", state="attached", timeout=PATIENCE)
    wait_for_page(page)


def runs_of(page):
    """How often the script has run for this tab."""
    return int(page.locator(".checkpoint-watch").get_attribute("data-run"))


def wait_for_runs(page, number):
    page.wait_for_selector(
        f".checkpoint-watch[data-run='{number}']", state="attached", timeout=PATIENCE
    )
    wait_for_page(page)


def picker(page):
    return page.get_by_role("combobox").first


def offer(page):
    return page.get_by_role("button", name="Show the new one")


def test_a_new_checkpoint_appears_after_one_run(page, server, mine, runs):
    open_page(page, server, "encode", mine.name)
    before = runs_of(page)
    shutil.copytree(SHIPPED / FORMER, runs / "another")
    expect(page.get_by_text("New checkpoint: another")).to_be_visible(timeout=PATIENCE)
    wait_for_page(page)
    assert runs_of(page) == before + 1
    picker(page).click()
    expect(page.get_by_role("option", name=re.compile("^another ·"))).to_be_visible()
    shutil.rmtree(runs / "another")
    expect(page.get_by_role("option", name=re.compile("^another ·"))).to_be_hidden(timeout=PATIENCE)


def test_a_checkpoint_trained_again_is_offered_and_its_pictures_change_then(page, server, mine):
    open_page(page, server, "compare", mine.name)
    page.locator(".st-key-compare-closer").get_by_text("Samples", exact=True).click()
    expect(page.get_by_role("button", name="Draw again")).to_be_visible(timeout=PATIENCE)
    wait_for_page(page)
    samples, before = page.locator(SAMPLES).first, runs_of(page)
    former = samples.get_attribute("src")
    train_again(mine)
    told = page.get_by_text(re.compile(r"was trained again at \d\d:\d\d. You still see"))
    expect(told).to_be_visible(timeout=PATIENCE)
    wait_for_page(page)
    assert runs_of(page) == before + 1
    assert samples.get_attribute("src") == former
    page.get_by_role("button", name="Draw again").click()
    expect(samples).not_to_have_attribute("src", former, timeout=PATIENCE)
    wait_for_page(page)
    former = samples.get_attribute("src")
    offer(page).click()
    expect(told).to_be_hidden(timeout=PATIENCE)
    expect(samples).not_to_have_attribute("src", former, timeout=PATIENCE)


def test_two_tabs_may_show_the_former_and_the_new_one(new_page, server, mine):
    one, two = new_page(), new_page()
    for page in (one, two):
        open_page(page, server, "encode", mine.name)
    former = picker(one).input_value()
    train_again(mine)
    for page in (one, two):
        expect(offer(page)).to_be_visible(timeout=PATIENCE)
    offer(one).click()
    expect(offer(one)).to_be_hidden(timeout=PATIENCE)
    wait_for_page(one)
    expect(offer(two)).to_be_visible()
    assert picker(one).input_value() != former == picker(two).input_value()


@pytest.mark.parametrize("name", PAGES, ids=NAMES)
def test_the_offer_moves_nothing_on_a_wide_page_and_fits_a_narrow_one(page, server, mine, name):
    open_page(page, server, name, mine.name)
    below = page.locator("[data-testid=stFileUploader], [data-testid=stSelectbox], .lab").last
    expect(page.locator(".st-key-checkpoint-watch")).to_be_hidden()
    place = below.bounding_box()["y"]
    train_again(mine)
    expect(offer(page)).to_be_visible(timeout=PATIENCE)
    wait_for_page(page)
    assert below.bounding_box()["y"] == place
    page.set_viewport_size({"width": 390, "height": 844})
    wait_for_page(page)
    expect(offer(page)).to_be_in_viewport(ratio=1)
    expect_no_overflow(page)


@pytest.mark.parametrize("name", PAGES, ids=NAMES)
def test_a_deleted_checkpoint_is_told_and_comes_back_by_itself(page, server, mine, tmp_path, name):
    open_page(page, server, name, mine.name)
    shutil.move(mine, tmp_path / "aside")
    told = page.get_by_text(f"{mine.name} is no longer there")
    expect(told).to_be_visible(timeout=PATIENCE)
    expect(told).to_contain_text("until then you see mnist-vae-16")
    shutil.move(tmp_path / "aside", mine)
    expect(told).to_be_hidden(timeout=PATIENCE)
    expect(picker(page)).to_have_value(re.compile(f"^{mine.name} ·"), timeout=PATIENCE)


@pytest.mark.parametrize("name", PAGES, ids=NAMES)
def test_the_address_picks_the_model(page, server, mine, name):
    open_page(page, server, name, mine.name)
    expect(picker(page)).to_have_value(re.compile(f"^{mine.name} ·"))
    open_page(page, server, name, "no-such-model")
    expect(page.get_by_text("asks for the model no-such-model, which is not there")).to_be_visible()
    expect(picker(page)).to_have_value(re.compile("^mnist-vae-16 ·"))


@pytest.mark.parametrize("name", PAGES, ids=NAMES)
def test_an_idle_page_runs_no_script_and_asks_for_nothing(page, server, mine, name):
    open_page(page, server, name, mine.name)
    page.evaluate("() => performance.setResourceTimingBufferSize(10_000)")
    page.wait_for_function(QUIET, arg=QUIET_SECONDS, timeout=PATIENCE)
    wait_for_page(page)
    before, asked = runs_of(page), []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(1000 * IDLE_SECONDS)
    assert runs_of(page) == before
    assert asked == []


def test_hears_of_changes_again_after_the_server_was_away(
    page, restartable_server, mine, runs, expected_errors
):
    expected_errors += [
        "WebSocket connection to",
        "net::ERR_",
        "WebSocket onerror",
        "reaching server endpoint",
    ]
    expected_errors.append("Is Streamlit still running")
    open_page(page, restartable_server, "encode", mine.name)
    restartable_server.stop()
    page.wait_for_selector(".checkpoint-watch[data-phase=lost]", state="attached", timeout=PATIENCE)
    shutil.copytree(SHIPPED / FORMER, runs / "meanwhile")
    restartable_server.start()
    page.wait_for_selector(".checkpoint-watch[data-phase=live]", state="attached", timeout=PATIENCE)
    wait_for_page(page)
    picker(page).click()
    expect(page.get_by_role("option", name=re.compile("^meanwhile ·"))).to_be_visible()
    page.keyboard.press("Escape")
    shutil.rmtree(runs / "meanwhile")
    picker(page).click()
    expect(page.get_by_role("option", name=re.compile("^meanwhile ·"))).to_be_hidden(
        timeout=PATIENCE
    )

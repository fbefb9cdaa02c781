"""Take the screenshots of the README from the running app.

python -m docs.screenshots                 # docs/explore.png, encode.png and compare.png
python -m docs.screenshots --all FOLDER    # every page, wide and narrow, light and dark
"""

import argparse
import io
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from tests.browser.chromium import launch_options
from tests.browser.lab import (
    PATIENCE,
    model_name,
    open_lab,
    pick_model,
    wait_for_idle,
    wait_for_lab,
    wait_for_page,
)
from tests.browser.server import StreamlitServer

DOCS = Path(__file__).resolve().parent
MODEL = "mnist-vae-16"
WINDOWS: dict[str, ViewportSize] = {
    "wide": {"width": 1440, "height": 900},
    "narrow": {"width": 390, "height": 844},
}
SCHEMES = ("light", "dark")
PAGES = ("explore", "encode", "compare")
CLASS = "3"  # of the point that the pointer rests on

# Every model that is compared has answered, and said where the code lies in it.
ANSWERED = """() => {
  const root = document.querySelector('.cursor'), models = root?.cursor?.contestants ?? [];
  return models.length > 1 && models.every((one) => one.frames > 0 && one.link.quiet)
    && !root.textContent.includes('Loading');
}"""

# The point of a class that lies nearest to the class's middle on the map.
MIDDLE = """(name) => {
  const root = document.querySelector('.lab'), { map, labels } = root.lab, { points, data } = map;
  const rows = [...labels.keys()].filter((row) => data.classes[labels[row]] === name);
  const middle = [0, 1].map((axis) => {
    const places = rows.map((row) => points.places[2 * row + axis]).sort((a, b) => a - b);
    return places[Math.floor(places.length / 2)];
  });
  const away = (row) => Math.hypot(...map.placeOf(row).map((place, axis) => place - middle[axis]));
  const row = rows.reduce((best, other) => away(other) < away(best) ? other : best);
  const spot = map.pixel(map.placeOf(row));
  const box = root.querySelector('.lab-map').getBoundingClientRect();
  return [box.x + spot.x, box.y + spot.y];
}"""


def draw_digit() -> bytes:
    """A seven in dark ink on light paper, as a PNG file."""
    paper = Image.new("L", (240, 320), 235)
    ImageDraw.Draw(paper).line([(60, 70), (180, 70), (110, 250)], fill=40, width=22, joint="curve")
    file = io.BytesIO()
    paper.save(file, "PNG")
    return file.getvalue()


def show_explore(page: Page, url: str) -> None:
    """Explore with a point of the map chosen, and the pointer on it."""
    open_lab(page, url, MODEL)
    page.mouse.click(*page.evaluate(MIDDLE, CLASS))
    wait_for_lab(page, MODEL)
    # The card is that of a point which the pointer comes to.
    across, down = page.evaluate(MIDDLE, CLASS)
    page.mouse.move(across - 60, down)
    page.mouse.move(across, down, steps=4)
    page.wait_for_selector(".lab-card", state="visible")
    wait_for_lab(page, MODEL)
    wait_for_page(page)


def show_encode(page: Page, url: str) -> None:
    """Encode with a drawn digit."""
    open_lab(page, url, MODEL)
    open_page(page, "Encode")
    page.locator("input[type=file]").set_input_files(
        {"name": "seven.png", "mimeType": "image/png", "buffer": draw_digit()}
    )
    page.get_by_text("Reconstruction", exact=True).wait_for()
    page.wait_for_selector(".post[data-phase=live]")
    wait_for_page(page)


def show_compare(page: Page, url: str) -> None:
    """Compare with a pair."""
    open_lab(page, url)
    if model_name(page) != MODEL:
        pick_model(page, MODEL)
    open_page(page, "Compare")
    page.wait_for_function(ANSWERED, timeout=PATIENCE)
    wait_for_page(page)


def open_page(page: Page, title: str) -> None:
    """Choose a page in the navigation; in a narrow window it lies behind a button."""
    more = page.get_by_test_id("stExpandSidebarButton")
    narrow = more.is_visible()
    if narrow:
        more.click()
    page.get_by_role("link", name=title).first.click()
    page.wait_for_url(f"**/{title.lower()}")
    wait_for_idle(page)
    if narrow:
        page.get_by_test_id("stSidebar").hover()
        page.get_by_test_id("stSidebarCollapseButton").get_by_role("button").click()
        more.wait_for(state="visible")


SHOW = {"explore": show_explore, "encode": show_encode, "compare": show_compare}


def take(
    browser: Browser, url: str, name: str, path: Path, *, window: str, scheme: str, whole: bool
) -> None:
    """Open one page as a new visitor and take its picture.

    Args:
        browser: a running Chromium.
        url: of the app.
        name: of the page.
        path: of the PNG.
        window: "wide" or "narrow".
        scheme: "light" or "dark".
        whole: make the window as high as the page.
    """
    context = browser.new_context(
        viewport=WINDOWS[window], color_scheme="dark" if scheme == "dark" else "light"
    )
    page = context.new_page()
    SHOW[name](page, url)
    if whole:
        height = page.evaluate("() => document.querySelector('[data-testid=stMain]').scrollHeight")
        page.set_viewport_size({"width": WINDOWS[window]["width"], "height": height})
        wait_for_page(page)
    page.screenshot(path=path)
    context.close()
    print(path)


def main() -> None:
    """Start the app, take the pictures, end it."""
    parser = argparse.ArgumentParser(description="Take screenshots of the running app.")
    parser.add_argument(
        "--all",
        type=Path,
        metavar="FOLDER",
        help="every page at every size, light and dark, into this folder",
    )
    parser.add_argument(
        "--whole", action="store_true", help="with --all: as high as the page, not the window"
    )
    flags = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        StreamlitServer(folder=Path(folder)) as app,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(**launch_options())
        if flags.all is None:
            for name in PAGES:
                take(
                    browser,
                    app.url,
                    name,
                    DOCS / f"{name}.png",
                    window="wide",
                    scheme="light",
                    whole=False,
                )
        else:
            flags.all.mkdir(parents=True, exist_ok=True)
            for name in PAGES:
                for window in WINDOWS:
                    for scheme in SCHEMES:
                        take(
                            browser,
                            app.url,
                            name,
                            flags.all / f"{name}-{window}-{scheme}.png",
                            window=window,
                            scheme=scheme,
                            whole=flags.whole,
                        )
        browser.close()


if __name__ == "__main__":
    main()

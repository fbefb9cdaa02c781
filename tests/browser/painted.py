"""What the Explore page paints, read from pixels and `data-*` attributes alone."""

import io
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page

from tests.browser.lab import PATIENCE, choose_model, wait_for_idle

MAP = ".lab-map"
# Where two drawings of the same thing may round a rim differently.
SAME_SHADE = 40
SAME_SHARE = 5e-4

AT_REST = """(wanted) => {
  const root = document.querySelector('.lab');
  if (!root) return false;
  const { phase, map, model, busy, ink } = root.dataset;
  const text = getComputedStyle(root).getPropertyValue('--st-text-color').trim();
  return phase === 'live' && map === model && busy === '' && ink === text
    && Object.entries(wanted).every(([name, value]) => root.dataset[name] === value);
}"""

# 3-D is drawn by Plotly a frame or two after it says that it is done.
NEXT_FRAMES = """async () => {
  for (let frame = 0; frame < 3; frame += 1) await new Promise(requestAnimationFrame);
}"""


def wait_for_rest(page: Page, **wanted: str) -> None:
    """Until nothing is under way on the Explore page: data-busy is empty, and Streamlit idle.

    Args:
        page: the browser's page.
        wanted: what the lab's `data-*` attributes must be besides.
    """
    page.wait_for_function(AT_REST, arg=wanted, timeout=PATIENCE)
    wait_for_idle(page)
    page.wait_for_function(AT_REST, arg=wanted, timeout=PATIENCE)


def open_fresh(page: Page, url: str, model: str, **address: str) -> None:
    """Open a state of the Explore page by its address alone, and wait until it is at rest."""
    page.goto(f"{url}/?{urlencode({'model': model} | address, safe=',:')}")
    view = {"view": address["view"]} if "view" in address else {}
    wait_for_rest(page, model=model, **view)


def switch_model(page: Page, name: str) -> None:
    """Pick another model, and wait until the page is at rest."""
    choose_model(page, name)
    wait_for_rest(page, model=name)


def shot_of(page: Page, selector: str = MAP) -> NDArray[np.uint8]:
    """What an element looks like once two pictures in a row are the same, (H, W, 3).

    The pointer is taken away first: what is under it is lit.
    """
    page.mouse.move(0, 0)
    wait_for_rest(page)
    before = None
    while True:
        page.evaluate(NEXT_FRAMES)
        data = page.locator(selector).screenshot(animations="allow")
        shot = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        if before is not None and shot.shape == before.shape and (shot == before).all():
            return shot
        before = shot


def pixels_apart(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where two shots of one size differ by more than a rim's rounding, (H, W)."""
    assert one.shape == other.shape
    return np.abs(one.astype(int) - other).max(axis=2) > SAME_SHADE


def assert_painted_alike(one: NDArray[np.uint8], other: NDArray[np.uint8], what: str) -> None:
    """Two shots show the same."""
    apart = pixels_apart(one, other)
    assert apart.mean() <= SAME_SHARE, f"{what}: {apart.sum()} pixels differ"


def pixels_of_colour(
    shot: NDArray[np.uint8], colour: Sequence[int], ground: Sequence[int]
) -> NDArray[np.bool_]:
    """Where a colour is painted over a ground, thickly or thinly, (H, W).

    Args:
        shot: (H, W, 3).
        colour: of three bytes, far from grey.
        ground: what it lies on.
    """
    paint = np.subtract(colour, ground, dtype=float)
    pixels = shot.astype(float) - ground
    share = (pixels @ paint) / (paint @ paint)
    rest = np.linalg.norm(pixels - share[..., None] * paint, axis=2)
    found: NDArray[np.bool_] = (share > 0.5) & (share < 1.1) & (rest < 16)
    return found


def css_colour(page: Page, selector: str, name: str) -> list[int]:
    """A colour of an element's style, as three bytes."""
    found: list[int] = page.evaluate(
        """([selector, name]) => {
          const style = getComputedStyle(document.querySelector(selector));
          const context = document.createElement('canvas').getContext('2d');
          context.fillStyle = style.getPropertyValue(name).trim();
          context.fillRect(0, 0, 1, 1);
          return [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)];
        }""",
        [selector, name],
    )
    return found


def class_colour(page: Page, group: int) -> list[int]:
    """The colour that the legend gives a class, as three bytes."""
    return css_colour(page, f".lab-key[data-group='{group}'] .lab-swatch", "--colour")


def ground_colour(page: Page) -> list[int]:
    """The page's background, as three bytes."""
    return css_colour(page, ".lab", "--st-background-color")


READOUTS = """() => {
  const root = document.querySelector('.lab'), found = {};
  const text = (name, selector) => {
    const parts = [...root.querySelectorAll(selector)].map((one) => one.textContent);
    found[name] = parts.join(' ').trim();
  };
  text('spot', '[data-fact=spot] b');
  const facts = ['density', 'radius', 'cycle', 'nearest'];
  for (const fact of facts) text(fact, `[data-fact=${fact}] span`);
  text('legend', '.lab-legend');
  text('neighbours', '.lab-sheet[data-tab=neighbours] .lab-thumb');
  text('fit', '.lab-fit-state span');
  for (const meter of root.querySelectorAll('meter')) {
    found[meter.getAttribute('aria-label')] = meter.value || '';
  }
  for (const [name, selector] of [['nearest image', '[data-fact=nearest] canvas'],
    ['ghost', '.lab-ghost'], ['picture', '.lab-picture']]) {
    const canvas = root.querySelector(selector);
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    found[name] = data.some((value) => value) ? canvas.toDataURL() : '';
  }
  return found;
}"""


def readouts(page: Page) -> dict[str, Any]:
    """All that the Explore page tells of a model by words, meters and pictures; "" is blank."""
    found: dict[str, Any] = page.evaluate(READOUTS)
    return found


def record_readouts(page: Page, model: str) -> None:
    """Keep from now on what the readouts are in each frame in which the page is of this model."""
    page.evaluate(
        f"""(model) => {{
          const read = {READOUTS}, seen = window.readoutsSeen = [];
          const look = () => {{
            if (window.readoutsSeen !== seen) return;
            const root = document.querySelector('.lab');
            if (root?.dataset.model === model) {{
              const now = JSON.stringify(read());
              if (now !== seen.at(-1)) seen.push(now);
            }}
            requestAnimationFrame(look);
          }};
          look();
        }}""",
        model,
    )


def recorded_readouts(page: Page) -> list[dict[str, Any]]:
    """What was kept, without repetitions in a row; nothing is kept any more."""
    found: list[dict[str, Any]] = page.evaluate(
        """() => {
          const seen = window.readoutsSeen;
          window.readoutsSeen = null;
          return seen.map((one) => JSON.parse(one));
        }"""
    )
    return found

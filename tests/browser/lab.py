"""What a test reads from the Explore page and does to it; every wait is for the app's own state."""

import base64
import re

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Locator, Page, expect

PATIENCE = 60_000  # ms: a busy machine is slow, and no test measures time

THUMB = 16  # px, the slider's handle

IDLE = "[data-testid=stApp][data-test-script-state=notRunning]"

DRAWN = """() => !document.querySelector('[data-testid=stSkeleton], [data-testid=stSpinner]')
  && [...document.querySelectorAll('[data-testid=stPlotlyChart]')]
    .every((chart) => chart.querySelector('.main-svg'))
  && [...document.images].every((image) => image.complete)
  && document.fonts.status === 'loaded'"""

# The map is that of the model, and the picture the answer to the last code asked for.
READY = """(name) => {
  const root = document.querySelector('.lab');
  if (!root || !root.lab || root.dataset.phase !== 'live') return false;
  const { map, model } = root.dataset;
  if (map !== model || (name && model !== name)) return false;
  const { link, frames } = root.lab;
  return frames > 0 && !link.wanted && !link.inFlight.length;
}"""


def wait_for_idle(page: Page) -> None:
    """Until Streamlit has run the script and drawn what it sent."""
    page.wait_for_selector(IDLE, state="attached", timeout=PATIENCE)


def wait_for_page(page: Page) -> None:
    """Until Streamlit is idle and all that it sent is drawn: charts, pictures and type."""
    wait_for_idle(page)
    page.wait_for_function(DRAWN, timeout=PATIENCE)


def wait_for_lab(page: Page, model: str | None = None) -> None:
    """Until the lab is connected, its map painted and its picture up to date.

    Args:
        page: the browser's page.
        model: the checkpoint that it must show; by default any.
    """
    page.wait_for_function(READY, arg=model, timeout=PATIENCE)
    wait_for_idle(page)
    # A run that ended may have sent the lab another code.
    page.wait_for_function(READY, arg=model, timeout=PATIENCE)


def open_lab(page: Page, url: str, model: str | None = None) -> None:
    """Open the app and, if one is named, pick a model."""
    page.goto(url)
    wait_for_lab(page)
    if model is not None:
        pick_model(page, model)


def pick_model(page: Page, name: str) -> None:
    """Choose a checkpoint in the picker above the page, as a user does."""
    if model_name(page) != name:
        page.get_by_role("combobox").first.click()
        page.get_by_role("option", name=re.compile(rf"^{re.escape(name)} ·")).click()
    wait_for_lab(page, name)


def model_name(page: Page) -> str:
    """The checkpoint that the lab shows."""
    return str(page.evaluate("() => document.querySelector('.lab').dataset.model"))


def run_number(page: Page) -> int:
    """How often the script has run for this tab."""
    return int(page.evaluate("() => document.querySelector('.lab').dataset.run"))


def wait_for_run(page: Page, number: int) -> None:
    """Until the script's run of this number, or a later one, has ended."""
    page.wait_for_function(
        "(number) => Number(document.querySelector('.lab').dataset.run) >= number",
        arg=number,
        timeout=PATIENCE,
    )
    wait_for_lab(page)


def latents(page: Page) -> NDArray[np.float32]:
    """The code of the sliders, (D,)."""
    return np.array(
        page.evaluate("() => Array.from(document.querySelector('.lab').lab.latents)"), np.float32
    )


def picture(page: Page) -> NDArray[np.uint8]:
    """The pixels of the decoded picture's canvas, (H, W, 4)."""
    found = page.evaluate(
        """() => {
          const canvas = document.querySelector('.lab-picture');
          const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
          return [canvas.height, canvas.width, btoa(String.fromCharCode(...data))];
        }"""
    )
    height, width, text = found
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)


def wait_for_other_picture(page: Page, before: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Until the canvas shows something else; returns it, (H, W, 4)."""
    page.wait_for_function(
        """(before) => {
          const canvas = document.querySelector('.lab-picture');
          const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
          return btoa(String.fromCharCode(...data)) !== before;
        }""",
        arg=base64.b64encode(before.tobytes()).decode(),
        timeout=PATIENCE,
    )
    return picture(page)


def axes(page: Page) -> list[int]:
    """The latent axes in the order of their sliders, most informative first."""
    found = page.evaluate(
        "() => document.querySelector('.lab').lab.data.axes.map((axis) => axis.index)"
    )
    return [int(axis) for axis in found]


def slider(page: Page, axis: int) -> Locator:
    """The slider of one latent axis."""
    return page.locator(f"#lab-axis-{axis}")


def point_on_slider(page: Page, axis: int, share: float) -> tuple[float, float]:
    """Where on the page a slider's thumb is when it is pushed this far, from 0 to 1."""
    slider(page, axis).scroll_into_view_if_needed()
    box = slider(page, axis).bounding_box()
    assert box is not None
    travel = box["width"] - THUMB
    return box["x"] + THUMB / 2 + share * travel, box["y"] + box["height"] / 2


def drag(page: Page, axis: int, start: float, stop: float, steps: int = 12) -> None:
    """Drag a slider's thumb with the mouse, and wait until the page has followed."""
    run = run_number(page)
    page.mouse.move(*point_on_slider(page, axis, start))
    page.mouse.down()
    page.mouse.move(*point_on_slider(page, axis, stop), steps=steps)
    page.mouse.up()
    wait_for_run(page, run + 1)


def press(page: Page, button: str) -> None:
    """Press one of the lab's buttons, and wait until the page has followed."""
    run = run_number(page)
    page.get_by_role("button", name=button, exact=True).click()
    wait_for_run(page, run + 1)


def expect_no_overflow(page: Page) -> None:
    """Nothing may be wider than the window."""
    widths = page.evaluate("() => [document.documentElement.scrollWidth, window.innerWidth]")
    assert widths[0] <= widths[1], f"the page is {widths[0]} px wide in a window of {widths[1]}"


def expect_status(page: Page, pattern: str) -> None:
    """Until the lab's status line says this."""
    expect(page.locator(".lab-status")).to_have_text(re.compile(pattern), timeout=PATIENCE)

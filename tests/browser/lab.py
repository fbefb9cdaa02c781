"""What a test reads from the Explore page and does to it; every wait is for the app's own state."""

import base64
import io
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Locator, Page, expect

PATIENCE = 60_000  # ms: a busy machine is slow, and no test measures time

THUMB = 16  # px, the slider's handle

IDLE = "[data-testid=stApp][data-test-script-state=notRunning]"

DRAWN = """() => !document.querySelector('[data-testid=stSkeleton], [data-testid=stSpinner]')
  && [...document.querySelectorAll('[data-testid=stPlotlyChart]')]
    .every((chart) => chart.querySelector('.main-svg'))
  && [...document.images].every((image) => image.complete)
  && document.fonts.status === 'loaded'"""

# The map is that of the model, nothing glides or waits to settle, and the picture is the answer to
# the last code asked for.
READY = """(name) => {
  const root = document.querySelector('.lab');
  if (!root || !root.lab || root.dataset.phase !== 'live') return false;
  const { map, model } = root.dataset;
  if (map !== model || (name && model !== name)) return false;
  const { link, frames, gliding, settleTimer, settleWhenQuiet, awaitSpot } = root.lab;
  return frames > 0 && link.quiet && !gliding && !settleTimer && !settleWhenQuiet && !awaitSpot;
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


def open_lab(page: Page, url: str, model: str | None = None, **address: str) -> None:
    """Open the app, at a model's own address if one is named.

    Args:
        page: the browser's page.
        url: of the server.
        model: the checkpoint; by default the one that the app opens with.
        address: more of what the address asks for.
    """
    asked = ({} if model is None else {"model": model}) | address
    page.goto(f"{url}/?{urlencode(asked, safe=',:')}" if asked else url)
    wait_for_lab(page, model)


def pick_model(page: Page, name: str) -> None:
    """Choose a checkpoint in the picker above the page, and wait until the lab shows it."""
    if model_name(page) != name:
        choose_model(page, name)
    wait_for_lab(page, name)


def choose_model(page: Page, name: str) -> None:
    """Choose a checkpoint in the picker, as a user does: the list holds only what is in sight."""
    picker = page.get_by_role("combobox").first
    picker.click()
    picker.fill(name)
    page.get_by_role("option", name=re.compile(rf"^{re.escape(name)} ·")).click()


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


def pixels_of(page: Page, selector: str) -> NDArray[np.uint8]:
    """The pixels of a canvas, (H, W, 4)."""
    height, width, text = page.evaluate(
        """(selector) => {
          const canvas = document.querySelector(selector);
          const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
          let text = '';
          for (let at = 0; at < data.length; at += 8192) {
            text += String.fromCharCode(...data.subarray(at, at + 8192));
          }
          return [canvas.height, canvas.width, btoa(text)];
        }""",
        selector,
    )
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)


def picture(page: Page) -> NDArray[np.uint8]:
    """The pixels of the decoded picture's canvas, (H, W, 4)."""
    return pixels_of(page, ".lab-picture")


def wait_for_other_picture(page: Page, before: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Until the canvas shows something else; returns it, (H, W, 4)."""
    page.wait_for_function(
        """(before) => {
          const canvas = document.querySelector('.lab-picture');
          const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
          let text = '';
          for (let at = 0; at < data.length; at += 8192) {
            text += String.fromCharCode(...data.subarray(at, at + 8192));
          }
          return btoa(text) !== before;
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


def lab(page: Page, expression: str, arg: Any = None) -> Any:
    """The value of a JavaScript expression over `lab` and `map`, given `arg`."""
    return page.evaluate(_over_lab(f"return ({expression});"), arg)


def wait_for(page: Page, expression: str, arg: Any = None) -> None:
    """Until a JavaScript expression over `lab` and `map`, given `arg`, holds."""
    page.wait_for_function(_over_lab(f"return ({expression});"), arg=arg, timeout=PATIENCE)


def _over_lab(body: str) -> str:
    return (
        "(arg) => { const root = document.querySelector('.lab'), lab = root.lab, { map } = lab;"
        f" {body} }}"
    )


def record(page: Page, expression: str) -> None:
    """Keep from now on what an expression over `lab` and `map` is in each frame on the screen."""
    page.evaluate(
        _over_lab(
            "const seen = window.seenByTest = []; const look = () => {"
            f" const now = JSON.stringify({expression});"
            " if (window.seenByTest !== seen) return;"
            " if (now !== seen.at(-1)) seen.push(now); requestAnimationFrame(look); }; look();"
        )
    )


def recorded(page: Page) -> list[Any]:
    """What was kept, without repetitions in a row, up to now; nothing is kept any more."""
    seen = page.evaluate(
        """async () => {
          // What is so now is looked at in the next frame.
          for (let frame = 0; frame < 2; frame += 1) await new Promise(requestAnimationFrame);
          const seen = window.seenByTest;
          window.seenByTest = null;
          return seen;
        }"""
    )
    return [json.loads(one) for one in seen]


LONELIEST = """(() => {
  const { points } = map, box = map.box.getBoundingClientRect();
  const spots = Array.from({ length: points.count }, (_, row) => map.pixel(map.placeOf(row)));
  const pin = map.place ? map.pixel(map.place) : { x: -1e3, y: -1e3 };
  let best = null, most = -1;
  for (let row = 0; row < points.count; row += Math.ceil(points.count / 400)) {
    const { x, y, inside } = spots[row];
    if (!inside || x < 60 || y < 60 || x > box.width - 60 || y > box.height - 60) continue;
    if (Math.hypot(x - pin.x, y - pin.y) < 30) continue;
    let room = Infinity;
    spots.forEach((spot, other) => {
      if (other !== row) room = Math.min(room, Math.hypot(spot.x - x, spot.y - y));
    });
    if (room > most) { most = room; best = row; }
  }
  return { row: best, x: box.left + spots[best].x, y: box.top + spots[best].y };
})()"""

EMPTY = """(() => {
  const { points } = map, box = map.box.getBoundingClientRect(), found = [];
  const spots = Array.from({ length: points.count }, (_, row) => map.pixel(map.placeOf(row)));
  const pin = map.place ? map.pixel(map.place) : { x: -1e3, y: -1e3 };
  for (let y = 64; y < box.height - 64; y += 16) {
    for (let x = 64; x < box.width - 64; x += 16) {
      if (Math.hypot(x - pin.x, y - pin.y) < 40) continue;
      let room = Infinity;
      for (const spot of spots) room = Math.min(room, Math.hypot(spot.x - x, spot.y - y));
      const at = [Math.round(box.left + x), Math.round(box.top + y)];
      if (room > 14 && room < 90) found.push({ x: at[0], y: at[1], place: map.spotAt(...at) });
    }
  }
  return Array.from({ length: arg }, (_, at) => found[Math.floor((at * found.length) / arg)]);
})()"""


def lonely_point(page: Page) -> dict[str, Any]:
    """The point of the flat map with most room around it: its row, and where on the page it is."""
    found: dict[str, Any] = lab(page, LONELIEST)
    return found


def empty_spots(page: Page, count: int) -> list[dict[str, Any]]:
    """Spots of the flat map without a point nearby: x and y on the page, and place on the map."""
    found: list[dict[str, Any]] = lab(page, EMPTY, count)
    return found


def marker_point(page: Page) -> tuple[float, float]:
    """Where on the page the middle of the pinned code's marker is."""
    x, y = lab(
        page,
        "(() => { const box = map.box.getBoundingClientRect(), spot = map.pixel(map.place);"
        " return [box.left + spot.x, box.top + spot.y]; })()",
    )
    return x, y


def hover(page: Page, x: float, y: float) -> None:
    """Move the mouse there, and wait until the map's answers have come."""
    page.mouse.move(x, y)
    wait_for(page, "lab.link.quiet")


def screenshot(page: Page, selector: str) -> NDArray[np.uint8]:
    """What an element looks like on the screen, (H, W, 3)."""
    shot = page.locator(selector).screenshot(animations="allow")
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"))


def click_through(page: Page, run: int) -> None:
    """Until the page has followed one settled change after the run of this number."""
    wait_for_run(page, run + 1)
    assert run_number(page) == run + 1


def assert_decoded(shown: NDArray[np.uint8], folder: Path, code: NDArray[np.float32]) -> None:
    """Pixels of a canvas, (H, W, 4), are what torch decodes from a code (D,)."""
    from explorer.models.codec import Codec  # not at the top: screenshots need no torch

    decoded = Codec.from_folder(folder).decode_pixels(code[None])[0]
    assert shown.shape == (*decoded.shape[:2], 4)
    assert (shown[..., 3] == 255).all()
    # Between two batch sizes torch may round a value differently, which moves it by one grey.
    difference = np.abs(shown[..., :3].astype(int) - decoded.astype(int))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.01


def assert_picture_is_decoded(page: Page, folder: Path) -> None:
    """The pinned picture is what torch decodes from the code of the sliders."""
    wait_for_lab(page)
    assert_decoded(picture(page), folder, latents(page))

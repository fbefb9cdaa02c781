"""A drawing encoded while it is made, in real Chromium: distinct reconstructions per second.

A growing spiral is drawn for four seconds by real mouse events, 120 a second, on Encode's canvas
and, taking turns with it, in the plain Streamlit app that one would write without it: a canvas that
asks for a run of the script with what stands on it, which prepares, encodes and decodes it by the
same functions and shows it by `st.image`. The canvas of the plain app waits for the answer before
it asks again: asked at every event, Streamlit would break each run off for the next.

Distinct reconstructions per second: in every animation frame the shown picture's pixels are read,
and a frame counts if they differ from those of the frame before. Only frames between the press and
the release of the mouse button count.

    python -m benchmarks.drawing
    python -m benchmarks.drawing --model fashion-mnist-vae-16
"""

import argparse
import asyncio
import math
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from playwright.async_api import Browser, Page

from benchmarks.pages import (
    IDLE,
    PATIENCE,
    READ_PICTURE,
    WINDOW,
    box_of,
    chromium,
    play,
    verdicts,
)
from benchmarks.plain import write_app
from benchmarks.result import print_table, save_result
from explorer.models.library import SHIPPED
from tests.browser.server import StreamlitServer

RATE = 120  # mouse events a second
TURN_SECONDS = 0.8  # of the spiral
REACH = 0.4  # of the canvas, at the end
WARM_UP_SECONDS = 1.0
MODELS = ("mnist-vae-16",)
LEAST_UPDATES = 15.0  # a second
OURS, PLAIN = ".draw-reconstruction", "[data-testid=stImage] img"

PLAIN_APP = """
import base64
import io
from pathlib import Path

import numpy as np
import streamlit as st
from PIL import Image

from explorer.images.intake import ModelInput, prepare_upload
from explorer.models.checkpoint import load_config
from explorer.models.codec import Codec

FOLDER = Path({folder!r})
codec = st.cache_resource(Codec.from_folder)(FOLDER)
data = st.cache_resource(load_config)(FOLDER).data

JS = '''
export default ({{ parentElement, data, setTriggerValue }}) => {{
  const canvas = parentElement.querySelector("canvas"), context = canvas.getContext("2d");
  canvas.busy = false;
  if (canvas.ready) return;
  canvas.ready = true;
  context.fillRect(0, 0, 140, 140);
  Object.assign(context, {{ strokeStyle: "#fff", lineWidth: 12, lineCap: "round" }});
  canvas.addEventListener("pointerrawupdate", (event) => {{
    if (!(event.buttons & 1)) return;
    const box = canvas.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * 140;
    const y = ((event.clientY - box.top) / box.height) * 140;
    if (canvas.last) {{
      context.beginPath();
      context.moveTo(...canvas.last);
      context.lineTo(x, y);
      context.stroke();
    }}
    canvas.last = [x, y];
    if (canvas.busy) return;
    canvas.busy = true;
    setTriggerValue("png", canvas.toDataURL().split(",")[1]);
  }});
}};
'''
st.session_state.run = st.session_state.get("run", 0) + 1
canvas = st.components.v2.component(
    "plain.canvas",
    html='<canvas class="plain" width="140" height="140" style="width:280px"></canvas>',
    js=JS,
    isolate_styles=False,
)
# What is new in every run tells the canvas that it has been answered.
found = canvas(key="canvas", data={{"run": st.session_state.run}}, on_png_change=lambda: None)
if found.png:
    target = ModelInput(data.image_shape, data.background)
    image = prepare_upload(base64.b64decode(found.png), "drawing.png", target).image
    mean, _ = codec.encode(image[None])
    st.image(codec.decode_pixels(mean)[0].squeeze(), width=240)
"""

RECORD = """(selector) => {
  const record = window.record = { on: true, count: 0, events: 0, pressed: null, released: null };
  const read = (READ_PICTURE)(selector);
  let before = read();
  const look = () => {
    if (!record.on) return;
    const now = read();
    if (now && (!before || now.some((value, at) => value !== before[at]))) {
      if (record.pressed !== null && record.released === null) record.count += 1;
      before = now;
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
  window.addEventListener('pointerdown', (event) => { record.pressed = event.timeStamp; }, true);
  window.addEventListener('pointerup', (event) => { record.released = event.timeStamp; }, true);
  window.addEventListener('pointerrawupdate', () => { record.events += 1; }, true);
}""".replace("READ_PICTURE", READ_PICTURE)


@dataclass(frozen=True)
class Stroke:
    """One stroke's figures.

    Attributes:
        updates_per_second: distinct reconstructions painted between press and release.
        events: pointer events that the page received.
    """

    updates_per_second: float
    events: int


async def spiral(page: Page, box: dict[str, float], seconds: float) -> None:
    """Draw outwards from the canvas's middle; the button stays down."""
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def place(elapsed: float) -> tuple[float, float]:
        angle = math.tau * elapsed / TURN_SECONDS
        reach = REACH * box["width"] * (0.05 + 0.95 * min(1.0, elapsed / seconds))
        return middle[0] + reach * math.cos(angle), middle[1] + reach * math.sin(angle)

    await page.mouse.move(*place(0))
    await page.mouse.down()
    await play(seconds, RATE, lambda elapsed, _number: page.mouse.move(*place(elapsed)))


async def record_stroke(page: Page, canvas: str, picture: str, seconds: float) -> Stroke:
    """Draw once to warm up and once for the record."""
    box = await box_of(page, canvas)
    await spiral(page, box, WARM_UP_SECONDS)
    await page.mouse.up()
    await page.wait_for_selector(picture, timeout=PATIENCE)
    await page.wait_for_selector(IDLE, state="attached", timeout=PATIENCE)
    await page.evaluate(RECORD, picture)
    box = await box_of(page, canvas)
    await spiral(page, box, seconds)
    await page.mouse.up()
    record = await page.evaluate("() => ({ ...record, on: record.on = false })")
    length = (record["released"] - record["pressed"]) / 1000
    return Stroke(record["count"] / length, record["events"])


async def draw_ours(browser: Browser, url: str, model: str, seconds: float) -> Stroke:
    """Draw on Encode's canvas."""
    page = await browser.new_page(viewport=WINDOW)
    await page.goto(f"{url}/encode?model={model}")
    await page.locator(".st-key-encode-way").get_by_text("Draw", exact=True).click()
    await page.wait_for_selector(".draw-canvas", timeout=PATIENCE)
    await page.wait_for_selector(IDLE, state="attached", timeout=PATIENCE)
    stroke = await record_stroke(page, ".draw-canvas", OURS, seconds)
    await page.close()
    return stroke


async def draw_plain(browser: Browser, url: str, seconds: float) -> Stroke:
    """Draw on the plain app's canvas."""
    page = await browser.new_page(viewport=WINDOW)
    await page.goto(url)
    await page.wait_for_selector("canvas.plain", timeout=PATIENCE)
    await page.wait_for_selector(IDLE, state="attached", timeout=PATIENCE)
    stroke = await record_stroke(page, "canvas.plain", PLAIN, seconds)
    await page.close()
    return stroke


async def measure(model: str, seconds: float, repeats: int) -> tuple[list[Stroke], list[Stroke]]:
    """Draw in both apps by turns.

    Returns:
        The app's strokes and the plain app's.
    """
    ours, plain = [], []
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        script = write_app(Path(second), PLAIN_APP.format(folder=str(SHIPPED / model)))
        with (
            StreamlitServer(folder=Path(first)) as server,
            StreamlitServer(script, folder=Path(second)) as plain_server,
        ):
            async with chromium() as marked:
                for _ in range(repeats):
                    ours.append(await draw_ours(marked.browser, server.url, model, seconds))
                    plain.append(await draw_plain(marked.browser, plain_server.url, seconds))
    return ours, plain


def row(name: str, strokes: Sequence[Stroke]) -> list[str]:
    """A line of the table."""
    rates = [stroke.updates_per_second for stroke in strokes]
    return [
        name,
        f"{statistics.median(rates):.1f}",
        f"{min(rates):.1f} to {max(rates):.1f}",
        f"{statistics.median(stroke.events for stroke in strokes):.0f}",
    ]


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description="Time the encoding of a drawing while it is made.")
    parser.add_argument("--model", nargs="*", default=list(MODELS), help="shipped checkpoints")
    parser.add_argument("--seconds", type=float, default=4.0, help="of a stroke (default: 4)")
    parser.add_argument("--repeats", type=int, default=3, help="strokes of each (default: 3)")
    flags = parser.parse_args()

    found = []
    for model in flags.model:
        ours, plain = asyncio.run(measure(model, flags.seconds, flags.repeats))
        print_table(
            f"Drawing on {model} for {flags.seconds:g} s, median of {len(ours)}",
            ["", "updates/s", "range", "pointer events"],
            [row("Latent Explorer", ours), row("a run of the script each", plain)],
        )
        rate, other = (
            statistics.median(stroke.updates_per_second for stroke in strokes)
            for strokes in (ours, plain)
        )
        print(f"\nours / plain: {f'{rate / other:.1f} times' if other else 'plain paints none'}")
        for line in verdicts([("updates", rate, ">=", LEAST_UPDATES, "a second")]):
            print(line)
        found.append(
            {
                "model": model,
                "latent_explorer": [asdict(stroke) for stroke in ours],
                "plain": [asdict(stroke) for stroke in plain],
            }
        )
    save_result("drawing", {"seconds": flags.seconds, "models": found})


if __name__ == "__main__":
    main()

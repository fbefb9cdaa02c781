"""The shared cursor of Compare in real Chromium: distinct pictures per second of each model.

For four seconds the mouse moves in circles over the pad, 120 real events a second. In every
animation frame the pixels of each model's canvas are read, and a frame counts for a model if they
differ from those of the frame before. The bound is the browser's own: it draws at most 60 frames a
second. The target is 20 a second of each model.

    python -m benchmarks.compare
    python -m benchmarks.compare --model mnist-vae-16 --seconds 4
"""

import argparse
import asyncio
import math
import statistics
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from playwright.async_api import Browser, Page

from benchmarks.pages import IDLE, PATIENCE, WINDOW, box_of, chromium, play, verdicts
from benchmarks.result import print_table, save_result
from tests.browser.server import StreamlitServer

RATE = 120  # mouse events a second
ROUND_SECONDS = 1.9
REACH = 0.42  # of the pad's side
WARM_UP_SECONDS = 1.0
MODELS = ("mnist-vae-16", "faces-vae-16")
LEAST_PICTURES = 20.0  # a second, of each model

READY = """() => {
  const models = [...document.querySelectorAll('.cursor-model')];
  return models.length > 1 && models.every((model) => model.dataset.phase === 'live');
}"""

# Runs in the page: counts, of each model, the frames that show another picture.
RECORD = """() => {
  const canvases = [...document.querySelectorAll('.cursor-model canvas')];
  const record = window.record = {
    on: true, start: performance.now(), names: [], counts: canvases.map(() => 0), events: 0,
  };
  record.names = [...document.querySelectorAll('.cursor-model')].map((one) => one.dataset.model);
  const read = (canvas) =>
    canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  const before = canvases.map(read);
  const look = () => {
    if (!record.on) return;
    canvases.forEach((canvas, at) => {
      const now = read(canvas);
      if (now.some((value, place) => value !== before[at][place])) record.counts[at] += 1;
      before[at] = now;
    });
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
  document.querySelector('.cursor-pad')
    .addEventListener('pointermove', () => { record.events += 1; });
}"""


@dataclass(frozen=True)
class Drive:
    """One drive of the cursor.

    Attributes:
        names: of the models.
        pictures_per_second: distinct pictures painted, of each.
        events: pointer events that the page received a second.
    """

    names: list[str]
    pictures_per_second: list[float]
    events: float


async def circle(page: Page, box: dict[str, float], seconds: float) -> None:
    """Move the mouse in circles over the pad."""
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    async def move(elapsed: float, _number: int) -> None:
        angle = math.tau * elapsed / ROUND_SECONDS
        # Ever wider and narrower, so that no round is like the one before.
        reach = REACH * box["width"] * (0.6 + 0.4 * math.sin(angle / 3.7))
        await page.mouse.move(
            middle[0] + reach * math.cos(angle), middle[1] + reach * math.sin(angle)
        )

    await play(seconds, RATE, move)


async def drive(browser: Browser, url: str, model: str, seconds: float) -> Drive:
    """Open a model beside its pair and drive both."""
    page = await browser.new_page(viewport=WINDOW)
    await page.goto(f"{url}/compare?model={model}")
    await page.wait_for_function(READY, timeout=PATIENCE)
    await page.wait_for_selector(IDLE, state="attached", timeout=PATIENCE)
    box = await box_of(page, ".cursor-pad")
    await circle(page, box, WARM_UP_SECONDS)
    await page.evaluate(RECORD)
    await circle(page, box, seconds)
    record = await page.evaluate(
        "() => ({ ...record, on: record.on = false,"
        " seconds: (performance.now() - record.start) / 1e3 })"
    )
    await page.close()
    return Drive(
        names=record["names"],
        pictures_per_second=[count / record["seconds"] for count in record["counts"]],
        events=record["events"] / record["seconds"],
    )


async def measure(model: str, seconds: float, repeats: int) -> list[Drive]:
    """Drive the pair several times."""
    with tempfile.TemporaryDirectory() as folder, StreamlitServer(folder=Path(folder)) as server:
        async with chromium() as marked:
            return [await drive(marked.browser, server.url, model, seconds) for _ in range(repeats)]


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description="Time the shared cursor.")
    parser.add_argument("--model", nargs="*", default=list(MODELS), help="each beside its pair")
    parser.add_argument("--seconds", type=float, default=4.0, help="of a drive (default: 4)")
    parser.add_argument("--repeats", type=int, default=3, help="drives of each (default: 3)")
    flags = parser.parse_args()

    found = []
    for model in flags.model:
        drives = asyncio.run(measure(model, flags.seconds, flags.repeats))
        names = drives[0].names
        rates = [
            [drive.pictures_per_second[place] for drive in drives] for place in range(len(names))
        ]
        print_table(
            f"The shared cursor over {' and '.join(names)} for {flags.seconds:g} s, median of "
            f"{len(drives)}",
            ["", "distinct pictures/s", "range", "pointer events/s"],
            [
                [
                    name,
                    f"{statistics.median(mine):.1f}",
                    f"{min(mine):.1f} to {max(mine):.1f}",
                    f"{statistics.median(drive.events for drive in drives):.0f}",
                ]
                for name, mine in zip(names, rates, strict=True)
            ],
        )
        against = [
            (
                f"distinct pictures, {name}",
                statistics.median(mine),
                ">=",
                LEAST_PICTURES,
                "a second",
            )
            for name, mine in zip(names, rates, strict=True)
        ]
        for line in verdicts(against):
            print(line)
        found.append(
            {
                "model": model,
                "seconds": flags.seconds,
                "drives": [asdict(drive) for drive in drives],
                "targets": [list(row) for row in against],
            }
        )
    save_result("compare", {"unit": "distinct pictures per second", "models": found})


if __name__ == "__main__":
    main()

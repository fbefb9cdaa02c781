"""What the benchmarks in a browser share: the app's page and the plain one, events, processes."""

import asyncio
import os
import re
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from playwright.async_api import Browser, Page, ViewportSize, async_playwright

from tests.browser.chromium import launch_options

WINDOW: ViewportSize = {"width": 1440, "height": 900}
PATIENCE = 60_000  # ms
PAGE = 4096  # bytes, of /proc
IDLE = "[data-testid=stApp][data-test-script-state=notRunning]"

# The map is that of the model, and the pictures are the answers to the last codes asked for.
LAB_READY = """(name) => {
  const root = document.querySelector('.lab');
  if (!root?.lab || root.dataset.phase !== 'live') return false;
  const { map, model } = root.dataset;
  return map === model && (!name || model === name) && root.lab.frames > 0 && root.lab.link.quiet;
}"""

# Waits until all that was drawn with WebGL so far is drawn, by asking for one pixel of it.
DRAWN = """window.drawn = () => {
  for (const canvas of document.querySelectorAll('.lab-points, .gl-canvas-context')) {
    const gl = canvas.getContext(canvas.matches('.lab-points') ? 'webgl2' : 'webgl');
    gl?.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
  }
  return performance.now();
};"""


# A function in the page that gives the pixels of a canvas or an image; null while there is none.
READ_PICTURE = """(selector) => {
  const scratch = document.createElement('canvas');
  const context = scratch.getContext('2d', { willReadFrequently: true });
  return () => {
    const source = document.querySelector(selector);
    const width = source?.naturalWidth ?? source?.width;
    if (!width || source.complete === false) return null;
    scratch.width = width;
    scratch.height = source.naturalHeight ?? source.height;
    context.drawImage(source, 0, 0);
    return context.getImageData(0, 0, scratch.width, scratch.height).data;
  };
}"""


class MarkedBrowser:
    """A Chromium whose processes can be found among those of others.

    Attributes:
        browser: to drive it by.
        argument: stands in the command line of its first process.
    """

    def __init__(self, browser: Browser, argument: str) -> None:
        self.browser = browser
        self.argument = argument

    def processes(self) -> list[int]:
        """All processes of this browser."""
        return process_tree(pid_with(self.argument))


@asynccontextmanager
async def chromiums(count: int) -> AsyncIterator[list[MarkedBrowser]]:
    """So many new Chromiums behind one driver, closed afterwards."""
    async with async_playwright() as playwright:
        marked = []
        for _ in range(count):
            argument = f"--benchmark={uuid.uuid4().hex}"
            options = launch_options()
            options["args"] = [*options["args"], argument]
            marked.append(MarkedBrowser(await playwright.chromium.launch(**options), argument))
        yield marked
        for one in marked:
            await one.browser.close()


@asynccontextmanager
async def chromium() -> AsyncIterator[MarkedBrowser]:
    """A new Chromium, closed afterwards."""
    async with chromiums(1) as (marked,):
        yield marked


# -- pages ----------------------------------------------------------------------------------------


async def wait_for_lab(page: Page, name: str | None = None) -> None:
    """Until the lab is live, its map painted, its pictures up to date, and the script at rest."""
    for _ in range(2):  # a run that ended may have sent the lab another code
        await page.wait_for_function(LAB_READY, arg=name, timeout=PATIENCE)
        await page.wait_for_selector(IDLE, state="attached", timeout=PATIENCE)


async def open_lab(page: Page, url: str, name: str | None = None) -> None:
    """Open the app, with a model if one is named."""
    await page.goto(url if name is None else f"{url}/?model={name}")
    await wait_for_lab(page, name)


async def run_number(page: Page) -> int:
    """How often the script has run for this page of the app."""
    return int(await page.evaluate("() => document.querySelector('.lab').dataset.run"))


async def release_lab(page: Page) -> None:
    """Release the mouse button and wait until the app has followed."""
    before = await run_number(page)
    await page.mouse.up()
    await page.wait_for_function(
        "(run) => Number(document.querySelector('.lab').dataset.run) > run",
        arg=before,
        timeout=PATIENCE,
    )
    await wait_for_lab(page)


async def release_plain(page: Page, picture: str) -> None:
    """Release the mouse button and wait until the plain app shows another picture."""
    before = await page.locator(picture).get_attribute("src")
    await page.mouse.up()
    await page.wait_for_function(
        """([picture, before]) => {
          const image = document.querySelector(picture);
          return image?.src && image.src !== before && image.complete;
        }""",
        arg=[picture, before],
        timeout=PATIENCE,
    )
    await page.wait_for_selector(IDLE, state="attached", timeout=PATIENCE)


async def box_of(page: Page, selector: str) -> dict[str, float]:
    """Where an element is on the page."""
    box = await page.locator(selector).first.bounding_box()
    assert box is not None
    return {"x": box["x"], "y": box["y"], "width": box["width"], "height": box["height"]}


async def play(
    seconds: float, rate: float, act: Callable[[float, int], Awaitable[None] | None]
) -> int:
    """Send events at an even rate, without waiting for their answers.

    The driver answers an event in the next animation frame; a mouse does not wait for that.

    Args:
        seconds: for how long.
        rate: events a second.
        act: sends the one of this elapsed time and number; None sends none.

    Returns:
        How many were sent.
    """
    sent = []
    start = time.perf_counter()
    for number in range(int(seconds * rate)):
        await asyncio.sleep(max(0.0, start + number / rate - time.perf_counter()))
        event = act(number / rate, number)
        if event is not None:
            sent.append(asyncio.ensure_future(event))
    await asyncio.gather(*sent)
    return len(sent)


# -- processes, as Linux tells --------------------------------------------------------------------


def pid_with(*arguments: str) -> int:
    """The oldest process whose command line holds these arguments, in this order.

    Raises:
        RuntimeError: if there is none.
    """
    wanted = "\0".join(["", *arguments, ""])
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            command = (folder / "cmdline").read_bytes().decode(errors="replace")
            if wanted in command and int(folder.name) != os.getpid():
                found.append(int(folder.name))
        except OSError:
            continue
    if not found:
        raise RuntimeError(f"No process has {' '.join(arguments)} in its command line.")
    return min(found)


def process_tree(first: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (stat := _stat(int(folder.name))) is not None:
            children.setdefault(int(stat[1]), []).append(int(folder.name))
    tree = [first]
    for pid in tree:
        tree += children.get(pid, [])
    return tree


def _stat(pid: int) -> list[str] | None:
    """/proc/PID/stat from the third field on; None if the process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def kind_of(pid: int) -> str:
    """What one of Chromium's processes is for: "renderer", "gpu-process", "browser" and others."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return "ended"
    found = re.search(r"--type=([a-z-]+)", command)
    return found[1] if found else "browser"


def cpu_seconds(pids: Iterable[int]) -> float:
    """Processor time that these processes have used."""
    ticks = 0
    for pid in pids:
        if (stat := _stat(pid)) is not None:
            ticks += int(stat[11]) + int(stat[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def resident(pids: Iterable[int]) -> int:
    """Bytes of memory that these processes hold; what two of them share counts for each."""
    return sum(int(stat[21]) * PAGE for pid in pids if (stat := _stat(pid)) is not None)


def proportional(pids: Iterable[int]) -> int:
    """Bytes of memory that these processes hold; what they share is divided among them."""
    total = 0
    for pid in pids:
        try:
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += 1024 * int(line.split()[1])
        except OSError:
            continue
    return total


class Sampler:
    """Reads a figure at even times while its block runs.

    Attributes:
        samples: seconds since the start, and the figure.
    """

    def __init__(self, read: Callable[[], float], seconds: float) -> None:
        self.samples: list[tuple[float, float]] = []
        self._read = read
        self._seconds = seconds

    async def _sample(self) -> None:
        start = time.perf_counter()
        while True:
            figure = await asyncio.to_thread(self._read)
            self.samples.append((time.perf_counter() - start, figure))
            await asyncio.sleep(self._seconds)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._sample())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    @property
    def peak(self) -> float:
        """The largest figure."""
        return max(figure for _, figure in self.samples)


# -- words ----------------------------------------------------------------------------------------


def verdicts(rows: Sequence[tuple[str, float, str, float, str]]) -> Iterator[str]:
    """Whether each figure is within its target.

    Args:
        rows: what it is, the figure, "<=" or ">=", the target, the unit.
    """
    for what, figure, sign, target, unit in rows:
        met = figure <= target if sign == "<=" else figure >= target
        word = "met   " if met else "MISSED"
        yield f"{word} {what}: {figure:.4g} {unit}, target {sign} {target:g}"

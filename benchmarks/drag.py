"""A slider drag in real Chromium: distinct decoded images per second, and pointer-to-pixels.

The most informative axis of each model is dragged to and fro over the slider's whole length for
four seconds by real mouse events, 120 a second, in the app and, taking turns with it, in the plain
Streamlit app that one would write without it: `st.slider` and `st.image` around the same decoder.

Distinct images per second: in every animation frame of the page the picture's pixels are read, and
a frame counts if they differ from those of the frame before. Only frames between the press and the
release of the mouse button count.

Pointer-to-pixels: from the timestamp that the browser gives a pointer event (`Event.timeStamp`) to
the first animation frame that shows its answer or that of a later event. Which event a picture
answers is found from the pixels alone: with every event the slider's value is kept; after the run
all these codes are decoded, and each painted picture belongs to the event, not earlier than that of
the picture before, whose decoded image it equals. An animation frame's callback runs just before
the frame is drawn, so the screen itself is up to one frame later, for both alike. The plain app
gets the benefit of the doubt: each picture that it paints answers all events before it.

    python -m benchmarks.drag
    python -m benchmarks.drag --model pretrained/mnist-vae-16
"""

import argparse
import asyncio
import base64
import math
import statistics
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from playwright.async_api import Browser, Page

from benchmarks.pages import (
    IDLE,
    PATIENCE,
    READ_PICTURE,
    WINDOW,
    box_of,
    chromium,
    open_lab,
    play,
    release_lab,
    release_plain,
    run_number,
    verdicts,
)
from benchmarks.plain import write_app
from benchmarks.result import print_table, save_result
from explorer.latent.axes import summarise_axes
from explorer.models.checkpoint import load_config, load_encodings
from explorer.models.codec import Codec
from explorer.models.library import SHIPPED
from tests.browser.server import StreamlitServer

RATE = 120  # mouse events a second
SWEEP_SECONDS = 1.7  # there and back; no drag ends where one began, or nothing would have changed
WARM_UP_SECONDS = 1.0
THUMB = 16  # px
OVERSHOOT = 1.5  # the slider's length in ranges that hold 99 % of the codes
MODELS = (SHIPPED / "mnist-vae-16", SHIPPED / "faces-vae-16")
LEAST_IMAGES, MOST_P95 = 40.0, 40.0  # a second; ms
PLAIN_PICTURE = "[data-testid=stImage] img"
PLAIN_SLIDER = "[data-testid=stSlider] [role=group]"

PLAIN_APP = """
from pathlib import Path

import numpy as np
import streamlit as st

from explorer.models.codec import Codec

codec = st.cache_resource(Codec.from_folder)(Path({folder!r}))
latents = np.array({typical!r}, np.float32)
latents[{axis}] = st.slider("z{number}", {low!r}, {high!r}, float(latents[{axis}]), step={step!r})
st.image(codec.decode_pixels(latents[None])[0].squeeze(), width=240)
"""

# Runs in the page: keeps every pointer event, and every animation frame that shows another picture.
RECORD = """([picture, axis]) => {
  const record = window.record = { events: [], frames: [], released: null, on: true };
  const read = (READ_PICTURE)(picture);
  let before = read();
  const look = () => {
    if (!record.on) return;
    const now = read();
    if (now && (!before || now.some((value, at) => value !== before[at]))) {
      record.frames.push([performance.now(), btoa(String.fromCharCode(...now))]);
      before = now;
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
  window.addEventListener('pointerrawupdate', (event) => {
    if (!record.on || !(event.buttons & 1)) return;
    const latents = document.querySelector('.lab')?.lab.latents;
    record.events.push([event.timeStamp, latents ? latents[axis] : 0]);
  });
  window.addEventListener('pointerup', (event) => { record.released = event.timeStamp; }, true);
}""".replace("READ_PICTURE", READ_PICTURE)


@dataclass(frozen=True)
class Drag:
    """One drag's figures.

    Attributes:
        images, images_per_second: distinct images painted between press and release.
        p50, p95: pointer-to-pixels, ms, over all events of the drag.
        after_release: ms from the release to the last picture's frame; None if none came later.
        events: pointer events that the page received.
        reruns: of the script during the drag; None where the page does not tell.
        reruns_after: at its end.
    """

    images: int
    images_per_second: float
    p50: float
    p95: float
    after_release: float | None
    events: int
    reruns: int | None = None
    reruns_after: int | None = None


@dataclass(frozen=True, eq=False)
class Axis:
    """The slider that is dragged: of which model, along which axis, and from where to where."""

    folder: Path
    index: int
    typical: NDArray[np.float32]
    low: float
    high: float

    @property
    def plain_app(self) -> str:
        """The script that one would write without the app."""
        return PLAIN_APP.format(
            folder=str(self.folder),
            typical=self.typical.tolist(),
            axis=self.index,
            number=self.index + 1,
            low=self.low,
            high=self.high,
            step=(self.high - self.low) / 1000,
        )


def most_informative_axis(folder: Path) -> Axis:
    """The first slider that the app shows for a checkpoint."""
    encodings = load_encodings(folder, load_config(folder))
    summary = summarise_axes(encodings.mean, encodings.log_var)
    index = int(summary.order[0])
    low, high = float(summary.low[index]), float(summary.high[index])
    middle, half = (low + high) / 2, OVERSHOOT * (high - low) / 2
    typical = summary.typical.astype(np.float32)
    return Axis(folder, index, typical, middle - half, middle + half)


async def sweep(
    page: Page, box: dict[str, float], seconds: float, rate: float = RATE, phase: float = 0.0
) -> None:
    """Press in the middle of a slider, move to and fro at an even rate, keep the button down."""
    left, travel = box["x"] + THUMB / 2, box["width"] - THUMB
    height = box["y"] + box["height"] / 2

    def place(elapsed: float) -> float:
        share = (elapsed / SWEEP_SECONDS + 0.25 + phase) % 1
        return left + travel * (0.02 + 0.96 * (2 * share if share < 0.5 else 2 - 2 * share))

    await page.mouse.move(place(0), height)
    await page.mouse.down()
    await play(seconds, rate, lambda elapsed, _number: page.mouse.move(place(elapsed), height))


def answered_events(
    decoded: NDArray[np.uint8], times: Sequence[float], frames: Sequence[tuple[float, str]]
) -> list[int]:
    """Which event each painted picture answers.

    Args:
        decoded: the picture of each event's code, (N, H, W, C).
        times: of the events, ms.
        frames: time of each painted picture, and its RGBA pixels in base64.

    Returns:
        For each picture the number of its event; -1 before the first.

    Raises:
        RuntimeError: if no picture is the decoded image of any event.
    """
    answered, last = [], -1
    for painted, text in frames:
        pixels = np.frombuffer(base64.b64decode(text), np.uint8)
        shown = pixels.reshape(*decoded.shape[1:3], 4)[..., : decoded.shape[3]]
        first = max(last, 0)
        after = int(np.searchsorted(times, painted, side="right"))
        if after > first:
            gaps = np.abs(decoded[first:after].astype(int) - shown.astype(int)).mean(axis=(1, 2, 3))
            if gaps.min() < 0.5:  # grey levels: batches of another size round differently
                last = first + int(gaps.argmin())
        answered.append(last)
    if last < 0:
        raise RuntimeError(
            "No painted picture is what the model decodes: does another checkpoint of its name "
            "come first in the app?"
        )
    return answered


def pointer_to_pixels(
    times: Sequence[float], frames: Sequence[tuple[float, str]], answered: Sequence[int]
) -> dict[int, float]:
    """Ms from each event to the first picture that answers it or a later one, by its number."""
    delays, done = {}, -1
    for (painted, _), event in zip(frames, answered, strict=True):
        for number in range(done + 1, event + 1):
            delays[number] = painted - times[number]
        done = max(done, event)
    return delays


def evaluate(record: dict[str, Any], axis: Axis | None) -> Drag:
    """The figures of one recorded drag.

    Args:
        record: what the page kept.
        axis: what was dragged, to find which event a picture answers; None if each picture answers
            all events before it.
    """
    events, frames = record["events"], record["frames"]
    start, released = events[0][0], record["released"]
    during = [frame for frame in frames if start <= frame[0] <= released]
    later = [painted for painted, _ in frames if painted > released]
    times = [happened for happened, _ in events]
    if axis is None:
        answered = [int(np.searchsorted(times, painted, "right")) - 1 for painted, _ in frames]
    else:
        latents = np.repeat(axis.typical[None], len(events), axis=0)
        latents[:, axis.index] = [value for _, value in events]
        decoded = Codec.from_folder(axis.folder).decode_pixels(latents)
        answered = answered_events(decoded, times, frames)
    delays = list(pointer_to_pixels(times, frames, answered).values())
    p50, p95 = np.percentile(delays, [50, 95]) if delays else (np.nan, np.nan)
    return Drag(
        images=len(during),
        images_per_second=1000 * len(during) / (released - start),
        p50=float(p50),
        p95=float(p95),
        after_release=later[-1] - released if later else None,
        events=len(events),
    )


async def record_drag(
    page: Page,
    box: dict[str, float],
    seconds: float,
    *,
    watch: tuple[str, int | None],
    release: Callable[[], Awaitable[None]],
) -> dict[str, Any]:
    """Drag once to warm up and once for the record.

    Args:
        page: the page, idle.
        box: the slider's place on it.
        seconds: length of the drag.
        watch: selector of the picture, and the latent axis; None where the page has no lab.
        release: releases the button and waits until the page has followed.

    Returns:
        What the page kept.
    """
    await sweep(page, box, WARM_UP_SECONDS)
    await release()
    await page.evaluate(RECORD, list(watch))
    await sweep(page, box, seconds)
    await release()
    # Until the frame that shows the last picture has been looked at.
    await page.evaluate("() => new Promise((done) => setTimeout(done, 100))")
    return dict(await page.evaluate("() => ({ ...record, on: record.on = false })"))


async def drag_lab(browser: Browser, url: str, axis: Axis, seconds: float) -> Drag:
    """Drag the slider of the app."""
    page = await browser.new_page(viewport=WINDOW)
    await open_lab(page, url, axis.folder.name)
    runs: list[tuple[int, int]] = []

    async def release() -> None:
        before = await run_number(page)
        await release_lab(page)
        runs.append((before, await run_number(page)))

    record = await record_drag(
        page,
        await box_of(page, f"#lab-axis-{axis.index}"),
        seconds,
        watch=(".lab-picture", axis.index),
        release=release,
    )
    await page.close()
    (_, start), (at_release, end) = runs
    return replace(evaluate(record, axis), reruns=at_release - start, reruns_after=end - at_release)


async def open_plain(page: Page, url: str) -> None:
    """Open the plain app."""
    await page.goto(url)
    await page.wait_for_selector(PLAIN_PICTURE, timeout=PATIENCE)
    await page.wait_for_selector(IDLE, state="attached", timeout=PATIENCE)


async def drag_plain(browser: Browser, url: str, seconds: float) -> Drag:
    """Drag the slider of the plain app."""
    page = await browser.new_page(viewport=WINDOW)
    await open_plain(page, url)
    record = await record_drag(
        page,
        await box_of(page, PLAIN_SLIDER),
        seconds,
        watch=(PLAIN_PICTURE, None),
        release=lambda: release_plain(page, PLAIN_PICTURE),
    )
    await page.close()
    return evaluate(record, None)


async def measure(axis: Axis, seconds: float, repeats: int) -> tuple[list[Drag], list[Drag]]:
    """Drag in both apps by turns.

    Returns:
        The app's drags and the plain app's.
    """
    ours, plain = [], []
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        script = write_app(Path(second), axis.plain_app)
        environment = {"EXPLORER_CHECKPOINTS": str(axis.folder.parent)}
        with (
            StreamlitServer(folder=Path(first), environment=environment) as lab_server,
            StreamlitServer(script, folder=Path(second)) as plain_server,
        ):
            async with chromium() as marked:
                for _ in range(repeats):
                    ours.append(await drag_lab(marked.browser, lab_server.url, axis, seconds))
                    plain.append(await drag_plain(marked.browser, plain_server.url, seconds))
    return ours, plain


def median(drags: Sequence[Drag], figure: str) -> float:
    """The median of one figure over the drags that have it."""
    found = [value for drag in drags if (value := getattr(drag, figure)) is not None]
    return statistics.median(found) if found else math.nan


def spread(drags: Sequence[Drag]) -> str:
    """The lowest and the highest rate."""
    rates = [drag.images_per_second for drag in drags]
    return f"{min(rates):.1f} to {max(rates):.1f}"


def report(
    axis: Axis, ours: Sequence[Drag], plain: Sequence[Drag], seconds: float
) -> dict[str, Any]:
    """Print one model's table; its figures for JSON."""
    figures = ("images_per_second", "p50", "p95", "after_release", "events")
    rows = [
        [name, *(f"{median(drags, figure):.1f}" for figure in figures), spread(drags)]
        for name, drags in (("Latent Explorer", ours), ("st.slider + st.image", plain))
    ]
    header = [
        "images/s",
        "p50 ms",
        "p95 ms",
        "after release ms",
        "pointer events",
        "images/s range",
    ]
    print_table(
        f"Dragging z{axis.index + 1} of {axis.folder.name} for {seconds:g} s, "
        f"median of {len(ours)}",
        ["", *header],
        rows,
    )
    rate, plain_rate = (median(drags, "images_per_second") for drags in (ours, plain))
    times = f"{rate / plain_rate:.0f} times" if plain_rate else "the plain slider paints none"
    slower = median(plain, "p50") / median(ours, "p50")
    during = max(drag.reruns or 0 for drag in ours)
    after = sorted({drag.reruns_after for drag in ours if drag.reruns_after is not None})
    print(f"\nours / plain, distinct images per second: {times}")
    print(f"plain / ours, pointer-to-pixels p50: {slower:.0f} times")
    print(
        f"our reruns of the script: {during} during a drag, {', '.join(map(str, after))} at its end"
    )
    against = [
        ("distinct images", rate, ">=", LEAST_IMAGES, "a second"),
        ("pointer to pixels, p95", median(ours, "p95"), "<=", MOST_P95, "ms"),
    ]
    for line in verdicts(against):
        print(line)
    return {
        "model": axis.folder.name,
        "axis": axis.index,
        "seconds": seconds,
        "latent_explorer": [asdict(drag) for drag in ours],
        "plain": [asdict(drag) for drag in plain],
        "ratio_images_per_second": rate / plain_rate if plain_rate else None,
        "ratio_p50": slower,
        "targets": [list(row) for row in against],
    }


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description="Time a slider drag.")
    parser.add_argument(
        "--model", type=Path, nargs="*", default=list(MODELS), help="checkpoints, one after another"
    )
    parser.add_argument("--seconds", type=float, default=4.0, help="of a drag (default: 4)")
    parser.add_argument("--repeats", type=int, default=3, help="drags of each app (default: 3)")
    flags = parser.parse_args()

    found = []
    for folder in flags.model:
        axis = most_informative_axis(folder.resolve())
        ours, plain = asyncio.run(measure(axis, flags.seconds, flags.repeats))
        found.append(report(axis, ours, plain, flags.seconds))
    save_result("drag", {"unit": "distinct images per second; ms", "models": found})


if __name__ == "__main__":
    main()

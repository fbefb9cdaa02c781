"""Many browsers at one server, a server for minutes on end, and a page that rests.

Together: ten Chromiums, each a browser of its own with a profile of its own, open the app on one
server and drag the most informative slider of `mnist-vae-16` at the same time, 60 mouse events a
second each; distinct images painted per second of each.
Beside it, in the same run: one such browser alone, and as many browsers at the plain Streamlit app
(`st.slider` and `st.image` around the same decoder). All browsers run on the same machine as the
server, so that most of the time goes into the browsers themselves: whose processor time it is, and
what an image costs in all, is told from the press to half a second after the release.

Minutes: one browser drags sliders and hovers over the map without a pause; the server's memory
every five seconds. Flat is a growth, by a straight line through the samples after the first minute,
of at most 1 % of the memory in five minutes.

Rest: a page is open and nothing happens for twenty seconds: the server's processor time, the
messages on either socket, the requests and the script's runs. Beside it, an open one-line app.

    python -m benchmarks.browsers
    python -m benchmarks.browsers --parts together
"""

import argparse
import asyncio
import math
import os
import statistics
import tempfile
from collections.abc import Awaitable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from playwright.async_api import Browser, Page

from benchmarks.drag import (
    PLAIN_PICTURE,
    PLAIN_SLIDER,
    Axis,
    Drag,
    evaluate,
    most_informative_axis,
    open_plain,
    sweep,
)
from benchmarks.pages import (
    IDLE,
    PATIENCE,
    WINDOW,
    MarkedBrowser,
    Sampler,
    box_of,
    chromium,
    chromiums,
    cpu_seconds,
    kind_of,
    open_lab,
    play,
    process_tree,
    proportional,
    resident,
    run_number,
    verdicts,
)
from benchmarks.plain import write_app
from benchmarks.result import print_table, save_result
from explorer.models.library import SHIPPED
from tests.browser.server import StreamlitServer

MODEL = SHIPPED / "mnist-vae-16"
RATE = 60  # mouse events a second of each browser
REST_SECONDS = 20.0
LEAST_IMAGES, MOST_SPREAD, MOST_GROWTH = 8.0, 2.0, 0.01
SAMPLE_SECONDS = 5.0
# Told of each new picture instead of looking for one in every frame: ten pages that read pixels
# sixty times a second would be much of what is measured. Of several in one frame the last counts.
COUNT = """([picture]) => {
  const record = window.record = { events: [], frames: [], released: null, on: true };
  let before = null;
  const note = (state) => {
    if (!record.on || (before && state.every((value, at) => value === before[at]))) return;
    before = state;
    record.frame ??= requestAnimationFrame(() => {
      record.frame = null;
      record.frames.push([performance.now(), '']);
    });
  };
  const canvas = CanvasRenderingContext2D.prototype;
  window.plainPut ??= canvas.putImageData;
  canvas.putImageData = function (image, ...rest) {
    window.plainPut.call(this, image, ...rest);
    if (this.canvas.matches(picture)) note([...new Uint32Array(image.data.buffer)]);
  };
  window.watcher?.disconnect();
  if (document.querySelector(picture).matches('img')) {
    window.watcher = new MutationObserver(() => note([document.querySelector(picture)?.src]));
    window.watcher.observe(document.body, { subtree: true, childList: true, attributes: true });
  }
  window.addEventListener('pointerrawupdate', (event) => {
    if (record.on && event.buttons & 1) record.events.push([event.timeStamp, 0]);
  });
  window.addEventListener('pointerup', (event) => { record.released = event.timeStamp; }, true);
}"""
ONE_LINE_APP = 'import streamlit as st\n\nst.write("Hello")\n'


async def ready_page(browser: Browser, url: str, axis: Axis, *, lab: bool) -> Page:
    """A page of either app, at rest."""
    page = await browser.new_page(viewport=WINDOW)
    if lab:
        await open_lab(page, url, axis.folder.name)
    else:
        await open_plain(page, url)
    return page


async def drag(page: Page, axis: Axis, seconds: float, phase: float, *, lab: bool) -> Drag:
    """Drag for so long; a drag's figures, its answers not matched to its events."""
    picture = ".lab-picture" if lab else PLAIN_PICTURE
    box = await box_of(page, f"#lab-axis-{axis.index}" if lab else PLAIN_SLIDER)
    await page.evaluate(COUNT, [picture])
    await sweep(page, box, seconds, RATE, phase)
    await page.mouse.up()
    await asyncio.sleep(0.5)
    record = dict(await page.evaluate("() => ({ ...record, on: record.on = false })"))
    return evaluate(record, None)


def processes_by_task(browsers: Sequence[MarkedBrowser], server: int) -> dict[str, list[int]]:
    """Who may use the processor: the pages, the drawing, the rest of the browsers, both others."""
    groups: dict[str, list[int]] = {name: [] for name in ("pages", "drawing", "browsers")}
    for one in browsers:
        for pid in one.processes():
            kind = kind_of(pid)
            name = {"renderer": "pages", "gpu-process": "drawing"}.get(kind, "browsers")
            groups[name].append(pid)
    known = {pid for pids in groups.values() for pid in pids} | set(process_tree(server))
    groups["driver"] = [pid for pid in process_tree(os.getpid()) if pid not in known]
    groups["server"] = process_tree(server)
    return groups


async def drag_together(
    url: str, server: int, axis: Axis, browsers: int, seconds: float, *, lab: bool
) -> tuple[list[Drag], int, dict[str, float]]:
    """So many browsers at once.

    Returns:
        Their drags, the memory that all browsers take, and the processor's seconds by task.
    """
    async with chromiums(browsers) as marked:
        pages = [await ready_page(one.browser, url, axis, lab=lab) for one in marked]
        # Once to warm up, once for the record; out of step, as people are.
        groups = processes_by_task(marked, server)
        before: dict[str, float] = {}
        for length in (2.0, seconds):
            before = {name: cpu_seconds(pids) for name, pids in groups.items()}
            drags = await asyncio.gather(
                *(
                    drag(page, axis, length, number / browsers, lab=lab)
                    for number, page in enumerate(pages)
                )
            )
            await asyncio.gather(
                *(
                    page.wait_for_selector(IDLE, state="attached", timeout=PATIENCE)
                    for page in pages
                )
            )
        used = {name: cpu_seconds(pids) - before[name] for name, pids in groups.items()}
        return list(drags), sum(proportional(one.processes()) for one in marked), used


async def use_for(url: str, axis: Axis, pid: int, minutes: float) -> list[tuple[float, float]]:
    """Drag and hover for minutes; the server's memory in MiB, by seconds."""
    async with chromium() as marked:
        page = await ready_page(marked.browser, url, axis, lab=True)
        slider = await box_of(page, f"#lab-axis-{axis.index}")
        box = await box_of(page, ".lab-map")

        def over_map(elapsed: float, _number: int) -> Awaitable[None]:
            return page.mouse.move(
                box["x"] + box["width"] * (0.5 + 0.45 * math.sin(2 * math.pi * elapsed / 3.1)),
                box["y"] + box["height"] * (0.5 + 0.45 * math.sin(2 * math.pi * elapsed / 2.3)),
            )

        async with Sampler(lambda: resident([pid]) / 2**20, SAMPLE_SECONDS) as memory:
            start = asyncio.get_running_loop().time()
            while asyncio.get_running_loop().time() - start < 60 * minutes:
                await sweep(page, slider, 5.0, RATE)
                await page.mouse.up()
                await play(5.0, RATE, over_map)
        return memory.samples


def growth(samples: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The memory, and its growth in five minutes: of a line through all after the first minute."""
    later = np.array([sample for sample in samples if sample[0] >= 60.0] or samples)
    slope, _ = np.polyfit(later[:, 0], later[:, 1], 1)
    return float(later[:, 1].mean()), float(300.0 * slope)


async def rest(page: Page, pid: int, *, lab: bool) -> dict[str, float]:
    """Let a page rest; what was done nevertheless."""
    counts = {"messages": 0, "requests": 0}

    def count(name: str) -> None:
        counts[name] += 1

    page.on("request", lambda _: count("requests"))
    session = await page.context.new_cdp_session(page)
    await session.send("Network.enable")
    session.on("Network.webSocketFrameReceived", lambda _: count("messages"))
    session.on("Network.webSocketFrameSent", lambda _: count("messages"))
    runs = await run_number(page) if lab else 0
    before = cpu_seconds(process_tree(pid))
    await asyncio.sleep(REST_SECONDS)
    used = cpu_seconds(process_tree(pid)) - before
    runs = (await run_number(page) - runs) if lab else 0
    return {"cpu_share": used / REST_SECONDS, "runs": runs, **counts}


async def measure_rest(url: str, pid: int, axis: Axis, *, lab: bool) -> dict[str, float]:
    """A page of either app that rests."""
    async with chromium() as marked:
        page = await marked.browser.new_page(viewport=WINDOW)
        if lab:
            await open_lab(page, url, axis.folder.name)
        else:
            await page.goto(url)
            await page.wait_for_selector(IDLE, state="attached", timeout=PATIENCE)
        await asyncio.sleep(10.0)  # what was prepared in the background is ready
        return await rest(page, pid, lab=lab)


async def measure(axis: Axis, flags: argparse.Namespace) -> dict[str, Any]:
    """All parts asked for."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        homes = [Path(scratch) / name for name in ("lab", "plain", "line")]
        for home in homes:
            home.mkdir()
        with (
            StreamlitServer(folder=homes[0]) as lab,
            StreamlitServer(write_app(homes[1], axis.plain_app), folder=homes[1]) as plain,
            StreamlitServer(write_app(homes[2], ONE_LINE_APP), folder=homes[2]) as line,
        ):
            if "together" in flags.parts:
                for name, app, browsers, ours in (
                    ("one alone", lab, 1, True),
                    ("together", lab, flags.browsers, True),
                    ("together, plain app", plain, flags.browsers, False),
                ):
                    drags, memory, used = await drag_together(
                        app.url, app.pid, axis, browsers, flags.seconds, lab=ours
                    )
                    found[name] = {
                        "drags": [asdict(one) for one in drags],
                        "memory": memory,
                        "cpu_seconds": used,
                    }
            if "minutes" in flags.parts:
                found["minutes"] = await use_for(lab.url, axis, lab.pid, flags.minutes)
            if "rest" in flags.parts:
                found["rest"] = await measure_rest(lab.url, lab.pid, axis, lab=True)
                found["rest, one line"] = await measure_rest(line.url, line.pid, axis, lab=False)
    return found


def processor_row(name: str, found: dict[str, Any], tasks: Sequence[str]) -> list[str]:
    """Who used the processor, and what an image took of it in all."""
    used = found["cpu_seconds"]
    total = sum(used.values())
    images = sum(one["images"] for one in found["drags"])
    return [
        name,
        *(f"{100 * used[task] / total:.0f}" for task in tasks),
        f"{1000 * total / images:.0f}",
    ]


def report(found: dict[str, Any]) -> list[tuple[str, float, str, float, str]]:
    """Print the tables; what is to be held against targets."""
    against: list[tuple[str, float, str, float, str]] = []
    if "together" in found:
        rows = []
        for name in ("one alone", "together", "together, plain app"):
            rates = [one["images_per_second"] for one in found[name]["drags"]]
            rows.append(
                [
                    name,
                    str(len(rates)),
                    f"{min(rates):.1f}",
                    f"{statistics.median(rates):.1f}",
                    f"{max(rates):.1f}",
                    f"{found[name]['memory'] / 1e6:,.0f}",
                ]
            )
        print_table(
            "Distinct images per second of each browser",
            ["", "browsers", "min", "median", "max", "browsers' MB"],
            rows,
        )
        tasks = list(found["together"]["cpu_seconds"])
        print_table(
            "Processor time, % of all that was used, and ms an image",
            ["", *tasks, "ms an image"],
            [processor_row(name, found[name], tasks) for name in ("one alone", "together")],
        )
        rates = [one["images_per_second"] for one in found["together"]["drags"]]
        spread = max(rates) / min(rates) if min(rates) else math.inf
        against += [
            ("the slowest of the browsers", min(rates), ">=", LEAST_IMAGES, "images/s"),
            ("fastest over slowest", spread, "<=", MOST_SPREAD, "times"),
        ]
    if "minutes" in found:
        level, more = growth(found["minutes"])
        seconds = found["minutes"][-1][0]
        print(f"\nServer in use for {seconds:.0f} s: {level:.0f} MiB, {more:+.1f} MiB in 5 minutes")
        against.append(("memory's growth in 5 minutes", more / level, "<=", MOST_GROWTH, "of it"))
    if "rest" in found:
        names = ("rest", "rest, one line")
        print_table(
            f"At rest for {REST_SECONDS:g} s",
            ["", "server's CPU %", "messages", "requests", "runs"],
            [
                [
                    name,
                    f"{100 * found[name]['cpu_share']:.2f}",
                    *(f"{found[name][what]:.0f}" for what in ("messages", "requests", "runs")),
                ]
                for name in names
            ],
        )
        ours = found["rest"]
        done = ours["messages"] + ours["requests"] + ours["runs"]
        against.append(("messages, requests and runs at rest", done, "<=", 0.0, ""))
    return against


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description="Many browsers, many minutes, and rest.")
    parser.add_argument("--browsers", type=int, default=10, help="at once (default: 10)")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each drag (default: 6)")
    parser.add_argument("--minutes", type=float, default=5.0, help="of use (default: 5)")
    parts = ("together", "minutes", "rest")
    parser.add_argument("--parts", nargs="*", choices=parts, default=list(parts))
    flags = parser.parse_args(arguments)
    found = asyncio.run(measure(most_informative_axis(MODEL), flags))
    against = report(found)
    print()
    for row in verdicts(against):
        print(row)
    save_result(
        "browsers",
        {
            "unit": "images/s; bytes; MiB",
            "model": MODEL.name,
            "targets": [list(row) for row in against],
            **found,
        },
    )


if __name__ == "__main__":
    main()

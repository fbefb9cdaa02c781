"""The map in real Chromium: opened, moved, hovered, with 70,000 and with 1,000,000 points.

The points are crowds (see `benchmarks.crowds`) out of mnist-vae-16. Beside the app, in the same
run: the plain Streamlit app that one would write, `st.selectbox` and `st.plotly_chart` of the same
points coloured by class (scattergl), its figures kept by `st.cache_resource`. WebGL is software.

Opening: from the click on a checkpoint in the picker to the first animation frame after its map was
drawn, when asking for one pixel of it (which waits for all drawing) has come back. Warm: it was
shown before, by the same server to the same browser.

Frames: while the mouse drags the map to and fro, 120 events a second, or turns the wheel, 60 a
second, those animation frames count in which the points' own WebGL canvas was drawn; the time ends
when the last one is really drawn. How many points a frame draws stands beside it: the app draws a
fair sample while the map moves, and all of them once it rests.

The ghost: as in `benchmarks.drag`, from `Event.timeStamp` of a pointer event over the map to the
first animation frame that shows its answer or that of a later event; which event a picture answers
is found by decoding, afterwards, the code of every event's spot. Of events over empty land and of
all. `st.plotly_chart` tells nothing of a pointer that moves; the plain app's figure is what it has
in its place: from a click on a point to the decoded picture, by `on_select="rerun"`.

Memory: the proportional set size of all processes of the browser, which has one page, five times
a second.

    python -m benchmarks.map
"""

import argparse
import asyncio
import math
import statistics
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from playwright.async_api import Error, Page, WebSocket

from benchmarks.crowds import CROWDS, crowd_of
from benchmarks.drag import answered_events, pointer_to_pixels
from benchmarks.pages import (
    DRAWN,
    IDLE,
    PATIENCE,
    WINDOW,
    MarkedBrowser,
    Sampler,
    box_of,
    chromium,
    open_lab,
    play,
    proportional,
    verdicts,
    wait_for_lab,
)
from benchmarks.plain import write_app
from benchmarks.result import print_table, save_result
from explorer.latent.projection import load_projection
from explorer.latent.spots import SpotCodes
from explorer.models.checkpoint import PROJECTION, load_config, load_encodings
from explorer.models.codec import Codec
from explorer.models.library import SHIPPED
from tests.browser.server import StreamlitServer

MODEL = SHIPPED / "mnist-vae-16"
MOVES, TURNS = 120, 60  # events a second, of the mouse and of its wheel
SHARE = 0.3  # of the map's width and height that a drag goes to either side
WHEEL = 4.0  # px an event
SAMPLE_SECONDS = 0.2
CLICKS = 12
MILLION_PATIENCE = 120_000  # ms
TARGETS = {"open": 1.5, "frames": 13.0, "ghost": 50.0, "bytes": 1.3, "memory": 1.5e9}

PLAIN_APP = """
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from explorer.latent.projection import load_projection
from explorer.models.checkpoint import PROJECTION, load_config, load_encodings
from explorer.plots.palette import class_colours

st.set_page_config(layout="wide")
FOLDERS = {{Path(folder).name: Path(folder) for folder in {folders!r}}}


@st.cache_resource
def points(name):
    config = load_config(FOLDERS[name])
    return config, load_encodings(FOLDERS[name], config)


@st.cache_resource
def figure(name):
    config, encodings = points(name)
    places = load_projection(FOLDERS[name] / PROJECTION).coordinates
    traces = []
    for number, colour in enumerate(class_colours(len(config.data.classes))):
        rows = np.flatnonzero(encodings.labels == number)
        traces.append(
            go.Scattergl(
                x=places[rows, 0], y=places[rows, 1], mode="markers", hoverinfo="skip",
                name=config.data.classes[number], marker={{"size": 3, "color": colour}},
            )
        )
    layout = {{"dragmode": "pan", "height": 700, "margin": {{"l": 0, "r": 0, "t": 0, "b": 0}}}}
    return go.Figure(traces, layout)


name = st.selectbox("Model", list(FOLDERS))
st.plotly_chart(figure(name), config={{"scrollZoom": True}})
"""

CLICK_APP = """
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from explorer.latent.projection import load_projection
from explorer.models.checkpoint import PROJECTION, load_config, load_encodings
from explorer.models.codec import Codec

st.set_page_config(layout="wide")
folder = Path({folder!r})
codec = st.cache_resource(Codec.from_folder)(folder)


@st.cache_resource
def opened():
    encodings = load_encodings(folder, load_config(folder))
    places = load_projection(folder / PROJECTION).coordinates
    rows = np.arange(len(places))
    trace = go.Scattergl(
        x=places[:, 0], y=places[:, 1], mode="markers", customdata=rows,
        marker={{"size": 3, "color": encodings.labels}},
    )
    return encodings.mean, go.Figure([trace], {{"dragmode": "pan", "height": 700}})


codes, figure = opened()
left, right = st.columns([3, 1])
with left:
    picked = st.plotly_chart(figure, on_select="rerun", selection_mode="points")
rows = picked.selection.point_indices
with right:
    st.image(codec.decode_pixels(codes[rows[:1] or [0]])[0].squeeze(), width=240)
"""

# Runs before the page's own scripts: counts what is drawn on the points' canvas.
COUNT = (
    """
window.drawings = { number: 0, points: 0 };
for (const Kind of [WebGLRenderingContext, WebGL2RenderingContext]) {
  for (const [name, place] of [['drawArrays', 2], ['drawElements', 1]]) {
    const draw = Kind.prototype[name];
    Kind.prototype[name] = function (...given) {
      if (this.canvas.matches?.('.lab-points, .gl-canvas-context') && given[place] > 0) {
        drawings.number += 1;
        drawings.points += given[place];
      }
      return draw.apply(this, given);
    };
  }
}
window.addEventListener('click', (event) => {
  if (event.target.closest?.('[role=option]')) window.chosen = event.timeStamp;
}, true);
// The points that a page shows once its map is drawn.
window.shownPoints = (name) => {
  const root = document.querySelector('.lab');
  if (root) return root.dataset.map === name ? root.lab.map.points.count : 0;
  const plot = document.querySelector('.js-plotly-plot');
  return (plot?.calcdata ?? []).reduce((sum, [first]) => sum + (first.trace?._length ?? 0), 0);
};
window.timeOpening = ([name, count]) => new Promise((done) => {
  window.chosen = null;
  const look = () => {
    if (window.chosen === null || shownPoints(name) !== count) {
      requestAnimationFrame(look);
      return;
    }
    requestAnimationFrame(() => done(drawn() - window.chosen));
  };
  look();
});
window.watchFrames = () => {
  const record = window.record = { screen: 0, drawn: 0, points: [], on: true };
  let { number, points } = drawings;
  record.start = drawn();
  const look = () => {
    if (!record.on) return;
    record.screen += 1;
    if (drawings.number > number) {
      record.drawn += 1;
      record.points.push(drawings.points - points);
    }
    ({ number, points } = drawings);
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
};
window.endFrames = () => {
  record.on = false;
  return { ...record, seconds: (drawn() - record.start) / 1000 };
};
"""
    + DRAWN
)

# Keeps every pointer event over the map with its spot, and every frame that shows another ghost.
RECORD_GHOST = """() => {
  const canvas = document.querySelector('.lab-ghost'), { lab } = document.querySelector('.lab');
  const context = canvas.getContext('2d', { willReadFrequently: true });
  const record = window.record = { events: [], frames: [], on: true };
  let painted = lab.ghostFrames, before = null;
  const look = () => {
    if (!record.on) return;
    if (lab.ghostFrames !== painted) {
      painted = lab.ghostFrames;
      const now = context.getImageData(0, 0, canvas.width, canvas.height).data;
      if (!before || now.some((value, at) => value !== before[at])) {
        record.frames.push([performance.now(), btoa(String.fromCharCode(...now))]);
        before = now;
      }
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
  window.addEventListener('pointerrawupdate', (event) => {
    if (!record.on || !lab.map.ghost) return;
    record.events.push([event.timeStamp, ...lab.map.ghost, lab.map.hovered === undefined]);
  });
}"""

# Where points of the clicking app are on its page, in no order.
PLACES = """(most) => {
  const plot = document.querySelector('.js-plotly-plot'), { xaxis, yaxis } = plot._fullLayout;
  const box = plot.getBoundingClientRect(), { trace } = plot.calcdata[0][0], found = [];
  for (let step = 1; found.length < most; step += 1) {
    const row = (step * 7919) % trace._length;
    const x = xaxis.d2p(trace.x[row]), y = yaxis.d2p(trace.y[row]);
    if (x > 5 && y > 5 && x < xaxis._length - 5 && y < yaxis._length - 5) {
      found.push([box.left + xaxis._offset + x, box.top + yaxis._offset + y]);
    }
  }
  return found;
}"""
ANSWERED = """() => new Promise((done) => {
  const image = () => document.querySelector('[data-testid=stImage] img');
  const before = image().src;
  let from = null;
  const note = (event) => { from = event.timeStamp; };
  window.addEventListener('pointerup', note, { capture: true, once: true });
  const start = performance.now();
  const look = () => {
    const now = image();
    if (from !== null && now?.src !== before && now.complete) done(performance.now() - from);
    else if (performance.now() - start > 8000) done(null);
    else requestAnimationFrame(look);
  };
  look();
})"""


@dataclass(frozen=True)
class Moving:
    """Frames while the view moves.

    Attributes:
        frames: a second, in which the points were drawn.
        screen: all animation frames a second.
        points: drawn in a frame, the median.
    """

    frames: float
    screen: float
    points: float


class Traffic:
    """Bytes that a page receives: of the points' answer, and on Streamlit's socket."""

    def __init__(self, page: Page) -> None:
        self.socket = 0
        self.answers: list[Any] = []
        page.on("websocket", self._listen)
        page.on(
            "requestfinished",
            lambda request: self.answers.append(request) if "/points/" in request.url else None,
        )

    def _listen(self, socket: WebSocket) -> None:
        if "_stcore" in socket.url:
            socket.on("framereceived", self._receive)

    def _receive(self, frame: bytes | str) -> None:
        self.socket += len(frame)

    async def points(self) -> int:
        """Bytes of the last points' answer: its body as it was sent."""
        return int((await self.answers[-1].sizes())["responseBodySize"])


async def new_page(browser: MarkedBrowser) -> Page:
    """A page of a browser that counts what it draws."""
    page = await browser.browser.new_page(viewport=WINDOW)
    await page.add_init_script(COUNT)
    return page


async def pick(page: Page, name: str, count: int, patience: float = PATIENCE) -> float:
    """Choose a checkpoint in either app's picker; seconds until its map was drawn."""
    box = page.get_by_role("combobox").first
    await box.click()
    await box.fill(name)
    watch = asyncio.create_task(page.evaluate("(what) => timeOpening(what)", [name, count]))
    option = page.get_by_role("option").filter(has_text=name)
    for number in range(await option.count()):
        text = await option.nth(number).inner_text()
        if text.split(" ·")[0].strip() == name:
            await option.nth(number).click()
            break
    milliseconds = await asyncio.wait_for(watch, patience / 1000)
    return float(milliseconds) / 1000


async def settle(page: Page) -> None:
    """Until the script and, in the app, the lab are at rest."""
    await page.wait_for_selector(IDLE, state="attached", timeout=PATIENCE)
    if await page.locator(".lab").count():
        await wait_for_lab(page)
    await page.evaluate("() => drawn()")


async def move(page: Page, canvas: str, seconds: float, *, zoom: bool) -> Moving:
    """Drag the map to and fro, or zoom in and out again; the frames meanwhile."""
    box = await box_of(page, canvas)
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def drag(elapsed: float, _number: int) -> Awaitable[None]:
        across = math.sin(2 * math.pi * elapsed / 1.7), math.sin(2 * math.pi * elapsed / 2.9)
        return page.mouse.move(
            middle[0] + SHARE * box["width"] * across[0],
            middle[1] + SHARE * box["height"] * across[1],
        )

    def turn(elapsed: float, _number: int) -> Awaitable[None]:
        return page.mouse.wheel(0, -WHEEL if elapsed < seconds / 2 else WHEEL)

    await page.mouse.move(*middle)
    if not zoom:
        await page.mouse.down()
    await page.evaluate("() => watchFrames()")
    await play(seconds, TURNS if zoom else MOVES, turn if zoom else drag)
    record = await page.evaluate("() => endFrames()")
    if not zoom:
        await page.mouse.up()
    await page.mouse.move(2, 2)
    await settle(page)
    return Moving(
        frames=record["drawn"] / record["seconds"],
        screen=record["screen"] / record["seconds"],
        points=float(np.median(record["points"])) if record["points"] else 0.0,
    )


async def move_both(page: Page, canvas: str, seconds: float) -> dict[str, Moving]:
    """Frames while panning and while zooming, after a second of each to warm up."""
    await move(page, canvas, 1.0, zoom=False)
    pan = await move(page, canvas, seconds, zoom=False)
    return {"pan": pan, "zoom": await move(page, canvas, seconds, zoom=True)}


async def hover(page: Page, folder: Path, seconds: float) -> dict[str, float]:
    """Move the pointer over the map; p50 and p95 from pointer to ghost, ms."""
    box = await box_of(page, ".lab-map")

    def at(elapsed: float, _number: int) -> Awaitable[None]:
        return page.mouse.move(
            box["x"] + box["width"] * (0.5 + 0.45 * math.sin(2 * math.pi * elapsed / 3.1)),
            box["y"] + box["height"] * (0.5 + 0.45 * math.sin(2 * math.pi * elapsed / 2.3 + 0.7)),
        )

    await play(1.0, MOVES, at)
    await page.evaluate(RECORD_GHOST)
    await play(seconds, MOVES, at)
    await page.wait_for_function(
        "() => document.querySelector('.lab').lab.link.quiet", timeout=PATIENCE
    )
    await page.evaluate("() => new Promise((done) => setTimeout(done, 100))")
    record = await page.evaluate("() => ({ ...record, on: record.on = false })")
    await page.mouse.move(2, 2)

    events, frames = record["events"], record["frames"]
    times = [event[0] for event in events]
    encodings = load_encodings(folder, load_config(folder))
    spots = np.array([event[1:3] for event in events], np.float32)
    codes = SpotCodes(encodings.mean, load_projection(folder / PROJECTION).coordinates).codes(spots)
    decoded = Codec.from_folder(folder).decode_pixels(codes)
    delays = pointer_to_pixels(times, frames, answered_events(decoded, times, frames))
    empty = [delays[number] for number, event in enumerate(events) if event[3] and number in delays]
    every = list(delays.values())
    return {
        "p50": float(np.percentile(empty, 50)),
        "p95": float(np.percentile(empty, 95)),
        "all_p50": float(np.percentile(every, 50)),
        "all_p95": float(np.percentile(every, 95)),
        "events": len(events),
        "events_over_empty_land": len(empty),
        "unanswered": len(events) - len(every),
        "pictures_per_second": 1000 * len(frames) / (times[-1] - times[0]),
    }


async def click(page: Page) -> dict[str, float]:
    """Click points of the plain app; p50 and p95 from the release to the picture, ms."""
    found = []
    for x, y in await page.evaluate(PLACES, CLICKS):
        await page.mouse.move(x, y)
        await page.evaluate("() => new Promise((done) => setTimeout(done, 200))")
        watch = asyncio.create_task(page.evaluate(ANSWERED))
        await asyncio.sleep(0.05)
        await page.mouse.down()
        await page.mouse.up()
        delay = await watch
        if delay is not None:
            found.append(float(delay))
        await page.wait_for_selector(IDLE, state="attached", timeout=PATIENCE)
    if not found:
        return {"p50": math.nan, "p95": math.nan, "clicks": 0}
    p50, p95 = np.percentile(found, [50, 95])
    return {"p50": float(p50), "p95": float(p95), "clicks": len(found)}


async def measure_lab(
    url: str, folder: Path, count: int, flags: argparse.Namespace
) -> dict[str, Any]:
    """The app with 70,000 points."""
    async with chromium() as browser:
        page = await new_page(browser)
        traffic = Traffic(page)
        await open_lab(page, url, MODEL.name)
        cold = await pick(page, folder.name, count)
        await settle(page)
        warm = []
        for _ in range(flags.repeats):
            await pick(page, MODEL.name, 10_000)
            await settle(page)
            warm.append(await pick(page, folder.name, count))
            await settle(page)
        size = await traffic.points()
        moving = await move_both(page, ".lab-map", flags.seconds)
        ghost = await hover(page, folder, flags.seconds)
    return {"open_cold": cold, "open_warm": warm, "bytes": size, **as_plain(moving), "ghost": ghost}


async def measure_plain(
    url: str, click_url: str, folder: Path, count: int, flags: argparse.Namespace
) -> dict[str, Any]:
    """The plain app with 70,000 points."""
    async with chromium() as browser:
        page = await new_page(browser)
        traffic = Traffic(page)
        await page.goto(url)
        await page.wait_for_function("() => shownPoints() === 10000", timeout=PATIENCE)
        await settle(page)
        traffic.socket = 0
        cold = await pick(page, folder.name, count)
        await settle(page)
        size = traffic.socket  # the browser keeps the message for the next time
        warm = []
        for _ in range(flags.repeats):
            await pick(page, MODEL.name, 10_000)
            await settle(page)
            warm.append(await pick(page, folder.name, count))
            await settle(page)
        moving = await move_both(page, ".js-plotly-plot .nsewdrag", flags.seconds)
        await page.close()
        page = await new_page(browser)
        await page.goto(click_url)
        await page.wait_for_function(f"() => shownPoints() === {count}", timeout=PATIENCE)
        await settle(page)
        clicks = await click(page)
    return {
        "open_cold": cold,
        "open_warm": warm,
        "bytes": size,
        **as_plain(moving),
        "click": clicks,
    }


async def measure_million(
    url: str, folder: Path, count: int, seconds: float, *, lab: bool
) -> dict[str, Any]:
    """Either app with 1,000,000 points, in a browser of its own; what failed in words."""
    found: dict[str, Any] = {}
    async with chromium() as browser:
        page = await new_page(browser)
        if lab:
            await open_lab(page, url, MODEL.name)
        else:
            await page.goto(url)
            await page.wait_for_function("() => shownPoints() === 10000", timeout=PATIENCE)
        await settle(page)
        found["memory_before"] = proportional(browser.processes())
        async with Sampler(lambda: proportional(browser.processes()), SAMPLE_SECONDS) as memory:
            try:
                found["open"] = await pick(page, folder.name, count, MILLION_PATIENCE)
                await settle(page)
                found["memory_opened"] = memory.samples[-1][1]
                canvas = ".lab-map" if lab else ".js-plotly-plot .nsewdrag"
                if lab:
                    found["words"] = await page.locator(".lab-shown").inner_text()
                found |= as_plain(await move_both(page, canvas, seconds))
                if lab:
                    found["zoomed_in"] = await zoom_in(page)
            except (Error, TimeoutError) as error:
                found["failed"] = (
                    str(error).splitlines()[0] or f"nothing within {MILLION_PATIENCE} ms"
                )
        found["memory_peak"] = memory.peak
    return found


async def zoom_in(page: Page) -> dict[str, Any]:
    """Turn the wheel over the densest spot until every point in view is drawn."""
    x, y = await page.evaluate(
        """() => {
          const { map } = document.querySelector('.lab').lab, { side, starts } = map.layer.grid;
          let best = 0;
          for (let cell = 0; cell < side * side; cell += 1) {
            if (starts[cell + 1] - starts[cell] > starts[best + 1] - starts[best]) best = cell;
          }
          const spot = map.pixel(map.placeOf(map.layer.grid.rows[starts[best]]));
          const box = map.box.getBoundingClientRect();
          return [box.left + spot.x, box.top + spot.y];
        }"""
    )
    await page.mouse.move(x, y)
    words = ""
    notches = 0
    while notches < 40 and not words.startswith("All"):
        notches += 1
        await page.mouse.wheel(0, -40)
        await page.evaluate("() => new Promise((done) => setTimeout(done, 250))")
        words = await page.locator(".lab-shown").inner_text()
    points = await page.evaluate(
        """() => new Promise((done) => requestAnimationFrame(() => {
          const before = drawings.points;
          document.querySelector('.lab').lab.map.layer.draw();
          done(drawings.points - before);
        }))"""
    )
    return {"words": words, "notches": notches, "points_drawn": points}


def as_plain(moving: dict[str, Moving]) -> dict[str, Any]:
    """For JSON."""
    return {name: asdict(frames) for name, frames in moving.items()}


async def measure(flags: argparse.Namespace) -> dict[str, Any]:
    """All figures of both apps."""
    folder = crowd_of(MODEL, flags.points)
    million = crowd_of(MODEL, flags.many) if flags.many else None
    folders = [str(one) for one in (MODEL, folder, million) if one is not None]
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        homes = [Path(scratch) / name for name in ("lab", "plain", "click")]
        for home in homes:
            home.mkdir()
        plain = write_app(homes[1], PLAIN_APP.format(folders=folders))
        clicking = write_app(homes[2], CLICK_APP.format(folder=str(folder)))
        environment = {"EXPLORER_CHECKPOINTS": str(CROWDS)}
        with (
            StreamlitServer(folder=homes[0], environment=environment) as lab,
            StreamlitServer(plain, folder=homes[1]) as charts,
            StreamlitServer(clicking, folder=homes[2]) as clicks,
        ):
            if "few" in flags.parts:
                results["plain"] = await measure_plain(
                    charts.url, clicks.url, folder, flags.points, flags
                )
                results["latent_explorer"] = await measure_lab(lab.url, folder, flags.points, flags)
            if million is not None and "many" in flags.parts:
                for name, server in (("latent_explorer", lab), ("plain", charts)):
                    results[f"{name}_many"] = await measure_million(
                        server.url, million, flags.many, flags.seconds, lab=server is lab
                    )
    return results


def print_few(
    found: dict[str, Any], flags: argparse.Namespace
) -> list[tuple[str, float, str, float, str]]:
    """The table of 70,000 points; what is to be held against targets."""
    ours, plain = found["latent_explorer"], found["plain"]
    raw = flags.points * (2 * 4 + 2)

    def row(
        what: str, read: Callable[[dict[str, Any]], float], digits: int, *, less: bool
    ) -> list[str]:
        one, other = read(ours), read(plain)
        ratio = other / one if less else one / other if other else math.nan
        return [what, f"{one:,.{digits}f}", f"{other:,.{digits}f}", f"{ratio:.1f}"]

    rows = [
        row("open, s, warm", lambda app: statistics.median(app["open_warm"]), 2, less=True),
        row("open, s, first time", lambda app: app["open_cold"], 2, less=True),
    ]
    for what in ("pan", "zoom"):
        rows += [
            row(f"{what}, frames/s", lambda app: app[what]["frames"], 1, less=False),  # noqa: B023
            row(f"{what}, screen frames/s", lambda app: app[what]["screen"], 1, less=False),  # noqa: B023
            row(f"{what}, points a frame", lambda app: app[what]["points"], 0, less=False),  # noqa: B023
        ]
    rows.append(row("bytes / raw arrays", lambda app: app["bytes"] / raw, 2, less=True))
    for name in ("p50", "p95"):
        one, other = ours["ghost"][name], plain["click"][name]
        rows.append(
            [f"pointer to picture, ms, {name}", f"{one:.1f}", f"{other:.0f}", f"{other / one:.1f}"]
        )
    print_table(
        f"{flags.points:,} points",
        ["", "Latent Explorer", "st.plotly_chart", "better by, times"],
        rows,
    )
    print("The plain app's picture is that of a clicked point; ours follows the pointer.")
    return [
        ("open, warm", statistics.median(ours["open_warm"]), "<=", TARGETS["open"], "s"),
        ("pan", ours["pan"]["frames"], ">=", TARGETS["frames"], "frames/s"),
        ("zoom", ours["zoom"]["frames"], ">=", TARGETS["frames"], "frames/s"),
        ("pointer to ghost, p95", ours["ghost"]["p95"], "<=", TARGETS["ghost"], "ms"),
        ("bytes / raw arrays", ours["bytes"] / raw, "<=", TARGETS["bytes"], "times"),
    ]


def print_many(
    found: dict[str, Any], flags: argparse.Namespace
) -> list[tuple[str, float, str, float, str]]:
    """The table of 1,000,000 points; what is to be held against targets."""
    ours, plain = found["latent_explorer_many"], found["plain_many"]

    def text(app: dict[str, Any], *names: str, digits: int = 1, scale: float = 1) -> str:
        value: Any = app
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None
        return "-" if value is None else f"{value / scale:,.{digits}f}"

    rows = [
        [what, *(text(app, *names, digits=digits, scale=scale) for app in (ours, plain))]
        for what, names, digits, scale in (
            ("open, s", ("open",), 2, 1),
            ("pan, frames/s", ("pan", "frames"), 1, 1),
            ("pan, points a frame", ("pan", "points"), 0, 1),
            ("zoom, frames/s", ("zoom", "frames"), 1, 1),
            ("browser before, MB", ("memory_before",), 0, 1e6),
            ("browser opened, MB", ("memory_opened",), 0, 1e6),
            ("browser peak, MB", ("memory_peak",), 0, 1e6),
        )
    ]
    print_table(f"{flags.many:,} points", ["", "Latent Explorer", "st.plotly_chart"], rows)
    for name, app in (("Latent Explorer", ours), ("st.plotly_chart", plain)):
        if "failed" in app:
            print(f"{name} failed: {app['failed']}")
    print(f"The page says: {ours.get('words')}\nzoomed in: {ours.get('zoomed_in')}")
    return [
        ("browser's memory", ours["memory_peak"], "<=", TARGETS["memory"], "bytes"),
        ("pan, many", ours.get("pan", {}).get("frames", 0.0), ">=", TARGETS["frames"], "frames/s"),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description="Time the map.")
    parser.add_argument("--points", type=int, default=70_000, help="of the map (default: 70000)")
    parser.add_argument("--many", type=int, default=1_000_000, help="of the large one; 0 for none")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each movement (default: 4)")
    parser.add_argument("--repeats", type=int, default=3, help="warm openings (default: 3)")
    parser.add_argument(
        "--parts", nargs="*", choices=("few", "many"), default=["few", "many"], help="which to run"
    )
    flags = parser.parse_args(arguments)
    found = asyncio.run(measure(flags))
    against = []
    if "few" in flags.parts:
        against += print_few(found, flags)
    if "latent_explorer_many" in found:
        against += print_many(found, flags)
    print()
    for line in verdicts(against):
        print(line)
    save_result(
        "map",
        {
            "unit": "s; frames/s; ms; bytes",
            "points": flags.points,
            "many": flags.many,
            "targets": [list(row) for row in against],
            **found,
        },
    )


if __name__ == "__main__":
    main()

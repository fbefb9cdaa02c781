"""Cold start: from the command to the first painted map, beside a one-line Streamlit app.

Each start is a new server process and a new, empty browser profile in a Chromium that already runs.
The page is opened as soon as the server answers its health check. The clock starts with the command
and stops in the animation frame after the page shows what it is for: in the app the painted map
(`data-map` on the lab), in the one-line app its text. `python -c "import torch"` is timed in the
same run: the app needs torch, and a ratio that hides it would say little. The three take turns; the
medians are compared. Python's compiled files and the system's file cache are warm.

    python -m benchmarks.cold_start
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from benchmarks.plain import write_app
from benchmarks.result import print_table, save_result
from tests.browser.chromium import launch_options
from tests.browser.server import APP, StreamlitServer

ONE_LINE = "import streamlit as st; st.write('Hello')\n"
MAP_SHOWN = "() => { const lab = document.querySelector('.lab'); return lab && lab.dataset.map; }"
HELLO_SHOWN = "() => document.querySelector('.stMarkdown')?.innerText === 'Hello'"
NEXT_FRAME = """() => new Promise((painted) => {
  requestAnimationFrame(() => requestAnimationFrame(painted));
})"""
PATIENCE = 120_000  # ms


def time_start(browser: Browser, script: Path, shown: str) -> tuple[float, float]:
    """Start a script and open its page.

    Args:
        browser: a running Chromium.
        script: what Streamlit runs.
        shown: JavaScript that becomes true when the page shows what it is for.

    Returns:
        Seconds from the command to the server's answer, and to the painted page.
    """
    with tempfile.TemporaryDirectory() as folder:
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        page = context.new_page()
        server = StreamlitServer(script, folder=Path(folder))
        start = time.perf_counter()
        try:
            server.launch()
            server.wait()
            answered = time.perf_counter() - start
            page.goto(server.url, wait_until="commit")
            page.wait_for_function(shown, timeout=PATIENCE)
            page.evaluate(NEXT_FRAME)
            return answered, time.perf_counter() - start
        finally:
            server.stop()
            context.close()


def time_torch_import() -> float:
    """Seconds that `python -c "import torch"` takes."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
    return time.perf_counter() - start


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description="Time cold starts.")
    parser.add_argument("--repeats", type=int, default=5, help="starts of each (default: 5)")
    repeats = parser.parse_args().repeats

    ours, one_line, torch_import = [], [], []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        script = write_app(Path(folder), ONE_LINE)
        browser = playwright.chromium.launch(**launch_options())
        for _ in range(repeats):
            torch_import.append(time_torch_import())
            one_line.append(time_start(browser, script, HELLO_SHOWN))
            ours.append(time_start(browser, APP, MAP_SHOWN))
        browser.close()

    def median(starts: list[tuple[float, float]], which: int) -> float:
        return statistics.median(start[which] for start in starts)

    torch_seconds = statistics.median(torch_import)
    ratio = (median(ours, 1) - torch_seconds) / median(one_line, 1)
    rows = [
        [name, f"{median(starts, 0):.2f}", f"{median(starts, 1):.2f}", spread(starts)]
        for name, starts in (("Latent Explorer", ours), ("one-line app", one_line))
    ]
    rows.append(["import torch", "", f"{torch_seconds:.2f}", ""])
    print_table(
        f"Cold start, seconds from the command, median of {repeats}",
        ["", "server answers", "page painted", "fastest to slowest"],
        rows,
    )
    print(f"\n(ours - torch import) / one-line app = {ratio:.2f}")
    save_result(
        "cold_start",
        {
            "unit": "seconds from the command; [server answers, page painted]",
            "latent_explorer": ours,
            "one_line": one_line,
            "torch_import": torch_import,
            "ratio": ratio,
        },
    )


def spread(starts: list[tuple[float, float]]) -> str:
    """The fastest and the slowest."""
    painted = [start[1] for start in starts]
    return f"{min(painted):.2f} to {max(painted):.2f}"


if __name__ == "__main__":
    main()

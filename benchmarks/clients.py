"""Many at once: pictures a second of each of 20 clients that drag at 60 Hz.

The clients are bare WebSockets in this process; the server is the app's own, in another. As the
page does, each keeps at most two requests in flight, and of what it wants meanwhile the newest
wins, so that no client can get more than the rate at which it asks. Latency is from sending a
request to its answer.

Beside it, in the same run and by turns: one client alone, and the same clients on a server whose
engine decodes each code by itself (a batch of 1). The server's resident memory is read when the
model is loaded and again at the end.

    python -m benchmarks.clients
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.result import print_table, save_result
from explorer.live.answers import TOKEN_HEADER
from explorer.live.engine import LARGEST_BATCH
from explorer.live.protocol import DECODE, HEADER, SUBPROTOCOL
from explorer.live.route import PREFIX
from explorer.models.checkpoint import load_config, load_encodings
from explorer.models.library import SHIPPED
from tests.browser.server import StreamlitServer

MODELS = ("mnist-vae-16", "faces-vae-16")
MOST_IN_FLIGHT = 2
WARM_UP_SECONDS = 1.0
TOLD = "told.json"
SESSIONS = 64  # each client is a session of its own, as a browser's tab is
STEPS = 97  # codes from one encoding to the next

# The app itself, but for the size of a batch and tokens that are told.
LAUNCHER = """
if __name__ == "__main__":
    from explorer.ui.shell import show_app

    show_app()
else:
    import json
    import os
    from pathlib import Path

    import streamlit as st

    from explorer.live import engine
    from explorer.live.hub import shared_hub
    from explorer.live.route import live_routes
    from explorer.live.server import live_lifespan
    from explorer.models.library import list_checkpoints

    engine.LARGEST_BATCH = {batch}
    hub = shared_hub()
    tokens = [hub.issue_token() for _ in range({sessions})]
    tags = {{}}
    for listing in list_checkpoints([Path({folder!r})]):
        if listing.name in {names!r}:
            for token in tokens:
                hub.allow(token, listing.name, listing.folder, listing.stamp)
            tags[listing.name] = hub.open(listing.folder, listing.stamp).tag
    Path({told!r}).write_text(json.dumps({{"pid": os.getpid(), "tokens": tokens, "tags": tags}}))
    app = st.App(
        __file__, routes=live_routes(""), lifespan=live_lifespan(base_path="", open_browser=False)
    )
"""


@dataclass(frozen=True)
class Share:
    """What one client got.

    Attributes:
        pictures: a second.
        p50, p95: from a request to its answer, ms.
    """

    pictures: float
    p50: float
    p95: float


@dataclass(frozen=True)
class Server:
    """A running server and how to drive it."""

    port: int
    pid: int
    tokens: list[str]
    tags: dict[str, int]

    def memory(self) -> float:
        """Resident memory, MiB."""
        ps = ["ps", "-o", "rss=", "-p", str(self.pid)]
        return int(subprocess.run(ps, check=True, capture_output=True, text=True).stdout) / 1024

    def wait_for_images(self, name: str) -> None:
        """Wait until the server has looked for a model's images, which take memory of their own."""
        url = f"http://localhost:{self.port}{PREFIX}/facts/{name}"
        request = urllib.request.Request(url, headers={TOKEN_HEADER: self.tokens[0]})
        while True:
            with urllib.request.urlopen(request, timeout=60) as answer:
                if json.load(answer)["real"] is not None:
                    return
            time.sleep(0.2)

    def dial(self, name: str, session: int = 0) -> connect:
        """A connection that drives a model."""
        return connect(
            f"ws://localhost:{self.port}{PREFIX}/decode/{name}",
            subprotocols=[SUBPROTOCOL, self.tokens[session]],  # type: ignore[list-item]
            origin=f"http://localhost:{self.port}",  # type: ignore[arg-type]
            compression=None,
        )


def path_through(folder: Path, number: int) -> NDArray[np.float32]:
    """Codes along straight lines between encodings, (N, D); another path for each client."""
    codes = load_encodings(folder, load_config(folder)).mean
    ends = codes[np.random.default_rng(number).choice(len(codes), 8)]
    shares = np.linspace(0, 1, STEPS, endpoint=False)[:, None]
    lines = [a + shares * (b - a) for a, b in zip(ends, np.roll(ends, -1, 0), strict=True)]
    return np.concatenate(lines).astype("<f4")


async def drive(
    socket: ClientConnection, tag: int, path: NDArray[np.float32], rate: float, seconds: float
) -> Share:
    """Ask for pictures along a path at an even rate, and count what comes."""
    sent: deque[tuple[int, float]] = deque()
    delays: list[float] = []
    wanted: list[int] = []
    start = time.perf_counter()

    async def pump() -> None:
        if wanted and len(sent) < MOST_IN_FLIGHT:
            number = wanted.pop()
            wanted.clear()
            sent.append((number, time.perf_counter()))
            await socket.send(
                HEADER.pack(DECODE, 0, tag, number) + path[number % len(path)].tobytes()
            )

    async def receive() -> None:
        async for message in socket:
            now = time.perf_counter()
            number = HEADER.unpack_from(message)[3]  # type: ignore[arg-type]
            while sent and sent[0][0] <= number:
                answered, when = sent.popleft()
                if answered == number and start <= now <= start + seconds:
                    delays.append(1000 * (now - when))
            await pump()

    receiver = asyncio.create_task(receive())
    for number in range(int(seconds * rate)):
        await asyncio.sleep(max(0.0, start + number / rate - time.perf_counter()))
        wanted.append(number + 1)
        await pump()
    await asyncio.sleep(max(0.0, start + seconds - time.perf_counter()))
    receiver.cancel()
    p50, p95 = np.percentile(delays, [50, 95]) if delays else (np.nan, np.nan)
    return Share(len(delays) / seconds, float(p50), float(p95))


async def drive_all(
    server: Server, folder: Path, clients: int, rate: float, seconds: float
) -> list[Share]:
    """So many clients at once."""
    name, tag = folder.name, server.tags[folder.name]
    paths = [path_through(folder, number) for number in range(clients)]
    sockets = await asyncio.gather(*(server.dial(name, number) for number in range(clients)))

    async def drive_late(number: int, length: float) -> Share:
        # Not in step with each other, as people are not.
        await asyncio.sleep(number / clients / rate)
        return await drive(sockets[number], tag, paths[number], rate, length)

    for length in (WARM_UP_SECONDS, seconds):
        shares = await asyncio.gather(*(drive_late(number, length) for number in range(clients)))
    await asyncio.gather(*(socket.close() for socket in sockets))
    return list(shares)


def ask_token(server: StreamlitServer, folder: Path) -> Server:
    """What a running server told."""
    facts = json.loads((folder / TOLD).read_text(encoding="utf-8"))
    return Server(server.port, facts["pid"], facts["tokens"], facts["tags"])


def write_launcher(folder: Path, models: Sequence[Path], batch: int) -> Path:
    """A launcher of the app whose engine decodes so many codes a pass."""
    script = folder / "launcher.py"
    script.write_text(
        LAUNCHER.format(
            batch=batch,
            sessions=SESSIONS,
            folder=str(models[0].parent),
            names=[model.name for model in models],
            told=str(folder / TOLD),
        ),
        encoding="utf-8",
    )
    return script


def describe(shares: Sequence[Share]) -> list[str]:
    """Min, median and max pictures a second, and the median latencies."""
    rates = [share.pictures for share in shares]
    return [
        f"{min(rates):.1f}",
        f"{statistics.median(rates):.1f}",
        f"{max(rates):.1f}",
        f"{statistics.median(share.p50 for share in shares):.1f}",
        f"{statistics.median(share.p95 for share in shares):.1f}",
    ]


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description="Drive the decoder with many clients at once.")
    parser.add_argument("--models", type=Path, nargs="+", help="checkpoints of one folder")
    parser.add_argument("--clients", type=int, default=20, help="at once (default: 20)")
    parser.add_argument("--rate", type=float, default=60.0, help="requests a second (default: 60)")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each turn (default: 6)")
    parser.add_argument("--repeats", type=int, default=2, help="turns of each (default: 2)")
    flags = parser.parse_args()
    models = [path.resolve() for path in flags.models or [SHIPPED / name for name in MODELS]]

    figures: dict[str, Any] = {}
    memory: dict[str, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        scripts = [
            write_launcher(Path(folder), models, batch)
            for folder, batch in ((first, LARGEST_BATCH), (second, 1))
        ]
        with (
            StreamlitServer(scripts[0], folder=Path(first)) as ours,
            StreamlitServer(scripts[1], folder=Path(second)) as unbatched,
        ):
            batching = ask_token(ours, Path(first))
            single = ask_token(unbatched, Path(second))
            turns = {
                f"{flags.clients} clients": (batching, flags.clients),
                "one client alone": (batching, 1),
                f"{flags.clients} clients, batches of 1": (single, flags.clients),
            }
            for folder in models:
                asyncio.run(drive_all(batching, folder, 1, flags.rate, 1.0))
                batching.wait_for_images(folder.name)
                before = batching.memory()
                found: dict[str, list[Share]] = {name: [] for name in turns}
                for _ in range(flags.repeats):
                    for name, (server, clients) in turns.items():
                        found[name] += asyncio.run(
                            drive_all(server, folder, clients, flags.rate, flags.seconds)
                        )
                memory[folder.name] = before, batching.memory()
                print_table(
                    f"{folder.name} at {flags.rate:g} Hz for {flags.seconds:g} s, "
                    f"{flags.repeats} turns each",
                    ["", "min/s", "median/s", "max/s", "p50 ms", "p95 ms"],
                    [[name, *describe(shares)] for name, shares in found.items()],
                )
                print(
                    f"server's memory: {before:.0f} MiB before, "
                    f"{memory[folder.name][1]:.0f} MiB after"
                )
                figures[folder.name] = {
                    name: [asdict(share) for share in shares] for name, shares in found.items()
                }
                medians = {
                    name: statistics.median(share.pictures for share in shares)
                    for name, shares in found.items()
                }
                together, alone, one_by_one = medians.values()
                print(f"together / alone: {together / alone:.2f} of the rate")
                print(f"together / batches of 1: {together / one_by_one:.2f} times")
    save_result(
        "clients",
        {
            "unit": "pictures per second of each client; ms",
            "clients": flags.clients,
            "rate": flags.rate,
            "seconds": flags.seconds,
            "figures": figures,
            "memory_mib": memory,
        },
    )


if __name__ == "__main__":
    main()

"""What a neighbour gets while another session floods the server.

The neighbour is a bare WebSocket that drags at 60 Hz, as in benchmarks/clients.py. Beside it, by
turns and from a process of its own, one other session sends all it can: requests on many sockets,
or on many connections at once requests for 400 pictures each. The longest pause is between two
answers that the neighbour gets.

    python -m benchmarks.floods
"""

import argparse
import asyncio
import base64
import http.client
import multiprocessing
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.clients import (
    MOST_IN_FLIGHT,
    WARM_UP_SECONDS,
    Server,
    ask_token,
    path_through,
    write_launcher,
)
from benchmarks.result import print_table, save_result
from explorer.live.answers import TOKEN_HEADER
from explorer.live.engine import LARGEST_BATCH
from explorer.live.protocol import DECODE, HEADER, SUBPROTOCOL
from explorer.live.route import PREFIX
from explorer.live.sheets import MOST_PICTURES
from explorer.models.library import SHIPPED
from tests.browser.server import StreamlitServer

MODELS = ("mnist-vae-16", "faces-vae-16")
FLOODER, NEIGHBOUR = 1, 0  # their sessions
SOCKETS, SOCKET_RATE = 20, 420.0  # requests a second of each
BURST_EVERY = 0.02  # seconds
CONNECTIONS = 40


@dataclass(frozen=True)
class Turn:
    """What the neighbour got.

    Attributes:
        pictures: a second.
        p95: from a request to its answer, ms.
        pause: the longest between two answers, ms.
    """

    pictures: float
    p95: float
    pause: float


async def drag(
    server: Server, folder: Path, path: NDArray[np.float32], rate: float, seconds: float
) -> Turn:
    """Ask for pictures as a page does, and note when they come."""
    tag, sent, came, delays = server.tags[folder.name], {}, [], []
    wanted: list[int] = []
    async with server.dial(folder.name, NEIGHBOUR) as line:
        start = time.perf_counter() + WARM_UP_SECONDS

        async def pump() -> None:
            if wanted and len(sent) < MOST_IN_FLIGHT:
                number = wanted.pop()
                wanted.clear()
                sent[number] = time.perf_counter()
                code = path[number % len(path)].tobytes()
                await line.send(HEADER.pack(DECODE, 0, tag, number) + code)

        async def receive() -> None:
            async for message in line:
                now = time.perf_counter()
                number = HEADER.unpack_from(message)[3]  # type: ignore[arg-type]
                if number in sent and start <= now <= start + seconds:
                    came.append(now)
                    delays.append(1000 * (now - sent[number]))
                for older in [one for one in sent if one <= number]:
                    del sent[older]
                await pump()

        receiver = asyncio.create_task(receive())
        begin = start - WARM_UP_SECONDS
        for number in range(int((seconds + WARM_UP_SECONDS) * rate)):
            await asyncio.sleep(max(0.0, begin + number / rate - time.perf_counter()))
            wanted.append(number + 1)
            await pump()
        await asyncio.sleep(max(0.0, start + seconds - time.perf_counter()))
        receiver.cancel()
    pauses = np.diff([start, *came, start + seconds])
    p95 = float(np.percentile(delays, 95)) if delays else float("nan")
    return Turn(len(came) / seconds, p95, float(1000 * pauses.max()))


def open_raw(server: Server, name: str, session: int) -> socket.socket:
    """A WebSocket without a library, which costs its sender almost no processor time."""
    line = socket.create_connection(("localhost", server.port))
    host = f"localhost:{server.port}"
    line.sendall(
        f"GET {PREFIX}/decode/{name} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}\r\n"
        f"Sec-WebSocket-Protocol: {SUBPROTOCOL}, {server.tokens[session]}\r\n\r\n".encode()
    )
    line.recv(4096)
    line.setblocking(False)
    return line


def frame(payload: bytes) -> bytes:
    """A binary frame of under 126 bytes, masked with zeros, which leave it as it is."""
    return bytes([0x82, 0x80 | len(payload)]) + bytes(4) + payload


def flood_sockets(server: Server, folder: Path, ended: Event) -> None:
    """Many sockets of one session, each of which sends requests at an even rate."""
    path, tag = path_through(folder, 7), server.tags[folder.name]
    each = round(SOCKET_RATE * BURST_EVERY)
    burst = b"".join(
        frame(HEADER.pack(DECODE, 0, tag, 1) + path[number % len(path)].tobytes())
        for number in range(each)
    )
    left = {open_raw(server, folder.name, FLOODER): b"" for _ in range(SOCKETS)}
    while left and not ended.wait(BURST_EVERY):
        for line in list(left):
            try:
                left[line] = left[line] or burst
                left[line] = left[line][line.send(left[line]) :]
            except BlockingIOError:
                pass  # the server reads more slowly
            except OSError:
                del left[line]  # and this one not at all
                continue
            with suppress(OSError):
                while line.recv(1 << 20):
                    pass
    ended.wait()


def flood_pictures(server: Server, folder: Path, ended: Event) -> None:
    """Many connections of one session, each of which asks for many pictures over and over."""
    path = path_through(folder, 7)
    body = np.resize(path, (MOST_PICTURES, path.shape[1])).tobytes()

    def ask() -> None:
        while not ended.is_set():
            with suppress(OSError, http.client.HTTPException):
                connection = http.client.HTTPConnection("localhost", server.port, timeout=60)
                headers = {TOKEN_HEADER: server.tokens[FLOODER]}
                connection.request("POST", f"{PREFIX}/pictures/{folder.name}", body, headers)
                connection.getresponse().read()
                connection.close()

    for _ in range(CONNECTIONS):
        threading.Thread(target=ask, daemon=True).start()
    ended.wait()


@contextmanager
def flooding(
    flood: Callable[[Server, Path, Event], None] | None, server: Server, folder: Path
) -> Iterator[None]:
    """Flood from a process of its own, meanwhile."""
    if flood is None:
        yield
        return
    spawn = multiprocessing.get_context("spawn")
    ended = spawn.Event()
    process = spawn.Process(target=flood, args=(server, folder, ended), daemon=True)
    process.start()
    time.sleep(3)  # until it has imported what it needs and floods
    try:
        yield
    finally:
        ended.set()
        process.join(5)
        if process.is_alive():
            process.kill()
            process.join()


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description="Flood the server beside one client that drags.")
    parser.add_argument("--models", type=Path, nargs="+", help="checkpoints of one folder")
    parser.add_argument("--rate", type=float, default=60.0, help="requests a second (default: 60)")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each turn (default: 6)")
    parser.add_argument("--repeats", type=int, default=2, help="turns of each (default: 2)")
    flags = parser.parse_args()
    models = [path.resolve() for path in flags.models or [SHIPPED / name for name in MODELS]]
    floods = {
        "alone": None,
        f"beside {SOCKETS} sockets at {SOCKET_RATE:g}/s": flood_sockets,
        f"beside {CONNECTIONS} x {MOST_PICTURES} pictures": flood_pictures,
    }
    figures: dict[str, dict[str, list[Turn]]] = {}
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        script = write_launcher(home, models, LARGEST_BATCH)
        app = stack.enter_context(StreamlitServer(script, folder=home))
        server = ask_token(app, home)
        for folder in models:
            path = path_through(folder, 0)
            asyncio.run(drag(server, folder, path, flags.rate, 1.0))
            server.wait_for_images(folder.name)
            found: dict[str, list[Turn]] = {name: [] for name in floods}
            for _ in range(flags.repeats):
                for name, flood in floods.items():
                    with flooding(flood, server, folder):
                        found[name].append(
                            asyncio.run(drag(server, folder, path, flags.rate, flags.seconds))
                        )
            print_table(
                f"{folder.name}: a neighbour at {flags.rate:g} Hz for {flags.seconds:g} s, "
                f"{flags.repeats} turns each",
                ["", "pictures/s", "p95 ms", "longest pause ms"],
                [
                    [
                        name,
                        f"{statistics.mean(turn.pictures for turn in turns):.1f}",
                        f"{statistics.median(turn.p95 for turn in turns):.1f}",
                        f"{max(turn.pause for turn in turns):.0f}",
                    ]
                    for name, turns in found.items()
                ],
            )
            figures[folder.name] = found
    save_result(
        "floods",
        {
            "unit": "pictures per second of the neighbour; ms",
            "rate": flags.rate,
            "seconds": flags.seconds,
            "figures": {
                model: {name: [asdict(turn) for turn in turns] for name, turns in found.items()}
                for model, found in figures.items()
            },
        },
    )


if __name__ == "__main__":
    main()

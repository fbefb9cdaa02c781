"""Fuzzing of the intake: mutated files of every format Pillow writes, each under watch.

The seeds are small pictures in every format and mode that Pillow writes, with EXIF notes,
animations, 16 bits, palettes and transparency, and ZIP archives; a tenth of the files are made from
formats that the intake refuses. Each is a seed with one to eight mutations, drawn from a seed
number: flipped bits, other bytes, cut or doubled parts, parts of another seed, numbers in the
header replaced by extreme ones. Half of the PNGs get right checksums again, which would otherwise
keep most of the damage from the decoder. A worker process prepares each (`read_batch`, for one of
five kinds of data), and this process watches:

- a crash: the worker dies, or anything but a prepared picture or a refusal comes out of it;
- a hang: no answer within five seconds;
- memory: the worker's peak rises more than 500 MB above what it had before.

What fails is written, as small as it is found, to `--failures`; those worth keeping lie in
tests/unit/images/corpus/, which a test walks.

    python -m benchmarks.fuzz                            20,000 files
    python -m benchmarks.fuzz --start 5000 --count 2500  a part of them
"""

import argparse
import hashlib
import io
import json
import os
import select
import struct
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.result import print_table, save_result
from explorer.images.batch import Refused, read_batch
from explorer.images.intake import ModelInput
from explorer.images.preparation import Preparation

COUNT = 20_000
MOST_SECONDS = 5.0
MOST_MEGABYTES = 500
TARGETS = (
    ModelInput((1, 28, 28), 0.0),
    ModelInput((1, 28, 28), 0.05),
    ModelInput((1, 28, 28), 1.0),
    ModelInput((1, 64, 64), 0.45),
    ModelInput((3, 64, 64), 0.5),
)
PREPARATIONS = (
    Preparation(),
    Preparation(turn="90", crop=(0.1, 0.2, 0.9, 0.7)),
    Preparation(polarity="invert", contrast="keep"),
    Preparation(framing="pad", ground="light"),
)
_EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_READ = ("PNG", "JPEG", "MPO", "WEBP", "BMP", "DIB", "GIF", "TIFF", "PPM", "AVIF", "ZIP")
_REFUSED_SHARE = 0.1
_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I", "I;16", "F")


def make_seeds() -> dict[str, bytes]:
    """Small files of every format and mode that Pillow writes, by a name for each."""
    rng = np.random.default_rng(0)
    colour = Image.fromarray(rng.integers(0, 256, (24, 20, 3), dtype=np.uint8))
    smooth = colour.resize((40, 48), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "camera"
    Image.init()
    seeds: dict[str, bytes] = {}

    def add(name: str, image: Image.Image, file_format: str, **options: object) -> None:
        buffer = io.BytesIO()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                image.save(buffer, file_format, **options)
        except (OSError, ValueError, KeyError, AttributeError, TypeError, SyntaxError):
            return  # this format has no such mode or option
        seeds[name] = buffer.getvalue()

    for file_format in sorted(Image.SAVE):
        for mode in _MODES:
            if mode in ("I;16", "F"):
                levels = np.asarray(smooth.convert("L"))
                deep = (
                    levels.astype(np.uint16) * 257 if mode == "I;16" else levels / np.float32(255)
                )
                image = Image.fromarray(deep)
            elif mode == "LAB":
                image = Image.merge("LAB", smooth.split())
            else:
                image = smooth.convert(mode)
            add(f"{file_format} {mode}", image, file_format)
            add(f"{file_format} {mode} exif", image, file_format, exif=exif)
        frames = [smooth.rotate(angle) for angle in (90, 180)]
        add(f"{file_format} frames", smooth, file_format, save_all=True, append_images=frames)
    for compression in ("tiff_lzw", "tiff_deflate", "packbits", "jpeg", "lzma", "zstd", "webp"):
        add(f"TIFF {compression}", smooth, "TIFF", compression=compression)
    for compression in ("group3", "group4", "tiff_ccitt"):
        add(f"TIFF {compression}", smooth.convert("1"), "TIFF", compression=compression)
    add("TIFF big", smooth, "TIFF", big_tiff=True)
    add("JPEG progressive", smooth, "JPEG", progressive=True, exif=exif)
    add("JPEG 4:2:0", smooth, "JPEG", subsampling=2, quality=30)
    add("WEBP lossless", smooth, "WEBP", lossless=True)
    add("GIF interlaced", smooth.convert("P"), "GIF", interlace=True, transparency=3)
    add("PNG palette", smooth.convert("P"), "PNG", transparency=bytes(range(200)))
    for name, compression in (("stored", zipfile.ZIP_STORED), ("deflated", zipfile.ZIP_DEFLATED)):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", compression) as archive:
            archive.writestr("a/1.png", seeds["PNG L"])
            archive.writestr("2.jpg", seeds["JPEG RGB exif"])
        seeds[f"ZIP {name}"] = buffer.getvalue()
    return {name: data for name, data in seeds.items() if len(data) < 100_000}


def mutate(named: Mapping[str, bytes], number: int) -> tuple[str, bytes]:
    """The file of this number, and the name of the seed that it was made from."""
    rng = np.random.default_rng([4, number])
    seeds = list(named.values())
    refused = rng.random() < _REFUSED_SHARE
    names = [name for name in named if (name.split()[0] not in _READ) == refused]
    name = names[int(rng.integers(len(names)))]
    data = bytearray(named[name])
    # Few changes reach deep into a decoder, many make a file that is refused at its door.
    for _ in range(min(rng.integers(1, 9, 2))):
        size = len(data)
        if size < 2:
            break
        # Half of all mutations meet the first bytes, where the sizes and the tables are.
        within = min(size, 128) if rng.random() < 0.5 else size
        at = int(rng.integers(within))
        kind = rng.integers(7)
        if kind == 0:
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            data[at] = int(rng.integers(256))
        elif kind == 2:
            width = (1, 2, 4)[int(rng.integers(3))]
            value = int(_EXTREMES[int(rng.integers(len(_EXTREMES)))]) & (256**width - 1)
            order = "little" if rng.random() < 0.5 else "big"
            data[at : at + width] = value.to_bytes(width, order)
        elif kind == 3:
            del data[at + int(rng.integers(size - at)) :]
        elif kind == 4:
            del data[at : at + int(rng.integers(1, 65))]
        elif kind == 5:
            part = data[at : at + int(rng.integers(1, 513))]
            data[at:at] = part * int(rng.integers(1, 5))
        else:
            other = seeds[int(rng.integers(len(seeds)))]
            start = int(rng.integers(len(other)))
            part = other[start : start + int(rng.integers(1, 513))]
            if rng.random() < 0.5:
                data[at : at + len(part)] = part
            else:
                data[at:at] = part
    if name.startswith("PNG") and rng.random() < 0.5:
        data = mend_checksums(data)
    return name, bytes(data)


def mend_checksums(png: bytearray) -> bytearray:
    """A PNG whose chunks have the checksums of what they hold, as far as it can be followed."""
    mended, at = bytearray(png), 8
    while at + 12 <= len(mended):
        end = at + 8 + int.from_bytes(mended[at : at + 4], "big")
        if end + 4 > len(mended):
            break
        mended[end : end + 4] = zlib.crc32(mended[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return mended


class Worker:
    """A process that prepares files, and is started anew when it dies or hangs."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        # A file, for a pipe would fill with what libtiff has to say.
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 (open as long as the worker)

    def prepare(self, number: int, data: bytes) -> dict[str, object]:
        """What became of a file: its "outcome", "seconds", and "megabytes" above idle."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.fuzz", "--worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
            assert self._process.stdout is not None
            self._process.stdout.readline()
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        self._said.truncate(0)
        start = time.monotonic()
        process.stdin.write(struct.pack("<QI", number, len(data)) + data)
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], MOST_SECONDS)
        seconds = time.monotonic() - start
        line = process.stdout.readline() if ready else b""
        if line:
            return {**json.loads(line), "seconds": seconds}
        self.stop()
        if not ready:
            return {"outcome": "hang", "seconds": seconds, "megabytes": 0.0}
        self._said.seek(0)
        said = self._said.read().decode(errors="replace")[-2000:]
        return {
            "outcome": "crash",
            "seconds": seconds,
            "megabytes": 0.0,
            "said": f"exit status {process.returncode}: {said}",
        }

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _memory(key: str) -> float:
    """VmRSS or VmHWM of this process, MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) / 1024
    return 0.0


def serve() -> None:
    """Be a worker: a line of JSON for each file that comes in."""
    warnings.simplefilter("ignore")
    prepare_one(0, make_seeds()["PNG RGB"])  # what is imported late is no memory of a file
    peaks = Path("/proc/self/clear_refs")
    out = sys.stdout.buffer
    out.write(b"ready\n")
    out.flush()
    while header := sys.stdin.buffer.read(12):
        number, size = struct.unpack("<QI", header)
        data = sys.stdin.buffer.read(size)
        peaks.write_text("5", encoding="ascii")  # the peak starts anew
        before = _memory("VmRSS")
        outcome = prepare_one(number, data)
        peak = _memory("VmHWM") - before
        out.write(json.dumps({"outcome": outcome, "megabytes": peak}).encode() + b"\n")
        out.flush()


def prepare_one(number: int, data: bytes) -> str:
    """Prepare a file for one of the kinds of data: "prepared" or "refused"."""
    target = TARGETS[number % len(TARGETS)]
    preparation = PREPARATIONS[number // len(TARGETS) % len(PREPARATIONS)]
    found = list(read_batch([("file", data)], target, preparation))
    for one in found:
        if not isinstance(one, Refused) and (
            one.image.shape != target.image_shape or not np.isfinite(one.image).all()
        ):
            raise AssertionError(f"an image of {one.image.shape} or of values that are not finite")
    return "refused" if any(isinstance(one, Refused) for one in found) else "prepared"


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz, print and write; 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=COUNT, help="files (default: 20,000)")
    parser.add_argument("--start", type=int, default=0, help="number of the first file")
    parser.add_argument("--failures", type=Path, default=Path("fuzz-failures"))
    parser.add_argument("--name", default="fuzz", help="of the result's file")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    flags = parser.parse_args(arguments)
    if flags.worker:
        serve()
        return 0
    if not Path("/proc/self/clear_refs").exists():
        parser.error("the peak of memory is read from /proc, which this system has not: use Linux.")
    seeds = make_seeds()
    counts = dict.fromkeys(("prepared", "refused", "crash", "hang", "memory"), 0)
    slowest, most, failures = 0.0, 0.0, []
    worker, started = Worker(), time.monotonic()
    for number in range(flags.start, flags.start + flags.count):
        name, data = mutate(seeds, number)
        found = worker.prepare(number, data)
        outcome, megabytes = str(found["outcome"]), float(str(found["megabytes"]))
        if megabytes > MOST_MEGABYTES:
            outcome = "memory"
        counts[outcome] += 1
        slowest, most = max(slowest, float(str(found["seconds"]))), max(most, megabytes)
        if outcome in ("crash", "hang", "memory"):
            flags.failures.mkdir(exist_ok=True)
            digest = hashlib.sha256(data).hexdigest()[:12]
            path = flags.failures / f"{outcome}-{number}-{digest}.bin"
            path.write_bytes(data)
            failures.append({"seed": name, "number": number, "file": path.name, **found})
            print(f"{outcome}: {name}, number {number}: {found.get('said', '')}")
    worker.stop()
    rate = flags.count / (time.monotonic() - started)
    print_table(
        f"{flags.count:,} mutated files of {len(seeds)} seeds, from number {flags.start:,}",
        ("outcome", "files"),
        [[outcome, f"{count:,}"] for outcome, count in counts.items()],
    )
    print(f"\nslowest {slowest:.2f} s, most memory {most:.0f} MB above idle, {rate:.0f} files/s")
    save_result(
        flags.name,
        {
            "start": flags.start,
            "count": flags.count,
            "seeds": len(seeds),
            "outcomes": counts,
            "slowest_seconds": slowest,
            "most_megabytes": most,
            "failures": failures,
        },
    )
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())

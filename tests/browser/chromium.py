"""The Chromium that tests, benchmarks and screenshots drive: found, or installed.

python tests/browser/chromium.py             # print where it is
python tests/browser/chromium.py --install   # the same, installing one where there is none
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

COMMANDS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAC_APPS = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
WHERE = f"{', '.join(COMMANDS)} on the PATH, and playwright's own"
QUIET = (
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
)
TRY_SECONDS = 60
INSTALL_SECONDS = 600


class ChromiumError(RuntimeError):
    """There is no Chromium that works; the message says what was tried."""


def launch_options() -> dict[str, Any]:
    """What playwright's `chromium.launch` is given, here and in the benchmarks.

    Raises:
        ChromiumError: if there is no Chromium that works.
    """
    args = list(QUIET)
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        args.append("--no-sandbox")  # Chromium's sandbox refuses root
    return {"executable_path": str(find_chromium()), "headless": True, "args": args}


@cache
def find_chromium() -> Path:
    """A Chromium that starts: the system's, else playwright's own.

    Raises:
        ChromiumError: if there is none, saying what was tried.
    """
    tried = []
    for candidate in _candidates():
        trouble = _trouble_with(candidate)
        if trouble is None:
            return candidate
        tried.append(f"{candidate}: {trouble}")
    raise ChromiumError(
        "There is no Chromium that works. Run `python tests/browser/chromium.py --install`, or "
        "install the package chromium. Tried:\n"
        + "\n".join(f"  {line}" for line in [WHERE, *tried])
    )


def install_chromium() -> Path:
    """A Chromium that starts, installed if need be: playwright's own, else Debian's package.

    Raises:
        ChromiumError: if none can be had, saying what was tried.
    """
    try:
        return find_chromium()
    except ChromiumError as error:
        tried = [str(error)]
    for steps in (_playwright_steps(), _debian_steps()):
        for step in steps:
            sys.stderr.write(f"+ {' '.join(step)}\n")
            trouble = _run(step)
            if trouble is not None:
                tried.append(f"{' '.join(step)}: {trouble}")
                break
        else:
            try:
                return find_chromium()
            except ChromiumError as error:
                tried.append(str(error))
    raise ChromiumError(
        "Chromium could not be installed, and the browser tests cannot run without one.\n"
        + "\n".join(tried)
    )


def _candidates() -> Iterator[Path]:
    for command in COMMANDS:
        found = shutil.which(command)
        if found:
            yield Path(found)
    yield from (Path(app) for app in MAC_APPS if Path(app).exists())
    # Asked in a process of its own: playwright allows one driver a thread, and the caller may
    # have it.
    script = (
        "from playwright.sync_api import sync_playwright\n"
        "with sync_playwright() as playwright: print(playwright.chromium.executable_path)"
    )
    asked = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    if asked.returncode == 0 and Path(asked.stdout.strip()).exists():
        yield Path(asked.stdout.strip())


def _trouble_with(executable: Path) -> str | None:
    """Why this executable shows no page; None if it does.

    Some that are there do not start: Ubuntu's placeholder for its snap, or playwright's own on a
    system without the libraries it needs.
    """
    command = [str(executable), "--headless", "--no-sandbox", *QUIET, "--dump-dom", "about:blank"]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, timeout=TRY_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if shown.returncode == 0 and "<html>" in shown.stdout:
        return None
    lines = shown.stderr.strip().splitlines()
    return f"exit status {shown.returncode}, {lines[-1] if lines else 'without a word'}"


def _playwright_steps() -> list[list[str]]:
    return [[sys.executable, "-m", "playwright", "install", "chromium"]]


def _debian_steps() -> list[list[str]]:
    if shutil.which("apt-get") is None:
        return [["apt-get", "install", "chromium"]]  # fails, and so tells that it was tried
    apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]
    if os.geteuid() != 0:
        apt = ["sudo", "-n", *apt]
    return [[*apt, "update"], [*apt, "install", "-y", "--no-install-recommends", "chromium"]]


def _run(command: list[str]) -> str | None:
    """Run one step of an installation; what went wrong, or None."""
    try:
        status = subprocess.run(command, timeout=INSTALL_SECONDS, stdin=subprocess.DEVNULL)
    except OSError as error:
        return f"cannot be run ({error.strerror})"
    except subprocess.TimeoutExpired:
        return f"took over {INSTALL_SECONDS} seconds"
    return None if status.returncode == 0 else f"exit status {status.returncode}"


def main() -> int:
    """Print where Chromium is.

    Returns:
        The exit status: 0 if there is one.
    """
    parser = argparse.ArgumentParser(description="Find the Chromium that the browser tests drive.")
    parser.add_argument("--install", action="store_true", help="install one where there is none")
    flags = parser.parse_args()
    try:
        executable = install_chromium() if flags.install else find_chromium()
    except ChromiumError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{executable}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

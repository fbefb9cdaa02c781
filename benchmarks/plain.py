"""The plain Streamlit apps that the app is set beside."""

import shutil
from pathlib import Path

from tests.browser.server import APP


def write_app(folder: Path, source: str) -> Path:
    """Write a script with the app's own server settings beside it, so that they cost both alike.

    Returns:
        The script.
    """
    shutil.copytree(APP.parent / ".streamlit", folder / ".streamlit")
    script = folder / "plain.py"
    script.write_text(source, encoding="utf-8")
    return script

"""The texts that a browser component is made of."""

from importlib.resources import files

# What every component that draws the decoder's answers begins with.
LIVE_SCRIPTS = ("lab/link.js", "lab/pixels.js", "lab/percentiles.js")


def source(*paths: str) -> str:
    """Files below `explorer/ui`, one after the other.

    As text, since Streamlit refuses file paths outside an installed component; and as one text,
    since a component takes a single module.
    """
    folder = files("explorer.ui")
    return "\n".join(folder.joinpath(path).read_text(encoding="utf-8") for path in paths)

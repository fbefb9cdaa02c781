"""Words that come from files and users, on their way into Streamlit's Markdown."""

import re


def plain(text: str) -> str:
    """The text as it stands: what Markdown would read as formatting, links or maths is escaped.

    Names of files and folders come from anywhere; unescaped they could load a remote image.
    """
    return re.sub(r"([\\`*_\[\]<>$~#|])", r"\\\1", text)

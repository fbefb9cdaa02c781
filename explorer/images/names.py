"""Names of files that are no valid Unicode, written so that they can be read back."""

import os
import re
from pathlib import Path

_ESCAPED = re.compile(rb"\\x([0-9a-f]{2})")


def escape_name(name: str) -> str:
    r"""The name as text that any file can hold: a byte that is no UTF-8 is spelled out, \xe9."""
    try:
        return name.encode().decode()
    except UnicodeEncodeError:
        pass
    try:
        return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half a character that stands for no byte
        return name.encode("utf-8", "backslashreplace").decode()


def unescape_path(text: str) -> Path:
    """The path of an escaped name, if there is one; a path that is there as written goes before."""
    path = Path(text).expanduser()
    if "\\x" not in text or path.exists():
        return path
    content = os.fsencode(path)
    found = Path(os.fsdecode(_ESCAPED.sub(lambda one: bytes.fromhex(one[1].decode()), content)))
    # An IDX set is named by the beginning that its files share.
    return found if found.exists() or found.parent.is_dir() else path

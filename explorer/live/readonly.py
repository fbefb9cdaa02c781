"""Whether the app may write into checkpoint folders: a switch for a shared server."""

import os

from explorer.errors import CheckpointError

VARIABLE = "EXPLORER_READ_ONLY"
_OFF = ("", "0", "false", "no", "off")


def is_read_only() -> bool:
    """Whether EXPLORER_READ_ONLY is set to anything but 0, false, no or off."""
    return os.environ.get(VARIABLE, "").strip().lower() not in _OFF


def refusal(what: str) -> str:
    """Why something is not written here, and what to do instead.

    Args:
        what: what is refused, as the beginning of a sentence.
    """
    return (
        f"{what}: this server is read-only ({VARIABLE} is set); do it in an app of your own, or "
        "ask whoever runs this one."
    )


def check_writing(what: str) -> None:
    """See that this server may write into a checkpoint's folder.

    Args:
        what: as for `refusal`.

    Raises:
        CheckpointError: it is read-only.
    """
    if is_read_only():
        raise CheckpointError(refusal(what))

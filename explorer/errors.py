"""The errors that a user can cause, each told in one sentence.

A message says what is wrong (with the value), what is allowed and what to do next. Errors are
caught once, at the edge: the trainer's command line, a page of the app, the live route.
"""


class ExplorerError(Exception):
    """Base of every error that is the user's to mend; its text is shown to them as it is."""


class DataError(ExplorerError):
    """A data set, an image folder or an .npz file that cannot be used."""


class DataNotAtHandError(DataError):
    """A known data set that is not on this machine, when downloading was not allowed."""


class UploadError(ExplorerError):
    """One uploaded image that cannot be used."""


class ConfigError(ExplorerError):
    """A setting outside what is allowed."""


class CheckpointError(ExplorerError):
    """A checkpoint folder that is missing, incomplete, foreign or damaged."""


class LatentError(ExplorerError):
    """Codes that cannot be projected, placed or measured."""


class TrainingError(ExplorerError):
    """A training run that cannot start or go on."""


class ProtocolError(ExplorerError):
    """A message on the live route that breaks its protocol."""

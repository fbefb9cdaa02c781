"""Whether pictures are like the training data, worked out once each."""

import os
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import streamlit as st

from explorer.encode.familiarity import Familiarity, Verdict, explain_no_scores, open_familiarity
from explorer.errors import CheckpointError
from explorer.live.model import OpenedModel
from explorer.models.bound import join_bounds
from explorer.models.checkpoint import HELD_OUT
from explorer.ui.encoding.encoded import EncodedPicture

MOST_KEPT = 1000

_KEY = "explorer.verdicts"


def familiarity_of(model: OpenedModel) -> tuple[Familiarity | None, str]:
    """What the checkpoint's own held-out pictures cost.

    Returns:
        It, or None with a sentence that says why it is missing and how it is measured.
    """
    path = model.folder / HELD_OUT
    if not os.path.lexists(path):
        return None, explain_no_scores(model.folder.name, len(model.encodings.mean))
    # The scores may come, or come anew, while the model stays as it is.
    try:
        written = path.stat().st_mtime_ns
    except OSError:
        written = 0  # it cannot be read either, which then says why
    try:
        return _opened(model, str(model.folder), model.stamp, written), ""
    except CheckpointError as error:
        return None, str(error)


@st.cache_resource(max_entries=8, show_spinner=False)
def _opened(
    _model: OpenedModel, folder: str, stamp: tuple[tuple[int, int], ...], written: int
) -> Familiarity | None:
    return open_familiarity(_model.folder, _model.config, _model.encodings)


def verdicts_of(
    familiarity: Familiarity, model: OpenedModel, everyone: Sequence[EncodedPicture]
) -> list[Verdict]:
    """The answer for each of some pictures of the session; those that are new at once."""
    kept: OrderedDict[object, Verdict] = st.session_state.setdefault(_KEY, OrderedDict())
    # The scores themselves stand in the key: measured anew, they give other answers.
    keys = [(one.picture.state, model.folder, model.stamp, familiarity) for one in everyone]
    new = [(key, one) for key, one in zip(keys, everyone, strict=True) if key not in kept]
    if new:
        images = np.stack([one.image for _, one in new])
        bounds = join_bounds([one.bounds for _, one in new])
        found = familiarity.judge(model.codec, images, bounds)
        kept.update((key, verdict) for (key, _), verdict in zip(new, found, strict=True))
    verdicts = [kept[key] for key in keys]
    for key in keys:
        kept.move_to_end(key)
    while len(kept) > MOST_KEPT:
        kept.popitem(last=False)
    return verdicts

"""Whether pictures are like the training data, worked out once each."""

from collections import OrderedDict

import streamlit as st

from explorer.encode.familiarity import Familiarity, Verdict, open_familiarity
from explorer.live.model import OpenedModel
from explorer.models.checkpoint import HELD_OUT
from explorer.ui.encoding.encoded import EncodedPicture

MOST_KEPT = 1000

_KEY = "explorer.verdicts"


def familiarity_of(model: OpenedModel) -> Familiarity | None:
    """What the checkpoint's own held-out pictures cost; None where that was not measured.

    Raises:
        CheckpointError: if what was measured is damaged.
    """
    # The scores may come, or come anew, while the model stays as it is.
    try:
        written = (model.folder / HELD_OUT).stat().st_mtime_ns
    except OSError:
        return None
    return _opened(model, str(model.folder), model.stamp, written)


@st.cache_resource(max_entries=8, show_spinner=False)
def _opened(
    _model: OpenedModel, folder: str, stamp: tuple[tuple[int, int], ...], written: int
) -> Familiarity | None:
    return open_familiarity(_model.folder, _model.config, _model.encodings)


def verdict_of(familiarity: Familiarity, model: OpenedModel, encoded: EncodedPicture) -> Verdict:
    """The answer for one picture of the session."""
    kept: OrderedDict[object, Verdict] = st.session_state.setdefault(_KEY, OrderedDict())
    key = (encoded.picture.state, model.folder, model.stamp)
    if key not in kept:
        kept[key] = familiarity.judge(model.codec, encoded.image[None], encoded.bounds)[0]
        while len(kept) > MOST_KEPT:
            kept.popitem(last=False)
    return kept[key]

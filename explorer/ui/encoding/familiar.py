"""Whether pictures are like the training data, worked out once each."""

from collections import OrderedDict

import streamlit as st

from explorer.encode.familiarity import Familiarity, Verdict, open_familiarity
from explorer.live.model import OpenedModel
from explorer.ui.encoding.encoded import EncodedPicture

MOST_KEPT = 1000

_KEY = "explorer.verdicts"


def familiarity_of(model: OpenedModel) -> Familiarity | None:
    """What the checkpoint's own held-out pictures cost; None where that was not measured.

    Raises:
        CheckpointError: if what was measured is damaged.
    """
    return _opened(model, str(model.folder), model.stamp)


@st.cache_resource(max_entries=8, show_spinner=False)
def _opened(
    _model: OpenedModel, folder: str, stamp: tuple[tuple[int, int], ...]
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

"""What is the matter with a model, in one line on a page."""

from collections.abc import Sequence

import streamlit as st

from explorer.regularity.health import Fault, severe_fault
from explorer.ui.words import plain

KEY = "model-fault"


def show_faults(faults: Sequence[Fault], *, key: str = KEY) -> Fault | None:
    """The first fault and what to do about it; nothing where there is none.

    Args:
        faults: the model's.
        key: of the line; a page that shows two models has two.

    Returns:
        The fault beside which no word of praise holds, if there is one.
    """
    severe = severe_fault(faults)
    fault = severe or next(iter(faults), None)
    if fault is not None:
        with st.container(key=key):
            words = plain(f"{fault.sentence} {fault.advice}")
            if severe is None:
                st.caption(words)
            else:
                st.warning(words, icon=":material/warning:")
    return severe

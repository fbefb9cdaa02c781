"""What is the matter with a model, in one line on a page."""

import html
from collections.abc import Sequence

import streamlit as st

from explorer.regularity.health import Fault, severe_fault

STYLE = """<style>
.model-fault{margin:0;padding:.25rem .6rem;border-left:.25rem solid var(--fault);
font-size:.84rem;line-height:1.35;background:color-mix(in srgb,var(--fault) 10%,transparent)}
.model-fault[data-severe=true]{--fault:#d98a1f}
.model-fault[data-severe=false]{--fault:#8c8c8c}
</style>"""


def show_faults(faults: Sequence[Fault]) -> Fault | None:
    """The first fault and what to do about it; nothing where there is none.

    Args:
        faults: the model's.

    Returns:
        The fault beside which no word of praise holds, if there is one.
    """
    severe = severe_fault(faults)
    fault = severe or next(iter(faults), None)
    if fault is not None:
        words = html.escape(f"{fault.sentence} {fault.advice}")
        st.html(
            f'{STYLE}<p class="model-fault" role="note" data-fault="{fault.key}" '
            f'data-severe="{str(fault.severe).lower()}">{words}</p>'
        )
    return severe

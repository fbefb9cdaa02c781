"""Is the picture like the training data? The answer in one box, with what it rests on."""

import html

import streamlit as st

from explorer.encode.familiarity import Familiarity
from explorer.encode.verdicts import (
    EXPLANATION,
    FALSE_ALARMS,
    FAMILIAR,
    UNLIKE,
    UNUSUAL,
    Score,
    Verdict,
)
from explorer.ui.words import plain

KEY = "encode-verdict"
WORDS = {
    FAMILIAR: "Like the training data",
    UNUSUAL: "Unusual",
    UNLIKE: "Unlike the training data",
}
ANSWERS = {FAMILIAR: "familiar", UNUSUAL: "unusual", UNLIKE: "unlike the training data"}
COLOURS = {FAMILIAR: "#2e9d5b", UNUSUAL: "#d98a1f", UNLIKE: "#d0403a"}

STYLE = """<style>
.verdict-box{container-type:inline-size}
.verdict{display:grid;grid-template-columns:minmax(0,1fr) minmax(0,28rem);gap:.3rem 1.4rem;
align-items:center;font-size:.84rem;line-height:1.35}
.verdict p{margin:0;font-size:inherit}
.verdict b.word{display:inline-block;padding:0 .5rem;margin-right:.4rem;border-radius:.6rem;
color:#fff;font-weight:600}
.verdict ul{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:.1rem 1rem;margin:0;
padding:0;list-style:none;font-size:.76rem}
.verdict li{display:grid;grid-template-columns:minmax(0,1fr) 3.4rem 2.1rem;gap:.4rem;margin:0;
align-items:center;font-size:inherit;font-variant-numeric:tabular-nums}
.verdict li span{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.verdict li span:last-child{text-align:right}
.verdict li i{position:relative;display:block;height:.45rem;border-radius:.25rem;
background:color-mix(in srgb,currentColor 14%,transparent)}
.verdict li i::after{content:"";position:absolute;left:var(--at);top:-.12rem;width:.3rem;
height:.7rem;margin-left:-.15rem;border-radius:.15rem;background:currentColor}
.verdict li[data-odd=true] i::after{background:#d0403a}
.verdict li[data-odd=true] span:last-child{font-weight:700}
@container(max-width:40rem){.verdict{grid-template-columns:minmax(0,1fr)}}
@container(max-width:24rem){.verdict ul{grid-template-columns:minmax(0,1fr)}}
</style>"""


def show_verdict(verdict: Verdict, familiarity: Familiarity) -> None:
    """The word, the sentence and where each score stands among held-out images."""
    with st.container(border=True, key=KEY):
        row = st.container(horizontal=True, vertical_alignment="center", gap="small")
        scores = "".join(score_row(score) for score in verdict.scores)
        trap = f" {html.escape(verdict.trap)}" if verdict.trap else ""
        row.html(
            f'{STYLE}<div class="verdict-box"><div class="verdict" data-word="{verdict.word}"><p>'
            f'<b class="word" style="background:{COLOURS[verdict.word]}">{WORDS[verdict.word]}</b>'
            f"{html.escape(verdict.sentence)}{trap}</p>"
            f'<ul aria-label="Percentiles among held-out images">{scores}</ul></div></div>'
        )
        with row.popover("Why?", key="encode-why", width="content"):
            st.markdown("**Is it like the training data?**")
            st.table(
                {
                    "Score": [one.title for one in verdict.scores],
                    "Here": [amount(one) for one in verdict.scores],
                    "Percentile": [f"{one.percentile:.1f}" for one in verdict.scores],
                    "As odd or odder": [f"{one.p_value:.1%}" for one in verdict.scores],
                    "What it is": [one.meaning for one in verdict.scores],
                },
                border="horizontal",
            )
            st.caption(
                f"Among {familiarity.n:,} held-out images. All scores together: "
                f"{verdict.p_value:.1%} of them are as odd or odder."
            )
            st.markdown(EXPLANATION)


def score_row(score: Score) -> str:
    """One score as a mark on the scale of percentiles."""
    title = html.escape(f"{score.title}: {amount(score)}. {score.meaning}", quote=True)
    return (
        f'<li title="{title}" data-odd="{str(score.p_value <= FALSE_ALARMS).lower()}">'
        f"<span>{html.escape(score.title.split(' to ')[0])}</span>"
        f'<i style="--at:{score.percentile:.1f}%"></i><span>{score.percentile:.0f} %</span></li>'
    )


def amount(score: Score) -> str:
    """A score's value with its unit."""
    return (
        f"{score.value:,.3g} {score.unit}".strip()
        if abs(score.value) < 1000
        else (f"{score.value:,.0f} {score.unit}".strip())
    )


def show_unmeasured(why: str) -> None:
    """Why there is no answer, and how there will be one."""
    st.caption(plain(f"Whether the picture is like the training data is not known: {why}"))

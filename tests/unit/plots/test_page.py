import re

import numpy as np
import plotly.graph_objects as go

from explorer.plots.page import Chart, Heading, Html, Sheet, Side, Words, write_page

SHEET = Sheet(np.zeros((4, 6, 3), np.uint8), "Six <b> & seven")


def chart():
    return Chart(go.Figure(go.Scatter(x=[0, 1], y=[1, 0], name="</script><script>alert(1)")))


def test_plotly_is_in_the_page_once_however_many_figures_there_are():
    html = write_page("Two", [chart(), Side([[chart()], [Words("between")]])])
    assert html.count("<script>/**") == 1
    assert html.count("Plotly.newPlot(") == 2
    assert len(html) < 8_000_000


def test_a_page_without_figures_has_no_plotly():
    assert len(write_page("None", [Heading("A"), SHEET, Side([[SHEET], [SHEET]])])) < 5000


def test_nothing_is_fetched_from_anywhere():
    html = write_page("Alone", [SHEET])
    assert not re.findall(r'(?:src|href)="(?!data:)', html)
    assert "default-src 'none'" in html


def test_words_are_escaped_and_html_is_left_as_it_is():
    html = write_page(
        "<i>", [Heading("<u>"), Words("<s>", "small"), SHEET, Html("<em>as it is</em>")]
    )
    for sign in ("<i>", "<u>", "<s>", "<b>"):
        assert sign not in html
    assert "Six &lt;b&gt; &amp; seven" in html
    assert "<em>as it is</em>" in html


def test_a_figure_cannot_end_its_script():
    assert "</script><script>alert(1)" not in write_page("Safe", [chart()])

"""Figures that have their picture with them."""

import re
from datetime import datetime

import numpy as np
import plotly.graph_objects as go
import plotly.io as pio
import pytest
from plotly.subplots import make_subplots

from roleml_nb.pictures.axes import Axis
from roleml_nb.pictures.figure import PLOTLY, Figure
from roleml_nb.pictures.svg import plain_text
from roleml_nb.topologies.topology import topology
from roleml_nb.trace import Trace
from roleml_nb.workload import digits, draw_partition


@pytest.fixture(autouse=True)
def notebook(monkeypatch):
    """Have Plotly believe that a notebook shows its figures."""
    monkeypatch.setattr(pio.renderers, "default", "plotly_mimetype")


def texts(figure):
    return re.findall(r">([^<>]+)</text>", figure.picture().svg)


def trace():
    made = Trace(100.0, lambda: None)
    row = (1, "service", "a/x", "b/y", "ask", 1_000_000, "direct", 101.0, 101.5, "delivered", "")
    rows = [
        (100.0 + step, node, "r", "done", "loss", 1 / step, step)
        for node in ("a", "b")
        for step in (1, 2, 3)
    ]
    made.add([row], rows)
    return made


def test_lines_have_their_points_where_the_axes_say():
    figure = Figure(go.Scatter(x=[0, 10], y=[0, 4], line={"color": "#123456"}))
    figure.update_layout(width=500, height=300, title="a line<br><sup>and more</sup>").update_xaxes(
        title="round"
    )
    svg = figure.picture().svg
    (x0, y0, x1, y1), *_ = re.findall(
        r'd="M([\d.]+),([\d.]+) ([\d.]+),([\d.]+)" fill="none" stroke="#123456"', svg
    )
    assert (float(x0), float(x1)) == (62.0, 480.0) and float(y0) - float(y1) == pytest.approx(
        182 * 4 / 4.4, abs=0.2
    )
    assert texts(figure) == [
        "a line",
        "and more",
        "0",
        "1",
        "2",
        "3",
        "4",
        "0",
        "2",
        "4",
        "6",
        "8",
        "10",
        "round",
    ]


def test_our_own_figures_are_drawn():
    own = trace()
    curves = own.metrics.plot("loss")
    assert {"a/r", "b/r", "loss", "loss over time"} <= set(texts(curves))
    heat = own.messages.plot("bytes")
    assert {"MB", "from", "to", "a", "b", "1"} <= set(texts(heat))
    shares = draw_partition([digits(part, 2) for part in range(2)], names=["one", "two"])
    assert {"one", "two", "samples", "node", *map(str, range(10))} <= set(texts(shares))
    # the ground, two bars of ten classes, and the legend
    assert shares.picture().svg.count("<rect") == 1 + 20 + 10
    graph = topology("ring", 5).report().draw()
    assert {f"node{number}" for number in range(1, 6)} <= set(
        texts(graph)
    ) and graph.picture().svg.count("<circle") == 5


def test_panels_bars_bands_and_what_is_no_number_are_drawn():
    figure = make_subplots(rows=1, cols=2, subplot_titles=["left", "right"], figure=Figure())
    figure.add_scatter(x=[1, 2], y=[2, 3], line={"width": 0}, showlegend=False, row=1, col=1)
    figure.add_scatter(
        x=[1, 2],
        y=[1, 2],
        fill="tonexty",
        fillcolor="rgba(1,2,3,0.5)",
        line={"width": 0},
        row=1,
        col=1,
    )
    figure.add_scatter(
        x=[1, 2, 3, 4],
        y=[1.0, np.nan, np.inf, 2.0],
        name="gaps",
        line={"color": "red"},
        row=1,
        col=1,
    )
    figure.add_bar(
        x=["p", "q"], y=[3, -1], name="bars", marker_color=["#111111", "#222222"], row=1, col=2
    )
    figure.add_hline(2, line={"dash": "dot"}, row=1, col=1)
    figure.add_scatter(x=[1], y=[1], visible="legendonly", name="hidden")
    svg = figure.picture().svg
    assert (
        'fill="rgba(1,2,3,0.5)"' in svg
        and svg.count('stroke="red"') == 2
        and 'stroke-dasharray="2 3"' in svg
    )
    assert 'fill="#111111"' in svg and 'fill="#222222"' in svg and "hidden" not in svg
    assert {"left", "right", "gaps", "bars", "p", "q"} <= set(texts(figure)) and "nan" not in svg


def test_a_figure_displays_as_plotly_does_with_its_picture_beside():
    figure = trace().metrics.plot("loss")
    bundle = figure._repr_mimebundle_()
    assert (
        set(bundle) == {PLOTLY, "image/png", "text/plain"}
        and bundle["text/plain"] == "<Figure: loss over time>"
    )
    assert (
        bundle["image/png"].startswith(b"\x89PNG")
        and bundle[PLOTLY]["layout"]["title"]["text"] == "loss over time"
    )
    assert isinstance(figure.update_layout(height=300), Figure)


@pytest.mark.parametrize(
    "odd",
    [
        go.Pie(values=[1, 2]),
        go.Scatter(x=[datetime(2026, 1, 1)], y=[1]),
        go.Surface(z=[[1, 2], [3, 4]]),
    ],
)
def test_what_only_plotly_draws_has_no_picture(odd):
    figure = Figure(odd)
    assert figure.picture() is None and set(figure._repr_mimebundle_()) == {PLOTLY}


def test_axes_place_numbers_names_and_powers():
    line = Axis("linear", [[0, 10]], 0.0, 100.0)
    assert (
        line.at([5, None, 20]).tolist()[0] == 50.0
        and np.isnan(line.at([None])[0])
        and line.at([20])[0] == 100.0
    )
    powers = Axis("log", [[0.01, 100.0, 0.0]], 0.0, 40.0)
    assert powers.at([1.0]).tolist() == [20.0] and [label for _, label in powers.labels()] == [
        "0.01",
        "0.1",
        "1",
        "10",
        "100",
    ]
    names = Axis("category", [["b", "a"], ["a"]], 0.0, 40.0, reversed=True)
    assert names.labels() == [(30.0, "b"), (10.0, "a")] and names.step == 20.0
    assert (
        Axis("linear", [[]], 0.0, 1.0).labels()
        and plain_text("one<br><sup>two</sup>") == "one\ntwo"
    )

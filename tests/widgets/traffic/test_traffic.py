"""What the view of traffic tells a page: exact totals, messages as columns, and what it leaves
behind.
"""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from roleml_nb.trace import Trace
from roleml_nb.trace.flows import Flows
from roleml_nb.widgets.base.graph_layout import places
from roleml_nb.widgets.traffic import picture
from roleml_nb.widgets.traffic.columns import TYPES, columns
from roleml_nb.widgets.traffic.sample import thinned
from roleml_nb.widgets.traffic.traffic import Traffic


def message(call, kind, source, target, size, sent, outcome="delivered"):
    return (call, kind, source, target, "ask", size, "direct", sent, sent + 0.25, outcome, "")


def pairs(count):
    """Calls of a to b, and their replies."""
    return [
        row
        for call in range(1, count + 1)
        for row in (
            message(call, "service", "a/x", "b/y", 10, 100.0 + call),
            message(call, "reply", "b/y", "a/x", 30, 100.5 + call),
        )
    ]


@pytest.fixture
def view():
    trace = Trace(100.0, lambda: None)
    shown = Traffic(trace)
    shown.trace = trace
    yield shown
    shown.close()


def taken(flows, rows):
    return columns(flows.encode(list(zip(*rows, strict=True))), 100.0)


def test_flows_are_counted_exactly():
    flows = Flows()
    found = taken(flows, pairs(2))
    assert list(flows.keys) == [("a/x", "b/y", "ask", "service"), ("b/y", "a/x", "ask", "reply")]
    assert flows.totals.tolist() == [[2, 2], [20, 60], [0.5, 0.5], [0, 0]]
    assert found.sent.tolist() == [1.0, 1.5, 2.0, 2.5] and found.call.tolist() == [1, 1, 2, 2]
    before = flows.batch
    taken(flows, [message(0, "event", "a/x", "c/z", 5, 103.0, "lost: gone")])
    assert flows.changes(before).tolist() == [2] and flows.totals[:, 2].tolist() == [1, 5, 0.25, 1]
    assert flows.changes(0).tolist() == [0, 1, 2] and flows.changes(flows.batch).tolist() == []


def test_messages_come_in_the_order_in_which_they_were_sent():
    assert taken(Flows(), pairs(3)[::-1]).sent.tolist() == [1.0, 1.5, 2.0, 2.5, 3.0, 3.5]


def test_totals_grow_with_the_flows():
    flows = Flows()
    taken(flows, [message(1, "service", f"n{one}/x", "b/y", one, 1.0) for one in range(500)])
    assert flows.totals.shape == (4, 500) and flows.totals[1].sum() == sum(range(500))


def test_a_call_and_its_reply_are_thinned_together():
    found = taken(Flows(), pairs(3000))
    some = thinned(found, 10)
    assert 200 < some.rows < 1500
    calls, counts = np.unique(some.call, return_counts=True)
    assert set(counts) == {2} and len(calls) * 2 == some.rows
    assert thinned(found, 1) is found


def test_of_many_messages_some_are_told_and_all_are_counted(view, monkeypatch):
    told = []
    monkeypatch.setattr(
        view,
        "send_message",
        lambda kind, content, buffers=(): told.append((kind, content, buffers)),
    )
    monkeypatch.setattr("roleml_nb.widgets.traffic.sample.MAX_MESSAGES_PER_S", 100)
    monkeypatch.setattr("roleml_nb.widgets.traffic.sample.MAX_PAGE_MESSAGES", 100)
    view.on_tick()
    view.trace.add(pairs(5000), [])
    view.on_tick()
    ((kind, content, buffers),) = told
    assert kind == "batch" and content["every"] > 1 and len(buffers[0]) < 200
    assert content["flows"] == [("a/x", "b/y", "ask", "service"), ("b/y", "a/x", "ask", "reply")]
    assert buffers[-1].tolist() == [[5000, 50000, 1250, 0], [5000, 150000, 1250, 0]]
    view.on_tick()
    assert len(told) == 1, "nothing is new, so nothing is told"
    view.handle_catch_up("page")
    kind, content, buffers = told[-1]
    assert (
        kind == "past"
        and content["view"] == "page"
        and buffers[-1].tolist() == told[0][2][-1].tolist()
    )


def test_a_burst_is_told_whole(view, monkeypatch):
    told = []
    monkeypatch.setattr(
        view,
        "send_message",
        lambda kind, content, buffers=(): told.append((content["every"], len(buffers[0]))),
    )
    view.on_tick()
    view.trace.add(pairs(2000), [])
    view.on_tick()  # at once, with less time than 4,000 messages have at 5,000 a second
    assert told == [(1, 4000)]


def test_pages_are_told_what_a_picture_takes_in(view, monkeypatch):
    told = []
    monkeypatch.setattr(
        view, "send_message", lambda kind, content, buffers=(): told.append(len(buffers[0]))
    )
    view.trace.add(pairs(20), [])
    view.picture()
    view.on_tick()
    assert told == [40]


def test_pictures_are_the_same_for_the_same_trace(view):
    view.trace.add(pairs(20), [])
    first = {tab: view.picture(tab) for tab in ("graph", "space-time", "matrix")}
    assert repr(view) == "<Traffic: 40 messages, 0.0008 MB, 2 nodes>"
    other = Traffic(view.trace)
    try:
        for tab, picture in first.items():
            assert other.picture(tab).svg == picture.svg
            assert picture.png()[:4] == b"\x89PNG"
    finally:
        other.close()
    assert "nothing was aggregated yet" in view.picture("aggregation").svg
    assert "ask service" in first["matrix"].svg and ">b<" in first["graph"].svg
    with pytest.raises(ValueError, match="traffic has no tab 'matrx'; did you mean 'matrix'"):
        view.picture("matrx")


def test_a_page_of_5000_messages_is_smaller_than_a_megabyte(view, tmp_path):
    view.trace.add(pairs(2500), [])
    view.to_html(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert len(text) < 1_000_000
    state = json.loads(re.search(r'id="state">(.*?)</script>', text).group(1))
    assert (
        state["_past"]["content"]["every"] == 1 and len(state["_past"]["buffers"]) == len(TYPES) + 2
    )


@pytest.mark.parametrize(
    "edges, middle",
    [
        ([("s", one) for one in "abcdef"], ["s"]),
        ([("a", "b"), ("b", "c"), ("c", "d"), ("d", "e"), ("e", "f"), ("f", "s"), ("s", "a")], []),
        ([("a", "b"), ("a", "c"), ("b", "d"), ("b", "e"), ("c", "f"), ("c", "s")], []),
    ],
)
def test_every_node_has_a_place_of_its_own(edges, middle):
    placed = places(list("abcdefs"), edges)
    assert (
        set(placed) == set("abcdefs")
        and len({(round(x, 3), round(y, 3)) for x, y in placed.values()}) == 7
    )
    assert all(-1e-9 <= x <= 1 + 1e-9 and -1e-9 <= y <= 1 + 1e-9 for x, y in placed.values())
    assert [node for node, at in placed.items() if at == (0.5, 0.5)] == middle
    assert placed == places(list("abcdefs"), edges)


def test_a_ring_is_drawn_as_one():
    placed = places(["a", "b", "c", "d"], [("a", "c"), ("c", "b"), ("b", "d"), ("d", "a")])
    order = sorted(
        placed,
        key=lambda node: np.arctan2(placed[node][0] - 0.5, 0.5 - placed[node][1]) % (2 * np.pi),
    )
    neighbours = {frozenset(pair) for pair in zip(order, order[1:] + order[:1], strict=True)}
    assert neighbours == {frozenset(pair) for pair in ("ac", "cb", "bd", "da")}


def test_the_traffic_of_a_testbed_ends_with_it(own_bed):
    view = own_bed.traffic()
    own_bed.spawn("left", "right")
    own_bed.relate("left", "other", "right/actor")
    own_bed.stop()
    assert view._stopped and view._flows.totals[0].sum() > 0
    assert repr(view).startswith("<Traffic: ") and view._places.keys() == {"left", "right"}


def test_before_any_message_the_picture_has_who_knows_whom(view):
    known = {"a": ["b"], "b": ["a", "b"], "c": ["a"]}
    deployed = Traffic(view.trace, deployed=lambda: known)
    try:
        assert deployed.picture().svg.count("stroke-dasharray") == 2 and deployed._links == [
            ("a", "b"),
            ("a", "c"),
        ]
        view.trace.add(pairs(1), [])
        assert deployed.picture().svg.count("stroke-dasharray") == 1, (
            "a and b have talked: a line in each direction takes its place"
        )
        del known["c"]
        deployed.picture()
        assert deployed._links == [("a", "b")]
    finally:
        deployed.close()


def contribution(node, step, **told):
    return [
        (100.0 + step, node, "aggregator", "contributions", f"{name}.{source}", float(value), step)
        for name, sources in told.items()
        for source, value in sources.items()
    ]


def test_contributions_are_told_and_drawn(view, monkeypatch):
    told = []
    monkeypatch.setattr(
        view, "send_message", lambda kind, content, buffers=(): told.append(content)
    )
    view.trace.add(
        [],
        contribution(
            "server", 1, weight={"a/x": 0.75, "b/x": 0.25}, stale={"b/x": 2}, late={"c/x": 1}
        ),
    )
    view.trace.record("all", "consensus_distance", 0.5)
    view.on_tick()
    assert told[0]["parts"] == [
        (1.0, "server/aggregator", 1, "a/x", 0.75, None, "arrived"),
        (1.0, "server/aggregator", 1, "b/x", 0.25, 2.0, "stale"),
        (1.0, "server/aggregator", 1, "c/x", None, None, "late"),
    ]
    assert [value for _, value in told[0]["distances"]] == [0.5]
    assert "contributions to rounds 1 to 1" in view.picture("aggregation").svg
    view.trace.add([], contribution("peer", 1, weight={"a/x": 1.0}, age={"a/x": 3}))
    assert "how often a model" in view.picture("aggregation").svg
    view.on_tick()
    assert (
        told[1]["parts"] == [(1.0, "peer/aggregator", 1, "a/x", 1.0, 3.0, "arrived")]
        and told[1]["distances"] == []
    )


def test_each_tab_has_a_picture_of_the_same_name():
    scripts = Path(picture.__file__).with_name("tabs").glob("*.js")
    names = re.findall(
        r'return \{\s*name: "([^"]+)"', "".join(path.read_text() for path in scripts)
    )
    assert sorted(names) == sorted(picture.TABS)

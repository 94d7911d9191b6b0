"""The tables of a trace, from notes as hosts ship them."""

import pytest

from roleml_nb import RoleMLError
from roleml_nb.trace import Trace


@pytest.fixture
def trace():
    trace = Trace(100.0, lambda: None)
    notes = [
        (1, "service", "a/x", "b/y", "ask", 10, "direct", 101.0, 101.5, "delivered", ""),
        (1, "reply", "b/y", "a/x", "ask", 30, "direct", 101.5, 101.75, "delivered", ""),
        (2, "service", "a/actor", "b/actor", "steer", 99, "direct", 100.5, 100.6, "delivered", ""),
        (3, "event", "a/x", "c10/y", "said", 5, "none", 102.0, 102.0, "lost: gone", ""),
    ]
    trace.add(
        notes,
        [
            (101.0, f"n{node}", "r", "done", "loss", float(step * node), step)
            for node in range(1, 6)
            for step in (1, 2)
        ],
    )
    return trace


def test_messages_by_time(trace):
    table = trace.messages.to_pandas()
    assert list(table.time) == [0.5, 1.0, 1.5, 2.0]
    assert table.latency_ms[1] == 500 and table.source_node[1] == "a"
    assert list(table.outcome)[-1] == "lost: gone"


def test_the_matrix_counts_what_roles_sent_each_other(trace):
    matrix = trace.messages.matrix()
    assert list(matrix.columns) == ["a", "b", "c10"]
    assert matrix.loc["a", "b"] == 10 and matrix.loc["b", "a"] == 30 and matrix.loc["a", "c10"] == 5
    assert trace.messages.matrix("messages").to_numpy().sum() == 3
    with pytest.raises(ValueError, match="'bytes' or 'messages'"):
        trace.messages.matrix("sizes")


def test_a_heat_map_names_each_of_many_nodes(trace):
    few = trace.messages.plot()
    trace.add(
        [
            (4, "event", "a/x", f"d{number}/y", "said", 5, "direct", 103.0, 103.1, "delivered", "")
            for number in range(28)
        ],
        [],
    )
    many = trace.messages.plot()
    assert (few.layout.xaxis.dtick, few.layout.height) == (None, 520)
    assert (
        many.layout.xaxis.dtick == many.layout.yaxis.dtick == 1
        and many.layout.height == 200 + 15 * 31
    )


def test_many_lines_become_mean_and_range(trace):
    figure = trace.metrics.plot("loss")
    mean = figure.data[-1]
    assert mean.name == "mean (mean and range of 5 nodes)" and list(mean.y) == [3.0, 6.0]
    assert len(trace.metrics.plot("loss", nodes="n1").data) == 1


def test_an_unknown_metric_is_refused_with_the_nearest(trace):
    with pytest.raises(ValueError, match="no role emitted 'los'; did you mean 'loss'"):
        trace.metrics.plot("los")


def test_totals(trace):
    totals = trace.messages.totals().set_index(["kind", "channel"])
    assert totals.loc[("service", "ask"), "bytes"] == 10


def test_a_plot_of_nothing_is_refused(trace):
    with pytest.raises(ValueError, match="no 'loss' on channel 'dnoe'; did you mean 'done'"):
        trace.metrics.plot("loss", channel="dnoe")
    with pytest.raises(ValueError, match="no 'loss' from nodes 'm1'; did you mean"):
        trace.metrics.plot("loss", nodes="m1")


def test_a_number_is_recorded_by_the_clock_that_the_trace_was_begun_with():
    # whatever the system clock says meanwhile
    trace = Trace(100.0, lambda: None, now=lambda: 107.5)
    trace.record("server", "distance", 0.25)
    assert trace.metrics.to_pandas()[["time", "value"]].values.tolist() == [[7.5, 0.25]]


def test_the_former_name_of_recording_a_number_warns():
    trace = Trace(100.0, lambda: None, now=lambda: 107.5)
    with pytest.warns(DeprecationWarning, match=r"^roleml_nb: .* Trace.record now") as caught:
        trace.note("server", "distance", 0.25)
    assert caught[0].filename == __file__
    assert trace.metrics.to_pandas()[["node", "value"]].values.tolist() == [["server", 0.25]]


def test_tables_asked_for_nobody_are_empty_and_wrong_arguments_are_named(trace):
    assert len(trace.messages.between_nodes("nobody*")) == 0
    assert len(trace.messages.between_nodes("a")) == 0
    assert len(trace.messages.between_nodes(["a", "b"])) == 2
    with pytest.raises(
        RoleMLError, match=r"^Messages.last: count must be a whole number, got 'all'"
    ):
        trace.messages.last("all")
    with pytest.raises(RoleMLError, match=r"^Messages.matrix: nodes must be .*, got 3"):
        trace.messages.matrix(nodes=3)
    with pytest.raises(
        RoleMLError, match=r"^record takes a node's name, a metric's name and a number"
    ):
        trace.record("a", "loss", "low")

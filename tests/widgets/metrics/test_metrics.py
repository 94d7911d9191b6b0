"""Curves of a growing trace, their figure, their picture, and the bar of runs."""

import numpy as np
import pytest

from roleml_nb import Role, Task, Testbed
from roleml_nb.library.pausing import Pausable
from roleml_nb.role import Event
from roleml_nb.trace import Trace
from roleml_nb.widgets.metrics.chart import chart
from roleml_nb.widgets.metrics.curve import MAX_POINTS, decimated
from roleml_nb.widgets.metrics.curves import Curves
from roleml_nb.widgets.metrics.metrics import Metrics
from roleml_nb.widgets.notifications.run_bar import RunBar


def emitted(node, channel, values, metric="loss"):
    return [
        (100.0 + step, node, "trainer", channel, metric, float(value), step)
        for step, value in enumerate(values, 1)
    ]


@pytest.fixture
def trace():
    return Trace(100.0, lambda: None)


def test_few_points_keep_the_peaks():
    y = np.zeros(100_000)
    y[[1234, 77_777]] = 5.0, -3.0
    x, few = decimated(np.arange(100_000.0), y)
    assert (
        len(x) <= MAX_POINTS + 2
        and few.max() == 5.0
        and few.min() == -3.0
        and x[0] == 0
        and x[-1] == 99_999
    )
    assert decimated(x, few, 1000)[0] is x


def test_a_curve_grows_and_several_become_a_mean_with_a_range(trace):
    curves = Curves(trace)
    assert not curves.read() and curves.curves("loss") == []
    trace.add([], emitted("n1", "epoch-completed", [4, 2]))
    assert curves.read() and not curves.read()
    (line,) = curves.curves("loss")
    assert (
        line.name == "n1/trainer"
        and line.x.tolist() == [1, 2]
        and line.y.tolist() == [4, 2]
        and line.low is None
    )
    trace.add([], emitted("n2", "epoch-completed", [2]))
    curves.read()
    (mean,) = curves.curves("loss")
    assert (
        mean.name == "epoch: mean of 2"
        and mean.y.tolist() == [3, 2]
        and mean.low.tolist() == [2, 2]
    )
    assert mean.high.tolist() == [4, 2] and [each.name for each in curves.each("loss")] == [
        "n1/trainer",
        "n2/trainer",
    ]


def test_what_is_emitted_once_per_round_comes_first(trace):
    trace.add(
        [],
        [
            *emitted("n1", "epoch-completed", [1]),
            *emitted("s", "round-completed", [9]),
            *emitted("s", "round-completed", [1], "round"),
        ],
    )
    curves = Curves(trace)
    curves.read()
    assert curves.channels("loss") == ["round-completed"]
    assert curves.curves("rounds")[0].y.tolist() == [1]


def test_bytes_are_summed_up_without_what_steers_the_testbed(trace):
    row = (1, "service", "a/x", "b/y", "ask", 1_000_000, "direct", 101.0, 101.5, "delivered", "")
    trace.add(
        [row, (*row[:7], 103.0, 103.1, "delivered", ""), (1, "service", "a/actor", *row[3:])], []
    )
    curves = Curves(trace)
    curves.read()
    (sent,) = curves.curves("bytes")
    assert sent.y.tolist() == [0, 1, 2] and sent.x[-1] == pytest.approx(3.1)


def test_a_chart_is_the_same_for_the_same_curves(trace):
    trace.add(
        [], emitted("n1", "epoch-completed", [4, 2]) + emitted("n2", "epoch-completed", [2, 1])
    )
    curves = Curves(trace)
    curves.read()
    panels = {"loss": ("round", curves.curves("loss")), "accuracy": ("round", [])}
    svg = chart(panels, "title")
    assert svg == chart(panels, "title") and "mean of 2" in svg and "nothing yet" in svg


class Rounds(Pausable):
    round_completed = Event()

    @Task(expand=True)
    def run(self, caller, num_rounds):
        for number in range(1, num_rounds + 1):
            self.before_round()
            self.round_completed.emit(args={"round": number, "loss": 1 / number})
        return num_rounds


class Plain(Role):
    @Task(expand=True)
    def run(self, caller):
        return 1


@pytest.fixture(scope="module")
def rounds():
    bed = Testbed(engines=0)
    bed.spawn("metrics-node")
    bed.assign("metrics-node", "rounds", Rounds)
    bed.assign("metrics-node", "plain", Plain)
    yield bed
    bed.stop()


def test_the_figure_and_the_bar_follow_a_run(rounds):
    view = Metrics(rounds, "loss rounds", nodes="metrics-node")
    try:
        assert rounds.run("metrics-node/rounds", "run", {"num_rounds": 5}).result(30) == 5
        picture = view.picture()
        assert [trace.name for trace in view.figure.data] == [
            "loss: metrics-node/rounds",
            "rounds: metrics-node/rounds",
        ]
        assert list(view.figure.data[0].y) == [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5]
        assert "metrics-node/rounds" in picture.svg and repr(view) == "<Metrics: loss, rounds>"
        bundle, _ = view._repr_mimebundle_()
        assert (
            bundle["image/png"] == picture.png(2)
            and "application/vnd.jupyter.widget-view+json" in bundle
        )
        view.bar.on_tick()
        assert repr(view.bar) == "<RunBar: metrics-node/rounds.run, done, round 5 of 5>"
        assert "round 5 of 5" in view.bar.svg()
    finally:
        view.stop()


def test_the_figure_shows_mean_range_and_each_of_several_roles(rounds):
    rounds.spawn("metrics-other{1,2}")
    rounds.assign("metrics-other*", "rounds", Rounds)
    rounds.call("metrics-other*/rounds", "run", {"num_rounds": 2})
    view = Metrics(rounds, "loss bytes", nodes="metrics-other*", against="time")
    try:
        rounds.trace.refresh()
        view.refresh()
        traces = {trace.name: trace for trace in view.figure.data if trace.name}
        assert list(traces) == ["loss: round: mean of 2", "loss: each"]
        assert traces["loss: each"].visible == "legendonly" and len(traces["loss: each"].x) == 6
        assert list(traces["loss: round: mean of 2"].y)[-1] == 0.5
        assert [trace.fill for trace in view.figure.data] == ["toself", None, None]
    finally:
        view.stop()


def test_the_bar_pauses_steps_and_goes_on(rounds):
    bar = RunBar(rounds)
    try:
        rounds.call("metrics-node/rounds", "pause")
        run = rounds.run("metrics-node/rounds", "run", {"num_rounds": 2})
        bar.on_tick()
        assert bar._run["pausable"] and bar._run["state"] == "running"
        assert bar.handle_step() == "step: metrics-node/rounds" and bar._run["paused"]
        assert bar.handle_resume() == "resume: metrics-node/rounds" and not bar._run["paused"]
        assert run.result(30) == 2
        assert bar.handle_pause() == "pause: no run is under way"
        rounds.run("metrics-node/plain", "run").result(30)
        bar.on_tick()
        assert not bar._run["pausable"]
    finally:
        bar.close()


def test_arguments_that_are_not_allowed_are_refused(rounds):
    with pytest.raises(ValueError, match="against must be 'round' or 'time', got 'bytes'"):
        Metrics(rounds, against="bytes")
    with pytest.raises(
        ValueError, match="show names no panel; known: loss, accuracy, rounds, bytes and any metric"
    ):
        Metrics(rounds, "")

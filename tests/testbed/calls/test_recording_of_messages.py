"""What only notes loses nothing and breaks nothing: whatever is emitted, logged or printed, at
once, later and elsewhere."""

import json
import math
import os
import re
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch

from roleml_nb import Event, Recording, Role, Service, compare
from roleml_nb.host.host import Host
from roleml_nb.trace import Trace
from roleml_nb.trace.readings import as_number, readings
from roleml_nb.widgets.metrics.chart import chart
from roleml_nb.widgets.metrics.curves import Curves
from roleml_nb.widgets.traffic.aggregation_picture import aggregation
from roleml_nb.widgets.traffic.traffic import Traffic

NAN, INF = math.nan, math.inf


class Failing(Mapping):
    """A mapping whose items cannot be read."""

    def __getitem__(self, key):
        raise RuntimeError("no items")

    def __iter__(self):
        raise RuntimeError("no keys")

    def __len__(self):
        return 1


class Untold:
    """A name that cannot be told."""

    def __str__(self):
        raise RuntimeError("no text")


class Emitter(Role):
    said = Event()
    round_completed = Event()
    contributions = Event()

    @Service(expand=True)
    def per_class(self, caller):
        self.said.emit({0: 0.9, 1: 0.8, "mean": 0.85, (1, "x"): 1, None: 2.0})

    @Service(expand=True)
    def every_kind(self, caller):
        self.said.emit(
            {
                "tensor": torch.tensor(0.5, requires_grad=True),
                "array": np.array(0.25),
                "decimal": Decimal("0.125"),
                "fraction": Fraction(1, 16),
                "float32": np.float32(2),
                "integers": np.int64(3),
                "int tensor": torch.tensor(4),
                "huge": 10**400,
                "low": -(10**400),
                "nan": NAN,
                "inf": np.inf,
                "decimal nan": Decimal("sNaN"),
                "truth": True,
                "truth tensor": torch.tensor(True),
                "numpy truth": np.True_,
                "complex": 1j,
                "vector": np.ones(3),
                "meta": torch.empty((), device="meta"),
                "text": "0.5",
                "nothing": None,
                "date": np.array(np.datetime64("2020-01-01")),
            }
        )

    @Service(expand=True)
    def nested(self, caller):
        round_trip: dict = {"loss": 1.0}
        round_trip["again"] = round_trip
        self.said.emit(
            {"result": {"loss": 0.5, 3: {"deep": 1}}, "failing": Failing(), "self": round_trip}
        )
        self.said.emit({Untold(): 1.0, "after": 2.0, "b\udcffd": 3.0})

    @Service(expand=True)
    def odd_text(self, caller):
        print("printed \udcff\ud800")
        self.logger.info("logged %s", "\udcff")
        self.logger.info(Untold(), 1, 2)
        return "done"

    @Service(expand=True)
    def not_contributions(self, caller):
        self.contributions.emit({"loss": 0.5, "weight": {"a/x": 0.75}, "result": {"loss": 0.25}})

    @Service(expand=True)
    def rounds(self, caller, values):
        for number, value in enumerate(values, 1):
            self.round_completed.emit({"round": number, "accuracy": value})


@pytest.fixture
def emitter(bed, tmp_path):
    bed.spawn("noting-a")
    bed.assign("noting-a", "emitter", Emitter)
    bed.trace.clear()
    before = list(bed.errors)  # of other tests: they share the testbed
    yield bed
    assert list(bed.errors) == before
    bed.record(tmp_path / "run")
    recording = Recording.open(tmp_path / "run")
    live, kept = bed.trace.metrics.to_pandas(), recording.metrics.to_pandas()
    assert kept[["metric", "value"]].to_string() == live[["metric", "value"]].to_string()
    assert list(recording.logs.to_pandas()["text"]) == list(bed.trace.logs.to_pandas()["text"])
    bed.remove("noting-a")


def values(bed):
    frame = bed.trace.metrics.to_pandas()
    return dict(zip(frame["metric"], frame["value"], strict=True))


def test_names_that_are_no_text_are_told_as_text(emitter):
    emitter.call("noting-a/emitter", "per_class")
    assert values(emitter) == {"0": 0.9, "1": 0.8, "mean": 0.85, "(1, 'x')": 1.0, "None": 2.0}
    assert emitter.trace.metrics.names() == ["(1, 'x')", "0", "1", "None", "mean"]
    assert emitter.trace.metrics.plot("1").data[0].y.tolist() == [0.8]


def test_numbers_of_every_kind_are_metrics(emitter):
    emitter.call("noting-a/emitter", "every_kind")
    found = values(emitter)
    assert math.isnan(found.pop("nan")) and math.isnan(found.pop("decimal nan"))
    assert found == {
        "tensor": 0.5,
        "array": 0.25,
        "decimal": 0.125,
        "fraction": 0.0625,
        "float32": 2.0,
        "integers": 3.0,
        "int tensor": 4.0,
        "huge": INF,
        "low": -INF,
        "inf": INF,
    }


def test_nothing_within_args_breaks_an_emission(emitter):
    emitter.call("noting-a/emitter", "nested")
    found = values(emitter)
    assert found["result.loss"] == 0.5 and found["result.3.deep"] == 1.0 and found["after"] == 2.0
    assert (
        found["self.loss"] == found["self.again.loss"] == 1.0
        and r"b\udcffd" in found
        and len(found) < 20
    )


def test_text_that_no_file_takes_is_told_by_its_codes(emitter):
    assert emitter.call("noting-a/emitter", "odd_text") == "done"
    emitter.trace.refresh()
    lines = [line.text for line in emitter.logs("noting-a")]
    assert r"printed \udcff\ud800" in lines and r"logged \udcff" in lines
    assert any(
        line.endswith("cannot be formatted: TypeError") or "cannot be formatted" in line
        for line in lines
    )


def test_of_an_event_called_contributions_only_these_are(emitter):
    emitter.call("noting-a/emitter", "not_contributions")
    assert values(emitter) == {"loss": 0.5, "result.loss": 0.25}
    assert emitter.trace.contributions.to_pandas()[["source", "weight"]].values.tolist() == [
        ["a/x", 0.75]
    ]


def test_numbers_that_are_not_finite_are_drawn_and_said(emitter):
    emitter.call("noting-a/emitter", "rounds", {"values": [0.5, NAN, 0.75, INF]})
    curve = emitter.trace.run("r", "noting-a").curve()
    assert list(curve["round"]) == [1, 2, 3, 4]
    np.testing.assert_array_equal(curve["accuracy"], [0.5, NAN, 0.75, INF])
    view = emitter.metrics("accuracy rounds", nodes="noting-a")
    try:
        svg = view.picture().svg
        assert "noting-a/emitter (not finite from 2 on)" in svg
        json.loads(view.figure.to_json(), parse_constant=pytest.fail)
    finally:
        view.close()
    assert_drawable(svg)


def assert_drawable(svg):
    numbers = re.findall(
        r" (?:x|y|x1|x2|y1|y2|cx|cy|r|rx|width|height|d|points|transform|viewBox|[a-z-]*opacity)"
        r'="([^"]*)"',
        svg,
    )
    assert numbers and not any(re.search("nan|inf|None", number) for number in numbers)


# one process is enough for what reads the trace


@pytest.fixture
def trace():
    return Trace(100.0, lambda: None)


def rounds(node, numbers, metric="accuracy"):
    return [
        (100.0 + step, node, "r", "round-completed", metric, value, step)
        for step, value in enumerate(numbers, 1)
    ]


def test_a_seed_that_is_not_finite_is_named(trace):
    for seed, numbers in enumerate([[0.5, 0.75, 1.0], [0.25, NAN, NAN], [0.5, 0.5, 0.75]]):
        trace.add([], rounds(f"s{seed}", numbers))
        trace.add([], rounds(f"t{seed}", [0.25 * seed, 0.5, 0.75]))
    runs = [
        trace.run(name, f"{name[0]}{seed}", seed=seed)
        for name in ("some", "total")
        for seed in range(3)
    ]
    comparison = compare(runs)
    assert (
        comparison.note
        == "bands: 95 % confidence interval of the mean over seeds; accuracy is not finite in some"
        " seed 1 from round 2 on, and neither is a mean with it"
    )
    summary = comparison.summary(target=0.7)
    assert list(summary["not_finite"]) == ["1 of 3", "0 of 3"] and list(summary["reached"]) == [
        "2 of 3",
        "3 of 3",
    ]
    assert math.isnan(summary.loc["some", "accuracy"]) and summary.loc["total", "accuracy"] == 0.75
    band = comparison.band("some")
    np.testing.assert_allclose(band["mean"], [1.25 / 3, NAN, NAN])
    assert len(comparison.to_pandas()) == 18
    json.loads(comparison.plot(target=0.7).to_json(), parse_constant=pytest.fail)
    assert "not_finite" not in compare(runs[3:]).summary()


def test_a_node_that_is_not_finite_spoils_the_mean_and_one_that_is_behind_does_not(trace):
    trace.add([], rounds("n1", [1.0, 1.0, 1.0]) + rounds("n2", [0.5, NAN]) + rounds("n3", [0.0]))
    curve = trace.run("r").curve()
    np.testing.assert_allclose(curve["accuracy"], [0.5, NAN, NAN])
    np.testing.assert_allclose(curve["worst"], [0.0, NAN, NAN])
    trace.add([], rounds("m1", [1.0, 1.0]) + rounds("m2", [0.5]))
    np.testing.assert_allclose(trace.run("r", "m*").curve()["accuracy"], [0.75, 0.75])


@pytest.mark.parametrize(
    "numbers",
    [[INF, -INF], [INF, 1.0], [1e308, -1e308], [NAN, NAN], [5e-324, 0.0], [1e300, 1e300], [-0.0]],
)
def test_extreme_numbers_are_compared_and_drawn(trace, numbers):
    for node in ("n1", "n2", "n3", "n4"):
        trace.add([], rounds(node, numbers))
    runs = [trace.run("r", node, seed=seed) for seed, node in enumerate(["n1", "n2"])]
    comparison = compare(runs)
    np.testing.assert_array_equal(comparison.to_pandas()["accuracy"], numbers * 2)
    json.loads(comparison.plot().to_json(), parse_constant=pytest.fail)
    json.loads(trace.metrics.plot("accuracy").to_json(), parse_constant=pytest.fail)
    curves = Curves(trace)
    curves.read()
    svg = chart(
        {"accuracy": ("round", curves.curves("accuracy") + curves.each("accuracy"))}, "title"
    )
    assert_drawable(svg)


def test_contributions_and_distances_that_are_not_finite_are_drawn(trace):
    for step, weight in enumerate([NAN, INF, -INF, -0.5, 0.0, 1e308], 1):
        trace.add(
            [],
            [
                (100.0 + step, "s", "agg", "contributions", f"{name}.c{client}/t", weight, step)
                for name in ("weight", "age")
                for client in range(2)
            ],
        )
        trace.record("all", "consensus_distance", weight)
    view = Traffic(trace)
    told = []
    try:
        view.send_message = lambda kind, content, buffers=(): told.append(content)
        view.on_tick()
        json.loads(json.dumps(told, default=str), parse_constant=pytest.fail)
        assert [part[4] for part in told[0]["parts"]][::2] == [None, None, None, -0.5, 0.0, 1e308]
        assert [value for _, value in told[0]["distances"]] == [None, None, None, -0.5, 0.0, 1e308]
        assert_drawable(view.picture("aggregation").svg)
        trace.add(
            [],
            [
                (109.0, "p", "agg", "contributions", f"{name}.c1/t", NAN, 1)
                for name in ("weight", "age")
            ],
        )
        assert_drawable(aggregation(trace))
    finally:
        view.close()
    assert len(trace.contributions.to_pandas()) == 13


@pytest.mark.parametrize("seed", [NAN, 1.5, "1", None, True])
def test_a_seed_that_is_no_whole_number_is_refused(trace, seed):
    with pytest.raises(ValueError, match=f"run 'r': seed must be a whole number, not {seed!r}"):
        trace.run("r", seed=seed)


def test_what_is_no_number_is_refused_where_one_is_asked_for(trace):
    for what in ("start", "stop", "max_bytes"):
        with pytest.raises(ValueError, match=f"run 'r': {what} must be a number, not nan"):
            trace.run("r", **{what: NAN})
    for bad in (
        ("a", "distance", "far"),
        ("a", 1, 0.5),
        (None, "distance", 0.5),
        ("a", "distance", 1j),
    ):
        with pytest.raises(
            ValueError, match="record takes a node's name, a metric's name and a number, not"
        ):
            trace.record(*bad)
    trace.record("a", "distance", torch.tensor(0.5))
    trace.record("a", "distance", Decimal("0.25"))
    assert trace.metrics.to_pandas()[["value", "step"]].values.tolist() == [[0.5, 1], [0.25, 2]]
    trace.add([], rounds("a", [0.5]))
    with pytest.raises(ValueError, match="target must be a number, got nan"):
        compare([trace.run("r")]).summary(target=NAN)


def test_readings_are_numbers_and_raise_nothing():
    assert [as_number(one) for one in (1, 2.5, True, "1", 1j, None, [1], np.ones(1))] == [
        1.0,
        2.5,
        *[None] * 6,
    ]
    assert list(readings(Failing())) == [] and list(readings({"a": {"b": {"c": 1}}})) == [
        ("a.b.c", 1.0)
    ]


def test_what_is_let_go_while_no_notebook_is_there_is_said(monkeypatch):
    monkeypatch.setattr("roleml_nb.host.trace_buffer.MAX_BUFFERED_RECORDS", 10)
    host = Host("engine0", "engine 0", call_timeout=5.0)
    shipped = []
    try:
        host.buffer_while_detached = True
        host.send_trace = lambda messages, metrics, logs: shipped.append((messages, metrics, logs))
        host.router.lost["notebook"] = "it has ended"
        for step in range(25):
            host.record_metrics(("a", "b"), "said", {}, step)
            host.trace_buffer._metrics.append((float(step), "a", "r", "said", "loss", 1.0, step))
        host.flush()
        del host.router.lost["notebook"]
        host.flush()
    finally:
        host.stop()
    metrics = [row[-1] for _, rows, _ in shipped for row in rows]
    logs = [line[-1] for *_, lines in shipped for line in lines]
    assert metrics == list(range(15, 25)) and logs == [
        "(15 metrics let go: for too long no notebook was there)"
    ]


def test_a_view_that_fails_at_the_end_keeps_no_testbed_from_ending():
    from roleml_nb import Testbed

    with Testbed(engines=0) as bed:
        bed.at_stop.append(lambda: os.stat("/no such file"))
    assert not bed.running and any(
        "a view could not be ended: FileNotFoundError" in line.text for line in bed.logs()
    )

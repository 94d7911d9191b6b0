"""Whatever roles emit, say and print: what observes them loses nothing and breaks nothing."""

import json
import math
import re
import tempfile
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from roleml_nb import Event, Recording, Role, Service, Testbed, compare
from roleml_nb.trace.readings import as_number, readings
from roleml_nb.widgets.metrics.chart import chart
from roleml_nb.widgets.metrics.curves import Curves
from tests.fuzz.effort import effort

ODD = [math.nan, math.inf, -math.inf, 0.0, -0.0, 5e-324, 1e308, -1e308, 10**400, -(10**400), 2**63]
PLAIN = st.one_of(
    st.sampled_from(ODD),
    st.floats(),
    st.integers(),
    st.booleans(),
    st.none(),
    st.text(),
    st.complex_numbers(),
)
WRAPPED = st.one_of(
    st.sampled_from(ODD[:8]).map(torch.tensor),
    st.sampled_from(ODD[:8]).map(np.array),
    st.floats(width=32).map(np.float32),
    st.decimals(),
    st.fractions(),
    st.just(np.ones(2)),
    st.just(Decimal("sNaN")),
    st.just(Fraction(10**400, 3)),
)
KEYS = st.one_of(
    st.text(max_size=4),
    st.integers(),
    st.none(),
    st.booleans(),
    st.floats(),
    st.tuples(st.integers()),
    st.text(st.characters(categories=["Cs"]), min_size=1, max_size=2),
    st.just("accuracy"),
)
ARGS = st.dictionaries(
    KEYS,
    st.recursive(PLAIN | WRAPPED, lambda inner: st.dictionaries(KEYS, inner, max_size=3)),
    max_size=6,
)
COORDINATES = re.compile(r' (?:x|y|x1|x2|y1|y2|cx|cy|r|width|height|d|transform)="([^"]*)"')


class Speaker(Role):
    round_completed = Event()
    contributions = Event()

    @Service(expand=True)
    def speak(self, caller, args, text):
        self.round_completed.emit(args)
        self.contributions.emit({"weight": args, "age": args})
        print(text)
        self.logger.warning("%s", text)


@pytest.fixture(scope="module")
def speaking():
    with Testbed(engines=0) as bed:
        bed.spawn("a", "b")
        bed.assign("*", "speaker", Speaker)
        yield bed


def drawable(svg):
    assert not any(re.search("nan|inf|None", number) for number in COORDINATES.findall(svg))


@effort(12)
@given(st.lists(ARGS, min_size=1, max_size=4), st.text() | st.text(st.characters(), max_size=9))
def test_what_observes_takes_whatever_is_emitted(speaking, emitted, text):
    bed = speaking
    bed.trace.clear()
    for number, args in enumerate(emitted):
        for node in "ab":
            bed.call(
                f"{node}/speaker",
                "speak",
                {"args": {**args, "accuracy": ODD[number]}, "text": text},
            )
    assert bed.errors == []
    frame = bed.trace.metrics.to_pandas()
    assert (frame["metric"] == "accuracy").sum() == 2 * len(emitted)
    emitted_in_rounds = frame["channel"] == "round-completed"
    assert emitted_in_rounds.sum() == sum(
        2 * len(list(readings({**args, "accuracy": 0.0}))) for args in emitted
    )
    comparison = compare(bed.trace.run("r", node, seed=seed) for seed, node in enumerate("ab"))
    comparison.summary(target=0.5)
    for figure in (
        comparison.plot(),
        bed.trace.metrics.plot("accuracy"),
        bed.trace.messages.plot(),
    ):
        json.loads(figure.to_json(), parse_constant=pytest.fail)
    curves = Curves(bed.trace)
    curves.read()
    drawable(
        chart({"accuracy": ("round", curves.curves("accuracy") + curves.each("accuracy"))}, "title")
    )
    view = bed.trace.traffic()
    try:
        for tab in ("graph", "space-time", "matrix", "aggregation"):
            drawable(view.picture(tab).svg)
        content = view.saved()["_past"]["content"]
        json.loads(json.dumps(content), parse_constant=pytest.fail).keys()
        json.dumps(content, ensure_ascii=False).encode()
    finally:
        view.close()
    with tempfile.TemporaryDirectory() as folder:
        bed.record(Path(folder) / "run")
        recording = Recording.open(Path(folder) / "run")
    assert (
        recording.metrics.to_pandas()[["metric", "value"]].to_string()
        == frame[["metric", "value"]].to_string()
    )
    assert list(recording.logs.to_pandas()["text"]) == list(bed.trace.logs.to_pandas()["text"])
    assert len(recording.contributions) == len(bed.trace.contributions)


@given(PLAIN | WRAPPED)
def test_a_number_is_a_float_or_none(value):
    number = as_number(value)
    assert number is None or type(number) is float
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**53:
        assert number == value

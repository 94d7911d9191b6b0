"""The limit of a trace: what is beyond it becomes totals, which stay exact, and everything says
so."""

import itertools
import json
import math
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roleml_nb import Event, Recording, Role, RoleMLError, Service, Testbed
from roleml_nb.trace import Trace
from roleml_nb.trace.flows import MESSAGE
from roleml_nb.trace.logs import BYTES_PER_LINE
from roleml_nb.trace.metrics import BYTES_PER_NUMBER, BYTES_PER_SERIES
from roleml_nb.trace.recording import write_recording
from roleml_nb.trace.rows import BLOCK_ROWS, Rows
from roleml_nb.widgets.metrics.curves import Curves
from roleml_nb.widgets.traffic.traffic import Traffic
from tests.trace.test_recording import ABOUT
from tests.waiting import until

FLOWS = 4 * 600
"""What three flows and one note take."""


def message(number, source="a/x", target="b/y", outcome="delivered"):
    """One of 100 bytes each second, from second 1 on."""
    return (
        number,
        "service",
        source,
        target,
        "ask",
        100,
        "direct",
        100.0 + number,
        100.25 + number,
        outcome,
        "",
    )


def filled(count, limit, metrics=0):
    trace = Trace(100.0, lambda: None, limit=limit)
    for number in range(1, count + 1):
        rows = [
            message(number),
            message(number, "b/y", "a/x"),
            message(number, "a/actor", "b/actor"),
        ]
        trace.add(
            rows,
            (
                [(100.0 + number, "a", "x", "said", "loss", 1 / number, number)]
                if number <= metrics
                else []
            ),
        )
    return trace


class Interrupting:
    """An array whose second part cannot be had, as when a cell is interrupted just then."""

    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, part):
        if part.start is None:
            raise KeyboardInterrupt
        return self.rows[part]


def test_rows_that_were_interrupted_while_a_block_began_leave_no_hole():
    rows, some = Rows(MESSAGE), np.zeros(BLOCK_ROWS + 1, MESSAGE)
    some["call"] = range(len(some))
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            rows.extend(Interrupting(some))
    assert len(rows) == 0
    rows.extend(some)
    assert rows.since(0)["call"].tolist() == some["call"].tolist()
    assert len(rows._blocks) == 2


def interrupted_at(step, code):
    """Return a trace function that raises KeyboardInterrupt before the given line of a function."""
    steps = itertools.count()

    def trace(frame, event, _):
        if frame.f_code is not code:
            return None
        if event == "line" and next(steps) == step:
            raise KeyboardInterrupt
        return trace

    return trace


def test_rows_that_were_interrupted_while_old_ones_go_are_those_of_before_or_after():
    for step in itertools.count():
        rows, some = Rows(MESSAGE, block_rows=4), np.zeros(10, MESSAGE)
        some["call"] = range(10)
        rows.extend(some)
        before = sys.gettrace()
        sys.settrace(interrupted_at(step, Rows.pop_oldest.__code__))
        try:
            rows.pop_oldest(5)
            interrupted = False
        except KeyboardInterrupt:
            interrupted = True
        finally:
            sys.settrace(before)
        rows.extend(some[:3])
        calls = [*range(10), 0, 1, 2]
        assert rows.since(0)["call"].tolist() in (calls, calls[5:])
        assert rows.added == 13
        if not interrupted:
            assert step > 5
            break


def test_each_rows_keep_the_size_of_their_blocks(monkeypatch):
    # a test, or a module, that wants other blocks must not break rows that a running testbed fills
    rows, some = Rows(MESSAGE), np.zeros(100, MESSAGE)
    rows.extend(some)
    monkeypatch.setattr("roleml_nb.trace.rows.BLOCK_ROWS", 7)
    rows.extend(some)
    assert len(rows.since(0)) == 200


@given(
    st.lists(
        st.tuples(st.sampled_from(["add", "let go", "since"]), st.integers(0, 25)), max_size=40
    )
)
def test_rows_are_a_list_that_loses_its_beginning(steps):
    rows, plain, count = Rows(MESSAGE, block_rows=7), [], 0
    for step, number in steps:
        if step == "add":
            rows.extend(
                pd.Series(range(count, count + number))
                .to_frame("call")
                .assign(flow=0, delivery=0, bytes=0, sent=0.0, received=0.0)[list(MESSAGE.names)]
                .to_records(index=False)
                .astype(MESSAGE)
            )
            plain += range(count, count + number)
            count += number
        elif step == "let go":
            assert rows.pop_oldest(number)["call"].tolist() == plain[:number]
            del plain[:number]
        else:
            assert rows.since(number)["call"].tolist() == [one for one in plain if one >= number]
            assert (
                rows.since(number, 3)["call"].tolist()
                == [one for one in plain if one >= number][:3]
            )
        assert (len(rows), rows.added, rows.gone) == (len(plain), count, count - len(plain))
        assert (
            rows.nbytes == len(plain) * MESSAGE.itemsize
            and len(rows._blocks) <= len(plain) // 7 + 2
        )


def test_beyond_the_limit_old_messages_are_totals_and_these_are_exact():
    whole, trace = filled(1000, math.inf), filled(1000, 40_000)
    assert whole.nbytes > 120_000 and 36_000 < trace.nbytes <= 40_000
    assert (
        len(whole.messages) == 3000 and len(trace.messages) < 1000 and trace.messages.count == 3000
    )
    gone = 3000 - len(trace.messages)
    pd.testing.assert_frame_equal(trace.messages.totals(), whole.messages.totals())
    for value in ("bytes", "messages"):
        pd.testing.assert_frame_equal(trace.messages.matrix(value), whole.messages.matrix(value))
    assert trace.messages.matrix().loc["a", "b"] == 100_000
    with pytest.warns(
        UserWarning,
        match=f"the first {gone:,} of 3,000 messages are totals by now; .totals\\(\\) and .matrix",
    ):
        last = trace.messages.to_pandas()
    pd.testing.assert_frame_equal(last, whole.messages.to_pandas()[gone:].reset_index(drop=True))
    assert (
        repr(trace)
        == f"<Trace: 3000 messages, 0 metrics, 0 lines of logs; the first {gone:,} of 3,000"
        " messages are totals by now: the limit is 0.04 MB, see Trace.limit>"
    )
    assert (
        repr(trace.messages)
        == f"<Messages: {3000 - gone} rows (the first {gone:,} of 3,000 messages are totals by"
        " now); "
        ".to_pandas(), .plot()>"
    )
    assert trace.messages.last(2) == whole.messages.last(2)


def test_a_limit_can_be_set_at_any_time():
    trace = filled(1000, math.inf)
    trace.limit = 20_000
    assert trace.nbytes <= 20_000 and trace.messages.matrix("messages").to_numpy().sum() == 2000
    for limit in (0, -1, math.nan, "1 MB", None, True):
        with pytest.raises(
            ValueError,
            match="the limit of a trace is a number of bytes, more than 0, or math.inf, not",
        ):
            trace.limit = limit
    assert trace.limit == 20_000


def test_views_count_what_they_have_never_seen():
    whole, trace = filled(1000, math.inf), filled(1000, 40_000)
    for one in (view := Traffic(trace)), (other := Traffic(whole)):
        one.picture()
    try:
        assert (
            view._flows.totals.tolist()
            == other._flows.totals.tolist()
            == [[1000] * 3, [100_000] * 3, [250.0] * 3, [0] * 3]
        )
        assert view.picture("matrix").svg == other.picture("matrix").svg
        assert view.picture("graph").svg == other.picture("graph").svg
        assert "messages are totals by now" in view.picture("space-time").svg
        assert repr(view).startswith(
            "<Traffic: 3000 messages, 0.3 MB, 2 nodes; the first "
        ) and repr(other).endswith("2 nodes>")
        assert view.saved()["_past"]["content"]["gone"] == trace.messages.gone > 0
    finally:
        view.close()
        other.close()
    curves = {len(one.messages): Curves(one) for one in (whole, trace)}
    for one in curves.values():
        one.read()
    (complete,), (partial,) = (one.curves("bytes") for one in curves.values())
    assert complete.y[-1] == partial.y[-1] == pytest.approx(0.2) and partial.x[0] > complete.x[0]


def test_curves_that_missed_messages_are_exact_at_the_end():
    trace = filled(10, 40_000)
    curves = Curves(trace)
    curves.read()
    trace.add([message(number) for number in range(11, 2000)], [])
    assert trace.messages.gone > 1000
    assert curves.read()
    assert curves.curves("bytes")[0].y[-1] == pytest.approx((1999 + 10) * 100 / 1e6)


def test_of_metrics_what_is_rare_stays():
    trace = Trace(0.0, lambda: None, limit=4 * (BYTES_PER_SERIES * 2 + BYTES_PER_NUMBER * 1000))
    for number in range(1, 101):
        trace.add(
            [], [(float(number), "s", "r", "round-completed", "accuracy", number / 100, number)]
        )
        trace.add(
            [],
            [
                (number + step / 100, "c", "r", "said", "loss", 1.0, 100 * (number - 1) + step)
                for step in range(1, 101)
            ],
        )
    assert trace.metrics.nbytes <= trace.limit / 4 and trace.metrics.count == 10_100
    with pytest.warns(UserWarning, match=r"old ones of 10,100 metrics are no longer here"):
        frame = trace.metrics.to_pandas()
    assert (frame["metric"] == "accuracy").sum() == 100 and 700 < (
        frame["metric"] == "loss"
    ).sum() < 1000
    assert list(frame.query("metric == 'loss'")["step"])[-1] == 10_000
    curve = trace.run("r", "s").curve()
    assert list(curve["round"]) == list(range(1, 101))
    with pytest.raises(
        ValueError,
        match=(
            r"values of 'loss' that c/r emitted are no longer in the trace; set bed.trace.limit"
            r" higher"
        ),
    ):
        trace.run("r", "c", metric="loss").curve()
    assert len(trace.run("r", "c", metric="loss", start=99.5).curve()) > 100
    curves = Curves(trace)
    curves.read()
    assert (
        curves.curves("loss")[0].name
        == f"c/r (from {10_001 - (frame['metric'] == 'loss').sum()} on)"
    )


def test_of_logs_old_lines_go():
    trace = Trace(0.0, lambda: None, limit=8 * 10 * (BYTES_PER_LINE + 1100))
    trace.add(
        [],
        [],
        [(float(number), "a", "r", "print", f"{number} {'x' * 1000}") for number in range(20)],
    )
    assert 8 <= len(trace.logs) <= 10 and trace.logs.gone == 20 - len(trace.logs)
    assert trace.logs.since(0)[1] == 20
    assert (
        trace.logs.describe_gone()
        == f"{trace.logs.gone} old ones of 20 lines of logs are no longer here"
    )


def test_a_run_knows_its_bytes_or_says_that_nobody_does():
    trace = filled(1000, 110_000, metrics=1000)
    whole = filled(1000, math.inf, metrics=1000)
    gone = trace.messages.past().last
    how = {"metric": "loss"}
    assert trace.run("r", **how).bytes == whole.run("r", **how).bytes == 200_000
    curve, complete = trace.run("r", **how).curve(), whole.run("r", **how).curve()
    late = complete["time"] + 1 >= gone
    assert late.sum() > 100 and curve["bytes"][~late].isna().all()
    pd.testing.assert_frame_equal(curve[late], complete[late])
    assert list(trace.run("r", **how).messages()["total"])[-1] == 200_000
    later = {"start": gone + 1, **how}
    pd.testing.assert_frame_equal(trace.run("r", **later).curve(), whole.run("r", **later).curve())
    with pytest.raises(
        ValueError,
        match=(
            "are totals by now, so nobody knows which came between its start and its stop; set bed"
        ),
    ):
        _ = trace.run("r", start=5.0, **how).bytes
    assert trace.run("r", start=5.0, **how).curve()["bytes"].isna().all()
    with pytest.raises(
        ValueError, match="its first 1,000 bytes were sent by messages that are totals by now"
    ):
        trace.run("r", max_bytes=1000, **how).curve()
    most = {"max_bytes": 190_000, **how}
    assert trace.run("r", **most).bytes == whole.run("r", **most).bytes == 190_000


def test_a_recording_has_the_totals_and_says_what_it_has_not(tmp_path):
    trace = filled(1000, 110_000, metrics=1000)
    write_recording(tmp_path / "run", trace, ABOUT)
    recording = Recording.open(tmp_path / "run")
    for table in ("totals", "matrix"):
        pd.testing.assert_frame_equal(
            getattr(recording.messages, table)(), getattr(trace.messages, table)()
        )
    pd.testing.assert_frame_equal(recording.messages.singles(), trace.messages.singles())
    assert recording.run("r", metric="loss").bytes == 200_000
    assert f"the first {trace.messages.gone:,} of 3,000 messages are totals by now" in repr(
        recording
    )
    assert recording.metrics.gone == trace.metrics.gone == 0
    view = recording.traffic()
    try:
        assert view.picture("matrix").svg and view._flows.totals[0].tolist() == [1000] * 3
    finally:
        view.close()
    write_recording(tmp_path / "again", recording, ABOUT)
    assert repr(Recording.open(tmp_path / "again")).replace("again", "run") == repr(recording)
    content = json.loads((tmp_path / "run" / "recording.json").read_text())
    assert content["roleml_nb_recording"] == 2
    write_recording(tmp_path / "whole", filled(10, math.inf), ABOUT)
    assert (
        json.loads((tmp_path / "whole" / "recording.json").read_text())["roleml_nb_recording"] == 1
    )
    del content["gone"]["metrics"]
    (tmp_path / "run" / "recording.json").write_text(json.dumps(content))
    with pytest.raises(
        RoleMLError, match="is damaged: recording.json says in no known way what was let go"
    ):
        Recording.open(tmp_path / "run")


class Talker(Role):
    said = Event()

    @Service(expand=True)
    def talk(self, caller, count):
        for number in range(count):
            self.said.emit({"loss": 1 / (number + 1)})
            self.call("other", "listen")

    @Service(expand=True)
    def listen(self, caller):
        print("heard")


@pytest.fixture(params=[0, 2], ids=["one process", "engines"])
def talkers(request):
    """On a testbed of its own: what others emit meanwhile would count, too."""
    names = ["limit-a", "limit-b"]
    with Testbed(engines=request.param, timeout=30, preload=()) as bed:
        bed.spawn(*names)
        bed.assign("limit-*", "talker", Talker)
        for name, other in (names, names[::-1]):
            bed.relate(name, "other", f"{other}/talker")
        yield bed


def test_a_testbed_keeps_to_the_limit_and_counts_all(talkers, tmp_path):
    talkers.trace.clear()
    limit = talkers.trace.limit = (
        talkers.trace.nbytes + 60_000
    )  # flows of other tests keep their numbers
    talkers.call("limit-a/talker", "talk", {"count": 600})
    talkers.call("limit-b/talker", "talk", {"count": 200})
    matrix = talkers.trace.messages.matrix("messages", "limit-*")
    assert matrix.loc["limit-a", "limit-b"] == matrix.loc["limit-b", "limit-a"] == 800
    assert talkers.trace.nbytes <= limit and talkers.trace.messages.gone > 0
    assert (
        "messages are totals by now" in repr(talkers.trace) and talkers.trace.metrics.count == 800
    )
    talkers.record(tmp_path / "run")
    assert Recording.open(tmp_path / "run").messages.matrix("messages", "limit-*").equals(matrix)


def test_what_was_cleared_counts_no_more_and_what_comes_is_noted(talkers):
    talkers.call("limit-a/talker", "talk", {"count": 3})
    view = talkers.traffic()
    remark = []
    view.picture()
    view.send_message = lambda kind, content, buffers=(): remark.append((kind, content, buffers))
    talkers.trace.clear()
    assert repr(talkers.trace) == "<Trace: 0 messages, 0 metrics, 0 lines of logs>"
    assert talkers.trace.messages.totals().empty and talkers.trace.messages.to_pandas().empty
    assert "nothing was logged" in str(talkers.logs("limit-a"))
    talkers.call("limit-b/talker", "talk", {"count": 2})
    until(lambda: len(talkers.logs("limit-a")) == 2, "two lines")
    assert talkers.trace.messages.matrix("messages", "limit-*").loc["limit-b", "limit-a"] == 2
    view.on_tick()
    assert [kind for kind, *_ in remark] == ["past", "batch"] and "view" not in remark[0][1]
    flows = [flow for _, content, _ in remark for flow in content["flows"]]
    totals = dict(zip(remark[1][2][-2].tolist(), remark[1][2][-1].tolist(), strict=True))
    assert totals[flows.index(("limit-b/talker", "limit-a/talker", "listen", "service"))][0] == 2
    view.close()


def test_notes_that_nobody_reads_do_not_pile_up(own_bed, monkeypatch):
    monkeypatch.setattr("roleml_nb.testbed.cluster.fleet.MAX_UNREAD_BYTES", 1000)
    own_bed.spawn("unread-a", on=0)
    own_bed.spawn("unread-b", on=1)
    own_bed.assign("unread-*", "talker", Talker)
    own_bed.relate("unread-a", "other", "unread-b/talker")
    own_bed.call("unread-a/talker", "talk", {"count": 300})
    until(lambda: own_bed.trace.messages.single_count >= 600, "messages of which nobody has asked")
    assert own_bed.fleet.shipments.unread < 100_000

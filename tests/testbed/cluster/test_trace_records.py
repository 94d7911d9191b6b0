"""What engines send for the trace: what cannot be read is dropped, and logged once; the rest is
there.
"""

import pickle

import pytest

from roleml_nb import Event, Role, Service, Testbed
from roleml_nb.testbed.cluster.trace_records import read_messages, read_metrics_and_logs

MESSAGE = [
    [1],
    ["service"],
    ["a/b"],
    ["c/d"],
    ["e"],
    [10],
    ["direct"],
    [1.0],
    [2.0],
    ["delivered"],
    [""],
]
METRIC = (1.0, "a", "b", "round-completed", "loss", 0.5, 1)
LINE = (1.0, "a", "b", "info", "text")
NO_MESSAGES, NO_NOTES = pickle.dumps([]), pickle.dumps(([], []))


def messages(*columns):
    return pickle.dumps([list(columns)]), NO_NOTES


def notes(metrics=(), logs=()):
    return NO_MESSAGES, pickle.dumps((list(metrics), list(logs)))


JUNK = [
    (b"junk", b"junk"),
    (b"", b""),
    (NO_MESSAGES, b"x"),
    (b"cnone\nsuch\n.", NO_NOTES),
    (pickle.dumps(7), pickle.dumps(7)),
    None,
    5,
    (),
    ("a", "b"),
    [NO_MESSAGES],
    (NO_MESSAGES, NO_NOTES, b""),
    messages(),
    messages([1]),
    messages(*MESSAGE[:-1]),
    messages(*MESSAGE[:-1], [1]),
    messages(*MESSAGE[:-1], []),
    messages(["1"], *MESSAGE[1:]),
    messages([None], *MESSAGE[1:]),
    messages([2**70], *MESSAGE[1:]),
    messages(*[7] * 11),
    (pickle.dumps([5]), NO_NOTES),
    (pickle.dumps({"a": 1}), NO_NOTES),
    (NO_MESSAGES, pickle.dumps(([],))),
    notes([METRIC[:-1]]),
    notes([5]),
    notes([(*METRIC[:-2], "0.5", 1)]),
    notes([(*METRIC[:-1], 2**70)]),
    notes([(*METRIC[:3], ["a"], *METRIC[4:])]),
    notes([METRIC, None]),
    notes(logs=[LINE[:-1]]),
    notes(logs=[(*LINE[:-1], 5)]),
    notes(logs=[(None, *LINE[1:])]),
    (NO_MESSAGES, pickle.dumps(([], 7))),
]
"""Shipments that are none."""


class Careless(Role):
    said = Event()

    @Service(expand=True)
    def send(self, caller, junk, loss: float):
        host = self.base.host
        if host.host_id != "notebook":
            for one in junk:
                host.router.host_messages.send("notebook", "trace", shipment=one)
                host.shipments += 1
        self.said.emit({"loss": loss})


def hand_over(bed, junk):
    """As if an engine had sent it."""
    for one in junk:
        bed.fleet.shipments.receive("engine7", one)


def dropped(bed):
    """What the log says of it."""
    bed.trace.refresh()
    return [text for text in bed.trace.logs.raw().text if "cannot be read and is dropped" in text]


def sizes(trace):
    return (
        trace.messages.added,
        len(trace.messages.flows.keys),
        trace.metrics.count,
        len(trace.logs.rows),
    )


@pytest.fixture(scope="module")
def quiet_bed():
    with Testbed(0) as bed:
        yield bed


def test_junk_is_logged_once_and_dropped(bed):
    bed.spawn("careless", on=0 if bed.engines else None)
    bed.assign("careless", "role", Careless)
    bed.call("careless/role", "send", {"junk": JUNK, "loss": 0.25})
    if not bed.engines:
        hand_over(bed, JUNK)
    frame = bed.trace.metrics.to_pandas()
    bed.trace.messages.matrix()
    for table in (bed.trace.messages.to_pandas(), bed.trace.metrics.raw()):
        assert len(table)
    sender = "engine0" if bed.engines else "engine7"
    (said,) = dropped(bed)
    assert said.startswith(f"what {sender} sends for the trace cannot be read and is dropped: ")
    assert frame[frame.node == "careless"].value.tolist() == [0.25]
    assert not (frame.node == "a").any()


@pytest.mark.parametrize("junk", JUNK, ids=range(len(JUNK)))
def test_a_shipment_that_is_none_adds_nothing(quiet_bed, junk):
    bed = quiet_bed
    bed.fleet.shipments.unreadable.clear()
    said = len(dropped(bed))
    before = sizes(bed.trace)
    hand_over(bed, [junk])
    bed.fleet.drain()
    assert sizes(bed.trace) == before
    assert len(dropped(bed)) == said + 1


def test_what_is_right_is_read():
    assert read_messages(pickle.dumps([MESSAGE, MESSAGE])) == [MESSAGE, MESSAGE]
    assert read_messages(NO_MESSAGES) == []
    assert read_metrics_and_logs(pickle.dumps(([METRIC], [LINE]))) == ([METRIC], [LINE])

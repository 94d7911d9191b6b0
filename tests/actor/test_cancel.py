"""Cancelled calls: what waits for its turn does not begin, what runs makes no more calls."""

import threading

import pytest

from roleml_nb import Role, RoleInstanceID, Service, Task, Testbed
from roleml_nb.role import CallCancelled
from tests.waiting import until


@pytest.fixture(scope="module", params=[0, 2], ids=["one process", "engines"])
def narrow(request):
    """A testbed whose hosts do one task at a time."""
    with Testbed(engines=request.param, workers=1, timeout=30, preload=()) as bed:
        yield bed


class Worker(Role):
    def __init__(self):
        super().__init__()
        self.opened = threading.Event()
        self.begun = []

    def __getstate__(self):
        return {}

    @Task(expand=True)
    def hold(self, caller):
        """Keep the only worker, which it does while it computes."""
        self.begun.append("hold")
        while not self.opened.is_set():
            sum(range(1000))
        return "held"

    @Task(expand=True)
    def note(self, caller, what):
        self.begun.append(what)
        return what

    @Task(expand=True)
    def relay(self, caller, to, what):
        self.begun.append(f"relay {what}")
        return self.call_task(RoleInstanceID.of(to), "note", what=what).result()

    @Service(expand=True)
    def open(self, caller):
        self.opened.set()

    @Service(expand=True)
    def seen(self, caller):
        return self.begun


class Caller(Role):
    def __init__(self):
        super().__init__()
        self.calls = {}

    def __getstate__(self):
        return {}

    @Service(expand=True)
    def begin(self, caller, key, to, channel, args):
        self.calls[key] = self.call_task(RoleInstanceID.of(to), channel, args)

    @Service(expand=True)
    def cancel(self, caller, key):
        self.calls[key].cancel()

    @Service(expand=True)
    def outcome(self, caller, key):
        try:
            return self.calls[key].result()
        except CallCancelled as error:
            return str(error)


def actors(bed, name):
    bed.spawn(f"{name}-caller", on=0) if bed.engines else bed.spawn(f"{name}-caller")
    bed.assign(f"{name}-caller", "role", Caller)
    for number in (1, 2):
        bed.spawn(f"{name}{number}", on=number - 1) if bed.engines else bed.spawn(f"{name}{number}")
        bed.assign(f"{name}{number}", "role", Worker)

    def call(channel, *args):
        names = {
            "begin": ("key", "to", "channel", "args"),
            "cancel": ("key",),
            "outcome": ("key",),
        }[channel]
        return bed.call(f"{name}-caller/role", channel, dict(zip(names, args, strict=True)))

    return call


def begun(bed, node):
    return bed.call(f"{node}/role", "seen")


def test_a_task_that_waits_for_its_turn_does_not_begin(narrow):
    call = actors(narrow, "turn")
    call("begin", "first", "turn2/role", "hold", {})
    until(lambda: begun(narrow, "turn2") == ["hold"], "the worker is taken")
    call("begin", "cancelled", "turn2/role", "note", {"what": "cancelled"})
    call("begin", "wanted", "turn2/role", "note", {"what": "wanted"})
    call("cancel", "cancelled")
    narrow.call("turn2/role", "open")
    assert call("outcome", "cancelled") == (
        "turn2/role.note was cancelled: turn-caller/role does not wait for it any more"
    )
    assert call("outcome", "wanted") == "wanted"
    assert begun(narrow, "turn2") == ["hold", "wanted"]
    assert call("outcome", "first") == "held"


def test_what_a_cancelled_task_has_called_is_cancelled_with_it(narrow):
    call = actors(narrow, "chain")
    call("begin", "first", "chain2/role", "hold", {})
    until(lambda: begun(narrow, "chain2") == ["hold"], "the worker is taken")
    call("begin", "outer", "chain1/role", "relay", {"to": "chain2/role", "what": "inner"})
    if narrow.engines:  # else it waits for its turn itself
        until(lambda: begun(narrow, "chain1"), "the outer one has begun")
    call("cancel", "outer")
    narrow.call("chain2/role", "open")
    assert (
        call("outcome", "outer")
        == "chain1/role.relay was cancelled: chain-caller/role does not wait for it any more"
    )
    call("begin", "last", "chain2/role", "note", {"what": "last"})
    assert call("outcome", "last") == "last"
    assert begun(narrow, "chain2") == ["hold", "last"]


def test_one_that_has_ended_stays_as_it_is(narrow):
    call = actors(narrow, "ended")
    call("begin", "one", "ended1/role", "note", {"what": "done"})
    assert call("outcome", "one") == "done"
    call("cancel", "one")
    assert call("outcome", "one") == "done"
    assert narrow.errors == []

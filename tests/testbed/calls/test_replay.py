"""bed.replay(): a handler that failed on a node fails again here, on copies of its message and its
role.
"""

import traceback

import cloudpickle
import numpy as np
import pytest

from roleml_nb import Element, Event, EventHandler, HandlerError, Role, Service, Task, Testbed
from roleml_nb.role import Runnable, TestbedError
from tests.waiting import until


class Store(Role):
    asked = Event()
    weights = Element(np.ndarray, optional=True)

    def __init__(self, factor=1):
        self.factor = factor
        self.count = 0

    @Service(expand=True)
    def look_up(self, caller, key, table=None):
        self.count += 1
        self.asked.emit({"count": self.count})
        doubled = self.call("other", "double", {"n": self.factor}) if self.has("other") else None
        if key not in (table or {}):
            raise KeyError(
                f"{key} {self.factor} {doubled} {self.id.actor_name} {self.rng().integers(1000)}"
            )
        return table[key] + float(self.weights().sum())

    @Service(expand=True)
    async def look_up_later(self, caller, key):
        raise LookupError(key)

    @Service(expand=True)
    def double(self, caller, n):
        return 2 * n

    @Task(expand=True)
    def lock(self, caller):
        self.held = __import__("threading").Lock()
        raise ValueError("locked")


class Ear(Role):
    heard = 0

    @EventHandler("store", "asked", expand=True)
    def on_asked(self, source, count):
        self.heard += count
        raise ValueError(f"{source.actor_name}: {self.heard}")


class Failing(Role, Runnable):
    def run(self):
        raise ArithmeticError(self.id.actor_name)

    def stop(self): ...


cloudpickle.register_pickle_by_value(__import__(__name__, fromlist=["_"]))


def stores(bed, name):
    bed.spawn(f"{name}-a", f"{name}-b")
    bed.assign(f"{name}-*", "store", Store, options={"factor": 7}, elements={"weights": np.ones(3)})
    bed.relate(f"{name}-a", "other", f"{name}-b/store")
    return f"{name}-a/store"


def failure_of(bed, target, *call):
    with pytest.raises(HandlerError) as caught:
        bed.call(target, *call)
    return caught.value


def innermost(error):
    return list(traceback.walk_tb(error.__traceback__))[-1][0]


def test_a_failed_service_fails_again_here_with_live_frames(bed):
    error = failure_of(bed, stores(bed, "debug"), "look-up", {"key": "x", "table": {"y": 1.0}})
    replay = bed.replay(error)
    assert replay.name == "debug-a/store.look_up(key='x', table={'y': 1.0})"
    with pytest.raises(KeyError) as again:
        replay.run()
    # state, calls, name and random numbers are the same
    assert str(again.value) in error.remote_traceback
    frame = innermost(again.value)
    assert frame.f_locals["table"] == {"y": 1.0} and frame.f_locals["doubled"] == 14
    assert frame.f_locals["self"].count == 2 and frame.f_locals["self"].weights().sum() == 3.0
    assert bed.replay(error).role.count == 1  # that on the node is left alone
    frame.f_locals["table"]["x"] = 2.0
    fixed = bed.replay(error)
    fixed._message[0]["table"] = {"x": 2.0}
    assert fixed.run() == 5.0


def test_event_handlers_main_routines_and_coroutines_too(bed):
    target = stores(bed, "others")
    bed.spawn("others-ear")
    bed.assign("others-ear", "ear", Ear)
    bed.relate("others-ear", "store", target)
    failure_of(bed, target, "look-up", {"key": "x"})
    [failure] = until(lambda: [one for one in bed.errors if one.node == "others-ear"], "it is told")
    # with the state after the failure: it has heard 1 already
    with pytest.raises(ValueError, match="others-a: 2"):
        bed.replay(failure).run()
    with pytest.raises(LookupError, match="z"):
        bed.replay(failure_of(bed, target, "look-up-later", {"key": "z"})).run()
    bed.assign("others-ear", "failing", Failing)
    [failure] = until(
        lambda: [one for one in bed.errors if one.channel == "run" and one.node == "others-ear"],
        "it is told",
    )
    with pytest.raises(ArithmeticError, match="others-ear"):
        bed.replay(failure).run()


def test_what_cannot_be_played_again_says_why(bed):
    target = stores(bed, "never")
    locked = failure_of(bed, target, "lock")
    with pytest.raises(
        TestbedError,
        match=(
            r"never-a/store cannot be played again: its attribute 'held' cannot be sent .*leave it"
            r" out in __getstate__"
        ),
    ):
        bed.replay(locked)
    first = failure_of(bed, "never-b/store", "look-up", {"key": "x"})
    bed.terminate("never-b", "store")
    with pytest.raises(
        TestbedError,
        match="never-b/store.look-up cannot be played again: the role is not there any more",
    ):
        bed.replay(first)
    bed.assign("never-b", "store", Store)
    for number in range(20):
        failure_of(bed, "never-b/store", "look-up", {"key": number})
    with pytest.raises(
        TestbedError, match="what failed is not kept any more: a host keeps its last 16 failures"
    ):
        bed.replay(first)
    with pytest.raises(
        TestbedError, match="this error cannot be played again: only those of handlers can"
    ):
        bed.replay(ValueError("mine"))
    with pytest.raises(TestbedError, match="there is no error 1000000; see bed.errors"):
        bed.replay(1_000_000)


def test_large_messages_are_not_kept(monkeypatch):
    monkeypatch.setattr("roleml_nb.actor.replay.MAX_MESSAGE_BYTES", 100_000)
    with Testbed(engines=0) as bed:
        bed.spawn("a")
        bed.assign("a", "store", Store)
        small = failure_of(bed, "a/store", "look-up", {"key": "x"})
        large = failure_of(bed, "a/store", "look-up", {"key": b"x" * 200_000})
        with pytest.raises(
            TestbedError, match="its message is not here: it has 0.2 MB, more than is kept"
        ):
            bed.replay(large)
        with pytest.raises(KeyError):
            bed.replay(small).run()

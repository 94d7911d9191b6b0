"""Nodes of an engine that was lost, made anew on another."""

import os
import signal

import cloudpickle
import pytest

from roleml_nb import Element, Event, EventHandler, NodeLost, Role, RoleInstanceID, Service, impl
from roleml_nb.role import TestbedError
from tests.waiting import until


class Teller(Role):
    told = Event()
    step = Element(int)

    def __init__(self, start=0):
        import os

        self.count, self.pid = start, os.getpid()

    @Service(expand=True)
    def tell(self, caller):
        self.count += self.step()
        self.told.emit({"count": self.count})
        return self.count

    @Service(expand=True)
    def get_pid(self, caller):
        return self.pid


class Listener(Role):
    def __init__(self):
        self.heard = []

    @EventHandler("teller", "told", expand=True)
    def on_told(self, source, count):
        self.heard.append(count)

    @Service(expand=True)
    def get_heard(self, caller):
        return self.heard

    @Service(expand=True)
    def ask(self, caller):
        return self.call("teller", "tell")


cloudpickle.register_pickle_by_value(__import__(__name__, fromlist=["_"]))


def deployed(spec):
    """The nodes of a spec, without what does not come again: engines, and the order of
    assignments.
    """
    return {
        name: (
            {key: value for key, value in node.items() if key not in ("engine", "roles")}
            | {
                role: {key: value for key, value in given.items() if key != "turn"}
                for role, given in node["roles"].items()
            }
        )
        for name, node in spec["nodes"].items()
    }


def test_nodes_of_a_killed_engine_are_made_anew_on_another(own_bed):
    own_bed.spawn("teller", "lost-listener", on=0, seed=5)
    own_bed.spawn("listener", on=1)
    own_bed.assign(
        "teller", "teller", Teller, options={"start": 10}, elements={"step": impl(int, 2)}
    )
    own_bed.assign("*listener", "listener", Listener)
    own_bed.relate("*listener", "teller", "teller/teller")
    assert own_bed.respawn() == []
    assert [own_bed.call("listener/listener", "ask") for _ in range(2)] == [12, 14]
    before = own_bed.spec()
    os.kill(own_bed.call("teller/teller", "get-pid"), signal.SIGKILL)
    until(lambda: own_bed.lost, "it is lost")
    with pytest.raises(NodeLost, match=r"engine0 is lost"):
        own_bed.call("teller/teller", "tell")
    with pytest.raises(TestbedError, match="no engine 0"):
        own_bed.respawn(on=0)
    assert own_bed.respawn() == ["lost-listener", "teller"]
    assert deployed(own_bed.spec()) == deployed(before)
    assert {node["engine"] for node in own_bed.spec()["nodes"].values()} == {"engine1"}
    assert (
        own_bed.call("listener/listener", "ask")
        == own_bed.call("lost-listener/listener", "ask") - 2
        == 12
    )
    until(
        lambda: own_bed.call("listener/listener", "get-heard") == [12, 14, 12, 14],
        "it hears the new one",
    )
    until(
        lambda: own_bed.call("lost-listener/listener", "get-heard") == [12, 14],
        "so does the one that is new itself",
    )
    assert not any(node.lost for node in own_bed.status().nodes)


def told_role(with_step):
    """The class of a cell, and of the same cell later, without its element."""

    class Told(Role):
        if with_step:
            step = Element(int)

        def __init__(self):
            self.heard = []

        @Service(expand=True)
        def listen(self, caller):
            self.subscribe(RoleInstanceID("teller", "teller"), "told", self.hear)

        def hear(self, caller, args, payloads):
            self.heard.append(args["count"])

        @Service(expand=True)
        def get_heard(self, caller):
            return self.heard, hasattr(self, "step")

    return Told


def test_what_a_respawn_takes_over_and_what_begins_anew(own_bed):
    """Places on the board, the version that roles have been updated to; subscriptions by hand end
    with the emitter, and can be made again.
    """
    before, after = told_role(True), told_role(False)
    own_bed.spawn("teller", on=0)
    own_bed.spawn("here", on=1)
    own_bed.assign(
        "teller", "teller", Teller, options={"start": 10}, elements={"step": impl(int, 2)}
    )
    own_bed.assign(["teller", "here"], "told", before, elements={"step": impl(int, 1)})
    own_bed.update(after)
    own_bed.arrange({"teller": (3, 4), "here": (5, 6)})
    own_bed.call("here/told", "listen")
    assert own_bed.call("teller/teller", "tell") == 12
    until(lambda: own_bed.call("here/told", "get-heard") == ([12], False), "it hears it")
    os.kill(own_bed.call("teller/teller", "get-pid"), signal.SIGKILL)
    until(lambda: own_bed.lost, "it is lost")
    assert own_bed.respawn() == ["teller"]
    assert {name: node["at"] for name, node in own_bed.spec()["nodes"].items()} == {
        "teller": [3, 4],
        "here": [5, 6],
    }
    assert own_bed.call("teller/told", "get-heard") == ([], False)
    assert own_bed.call("teller/teller", "tell") == 12
    own_bed.call("here/told", "listen")
    assert own_bed.call("teller/teller", "tell") == 14
    until(lambda: own_bed.call("here/told", "get-heard") == ([12, 14], False), "it hears it anew")

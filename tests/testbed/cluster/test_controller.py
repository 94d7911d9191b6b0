"""The controller's processes, killed one by one: what is broken is said at once, and the rest goes
on.
"""

import os
import signal

import ipyparallel as ipp
import psutil
import pytest

from roleml_nb import Role, RoleMLError, Service, Testbed
from roleml_nb.testbed.cluster.controller import PARTS
from roleml_nb.testbed.cluster.watchdog import processes_of
from tests.waiting import until


class Counter(Role):
    def __init__(self, count=0):
        super().__init__()
        self.count = count

    @Service(expand=True)
    def add(self, caller):
        self.count += 1
        return self.count

    @Service(expand=True)
    def pid(self, caller):
        return os.getpid()

    @Service(expand=True)
    def ask(self, caller):
        return self.call("other", "add")


@pytest.fixture
def watched(own_bed):
    """A testbed that knows its controller's processes."""
    until(
        lambda: {part.name for part in own_bed.fleet.engines.controller.parts} == set(PARTS),
        "all are known",
    )
    return own_bed


def kill(bed, name):
    part, *_ = [part for part in bed.fleet.engines.controller.parts if part.name == name]
    os.kill(part.process.pid, signal.SIGKILL)
    until(lambda: part.process.ended, "its end")
    return part.process.pid


@pytest.mark.parametrize("name", PARTS)
def test_each_of_the_controllers_processes_is_killed(watched, name):
    """Nodes are made, called, moved and removed as before, and nothing is left in the end."""
    watched.spawn("a", on=0).assign("counter", Counter, options={"count": 5})
    pid = kill(watched, name)
    (told,) = until(lambda: [str(each) for each in watched.errors], "it is told", 5)
    what, without = PARTS[name]
    assert f"the controller's {what} (process {pid}) has ended: {without}" in told
    assert ("save what you need (bed.save), stop this testbed and make a new one" in told) is (
        name in ("hub", "mux")
    )
    watched.spawn("b", on=1).assign("counter", Counter)
    watched.relate("b", "other", "a/counter")
    assert watched.call("b/counter", "ask") == 6
    watched.move("a", 1)
    assert watched.call("b/counter", "ask") == 7
    assert watched.waiting() == [] and str(watched.stop_run()) == "run stopped: nothing was at work"
    watched.remove("a")
    assert (
        [node.name for node in watched.status().nodes] == ["b"]
        and not watched.lost
        and len(watched.errors) == 1
    )
    watched.stop()
    until(lambda: not list(processes_of(watched.fleet.testbed_id)), "no process is left", 5)


def test_nodes_are_made_anew_without_the_scheduler_of_orders(watched):
    watched.spawn("a", on=0).assign("counter", Counter, options={"count": 5})
    watched.spawn("b", on=1).assign("counter", Counter)
    watched.relate("b", "other", "a/counter")
    kill(watched, "mux")
    os.kill(watched.call("a/counter", "pid"), signal.SIGKILL)
    until(lambda: watched.lost, "it is lost")
    assert watched.respawn() == ["a"] and watched.call("b/counter", "ask") == 6


def test_what_waits_for_ipyparallel_ends_at_once_with_its_scheduler(watched):
    waiting = watched.fleet.send("engine0", sleep)
    pid = kill(watched, "mux")
    text = (
        f"the controller's scheduler of orders .process {pid}. has ended: ipyparallel carries"
        " nothing to the engines any more"
    )
    with pytest.raises(RoleMLError, match=text):
        waiting.result(60)
    with pytest.raises(RoleMLError, match=text):
        watched.fleet.engines.send(0, os.getpid)


def sleep(host):
    import time

    time.sleep(30)


sleep.__module__ = "__main__"


def test_without_direct_links_it_is_said_at_once_that_nothing_can_be_ordered():
    with Testbed(engines=1, links=("relay",), preload=(), timeout=30) as bed:
        bed.spawn("a").assign("counter", Counter)
        until(
            lambda: {part.name for part in bed.fleet.engines.controller.parts} == set(PARTS),
            "all are known",
        )
        kill(bed, "mux")
        with pytest.raises(
            RoleMLError,
            match=(
                "engine0 cannot be told anything: ipyparallel has given it up, and there is no"
                " direct link"
            ),
        ):
            bed.spawn("b")
        assert list(bed.spec()["nodes"]) == ["a"]


def test_a_respawn_that_fails_forgets_nothing(own_bed, monkeypatch):
    own_bed.spawn("a", on=0, seed=3).assign("counter", Counter, options={"count": 5})
    own_bed.spawn("b", on=1).assign("counter", Counter)
    own_bed.relate("b", "other", "a/counter")
    own_bed.relate("a", "friend", "b/counter")
    own_bed.link_relationship("a", "pal", "friend")
    os.kill(own_bed.call("a/counter", "pid"), signal.SIGKILL)
    until(lambda: own_bed.lost, "it is lost")
    before = own_bed.spec()
    send, failing = own_bed.fleet.send, ["spawn", "update_directory"]

    def broken(host_id, function, *args):
        if failing and function.__name__ == failing[0]:
            raise RoleMLError("the network is down")
        return send(host_id, function, *args)

    monkeypatch.setattr(own_bed.fleet, "send", broken)
    while failing:
        with pytest.raises(RoleMLError, match="the network is down"):
            own_bed.respawn()
        assert own_bed.spec() == before and [node.lost for node in own_bed.status().nodes] == [
            True,
            False,
        ]
        failing.pop(0)
    assert own_bed.respawn() == ["a"] and own_bed.call("b/counter", "ask") == 6
    assert psutil.pid_exists(own_bed.call("a/counter", "pid"))


@pytest.mark.parametrize("name", ["hub", "mux"])
def test_the_controller_of_a_cluster_that_was_joined(name, tmp_path):
    """It is somebody else's, but broken all the same: nodes are made, moved and removed over direct
    links.
    """
    with ipp.Cluster(n=2, profile_dir=str(tmp_path / "profile"), shutdown_atexit=True) as client:
        client.wait_for_engines(2, timeout=60, interactive=False)
        with Testbed(cluster=client, preload=(), timeout=30) as bed:
            parts = until(lambda: bed.fleet.engines.controller.parts, "they are found")
            assert {part.name for part in parts} == set(PARTS) - {"hb_ping"}
            bed.spawn("a", on=0).assign("counter", Counter, options={"count": 5})
            pid = kill(bed, name)
            (told,) = until(lambda: [str(each) for each in bed.errors], "it is told", 5)
            assert (
                f"the controller's {PARTS[name][0]} (process {pid}) has ended: {PARTS[name][1]}"
                in told
            )
            assert told.endswith(
                "stop this testbed and make a new one, with a cluster that was started anew"
            )
            bed.spawn("b", on=1).assign("counter", Counter)
            bed.relate("b", "other", "a/counter")
            assert bed.call("b/counter", "ask") == 6
            bed.move("a", 1)
            assert bed.call("b/counter", "ask") == 7

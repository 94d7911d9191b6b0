"""Engines that have no turn for a while: they go on when it was short, and are lost for good when
it was long.
"""

import logging
import os
import signal
import subprocess
import sys
import time

import ipyparallel as ipp
import psutil
import pytest

from roleml_nb import Event, EventHandler, NodeLost, Role, Service, Task, Testbed
from roleml_nb.messaging.links import transport
from roleml_nb.testbed.cluster import failure_detector
from tests.waiting import until

LIMIT_S = 4.0


class Writer(Role):
    told = Event()

    def __init__(self, path=None):
        super().__init__()
        self.path, self.heard = path, []

    @Service(expand=True)
    def pid(self, caller):
        return os.getpid()

    @Service(expand=True)
    def write(self, caller, text):
        with open(self.path, "a") as file:
            file.write(text)
        return text

    @Task(expand=True)
    def tick(self, caller):
        """Writes, and says, numbers for a minute."""
        for number in range(1200):
            with open(self.path, "a") as file:
                file.write(".")
            self.told.emit({"number": number})
            time.sleep(0.05)

    @EventHandler("other", "told", expand=True)
    def on_told(self, source, number):
        self.heard.append(number)

    @Service(expand=True)
    def get_heard(self, caller):
        return len(self.heard)


@pytest.fixture
def joined():
    """Somebody else's cluster, whose controller gives up an engine that has no turn for a
    second.
    """
    cluster = ipp.Cluster(
        n=2,
        log_level=logging.ERROR,
        controller_args=["--HeartMonitor.period=100", "--HeartMonitor.max_heartmonitor_misses=10"],
    )
    client = cluster.start_and_connect_sync()
    client.wait_for_engines(2, timeout=60, interactive=False)
    pids = client[:].apply_sync(os.getpid)
    yield cluster
    for pid in pids:
        if psutil.pid_exists(pid):
            os.kill(pid, signal.SIGKILL)
    cluster.stop_cluster_sync()
    client.close()


@pytest.fixture
def short(monkeypatch):
    """The minute is a few seconds."""
    monkeypatch.setattr(failure_detector, "UNREACHED_S", LIMIT_S)
    monkeypatch.setitem(transport.HEARTBEATS_MS, "ipc", (200, int(1000 * LIMIT_S) - 500))


def freeze(pid):
    """It has no turn any more; on a busy machine, it takes a moment until that is so."""
    os.kill(pid, signal.SIGSTOP)
    until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED, "it stands still")


def deployed(bed, path):
    bed.spawn("a", on=0)
    bed.spawn("b", on=1)
    bed.assign(["a", "b"], "writer", Writer, options={"path": str(path)})
    bed.relate("b", "other", "a/writer")
    return bed.call("a/writer", "pid")


def test_an_engine_that_has_no_turn_for_less_than_a_minute_goes_on(joined, tmp_path, capsys):
    """Also when ipyparallel has given it up meanwhile; then its link brings what it is ordered to
    do.
    """
    with Testbed(cluster=joined, preload=(), timeout=30) as bed:
        pid = deployed(bed, tmp_path / "text")
        asked = bed.call_task("a/writer", "write", {"text": "1"})
        assert asked.result(10) == "1"
        # ipyparallel's answer to this comes after it has given the engine up
        bed.fleet._link_monitor.serve("engine0")
        freeze(pid)
        asked = bed.call_task("a/writer", "write", {"text": "2"})
        until(
            lambda: bed.fleet.numbers["engine0"] not in bed.fleet.engines.client.ids,
            "ipyparallel gives it up",
        )
        until(lambda: bed.fleet._detector.silence("engine0") > 5, "some time")
        assert not bed.lost and not asked.done()
        os.kill(pid, signal.SIGCONT)
        assert asked.result(10) == "2"
        bed.spawn("c", on=0)
        bed.assign("c", "writer", Writer, options={"path": str(tmp_path / "text")})
        assert (
            bed.call("c/writer", "pid") == pid
            and bed.call("c/writer", "write", {"text": "3"}) == "3"
        )
        assert (tmp_path / "text").read_text() == "123" and not bed.lost
        until(lambda: all(": direct" in line for line in bed.links()), "direct links", 60)
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err == ""


@pytest.mark.parametrize("own", [True, False], ids=["own", "joined"])
def test_a_lost_engine_is_ended_and_does_nothing_more(own, request, short, tmp_path, capsys):
    made = {"engines": 2} if own else {"cluster": request.getfixturevalue("joined")}
    with Testbed(**made, preload=(), timeout=30) as bed:
        pid = deployed(bed, tmp_path / "text")
        freeze(pid)
        asked = bed.call_task("a/writer", "write", {"text": "executed"})
        reason = f"neither a direct link nor ipyparallel has reached it for {LIMIT_S:.0f} s"
        with pytest.raises(NodeLost) as caught:
            asked.result(30)
        assert f"a/writer.write was not answered: engine0 is lost ({reason})" in str(caught.value)
        assert bed.lost == {"engine0": reason}
        until(
            lambda: (
                not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
            ),
            "its end",
        )
        assert [line for line in bed.links() if "engine0" in line] == [
            f"{ends}: none (engine0 is lost: {reason})"
            for ends in (
                "engine0 → engine1",
                "engine0 → notebook",
                "engine1 → engine0",
                "notebook → engine0",
            )
        ]
        assert not (tmp_path / "text").exists()
        assert bed.respawn() == ["a"] and bed.call("a/writer", "write", {"text": "1"}) == "1"
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("useless", [True, False], ids=["given up by ipyparallel", "known to it"])
def test_one_on_another_machine_ends_when_it_learns_that_it_is_lost(
    useless, short, tmp_path, request
):
    """What it sends until then is not taken; one that others can still use ends its part alone."""
    if useless:
        cluster = request.getfixturevalue("joined")
    else:
        cluster = ipp.Cluster(
            n=2,
            log_level=logging.ERROR,
            controller_args=[
                "--HeartMonitor.period=250",
                "--HeartMonitor.max_heartmonitor_misses=400",
            ],
        )
        cluster.start_and_connect_sync()
        request.addfinalizer(cluster.stop_cluster_sync)
    with Testbed(cluster=cluster, preload=(), timeout=30) as bed:
        pid = deployed(bed, tmp_path / "text")
        bed.fleet._processes["engine0"] = bed.fleet.process("engine0")._replace(machine="another")
        bed.call_task("a/writer", "tick")
        until(lambda: bed.call("b/writer", "get-heard"), "the first")
        freeze(pid)
        until(lambda: bed.lost, "its loss", 30)
        heard = bed.call("b/writer", "get-heard")
        os.kill(pid, signal.SIGCONT)
        size = None

        def still():
            nonlocal size
            before, size = size, (tmp_path / "text").stat().st_size
            return before == size

        if useless:
            until(
                lambda: (
                    not psutil.pid_exists(pid)
                    or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
                ),
                "its end",
                30,
            )
        else:
            until(
                lambda: (
                    bed.fleet.engines.send(bed.fleet.numbers["engine0"], hosts_there).result(60)
                    == []
                ),
                "the end of its host",
                30,
            )
            time.sleep(0.2)  # longer than between two of its ticks
            assert still() or (time.sleep(0.2) or still())
        assert bed.call("b/writer", "get-heard") == heard
        assert all(": none (" in line for line in bed.links() if "engine0" in line)


def hosts_there():
    from roleml_nb.host.engine import _hosts

    return list(_hosts)


hosts_there.__module__ = "__main__"


KERNEL = """
import sys
from roleml_nb import Testbed
from roleml_nb.messaging import transport
from roleml_nb.testbed.cluster import failure_detector
from tests.testbed.cluster.test_frozen import Writer

failure_detector.UNREACHED_S = 2.0
transport.HEARTBEATS_MS["ipc"] = 200, 1500
with Testbed(engines=1, preload=(), timeout=30) as bed:
    bed.spawn("a").assign("writer", Writer)
    print(bed.call("a/writer", "get-heard"), flush=True)
    sys.stdin.readline()
    for _ in range(20):  # all that the failure detector has to decide is decided by then
        bed.fleet.home.clock.sleep(0.05)
    print(bed.call("a/writer", "get-heard"), bed.lost, flush=True)
"""


def test_time_in_which_the_notebook_itself_has_no_turn_does_not_count():
    kernel = subprocess.Popen(
        [sys.executable, "-c", KERNEL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert kernel.stdout.readline() == "0\n"
        freeze(kernel.pid)
        thawed = time.monotonic() + 5.0  # more than twice the limit
        until(lambda: time.monotonic() > thawed, "that time")
        os.kill(kernel.pid, signal.SIGCONT)
        told, _ = kernel.communicate("\n", timeout=60)
        assert told == "0 {}\n"
    finally:
        kernel.kill()
        kernel.communicate()

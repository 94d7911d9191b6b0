"""What happens when processes die."""

import os
import pickle
import signal
import subprocess
import sys
import textwrap

import psutil
import pytest

from roleml_nb import NodeLost, Role, Service, Task, Testbed
from roleml_nb.role import ErrorHandlingStrategy
from tests.waiting import until


def make_roles():
    class Sleeper(Role):
        def __init__(self):
            import threading

            self.gate, self.answers = threading.Event(), []

        @Task(expand=True)
        def sleep(self, caller):
            import time

            time.sleep(60)

        @Service(expand=True)
        def pid(self, caller):
            import os

            return os.getpid()

        @Service(expand=True)
        def wait_for_gate(self, caller):
            return "open" if self.gate.wait(60) else "shut"

        @Service(expand=True)
        def open_gate(self, caller):
            self.gate.set()

        @Task(expand=True)
        def ask_all(self, caller):
            """The answers, or the errors in their place; noted as they arrive."""
            self.call_group(
                "all",
                "wait-for-gate",
                on_error=ErrorHandlingStrategy.KEEP,
                timeout=60,
                on_result=lambda source, result: self.answers.append(
                    (source.actor_name, str(result))
                ),
            )
            return self.answers

        @Service(expand=True)
        def get_answers(self, caller):
            return list(self.answers)

    Sleeper.__module__ = "__main__"
    return Sleeper


def test_a_killed_engine_fails_its_calls_and_the_rest_goes_on(own_bed):
    own_bed.spawn("a", on=0)
    own_bed.spawn("b", on=1)
    own_bed.assign(["a", "b"], "sleeper", make_roles())
    pid = own_bed.call("b/sleeper", "pid")
    own_bed.relate("a", "all", ["a/sleeper", "b/sleeper"])
    waiting = own_bed.call_task("b/sleeper", "sleep")
    asked = own_bed.call_task("a/sleeper", "ask-all")
    until(
        lambda: any("waits for b/sleeper.wait-for-gate" in line for line in own_bed.waiting()),
        "the group is called",
    )
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(NodeLost, match="b/sleeper.sleep was not answered: engine1 is lost"):
        waiting.result(10)
    with pytest.raises(NodeLost, match="engine1 is lost"):
        own_bed.call("b/sleeper", "pid")
    assert own_bed.call("a/sleeper", "pid") != pid
    ((name, error),) = until(
        lambda: own_bed.call("a/sleeper", "get-answers"), "the group's caller is told, too"
    )
    assert name == "b" and error.startswith(
        "b/sleeper.wait-for-gate was not answered: engine1 is lost (its process has ended"
    )
    own_bed.call("a/sleeper", "open-gate")
    assert asked.result(30) == [("b", error), ("a", "open")]
    assert list(own_bed.lost) == ["engine1"]
    assert "lost: engine1" in str(own_bed.status())
    assert str(own_bed.status()).splitlines()[-1].split() == ["b", "1", "lost"]


def test_stop_leaves_no_process_and_no_directory(own_bed):
    children = psutil.Process().children(recursive=True)
    directory = own_bed.fleet.engines.directory
    own_bed.stop()
    _, alive = psutil.wait_procs([child for child in children if child.is_running()], timeout=15)
    mine = [
        process
        for process in alive
        if "ipyparallel" in " ".join(process.cmdline())
        and process.environ().get("ROLEML_NB_TESTBED") == own_bed.fleet.testbed_id
    ]
    assert mine == []
    assert not os.path.exists(directory)


def test_neither_does_one_whose_engine_was_killed():
    """Not even when its process ends, where ipyparallel ends once more what it thinks has not
    ended.
    """
    script = textwrap.dedent("""
        import os, signal
        from roleml_nb import Testbed
        bed = Testbed(engines=2, preload=())
        killed = bed.fleet._processes["engine0"]
        os.kill(killed.pid, signal.SIGKILL)
        while not killed.ended: pass
        bed.stop()
        print(bed.fleet.engines.directory)
    """)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0 and done.stderr == ""
    assert not os.path.exists(done.stdout.strip())


def test_a_killed_kernel_leaves_nothing_behind():
    script = textwrap.dedent("""
        from roleml_nb import Testbed
        bed = Testbed(engines=2, preload=())
        print(bed.fleet.testbed_id, bed.fleet.engines.directory, flush=True)
        import time; time.sleep(60)
    """)
    kernel = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    mark, directory = kernel.stdout.readline().split()

    def left():
        found = []
        for process in psutil.process_iter():
            try:
                if (
                    process.environ().get("ROLEML_NB_TESTBED") == mark
                    and process.status() != psutil.STATUS_ZOMBIE
                ):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    assert len(left()) >= 3
    kernel.kill()
    kernel.wait()
    until(lambda: not left(), "no process of the cluster left", 20)
    until(lambda: not os.path.exists(directory), "no directory left", 10)


def test_the_relay_works_where_direct_links_do_not():
    with Testbed(engines=2, links=("relay",), preload=(), timeout=30) as bed:
        assert all(": relay" in line for line in bed.links())
        bed.spawn("a", on=0)
        bed.spawn("b", on=1)

        class Asker(Role):
            @Service(expand=True)
            def get(self, caller):
                return 7

            @Service(expand=True)
            def ask(self, caller):
                return self.call("other", "get")

        bed.assign(["a", "b"], "asker", Asker)
        bed.relate("a", "other", "b/asker")
        assert bed.call("a/asker", "ask") == 7
        for node, kind in (("a", "service"), ("b", "reply")):
            lost = lose_one(bed, kind)
            assert bed.call(f"{node}/asker", "get") == 7
            assert lost == [kind]


def lose_one(bed, kind):
    """Have the relay lose the next batch that has a message of that kind."""
    lost, relay = [], bed.fleet._link_monitor.relay

    def losing(send, place):
        def lossy(*args):
            frames = args[place] if place else args[0][2]
            if not lost and any(item[0] == kind for item in pickle.loads(frames[0])[4]):
                lost.append(kind)
            else:
                send(*args)

        return lossy

    for session in bed.fleet.home.router.links.values():
        session.link._put = losing(session.link._put, 0)
    relay._deliver = losing(relay._deliver, 1)
    return lost


def test_a_running_cluster_is_joined_and_left_alone():
    import logging

    import ipyparallel as ipp

    cluster = ipp.Cluster(
        n=1, log_level=logging.ERROR, controller_args=["--HeartMonitor.period=250"]
    )
    client = cluster.start_and_connect_sync()
    try:
        client.wait_for_engines(1, timeout=60, interactive=False)
        for _ in range(2):
            with Testbed(cluster=cluster, preload=(), timeout=30) as bed:
                bed.spawn("a")
                bed.assign("a", "sleeper", make_roles())
                assert bed.call("a/sleeper", "pid") != os.getpid()
        assert client[:].apply_sync(os.getpid)
    finally:
        cluster.stop_cluster_sync()

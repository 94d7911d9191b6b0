"""Links that break, and what is not lost by it; bounded bytes in flight; what is waited for."""

import os
import signal

import cloudpickle
import numpy as np
import psutil
import pytest

from roleml_nb import CallTimeout, Event, EventHandler, HandlerError, Role, Service, Task
from roleml_nb.host import engine
from tests.waiting import until


class Counter(Role):
    counted = Event()

    @Task(expand=True)
    def count(self, caller, numbers: int, size: int = 0):
        import numpy

        for number in range(numbers):
            self.counted.emit({"number": number}, {"data": numpy.full(size, number % 256, "uint8")})

    @Service(expand=True)
    def cut(self, caller, peer: str):
        """Break the direct link from here to another host, for good."""
        host = self.base.host
        host.link_manager.routes.pop(peer)
        host.router.links[peer].link.end("cut for the test")

    @Service(expand=True)
    def pid(self, caller):
        import os

        return os.getpid()


class Listener(Role):
    def __init__(self):
        self.heard = []

    @EventHandler("counter", "counted", expand=True)
    def on_counted(self, source, number, data):
        self.heard.append(number if not data.size or (data == number % 256).all() else None)

    @Service(expand=True)
    def get_heard(self, caller):
        return self.heard

    @Task(expand=True)
    def ask(self, caller, channel: str):
        return self.call("counter", channel)


class Slow(Role):
    @Service(expand=True)
    def sleep(self, caller, seconds: float):
        import time

        time.sleep(seconds)

    @Task(expand=True)
    def work(self, caller, seconds: float, data=None):
        import time

        time.sleep(seconds)
        return None if data is None else int(data[0])

    @Task(expand=True)
    def hold_the_lock(self, caller, seconds: float):
        """Keep the interpreter from running any other thread of the process."""
        import ctypes

        ctypes.PyDLL(None).usleep(int(seconds * 1e6))


class Giver(Role):
    @Service(expand=True)
    def give(self, caller, value: int):
        import numpy

        return numpy.full(300_000, value)


class Asker(Role):
    @Task(expand=True)
    def ask(self, caller, channel: str, seconds: float):
        return self.call("slow", channel, {"seconds": seconds}, timeout=30)

    @Task(expand=True)
    def give(self, caller, size: int):
        import numpy

        return self.call_task(
            "slow", "work", {"seconds": 0.0}, {"data": numpy.full(size, 7, "uint8")}
        ).result(60)

    @Task(expand=True)
    def flood(self, caller, count: int, size: int):
        """Returns how many bytes were under way at most."""
        import numpy

        most, invocations = 0, []
        for number in range(count):
            invocations.append(
                self.call_task(
                    "slow", "work", {"seconds": 0.02}, {"data": numpy.full(size, number, "uint8")}
                )
            )
            host = self.base.host
            most = max(
                most,
                host.router._window.bytes,
                *(each.window.bytes for each in host.router.links.values()),
            )
        assert [invocation.result(30) for invocation in invocations] == list(range(count))
        return most


cloudpickle.register_pickle_by_value(__import__(__name__, fromlist=["_"]))


def counting(bed):
    """A counter on the first engine, a listener on the second."""
    bed.spawn("a", on=0)
    bed.spawn("b", on=1)
    bed.assign("a", "counter", Counter)
    bed.assign("b", "listener", Listener)
    bed.relate("b", "counter", "a/counter")


@pytest.mark.parametrize("size", [0, 100_000])
def test_a_link_that_breaks_loses_nothing_and_says_so(own_bed, size):
    counting(own_bed)
    assert set(own_bed.links()) == {
        f"{a} → {b}: direct"
        for a in ("engine0", "engine1", "notebook")
        for b in ("engine0", "engine1", "notebook")
        if a != b
    }
    counted = own_bed.call_task("a/counter", "count", {"numbers": 400, "size": size})
    until(lambda: own_bed.call("b/listener", "get-heard"), "a first event")
    own_bed.call("a/counter", "cut", {"peer": "engine1"})
    counted.result(30)
    own_bed.call("a/counter", "count", {"numbers": 100, "size": size})
    heard = until(
        lambda: (found := own_bed.call("b/listener", "get-heard")) and len(found) == 500 and found,
        "all events",
    )
    assert heard == [*range(400), *range(100)]
    assert [line for line in own_bed.links() if "relay" in line] == [
        "engine0 → engine1: relay (cannot send to host 'engine1' at "
        f"ipc://{own_bed.fleet.engines.directory}/engine1: cut for the test)"
    ]
    assert not own_bed.lost


def test_the_notebook_is_reached_when_its_links_are_cut(own_bed):
    counting(own_bed)
    own_bed.call_task("a/counter", "cut", {"peer": "notebook"}).result(20)
    assert own_bed.call("a/counter", "pid") != os.getpid()
    until(
        lambda: any(line.startswith("engine0 → notebook: relay") for line in own_bed.links()),
        "it says so",
    )
    assert not own_bed.lost


def test_a_killed_engine_is_noticed_by_the_other_engine_too(own_bed):
    counting(own_bed)
    own_bed.assign("a", "slow", Slow)
    own_bed.assign("b", "asker", Asker)
    own_bed.relate("b", "slow", "a/slow")
    waiting = own_bed.call_task("b/asker", "ask", {"channel": "sleep", "seconds": 25.0})
    until(
        lambda: any(each.name == "a/slow.sleep" for each in engine_state(own_bed, "engine1")),
        "the call is made",
    )
    os.kill(own_bed.call("a/counter", "pid"), signal.SIGKILL)
    with pytest.raises(
        HandlerError,
        match="b/asker.ask failed .*NodeLost: a/slow.sleep was not answered: engine0 is lost",
    ):
        waiting.result(10)
    assert list(own_bed.lost) == ["engine0"]
    assert "engine1 → engine0: none (engine0 is lost: " in "\n".join(own_bed.links())


def engine_state(bed, host_id):
    return bed.fleet.run(host_id, engine.at_work)[0]


def test_a_handler_that_holds_the_interpreter_and_a_large_message_kill_nobody(own_bed):
    own_bed.spawn("a", on=0)
    own_bed.spawn("b", on=1)
    own_bed.assign("a", "slow", Slow)
    own_bed.assign("b", "asker", Asker)
    own_bed.relate("b", "slow", "a/slow")
    holding = own_bed.call_task("a/slow", "hold-the-lock", {"seconds": 10.0})
    assert own_bed.call("b/asker", "give", {"size": 200_000_000}, timeout=60) == 7
    assert holding.result(30) is None
    assert not own_bed.lost and not own_bed.errors
    until(lambda: all(": direct" in line for line in own_bed.links()), "direct links", 60)


def test_a_timeout_says_what_the_other_side_does(bed):
    bed.spawn("late").assign("slow", Slow)
    with pytest.raises(
        CallTimeout,
        match=r"late/slow.sleep has not answered for 0\.3 s \(\w+: handler running since 0\.\d s\)",
    ):
        bed.call("late/slow", "sleep", {"seconds": 1.0}, timeout=0.3)


def test_senders_are_held_back_and_nothing_is_lost(bed):
    bed.spawn("full-a", "full-b")
    bed.assign("full-a", "asker", Asker)
    bed.assign("full-b", "slow", Slow)
    bed.relate("full-a", "slow", "full-b/slow")
    most = bed.call("full-a/asker", "flood", {"count": 60, "size": 4_000_000})
    assert 4_000_000 <= most <= 64 * 1024 * 1024


def test_the_sender_may_write_to_its_arrays_at_once(bed):
    bed.spawn("own").assign("slow", Slow)
    data, invocations = np.zeros(2_000_000, "uint8"), []
    for number in range(10):
        data[:] = number
        invocations.append(bed.call_task("own/slow", "work", {"seconds": 0.0}, {"data": data}))
    assert [invocation.result(20) for invocation in invocations] == list(range(10))


def test_nothing_of_a_kernel_that_dies_with_its_links_cut_stays(tmp_path):
    """No stand-in for the kernel: a real one, killed."""
    import subprocess
    import sys

    script = """
from roleml_nb import Testbed
from tests.testbed.cluster.test_links import Counter
bed = Testbed(engines=1, preload=())
bed.spawn("a"); bed.assign("a", "counter", Counter)
bed.call_task("a/counter", "cut", {"peer": "notebook"}).result(20)
print(bed.fleet.testbed_id, bed.call("a/counter", "pid"), flush=True)
import time; time.sleep(60)
"""
    kernel = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    _, pid = kernel.stdout.readline().split()
    kernel.kill()
    kernel.wait()
    until(
        lambda: (
            not psutil.pid_exists(int(pid))
            or psutil.Process(int(pid)).status() == psutil.STATUS_ZOMBIE
        ),
        "it ended",
    )


def test_memory_that_cannot_be_opened_is_sent_as_bytes(own_bed, monkeypatch):
    def fail(frames):
        raise OSError(24, "Too many open files")

    bed = own_bed
    bed.spawn("giver").assign("giver", Giver)
    assert bed.call("giver/giver", "give", {"value": 1})[299_999] == 1
    monkeypatch.setattr("roleml_nb.messaging.links.transport.with_shared", fail)
    for value in (2, 3):
        assert bed.call("giver/giver", "give", {"value": value}, timeout=30)[299_999] == value
    until(lambda: all(": direct" in line for line in bed.links()), "direct links", 60)

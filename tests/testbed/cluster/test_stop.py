"""bed.stop_run(): what handlers do ends, and all is usable again."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import cloudpickle
import pytest

from roleml_nb import Event, EventHandler, NodeLost, Role, Runnable, Service, Task, Testbed
from roleml_nb.host import engine as remote
from roleml_nb.role import RunStopped
from tests.waiting import until


class Worker(Role):
    tick = Event()

    def __init__(self):
        self.ticks, self.noted, self.gate = [], False, threading.Event()

    @Task(expand=True)
    def wait_for_other(self, caller):
        return self.call("other", "spin")

    @Service(expand=True)
    def spin(self, caller):
        """Busy, and catching whatever it can."""
        while True:
            try:
                sum(range(1000))
            except Exception:
                continue

    @Service(expand=True)
    def spin_at_gate(self, caller):
        self.gate.wait(30)
        while True:
            sum(range(1000))

    @Task(expand=True)
    def sleep(self, caller):
        import time

        time.sleep(20)

    @Task(expand=True)
    def hold_the_interpreter(self, caller):
        import ctypes

        self.call("other", "note")
        ctypes.PyDLL(None).usleep(20_000_000)

    @Task(expand=True)
    def loop(self, caller):
        """Events and calls to others, without end."""
        while True:
            self.tick.emit({"n": 1})
            self.call("other", "nothing")

    @Task(expand=True)
    def insist(self, caller):
        """Calls without end, and catches whatever it can: next to all of its time is spent in what
        makes the calls.
        """
        while True:
            try:
                self.call("other", "nothing")
            except Exception:
                continue

    @EventHandler("other", "tick", expand=True)
    def on_tick(self, source, n):
        self.ticks.append(n)

    @Task(expand=True)
    def go_on(self, caller, n: int):
        """Once the gate is open."""
        self.gate.wait(30)
        self.tick.emit({"n": n})
        return self.call("other", "nothing")

    @Service(expand=True)
    def open_gate(self, caller):
        self.gate.set()

    @Service(expand=True)
    def get_ticks(self, caller):
        return self.ticks

    @Service(expand=True)
    def nothing(self, caller):
        return "nothing"

    @Service(expand=True)
    def note(self, caller):
        self.noted = True

    @Service(expand=True)
    def get_noted(self, caller):
        return self.noted


class Patrol(Role, Runnable):
    """Works for as long as it is there."""

    def __init__(self):
        self.turns, self.stopped, self.over = 0, 0, False

    def run(self):
        import time

        while not self.over:
            self.turns += 1
            try:
                self.call("other", "spin")
            except RunStopped:
                self.stopped += 1
            time.sleep(0.01)

    def stop(self):
        self.over = True

    @Service(expand=True)
    def finish(self, caller):
        self.over = True

    @Service(expand=True)
    def get_turns(self, caller):
        return self.turns, self.stopped


cloudpickle.register_pickle_by_value(__import__(__name__, fromlist=["_"]))


def pair(bed, name):
    bed.spawn(f"{name}-a", f"{name}-b")
    bed.assign(f"{name}-*", "worker", Worker)
    bed.relate(f"{name}-a", "other", f"{name}-b/worker")
    bed.relate(f"{name}-b", "other", f"{name}-a/worker")
    return f"{name}-a/worker", f"{name}-b/worker"


def timed_stop(bed):
    began = time.monotonic()
    stopped = bed.stop_run()
    assert time.monotonic() - began < 10  # promised are 2 s, on a machine that does nothing else
    return stopped


@pytest.mark.parametrize("channel", ["wait-for-other", "loop", "insist", "sleep"])
def test_it_ends_and_all_is_usable_again(bed, channel):
    one, two = pair(bed, channel)
    tasks = [bed.call_task(one, channel) for _ in range(8)]
    until(
        lambda: any(
            f"{one}.{channel}" in line and "handler running" in line for line in bed.waiting()
        ),
        "it runs",
    )
    stopped = timed_stop(bed)
    assert not stopped.killed
    assert bool(stopped.left) == (channel == "sleep")
    for task in tasks:
        with pytest.raises(RunStopped, match="stopped with the run|interrupted with the run"):
            task.result(10)
    assert bed.waiting() == []
    assert bed.call(one, "nothing") == bed.call(two, "nothing") == "nothing"
    bed.assign(f"{channel}-a", "worker", Worker)  # its handlers do not hold it up
    assert str(bed.stop_run()) == "run stopped: nothing was at work"


def test_an_engine_that_does_not_answer_is_killed(own_bed):
    one, two = pair(own_bed, "stuck")
    task = own_bed.call_task(one, "hold-the-interpreter")
    engine = own_bed.registry.places["stuck-a"]
    until(lambda: own_bed.call(two, "get-noted"), "it holds the interpreter within moments")
    stopped = until(
        lambda: (found := own_bed.stop_run()).killed and found, "it is stuck, and killed"
    )
    assert stopped.killed == (engine,)
    assert (
        f"killed 1 ({engine}) (its nodes are lost: respawn() makes them anew on other engines)"
        in str(stopped)
    )
    with pytest.raises(
        (NodeLost, RunStopped),
        match=(
            f"{engine} is lost: it did not answer|{engine} is lost .it did not answer|stopped with"
        ),
    ):
        task.result(10)
    assert own_bed.call(two, "nothing") == "nothing"
    assert own_bed.respawn() == ["stuck-a"]
    assert own_bed.call(one, "nothing") == "nothing"


def busy_threads(bed):
    """How many handlers are at work, on all engines."""
    return sum(bed.fleet.run_on_all(busy).values())


def busy(host):
    return host.router.executions.busy()


def spinning(host):
    return sum(frame.f_code.co_name == "spin_at_gate" for frame in sys._current_frames().values())


def test_an_engine_with_many_busy_handlers_lives_and_all_of_them_end(own_bed):
    """Its turns of the interpreter are few: its answer comes late, but it says that it is at it."""
    one, two = pair(own_bed, "many")
    with ThreadPoolExecutor(80) as pool:
        calls = [
            pool.submit(own_bed.call, role, "spin-at-gate", timeout=60)
            for role in (one, two)
            for _ in range(40)
        ]
        until(lambda: busy_threads(own_bed) == 80, "all have begun")
        for role in (one, two):
            own_bed.call(role, "open-gate")
        stopped = own_bed.stop_run()
        assert not stopped.killed and not own_bed.lost
        for call in calls:
            with pytest.raises(RunStopped, match="stopped with the run|interrupted with the run"):
                call.result(30)
    until(
        lambda: not sum(own_bed.fleet.run_on_all(spinning).values()),
        "their threads are free",
    )
    assert own_bed.call(one, "nothing") == own_bed.call(two, "nothing") == "nothing"


def close_links(host):
    """What links bring is not taken in any more, as if all before it took for ever."""
    host.gate, host.deliveries = threading.Event(), host.transport._deliver
    host.transport._deliver = lambda peer, frames: (
        host.gate.wait(60) and host.deliveries(peer, frames)
    )


def open_links(host):
    host.transport._deliver = host.deliveries
    host.gate.set()


def test_a_stop_is_heard_before_all_that_lies_unread(own_bed):
    one, two = pair(own_bed, "unread")
    with ThreadPoolExecutor(2) as pool:
        at_work = [pool.submit(own_bed.call, role, "spin") for role in (one, two)]
        until(lambda: busy_threads(own_bed) == 2, "both are at it")
        own_bed.fleet.run_on_all(close_links)
        unread = [own_bed.call_task(role, "sleep") for role in (one, two) for _ in range(100)]
        assert own_bed.stop_run() == ((), (f"{one}.spin", f"{two}.spin"), (), ())
        own_bed.fleet.run_on_all(open_links)
        for call in at_work:
            with pytest.raises(RunStopped, match="spin was interrupted with the run"):
                call.result(30)
        for task in unread:
            with pytest.raises(RunStopped, match="sleep was stopped with the run, before it began"):
                task.result(30)
    assert not own_bed.lost
    assert own_bed.call(one, "nothing") == own_bed.call(two, "nothing") == "nothing"


def test_many_calls_on_their_way_and_many_busy_handlers(own_bed):
    """The thread that receives gets few turns; most of the calls have not begun, and never do."""
    roles = pair(own_bed, "crowd")
    with ThreadPoolExecutor(150) as pool:
        calls = [
            pool.submit(own_bed.call, role, "spin", timeout=60) for _ in range(75) for role in roles
        ]
        until(lambda: len(own_bed.fleet.home.router.pending()) == 150, "all are made")
        stopped = own_bed.stop_run()
        assert not stopped.killed and not stopped.left and not own_bed.lost
        for call in calls:
            with pytest.raises(RunStopped):
                call.result(30)
    assert [own_bed.call(role, "nothing") for role in roles] == ["nothing"] * 2


def test_a_new_link_to_the_notebook_brings_a_new_control_channel(own_bed):
    one, _ = pair(own_bed, "anew")
    engine = own_bed.registry.places["anew-a"]
    before = own_bed.fleet.home.transport._control_connections[engine]
    own_bed.fleet.run(engine, cut_link_to_the_notebook)
    until(
        lambda: own_bed.fleet.home.transport._control_connections[engine] != before,
        "it is made anew",
    )
    own_bed.fleet.run_on_all(close_links)
    assert str(own_bed.stop_run()) == "run stopped: nothing was at work" and not own_bed.lost
    own_bed.fleet.run_on_all(open_links)
    assert own_bed.call(one, "nothing") == "nothing"


def cut_link_to_the_notebook(host):
    session = host.router.links["notebook"]
    session.detach(session.link, "cut for the test")


def turn(host):
    return sys.getswitchinterval()


def test_over_the_relay_engines_hurry_to_hear_of_it():
    with Testbed(engines=2, timeout=30, preload=(), links=("relay",)) as bed:
        roles = pair(bed, "relayed")
        usual = bed.fleet.run("engine0", turn)
        bed.fleet.signal("engine0", "SIGURG")
        until(lambda: bed.fleet.run("engine0", turn) < 0.001, "it hurries")
        until(lambda: bed.fleet.run("engine0", turn) == usual, "for a while")
        with ThreadPoolExecutor(40) as pool:
            calls = [
                pool.submit(bed.call, role, "spin", timeout=60) for _ in range(20) for role in roles
            ]
            until(lambda: len(bed.fleet.home.router.pending()) == 40, "all are made")
            time.sleep(1.0)  # most of them have begun, and the relay has few turns
            stopped = bed.stop_run()
            assert not stopped.killed and not stopped.left and not bed.lost
            for call in calls:
                with pytest.raises(RunStopped):
                    call.result(30)
        assert [bed.call(role, "nothing") for role in roles] == ["nothing"] * 2


def test_what_reaches_an_engine_after_it_has_stopped_never_begins_if_it_was_sent_before(own_bed):
    """One engine hears of the stop while another does not yet, and goes on to send."""
    one, two = pair(own_bed, "late")
    task = own_bed.call_task(one, "go-on", {"n": 1})
    until(
        lambda: any(
            f"{one}.go-on" in line and "handler running" in line for line in own_bed.waiting()
        ),
        "it runs",
    )
    own_bed.fleet.home.router.run_generation = own_bed.fleet.run(
        own_bed.registry.places["late-b"], remote.run_generation, 1
    )
    own_bed.call(one, "open-gate")
    with pytest.raises(
        RunStopped, match=f"{two}.nothing was stopped with the run, before it began"
    ):
        task.result(30)
    assert own_bed.call_task(one, "go-on", {"n": 2}).result(30) == "nothing"  # made after the stop
    until(lambda: own_bed.call(two, "get-ticks"), "and heard")
    assert own_bed.call(two, "get-ticks") == [2]
    own_bed.stop_run()
    assert own_bed.call(two, "nothing") == "nothing"


def test_a_call_that_has_to_ask_for_channels_first_is_not_made_after_the_stop(bed):
    bed.spawn("asks")
    bed.assign("asks", "worker", Worker)
    calls, ask = bed._calls, bed._calls._ask_for_channels
    try:
        calls._ask_for_channels = lambda *args: (bed.stop_run(), ask(*args))[1]
        with pytest.raises(
            RunStopped, match="asks/worker.note was stopped with the run, before it began"
        ):
            bed.call("asks/worker", "note")
    finally:
        calls._ask_for_channels = ask
    assert bed.call("asks/worker", "get-noted") is False


def test_the_routine_of_a_runnable_is_no_run_and_goes_on(bed):
    """Its calls end with the run; it goes on, until its role is taken off."""
    bed.spawn("patrol-a", "patrol-b")
    bed.assign("patrol-b", "worker", Worker)
    bed.relate("patrol-a", "other", "patrol-b/worker")
    bed.assign("patrol-a", "patrol", Patrol)
    until(lambda: any("patrol-b/worker.spin" in line for line in bed.waiting()), "it calls")
    stopped = timed_stop(bed)
    assert "patrol-b/worker.spin" in str(stopped) and not stopped.killed
    turns, ended = until(
        lambda: (found := bed.call("patrol-a/patrol", "get-turns"))[1] and found,
        "its call has ended",
    )
    until(lambda: bed.call("patrol-a/patrol", "get-turns")[0] > ended, "and it calls once more")
    bed.call("patrol-a/patrol", "finish")
    timed_stop(bed)
    bed.terminate("patrol-a", "patrol")
    assert bed.waiting() == []


TRACED = """
import sys, threading
from roleml_nb import Role, Task, Testbed

class Waiter(Role):
    def __init__(self):
        self.gate = threading.Event()

    @Task(expand=True)
    def wait(self, caller):
        self.gate.wait()

    @Task(expand=True)
    def spin(self, caller):
        while True:
            sum(range(100))

def trace(frame, event, argument):
    return trace

with Testbed(engines=0) as bed:
    bed.spawn("a", "b")
    bed.assign(["a", "b"], "waiter", Waiter)
    threading.settrace(trace)  # as a debugger does it, and coverage
    sys.settrace(trace)
    bed.call_task("a/waiter", "wait")
    bed.call_task("b/waiter", "spin")
    while str(bed.waiting()).count("handler running") < 2:
        pass
    print(bed.stop_run())
    sys.settrace(None)
"""


def test_a_traced_process_does_not_freeze(tmp_path):
    """With CPython 3.11, an interrupt for a thread that waits for a lock would stop all threads
    that are traced.
    """
    program = tmp_path / "traced.py"
    program.write_text(TRACED)
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert (
        done.stdout == "run stopped: interrupted 1 (b/waiter.spin); left alone 1 (a/waiter.wait)\n"
    )

"""Testbeds that outlive their kernel, and are found again."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from roleml_nb import Element, Event, EventHandler, Role, RoleMLError, Service, Task, Testbed
from roleml_nb.host.process import Process
from roleml_nb.testbed.cluster.runtime_files import RuntimeFile, clean, left_behind, read_all
from roleml_nb.testbed.cluster.watchdog import processes_of
from tests.shells import run
from tests.waiting import until

ROOT = Path(__file__).parents[3]
LIMIT = 60.0
KERNEL = """
import os, signal, sys, time
from roleml_nb import Testbed, impl
from tests.testbed.operations.test_reattach import Worker

class Local(Worker):  # of this kernel alone
    extra = 3

bed = Testbed(engines=2, detached=True, timeout=60, preload=(), seed=6)
bed.spawn("a", seed=8)
bed.spawn("b")
bed.assign("a", "worker", Local, options={"step": 2}, elements={"start": impl(int, "5")})
bed.assign("b", "worker", Worker, elements={"start": 1})
bed.relate("a", "other", "b/worker")
bed.link_relationship("b", "friend", "other")
bed.call("a/worker", "tell", {"value": 1})
bed.call_task("a/worker", "go_on", {"times": 100_000})
print(bed.fleet.testbed_id, flush=True)
while not os.path.exists(os.path.join(bed.fleet.engines.directory, "registry.json")):
    time.sleep(0.05)
time.sleep(0.5)
os.kill(os.getpid(), signal.SIGKILL)
"""


class Worker(Role):
    start = Element(int)
    told = Event()

    def __init__(self, step=1):
        super().__init__()
        self.step, self.heard, self.going = step, [], True

    @Service(expand=True)
    def tell(self, caller, value):
        self.told.emit({"value": value})
        return self.start() + value

    @Task(expand=True)
    def go_on(self, caller, times):
        for number in range(times):
            if not self.going:
                break
            self.told.emit({"value": -number})
            self.base.host.clock.sleep(0.02)
        return "ended"

    @Service(expand=True)
    def halt(self, caller):
        self.going = False

    @EventHandler("other", "told", expand=True)
    def on_told(self, caller, value):
        self.heard.append(value)

    @Service(expand=True)
    def state(self, caller):
        return self.step, self.heard, self.ctx.seed, getattr(self, "extra", 0)


@pytest.fixture
def runtime(tmp_path, monkeypatch):
    """A runtime folder of the test's own; nothing of what is recorded there outlives the test."""
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    yield tmp_path
    clean(detached=True)


def test_a_killed_kernels_testbed_is_found_again(runtime):
    done = subprocess.run(
        [sys.executable, "-c", KERNEL],
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    mark = done.stdout.strip()
    assert len(list(processes_of(mark))) >= 3 and clean() == []  # what is to stay is left alone

    with pytest.warns(DeprecationWarning, match="roleml_nb: .*testbed_id=… now"):
        bed = Testbed.attach(mark=mark)
    assert (bed.fleet.testbed_id, bed.engines, bed.seed) == (mark, 2, 6)
    assert [(node.name, node.engine, node.roles) for node in bed.status().nodes] == [
        ("a", "0", {"worker": ("Local", "ready")}),
        ("b", "0", {"worker": ("Worker", "ready")}),
    ] or bed.status().nodes[1].engine == "1"
    spec = bed.spec()["nodes"]
    assert (
        spec["a"]["seed"] == 8
        and spec["a"]["relationships"] == {"other": ["b/worker"]}
        and spec["b"]["links"] == {"friend": "other"}
    )
    assert spec["a"]["roles"]["worker"]["options"] == {"step": 2}
    assert spec["a"]["roles"]["worker"]["elements"] == {
        "start": {"$call": "builtins.int", "args": ["5"]}
    }
    # the run has gone on meanwhile
    until(lambda: "value" in bed.trace.metrics.names(), "the trace")
    first = bed.trace.metrics.to_pandas()["step"].min()
    assert first > 1  # what was before is the other kernel's
    assert bed.call("b/worker", "tell", {"value": 4}) == 5
    until(lambda: 4 in bed.call("a/worker", "state")[1], "the event")
    assert (
        bed.call("a/worker", "state")[2:] == (8, 3)
        and bed.call("a/worker", "tell", {"value": 1}) == 6
    )
    bed.call("a/worker", "halt")
    bed.spawn("c").assign("worker", Worker, elements={"start": 0})
    bed.relate("c", "other", "a/worker")

    with pytest.raises(
        RoleMLError,
        match=f"testbed {mark} is in use by process {os.getpid()}: detach it there with bed.detach",
    ):
        Testbed.attach(mark)
    before = bed.spec()
    assert bed.detach() == mark and not bed.running
    with Testbed.attach(mark) as bed:
        assert bed.spec() == before and all(
            kind == "direct" for kind, _ in bed.fleet.links.values()
        )
        bed.call("a/worker", "tell", {"value": 9})
        until(lambda: bed.call("c/worker", "state")[1] == [9], "the event")
        assert bed.update(Worker) == []
    until(lambda: not list(processes_of(mark)), "the end of its engines")
    assert read_all() == []


def test_what_cannot_be_attached_to_or_detached(runtime, bed):
    with pytest.raises(
        RoleMLError,
        match=(
            "no testbed is detached on this machine; begin one that stays with %rml start --detach"
        ),
    ):
        Testbed.attach()
    with pytest.raises(RoleMLError, match="no testbed 'x' is detached on this machine"):
        Testbed.attach("x")
    with pytest.raises(
        RoleMLError,
        match=(
            "this testbed ends with its kernel; start one that stays with"
            " Testbed\\(detached=True\\)"
        ),
    ):
        bed.detach()
    with pytest.raises(RoleMLError, match="detached=True is for engines that this testbed starts"):
        Testbed(engines=0, detached=True)


def test_the_magics_say_what_to_type(runtime, shell, capsys):
    from IPython.core.error import UsageError

    with pytest.raises(
        UsageError,
        match=(
            "no testbed is detached on this machine; begin one that stays with %rml start --detach"
        ),
    ):
        run(shell, capsys, "attach")
    run(shell, capsys, "start --engines 0")
    with pytest.raises(
        UsageError,
        match="a testbed is running; end it first with %rml stop, or leave it with %rml detach",
    ):
        run(shell, capsys, "attach")
    with pytest.raises(UsageError, match="this testbed ends with its kernel"):
        run(shell, capsys, "detach")
    with pytest.raises(
        UsageError,
        match="a testbed that ends with this kernel is running; end it first with %rml stop",
    ):
        run(shell, capsys, "start --detach")
    RuntimeFile("m", Process.here(), str(runtime), 1.0, 1, True).write()
    assert "m" in shell.magics_manager.registry["RoleMagics"].complete(
        shell, type("Event", (), {"line": "%rml attach "})
    )


def step_clock(host, seconds):
    """Move the system clock, as far as psutil reads it."""
    from psutil import _pslinux

    before = _pslinux.boot_time()
    _pslinux.boot_time = lambda: before + seconds


step_clock.__module__ = "__main__"


def test_a_step_of_the_clock_does_not_end_the_kernel_for_detached_engines(runtime):
    with Testbed(engines=1, detached=True, timeout=LIMIT, preload=()) as bed:
        bed.spawn("a").assign("worker", Worker, elements={"start": 1})
        bed.fleet.run("engine0", step_clock, 3600.0)
        for _ in range(2):  # it looks whether the kernel has ended before each sign of life
            heard = bed.fleet.last_pulse("engine0")
            until(lambda last=heard: bed.fleet.last_pulse("engine0") > last, "a sign of life")
        assert (
            bed.call("a/worker", "tell", {"value": 1}) == 2
            and not bed.lost
            and len(list(processes_of(bed.fleet.testbed_id))) >= 2
        )


STARTING = """
from roleml_nb import Testbed
Testbed(engines=2, detached=True, preload=())
"""


@pytest.mark.parametrize("processes", [1, 4, 12])
@pytest.mark.parametrize("watched", [True, False], ids=["alone", "with its watchdog"])
def test_a_kernel_killed_while_it_starts_a_detached_testbed(runtime, processes, watched):
    """At any time before it is ready, nothing of it is to stay; what stays when the watchdog is
    killed, too, is found.
    """
    kernel = subprocess.Popen(
        [sys.executable, "-c", STARTING], env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    (record,) = until(read_all, "the record", 60)
    until(lambda: len(record.processes()) >= processes, "so many processes", 60)
    for child in () if watched else psutil.Process(kernel.pid).children():
        if "watchdog.py" in " ".join(child.cmdline()):
            child.kill()
    kernel.kill()
    kernel.wait()
    if watched:
        until(
            lambda: (
                not record.processes() and not read_all() and not os.path.exists(record.directory)
            ),
            "all is gone",
            30,
        )
        return
    with pytest.raises(
        RoleMLError,
        match=(
            f"testbed {record.testbed_id} was not ready when its kernel ended; %rml clean ends what"
            " is left"
        ),
    ):
        Testbed.attach()
    assert [found.testbed_id for found in left_behind()] == [record.testbed_id]
    assert len(clean()) >= processes
    until(lambda: not record.processes(), "all is gone", 30)
    assert read_all() == [] and not os.path.exists(record.directory)

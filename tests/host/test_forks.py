"""Forks of a node's process: what is done there that needs the node is refused at once, and costs
the node nothing.
"""

import importlib
import multiprocessing
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from textwrap import dedent

import pytest
from torch.utils.data import DataLoader, Dataset

from roleml_nb import Event, HandlerError, Role, RoleMLError, Service, Task, Testbed
from roleml_nb.role import (
    Contacts,
    Element,
    ElementImplementation,
    ElementInstance,
    Relationship,
    Relationships,
    StatusError,
    TestbedError,
)
from tests.waiting import until

REFUSAL = (
    r"calls are made in the process of the node \(\d+\), and this is a fork of it \(\d+\), which"
    r" has copies of its roles"
)
FORK = multiprocessing.get_context("fork")


class Store(Role):
    def __init__(self):
        super().__init__()
        self.asked, self.may_go = 0, threading.Event()

    @Service
    def ask(self, caller, args, payloads):
        self.asked += 1
        return self.asked

    @Task
    def work(self, caller, args, payloads):
        assert self.may_go.wait(20.0)
        self.asked += 1

    @Service
    def let_go(self, caller, args, payloads):
        self.may_go.set()


class Asking(Dataset):
    def __init__(self, role):
        self.role = role

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return self.role.call("store", "ask")


def in_fork(function):
    """What ``function()`` returns in a fork, or the error that it raises there."""
    receiver, sender = FORK.Pipe(duplex=False)

    def run():
        try:
            sender.send(function())
        except BaseException as error:
            sender.send(error)

    process = FORK.Process(target=run)
    process.start()
    sender.close()
    try:
        assert receiver.poll(20.0), "the fork does not answer"
        return receiver.recv()
    finally:
        process.join(20.0)


class Forking(Role):
    done = Event()

    @Service(expand=True)
    def load(self, caller, workers: int):
        return [int(batch) for batch in DataLoader(Asking(self), num_workers=workers, batch_size=1)]

    @Service(expand=True)
    def attempt(self, caller, what: str):
        ways = {
            "call": lambda: self.call("store", "ask"),
            "call with timeout": lambda: self.call("store", "ask", timeout=5.0),
            "task": lambda: self.call_task("store", "work").result(5.0),
            "group": lambda: self.call_group("store", "ask"),
            "tasks": lambda: self.call_task_group("store", "work"),
            "emit": lambda: self.done.emit({"loss": 1.0}),
            "subscribe": lambda: self.subscribe(next(iter(Relationship("store"))), "x", print),
            "result": lambda: before.result(5.0),
            "greet": lambda: self.base.handshake(self.profile.name),
        }
        before = self.call_task("store", "work")
        found = in_fork(ways[what])
        self.call("store", "let_go")
        before.result(5.0)
        return f"{type(found).__name__}: {found}"

    @Service(expand=True)
    def restart_host(self, caller):
        """In the fork, too."""
        self.child = os.fork()
        return os.getpid()

    @Service(expand=True)
    async def come_back_async(self, caller):
        self.child = os.fork()
        return os.getpid()

    @Task(expand=True)
    def fail_in_fork(self, caller):
        self.child = os.fork()
        if not self.child:
            sys.exit(3)
        return os.getpid()

    @Service(expand=True)
    def reap(self, caller):
        return os.waitpid(self.child, os.WNOHANG)[0] == self.child

    @Service(expand=True)
    def pid(self, caller):
        return os.getpid()

    @Service(expand=True)
    def say(self, caller):
        def speak():
            print("printed in a fork")
            self.logger.warning("logged in %s %s", "a fork", "ä" * 3000)

        in_fork(speak)

    @Service(expand=True)
    def before_exec(self, caller):
        subprocess.run(["true"], preexec_fn=lambda: self.call("store", "ask"), check=True)

    @Service(expand=True)
    def spawned(self, caller):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.apply(call_store, (self,))

    @Service(expand=True)
    def reads(self, caller):
        """What needs nobody else works in a fork as it does here."""

        def read():
            return (
                self.ctx.seed,
                self.id.actor_name,
                list(self.ctx.relationships.members("store")),
                int(self.rng(1).integers(10**9)),
            )

        return in_fork(read) == read()


def call_store(role):
    try:
        return role.call("store", "ask")
    except RoleMLError as error:
        return str(error)


def deploy(bed, name):
    """A forking role and a store, on different engines where there are some."""
    bed.spawn(f"{name}1", f"{name}2")
    bed.assign(f"{name}1", "forking", Forking)
    bed.assign(f"{name}2", "store", Store)
    bed.relate(f"{name}1", "store", f"{name}2/store")
    return f"{name}1/forking", f"{name}2/store"


def test_data_loader_whose_data_set_calls_a_role(bed):
    forking, store = deploy(bed, "loading")
    with pytest.raises(
        HandlerError,
        match=(
            "RoleInteractionError: Caught RoleInteractionError in DataLoader worker process"
            f" 0(.|\n)*{REFUSAL}"
        ),
    ):
        bed.call(forking, "load", {"workers": 1}, timeout=60.0)
    assert bed.call(forking, "load", {"workers": 0}) == [1, 2]
    assert bed.call(store, "ask") == 3


@pytest.mark.parametrize(
    "what",
    ["call", "call with timeout", "task", "group", "tasks", "emit", "subscribe", "result", "greet"],
)
def test_what_needs_the_node_is_refused_in_a_fork(bed, what):
    forking, store = deploy(bed, "refused-" + what.replace(" ", "-") + "-")
    text = bed.call(forking, "attempt", {"what": what}, timeout=60.0)
    assert (
        text.startswith("RoleInteractionError: calls are made in the process of the node (")
        and "num_workers=0" in text
    )
    assert bed.call(store, "ask") == 2
    metrics = bed.trace.metrics.to_pandas()
    assert what != "emit" or not len(metrics[metrics.node == forking.split("/")[0]])


def test_reading_works_in_a_fork(bed):
    forking, _ = deploy(bed, "reading")
    assert bed.call(forking, "reads")


@pytest.mark.parametrize("channel", ["restart_host", "come_back_async", "fail_in_fork"])
def test_a_handler_that_comes_back_in_a_fork_answers_once(bed, channel):
    forking, _ = deploy(bed, "twice-" + channel.replace("_", "-") + "-")
    here = bed.call(forking, "pid")
    assert bed.call_task(forking, channel).result(20.0) == here
    until(lambda: bed.call(forking, "reap"), "the fork has ended")
    assert bed.call(forking, "pid") == here


def test_what_a_fork_prints_and_logs_is_in_the_log_of_its_node(bed):
    forking, _ = deploy(bed, "saying")
    bed.call(forking, "say")

    def texts():
        bed.trace.metrics  # noqa: B018 - collects
        return [(line.level, line.text) for line in bed.logs("saying1")]

    until(lambda: sum(text.count("ä") for _, text in texts()) == 3000, "the lines have come")
    assert ("print", "printed in a fork") in texts()
    assert texts()[1][0] == "warning" and texts()[1][1].startswith("logged in a fork ää")


def test_calls_before_exec_end_at_once(bed):
    forking, store = deploy(bed, "executing")
    with pytest.raises(HandlerError, match="SubprocessError: Exception occurred in preexec_fn"):
        bed.call(forking, "before_exec")
    assert bed.call(store, "ask") == 1


def test_a_copy_in_a_process_that_is_no_fork_says_so(bed):
    forking, _ = deploy(bed, "spawning")
    assert "is on no node yet, or is a copy in another process" in bed.call(forking, "spawned")


# the notebook's own process


def test_orders_in_a_fork_of_the_notebook_are_refused(bed):
    forking, store = deploy(bed, "ordering")
    for order in (
        lambda: bed.spawn("never"),
        lambda: bed.call(store, "ask"),
        lambda: bed.call_task(store, "work"),
        lambda: bed.assign("ordering1", "other", Store),
        bed.status,
        bed.waiting,
        bed.stop_run,
        lambda: bed.remove("ordering1"),
    ):
        found = in_fork(order)
        assert type(found) is TestbedError and "this is a fork of it" in str(found)
    assert in_fork(bed.stop) is None
    assert bed.call(store, "ask") == 1 and "never" not in bed.spec()["nodes"]


def test_a_fork_may_have_a_testbed_of_its_own(bed):
    def own():
        with Testbed(engines=0) as other:
            other.spawn("node")
            other.assign("node", "store", Store)
            return other.call("node/store", "ask")

    assert in_fork(own) == 1


def test_a_fork_that_ends_by_itself_ends_no_engine(tmp_path):
    """It leaves the testbed's ``with``, and runs what is registered for the end of the process."""
    program = tmp_path / "program.py"
    program.write_text(
        dedent("""
        import os, sys
        from roleml_nb import Testbed, Role, Service

        class Store(Role):
            @Service
            def ask(self, caller, args, payloads):
                return 7

        if __name__ == "__main__":
            with Testbed(engines=1, preload=()) as bed:
                bed.spawn("node")
                bed.assign("node", "store", Store)
                child = os.fork()
                if not child:
                    sys.exit(5)
                status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
                print(status, bed.call("node/store", "ask", timeout=20.0), bed.lost)
    """)
    )
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, timeout=90
    )
    assert done.stdout == "5 7 {}\n", done.stderr


# locks that another thread has when the process is forked


@contextmanager
def held_elsewhere(lock):
    """Another thread has it meanwhile."""
    held, over = threading.Event(), threading.Event()

    def hold():
        with lock:
            held.set()
            over.wait(30.0)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10.0)
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize(
    "owner",
    [
        ElementInstance(Element(int), ElementImplementation(impl=3), "a/r"),
        Contacts(),
        Relationships(),
    ],
)
def test_locks_that_other_threads_have_are_free_in_a_fork(owner):
    with held_elsewhere(owner._lock):
        assert in_fork(lambda: owner._lock.acquire(timeout=5.0)) is True


@pytest.mark.parametrize(
    "where, name",
    [
        ("roleml_nb.messaging.serialization.code", "_load_lock"),
        ("roleml_nb.workload.parameters", "_seeding_lock"),
        ("roleml_nb.workload.mnist_1d", "_generator_lock"),
    ],
)
def test_locks_of_the_process_are_free_in_a_fork(where, name):
    module = importlib.import_module(where)
    with held_elsewhere(getattr(module, name)):
        assert in_fork(lambda: getattr(module, name).acquire(timeout=5.0)) is True


def test_a_role_on_no_node_says_so():
    with pytest.raises(StatusError, match="this Store is on no node yet"):
        Store().call("x", "y")

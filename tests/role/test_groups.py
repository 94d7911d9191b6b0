"""Groups of roles, guarded channels, and collectors at work between nodes."""

import asyncio
import os
import signal
import threading

import pytest

from roleml_nb.role import (
    CallerError,
    Context,
    CumulativeAddingValueMerger,
    DictKeyValueMerger,
    ErrorHandlingStrategy,
    HandlerError,
    Message,
    Partner,
    Relationship,
    Role,
    RoleInstanceID,
    RoleInstances,
    RoleMLError,
    Runnable,
    Service,
    Task,
    TaskResultCollector,
    require_relationship,
)
from tests.waiting import until


class Lent(Role):
    @Service(expand=True)
    def lend(self, caller):
        self.kept = Relationship("worker")
        return self.kept

    @Service(expand=True)
    def size(self, caller, group=None):
        return len(group or self.kept)


class Worker(Role):
    def __init__(self, number=0, fails=False):
        super().__init__()
        self.number, self.fails = number, fails

    @Service(expand=True)
    def get(self, caller):
        return self.number

    @Service(expand=True)
    def pid(self, caller):
        return os.getpid()

    @Task(expand=True)
    def work(self, caller, factor=1):
        self.require(not self.fails, "out of order")
        return self.number * factor

    @Task(expand=True)
    def hang(self, caller, seconds):
        threading.Event().wait(seconds)
        return self.number


class Boss(Role):
    @Service(expand=True)
    def ask(self, caller):
        by_name = dict(self.call_group(Relationship("worker"), "get"))
        by_hand = dict(self.call_group(RoleInstances([tuple(item) for item in by_name]), "get"))
        return by_name, by_hand, Context.active_context().profile.name, len(Relationship("worker"))

    @Task(expand=True)
    def collect(self, caller, channel="work", timeout=None):
        collector = TaskResultCollector(
            Relationship("worker").targets, merger=CumulativeAddingValueMerger()
        )
        self.call_task_group(
            Relationship("worker"),
            channel,
            args={"factor": 10} if channel == "work" else {"seconds": 3},
            on_result=collector.push,
            on_call_error=ErrorHandlingStrategy.IGNORE,
        )
        return collector.result(timeout), sorted(map(str, collector.failed))

    @Task(expand=True)
    def ask_by_callback(self, caller):
        """A callback runs on a thread of its own, yet for this role."""
        collector = TaskResultCollector(Relationship("worker"), merger=DictKeyValueMerger())
        names: list = []

        def on_result(source, invocation):
            names.append(len(Relationship("worker").targets))
            collector.push(source, invocation)

        self.call_task_group(Relationship("worker"), "work", on_result=on_result)
        return len(collector.result()), names


class AsyncBoss(Role):
    @Task(expand=True)
    async def collect(self, caller, channel="work", timeout=None):
        """The workers may be asynchronous themselves, on the same loop: it must not be blocked."""
        collector = TaskResultCollector(
            Relationship("worker"), merger=CumulativeAddingValueMerger()
        )
        self.call_task_group("worker", channel, on_result=collector.push)
        return await collector.wait(timeout) if timeout else await collector


class AsyncWorker(Role):
    @Task(expand=True)
    async def work(self, caller):
        return len(Relationship("worker"))

    @Task(expand=True)
    async def hang(self, caller):
        await asyncio.sleep(3)


class Starter(Role, Runnable):
    def __init__(self):
        super().__init__()
        self.found: list = []

    def run(self):
        self.found = sorted(map(str, Relationship("worker").targets))

    def stop(self): ...

    @Service(expand=True)
    def get(self, caller):
        return self.found


@pytest.fixture
def company(bed, request):
    """A boss with three workers; names differ from test to test, as the testbed is shared."""
    tag = f"{abs(hash(request.node.name)) % 10**8}"
    boss, workers = f"boss{tag}", bed.spawn(f"worker{tag}x{{1..3}}")
    bed.spawn(boss)
    for number, name in enumerate(workers.names, 1):
        bed.assign(name, "worker", Worker, options={"number": number})
    bed.assign(boss, "boss", Boss)
    bed.relate(boss, "worker", workers.role("worker"))
    return boss, workers.names


def test_groups_by_relationship_and_by_hand(bed, company):
    boss, workers = company
    by_name, by_hand, node, size = bed.call(f"{boss}/boss", "ask")
    assert (
        by_name
        == by_hand
        == {RoleInstanceID(name, "worker"): number for number, name in enumerate(workers, 1)}
    )
    assert (node, size) == (boss, 3)


def test_a_relationship_that_moves_is_that_of_its_new_place(bed, company):
    boss, workers = company
    bed.assign(boss, "lent", Lent)
    bed.assign(workers[0], "other", Lent)
    bed.relate(workers[0], "worker", f"{workers[1]}/worker")
    group = bed.call(f"{boss}/lent", "lend")
    assert repr(group) == "Relationship('worker')" and bed.call(f"{boss}/lent", "size") == 3
    assert bed.call(f"{workers[0]}/other", "size", {"group": group}) == 1
    assert bed.migrate(f"{boss}/lent", to=workers[0], conflicts="keep") == (workers[0], "lent")
    assert bed.call(f"{workers[0]}/lent", "size") == 1


def test_results_are_collected(bed, company):
    assert bed.call(f"{company[0]}/boss", "collect") == (60, [])
    assert bed.call(f"{company[0]}/boss", "ask_by_callback") == (3, [3, 3, 3])


def test_a_worker_that_fails_is_left_out_and_named(bed, company):
    boss, workers = company
    bed.assign(workers[1], "worker", Worker, options={"number": 2, "fails": True})
    assert bed.call(f"{boss}/boss", "collect") == (40, [f"{workers[1]}/worker"])


def test_the_wait_for_results_has_a_limit(bed, company):
    boss, workers = company
    with pytest.raises(
        HandlerError, match=f"MergerTimeoutError: no result yet from {workers[0]}/worker, "
    ):
        bed.call(f"{boss}/boss", "collect", {"channel": "hang", "timeout": 0.1})


def test_asynchronous_roles_collect_too(bed, company):
    boss, workers = company
    for name in workers:
        bed.assign(name, "worker", AsyncWorker)
        bed.relate(name, "worker", f"{boss}/boss")
    bed.assign(boss, "async-boss", AsyncBoss)
    assert bed.call(f"{boss}/async-boss", "collect") == 3
    with pytest.raises(
        HandlerError, match=f"MergerTimeoutError: no result yet from {workers[0]}/worker, "
    ):
        bed.call(f"{boss}/async-boss", "collect", {"channel": "hang", "timeout": 0.1})


def test_a_runnable_knows_its_relationships(bed, company):
    boss, workers = company
    bed.assign(boss, "starter", Starter)
    expected = [f"{name}/worker" for name in workers]
    until(lambda: bed.call(f"{boss}/starter", "get") == expected, "the runnable has run")


def test_outside_of_handlers_a_relationship_needs_a_context():
    with pytest.raises(RoleMLError, match=r"Relationship\('worker', role.ctx\)"):
        list(Relationship("worker"))
    with pytest.raises(RoleMLError, match="no active context"):
        Context.active_context()


class Chief(Role):
    worker = Partner()
    others = Partner("worker")

    @Service(expand=True)
    def ask(self, caller):
        results: list = []
        invocations = self.worker.task_all(
            "work", {"factor": 2}, on_result=lambda *pair: results.append(pair)
        )
        return {
            "one": self.worker.service("get"),
            "one task": self.others.task("work", message=Message({"factor": 10})).result(),
            "all": sorted(result for _, result in self.others.service_all("get")),
            "all tasks": sorted(invocation.result() for _, invocation in invocations),
            "instances": self.worker.instances,
        }


def test_partners_are_the_members_of_a_relationship(bed, company):
    boss, workers = company
    bed.assign(boss, "chief", Chief)
    assert Chief.plugin_attributes == {"Partner": ["worker", "others"]}
    assert bed.call(f"{boss}/chief", "ask") == {
        "one": 1,
        "one task": 10,
        "all": [1, 2, 3],
        "all tasks": [2, 4, 6],
        "instances": [RoleInstanceID(name, "worker") for name in workers],
    }


class Guarded(Role):
    @Service(expand=True)
    @require_relationship("friend")
    def below(self, caller, word="b"):
        return word

    @require_relationship("friend", "{sender} is no friend")
    @Service
    def above(self, caller, args, payloads):
        return args["word"]


class Visitor(Role):
    @Service(expand=True)
    def visit(self, caller, channel):
        return self.call("guarded", channel, {"word": "hello"})


def test_only_members_of_a_relationship_may_call(bed, request):
    node = f"guarded{abs(hash(request.node.name)) % 10**8}"
    bed.spawn(node)
    bed.assign(node, "guarded", Guarded)
    bed.assign(node, "visitor", Visitor)
    for channel, text in (
        ("below", f"{node}/visitor is not in the relationship 'friend' of {node}/guarded"),
        ("above", f"{node}/visitor is no friend"),
    ):
        with pytest.raises((HandlerError, CallerError), match=text):
            bed.call(f"{node}/visitor", "visit", {"channel": channel})
    bed.relate(node, "friend", f"{node}/visitor")
    assert [
        bed.call(f"{node}/visitor", "visit", {"channel": channel}) for channel in ("above", "below")
    ] == ["hello"] * 2


def test_when_an_engine_dies_its_workers_are_left_out(own_bed):
    bed = own_bed
    bed.spawn("boss", on=0)
    bed.spawn("w1", on=0)
    bed.spawn("w2", on=1)
    bed.assign("boss", "boss", Boss)
    bed.assign("w*", "worker", Worker, options={"number": 5})
    bed.relate("boss", "worker", "w*/worker")
    pid = bed.call("w2/worker", "pid")
    waiting = bed.call_task("boss/boss", "collect", {"channel": "hang"})
    os.kill(pid, signal.SIGKILL)
    assert waiting.result(20) == (5, ["w2/worker"])

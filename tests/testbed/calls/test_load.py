"""Many actors, deep calls, many blocked handlers, slow subscribers; memory that does not grow."""

import threading

import cloudpickle
import numpy as np
import psutil
import pytest

from roleml_nb import CallTimeout, Event, EventHandler, Role, Service, Task
from tests.waiting import until


class Member(Role):
    def __init__(self):
        import threading

        self.gate, self.entered, self.heard = threading.Event(), 0, []

    @Service(expand=True)
    def index(self, caller):
        return int(self.id.actor_name.rpartition("-")[2])

    @Service(expand=True)
    def wait_for_gate(self, caller):
        self.entered += 1
        return self.gate.wait(60)

    @Service(expand=True)
    def open_gate(self, caller):
        self.gate.set()

    @Service(expand=True)
    def get_entered(self, caller):
        return self.entered

    @Service(expand=True)
    def descend(self, caller, depth: int):
        return 0 if depth == 0 else 1 + self.call("next", "descend", {"depth": depth - 1})

    @Service(expand=True)
    def descend_in_groups(self, caller, depth: int):
        return (
            0
            if depth == 0
            else 1
            + max(
                result
                for _, result in self.call_group("next", "descend-in-groups", {"depth": depth - 1})
            )
        )

    @Service(expand=True)
    def answer(self, caller):
        if "slow" in self.id.actor_name:
            self.gate.wait(60)
        return self.id.actor_name

    @Task(expand=True)
    def ask_group(self, caller):
        """The names of those that answered, as they came, and in the order of the group."""
        results = self.call_group(
            "group", "answer", on_result=lambda source, result: self.heard.append(result)
        )
        return self.heard, [source.actor_name for source, _ in results]

    @EventHandler("emitter", "told", expand=True)
    def on_told(self, source, number, data=None):
        if "slow" in self.id.actor_name:
            self.gate.wait(60)
        self.heard.append(number)

    @Service(expand=True)
    def get_heard(self, caller):
        return list(self.heard)


class Emitter(Role):
    told = Event()

    @Task(expand=True)
    def tell(self, caller, count: int, size: int = 0):
        import numpy

        for number in range(count):
            self.told.emit({"number": number}, {"data": numpy.zeros(size, "u1")})

    @Task(expand=True)
    def tell_from_threads(self, caller, threads: int, count: int):
        import threading

        def tell(first):
            for number in range(first, first + count):
                self.told.emit({"number": number})

        telling = [threading.Thread(target=tell, args=(1000 * index,)) for index in range(threads)]
        for thread in telling:
            thread.start()
        for thread in telling:
            thread.join()

    @Task(expand=True)
    def exchange(self, caller, rounds: int, size: int):
        """Model traffic: an array to each member and back."""
        import numpy

        model = numpy.ones(size, "f4")
        for _ in range(rounds):
            model = (
                sum(
                    result
                    for _, result in self.call_group(
                        self.ctx.relationships.members("members"),
                        "update",
                        payloads={"model": model},
                    )
                )
                / 2
                - 1
            )
        return float(model.sum())


class Updater(Role):
    @Service(expand=True)
    def update(self, caller, model):
        model += 1
        return model


cloudpickle.register_pickle_by_value(__import__(__name__, fromlist=["_"]))


def threads_of(bed):
    return (
        threading.active_count()
        if not bed.engines
        else max(
            process.num_threads()
            for process in psutil.Process().children(recursive=True)
            if "ipyparallel.engine" in " ".join(process.cmdline())
        )
    )


def test_a_thousand_actors_without_a_thread_each(own_bed):
    before = threads_of(own_bed)
    own_bed.spawn("n-{1..1000}").assign("member", Member)
    found = own_bed.call("n-*/member", "index")
    assert len(found) == 1000 and all(found[f"n-{index}"] == index for index in range(1, 1001))
    assert threads_of(own_bed) < before + 150


def test_five_hundred_handlers_blocked_at_once(bed):
    bed.spawn("blocked").assign("member", Member)
    invocations = [bed.call_task("blocked/member", "wait-for-gate") for _ in range(500)]
    until(lambda: bed.call("blocked/member", "get-entered") == 500, "all are in")
    bed.call("blocked/member", "open-gate")
    assert all(invocation.result(30) for invocation in invocations)


def test_calls_nested_200_deep_between_four_nodes(bed):
    nodes = bed.spawn("down-{1..4}").assign("member", Member)
    for index, node in enumerate(nodes):
        bed.relate(node, "next", f"{nodes.names[(index + 1) % 4]}/member")
    invocations = [bed.call_task(f"{node}/member", "descend", {"depth": 200}) for node in nodes]
    assert [invocation.result(60) for invocation in invocations] == [200] * 4


def test_group_calls_nested_200_deep(bed):
    bed.spawn("deep-1", "deep-2").assign("member", Member)
    bed.relate("deep-1", "next", "deep-2/member")
    bed.relate("deep-2", "next", "deep-1/member")
    assert bed.call("deep-1/member", "descend-in-groups", {"depth": 200}, timeout=60) == 200


def test_a_slow_member_of_a_group_blocks_no_other_result(bed):
    names = ["group-1", "group-slow", "group-2", "group-3"]
    bed.spawn("asks", *names).assign("member", Member)
    bed.relate("asks", "group", [f"{name}/member" for name in names])
    asked = bed.call_task("asks/member", "ask-group")
    until(lambda: len(bed.call("asks/member", "get-heard")) == 3, "on_result has had all others")
    assert not asked.done()
    bed.call("group-slow/member", "open-gate")
    arrived, ordered = asked.result(30)
    assert sorted(arrived[:3]) == ["group-1", "group-2", "group-3"] and arrived[3:] == [
        "group-slow"
    ]
    assert ordered == names


def test_emitting_from_many_threads_while_subscribers_come_and_go(bed):
    bed.spawn("threads-many-by").assign("emitter", Emitter)
    bed.spawn("threads-many-stays", "threads-many-goes").assign("member", Member)
    bed.relate("threads-many-*", "emitter", "threads-many-by/emitter")
    telling = bed.call_task(
        "threads-many-by/emitter", "tell-from-threads", {"threads": 8, "count": 200}
    )
    for _ in range(5):
        bed.relate("threads-many-goes", "emitter", "threads-many-by/emitter", remove=True)
        bed.relate("threads-many-goes", "emitter", "threads-many-by/emitter")
    telling.result(30)
    heard = until(
        lambda: (
            (found := bed.call("threads-many-stays/member", "get-heard"))
            and len(found) == 1600
            and found
        ),
        "all",
    )
    sometimes = bed.call("threads-many-goes/member", "get-heard")
    for first in range(0, 8000, 1000):
        assert [number for number in heard if first <= number < first + 1000] == list(
            range(first, first + 200)
        )
        some = [number for number in sometimes if first <= number < first + 1000]
        assert some == sorted(set(some))


def test_a_slow_subscriber_does_not_stop_the_others(bed):
    bed.spawn("listens-by").assign("emitter", Emitter)
    bed.spawn("listens-slow", "listens-1", "listens-2").assign("member", Member)
    bed.relate("listens-*", "emitter", "listens-by/emitter")
    bed.call("listens-by/emitter", "tell", {"count": 300})
    for name in ("listens-1", "listens-2"):
        until(
            lambda name=name: bed.call(f"{name}/member", "get-heard") == list(range(300)),
            "all, in order",
        )
    assert bed.call("listens-slow/member", "get-heard") == []
    bed.call("listens-slow/member", "open-gate")
    until(
        lambda: bed.call("listens-slow/member", "get-heard") == list(range(300)),
        "the slow one, too, in order",
    )


def test_an_emitter_is_held_back_by_bytes_and_goes_on(bed):
    bed.spawn("held-by").assign("emitter", Emitter)
    bed.spawn("held-slow").assign("member", Member)
    bed.relate("held-slow", "emitter", "held-by/emitter")
    telling = bed.call_task("held-by/emitter", "tell", {"count": 40, "size": 4_000_000})
    with pytest.raises(CallTimeout, match="held-by/emitter.tell has not answered"):
        telling.result(1.5)
    bed.call("held-slow/member", "open-gate")
    telling.result(30)
    until(lambda: bed.call("held-slow/member", "get-heard") == list(range(40)), "all, in order")


def test_memory_stays_flat(own_bed):
    """The same as benchmarks/memory.py does for longer."""
    own_bed.spawn("server", on=0)
    own_bed.spawn("m1", on=0)
    own_bed.spawn("m2", on=1)
    own_bed.assign("server", "emitter", Emitter)
    own_bed.assign("m*", "updater", Updater)
    own_bed.relate("server", "members", "m*/updater")
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]

    def resident():
        return {
            process.pid: process.memory_info().rss for process in processes if process.is_running()
        }

    def rounds(count):
        assert own_bed.call(
            "server/emitter", "exchange", {"rounds": count, "size": 500_000}
        ) == np.float32(500_000)

    rounds(20)
    before = resident()
    rounds(60)

    until(
        lambda: all(size <= 1.10 * before[pid] for pid, size in resident().items()),
        "what was on its way is gone",
    )

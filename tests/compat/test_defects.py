"""What RoleML 0.3.1 does wrong does not come along: one test for each, which fails on that
behaviour.

A killed engine is in `tests/testbed/cluster/test_faults.py`, and with a collector in
`tests/role/test_groups.py`.
"""

import os
import pickle
import random
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from roleml_nb import (
    CallTimeout,
    Element,
    Event,
    EventHandler,
    HandlerError,
    NodeLost,
    Role,
    RoleInstanceID,
    RoleMLError,
    Service,
    Task,
    Testbed,
)
from roleml_nb.messaging.serialization.codec import encode
from roleml_nb.role import Context, ElementImplementation, Status
from roleml_nb.role.serialization import find, register_deserializer
from tests.waiting import until

ENGINES = pytest.mark.parametrize("bed", [2], indirect=True, ids=["engines"])


class Worker(Role):
    """Its gates are opened by a service, so that tests decide when a task ends."""

    def __init__(self):
        super().__init__()
        self.gates = {name: threading.Event() for name in "abcdefgh"}
        self.started = []

    def __getstate__(self):
        return {}

    @Task(expand=True)
    def work(self, caller, gate):
        self.started.append(gate)
        if not self.gates[gate].wait(30):
            raise RuntimeError("nobody opened the gate")
        return gate

    @Service(expand=True)
    def open(self, caller, gate):
        self.gates[gate].set()
        return True

    @Service(expand=True)
    def get_started(self, caller):
        return sorted(self.started)


class Opener(Role):
    """Opens the worker's gates from beside it, as its channels may be closed."""

    @Service(expand=True)
    def open(self, caller, gate):
        self.base.roles["worker"].gates[gate].set()


def test_pause_waits_for_every_running_handler(bed):
    """Two tasks that were submitted by one thread, of which the second ends last."""
    bed.spawn("pausing")
    bed.assign("pausing", "worker", Worker)
    bed.assign("pausing", "opener", Opener)
    first, second = (bed.call_task("pausing/worker", "work", {"gate": gate}) for gate in "ab")
    until(lambda: bed.call("pausing/worker", "get-started") == ["a", "b"], "both tasks run")
    pausing = bed.call_task(
        "pausing/actor", "change-role-status", {"name": "worker", "status": "paused"}
    )
    bed.call("pausing/opener", "open", {"gate": "a"})
    assert first.result(10) == "a"
    with pytest.raises(CallTimeout):
        pausing.result(0.1)
    held = bed.call_task("pausing/worker", "open", {"gate": "c"})
    bed.call("pausing/opener", "open", {"gate": "b"})
    assert second.result(10) == "b" and pausing.result(10) is Status.PAUSED
    with pytest.raises(CallTimeout):
        held.result(0.1)
    bed.call("pausing/actor", "change-role-status", {"name": "worker", "status": "ready"})
    assert held.result(10) is True


@pytest.fixture
def small_bed():
    with Testbed(engines=0, workers=2, timeout=20) as bed:
        yield bed


class Nested(Role):
    @Task(expand=True)
    def outer(self, caller, depth=1):
        if depth == 0:
            return 1
        return 1 + self.call_task("nested", "outer", {"depth": depth - 1}).result()


def test_waiting_tasks_do_not_starve_the_pool(small_bed):
    """Two workers, six tasks at a time, each of which waits for another three deep."""
    small_bed.spawn("n")
    small_bed.assign("n", "nested", Nested)
    calls = [small_bed.call_task("n/nested", "outer", {"depth": 3}) for _ in range(6)]
    assert [call.result(15) for call in calls] == [4] * 6


class Impostor(Role):
    @Task(expand=True)
    def forge(self, caller, boss, victim, role):
        """Call in the name of another, past the API."""
        (pending,) = self.base.host.router.request(
            "service",
            RoleInstanceID(*boss),
            [RoleInstanceID(victim, "actor")],
            "update-relationship",
            encode(
                (
                    {
                        "relationship_name": "manager",
                        "op": "add",
                        "instances": [(role, "impostor")],
                    },
                    {},
                )
            ),
        )
        try:
            return str(pending.result(1.0)[0])
        except TimeoutError:
            return "no answer"

    @Service(expand=True)
    def ask(self, caller, victim):
        return self.call(RoleInstanceID(victim, "actor"), "get-roles")


@ENGINES
def test_a_senders_name_proves_nothing(bed):
    bed.spawn("name-impostor", on=0)
    bed.spawn("name-victim", on=1)
    bed.assign("name-impostor", "impostor", Impostor)
    forged = {"boss": ("notebook", "actor"), "victim": "name-victim", "role": "name-impostor"}
    assert bed.call("name-impostor/impostor", "forge", forged) == "no answer"
    with pytest.raises(HandlerError, match="name-impostor/impostor is not a manager"):
        bed.call("name-impostor/impostor", "ask", {"victim": "name-victim"})


def test_a_deserializer_is_not_a_serializer():
    assert (
        find("deserializer", "pickle") is pickle.load
        and find("serializer", "pickle") is pickle.dump
    )


def read_words(file):
    return file.read().decode().split()


class Reader(Role):
    words = Element(list)

    @Service(expand=True)
    def get(self, caller):
        return self.words()


def test_a_registered_deserializer_is_reached(tmp_path):
    (tmp_path / "words").write_text("to be or not")
    register_deserializer("words of a file", lambda: read_words)
    with Testbed(engines=0) as bed:
        bed.spawn("n")
        bed.assign(
            "n",
            "reader",
            Reader,
            elements={
                "words": ElementImplementation(
                    deserializer="words of a file", deserializer_source=str(tmp_path / "words")
                )
            },
        )
        assert bed.call("n/reader", "get") == ["to", "be", "or", "not"]


class Flaky(Role):
    def __init__(self):
        super().__init__()
        self.calls = 0

    @Service(expand=True)
    def fail(self, caller):
        self.calls += 1
        raise RuntimeError(f"call {self.calls}")

    @Service(expand=True)
    def mute(self, caller):
        threading.Event().wait(5)

    @Service(expand=True)
    def call_flaky(self, caller, channel, strategy, timeout=None):
        from roleml_nb.role import ErrorHandlingStrategy

        return self.call_group(
            [self.id._replace(instance_name="flaky")],
            channel,
            on_error=ErrorHandlingStrategy[strategy],
            timeout=timeout,
        )


def test_retries_and_waits_have_a_limit(bed):
    bed.spawn("retries")
    bed.assign("retries", "flaky", Flaky)
    bed.assign("retries", "caller", Flaky)
    with pytest.raises(HandlerError, match="call 3"):
        bed.call("retries/caller", "call-flaky", {"channel": "fail", "strategy": "RETRY"})
    with pytest.raises(HandlerError, match="CallTimeout"):
        bed.call(
            "retries/caller", "call-flaky", {"channel": "mute", "strategy": "KEEP", "timeout": 0.1}
        )


class Emitter(Role):
    happened = Event()

    @Service(expand=True)
    def emit(self, caller, **args):
        self.happened.emit(args)
        return True


class Slow(Worker):
    @EventHandler("emitter", "happened", expand=True)
    def on_happened(self, source, n):
        self.work(source, gate="a")
        self.started.append(str(n))


def test_a_slow_subscriber_holds_up_neither_the_emitter_nor_others(bed):
    bed.spawn("emits", "slow", "quick")
    bed.assign("emits", "emitter", Emitter)
    for name in ("slow", "quick"):
        bed.assign(name, "worker", Slow)
        bed.relate(name, "emitter", "emits/emitter")
    bed.call("quick/worker", "open", {"gate": "a"})
    for n in (1, 2):
        assert bed.call("emits/emitter", "emit", {"n": n}, timeout=10)
    until(lambda: bed.call("quick/worker", "get-started") == ["1", "2", "a", "a"], "others hear it")
    bed.call("slow/worker", "open", {"gate": "a"})


class Picky(Role):
    def __init__(self):
        super().__init__()
        self.heard = []

    @Service(expand=True)
    def listen(self, caller, count):
        for number in range(count):
            conditions = {"n": number}  # a new dict each time, often where the one before was
            self.subscribe(
                RoleInstanceID(self.profile.name, f"emitter{number}"),
                "happened",
                self.on,
                conditions=conditions,
            )
            conditions["n"] = -1
            del conditions

    def on(self, source, args, payloads):
        self.heard.append((source.instance_name, args["n"]))

    @Service(expand=True)
    def get(self, caller):
        return sorted(self.heard)


def test_conditions_are_told_apart_by_value(bed):
    """Not by where a dict is in memory, and not changed by what is done to the dict later."""
    bed.spawn("conditions")
    bed.assign("conditions", "picky", Picky)
    for number in range(4):
        bed.assign("conditions", f"emitter{number}", Emitter)
    bed.call("conditions/picky", "listen", {"count": 4})
    for number in range(4):
        for n in (-1, 0, 1, 2, 3):
            bed.call(f"conditions/emitter{number}", "emit", {"n": n})
    expected = [(f"emitter{number}", number) for number in range(4)]
    until(lambda: len(bed.call("conditions/picky", "get")) >= 4, "all four are heard")
    assert bed.call("conditions/picky", "get") == expected


class Model:
    """Its parameters are handed out alive, as with ``copy_on_get_params=False``."""

    def __init__(self):
        import torch

        self.weights = {"w": torch.ones(3)}

    def get_params(self):
        return self.weights


class Trainer(Role):
    model = Element(Model, default_constructor=Model)

    @Service(expand=True)
    def get_model(self, caller):
        return self.model().get_params()

    @Service(expand=True)
    def total(self, caller):
        return float(self.model().weights["w"].sum())


class Aggregator(Role):
    @Service(expand=True)
    def merge(self, caller, merger):
        for _, update in self.call_group(self.ctx.relationships.members("trainer"), "get-model"):
            merger.push(update)
        return float(merger.merge()["w"].sum())


@pytest.mark.parametrize(
    "name, total", [("TorchStateDictCumulator", 6), ("TorchStateDictAverager", 3)]
)
def test_an_aggregator_never_adds_into_a_trainers_live_weights(bed, name, total):
    from roleml_nb import library

    bed.spawn("alive")
    bed.assign("alive", "trainer1", Trainer)
    bed.assign("alive", "trainer2", Trainer)
    bed.assign("alive", "aggregator", Aggregator)
    bed.relate("alive", "trainer", ["alive/trainer1", "alive/trainer2"])
    for _ in range(2):
        assert (
            bed.call("alive/aggregator", "merge", payloads={"merger": getattr(library, name)()})
            == total
        )
    assert bed.call("alive/trainer1", "total") == 3


def test_two_testbeds_in_one_kernel_do_not_see_each_other():
    with Testbed(engines=0) as one, Testbed(engines=0) as two:
        for number, bed in enumerate((one, two)):
            bed.spawn("n")
            bed.assign("n", "worker", Counter, options={"count": number})
        assert [bed.call("n/worker", "get") for bed in (one, two)] == [0, 1]
        two.spawn("only-here")
        with pytest.raises(RoleMLError):
            one.call("only-here/worker", "get")
        one.stop()
        assert two.call("n/worker", "get") == 1


class Counter(Role):
    def __init__(self, count):
        super().__init__()
        self.count = count

    @Service(expand=True)
    def get(self, caller):
        return self.count

    @Service(expand=True)
    def active(self, caller):
        return Context.active_context().profile.name


def test_making_nodes_changes_nothing_of_the_process(tmp_path):
    before = os.getcwd(), list(sys.path), random.getstate()
    with Testbed(engines=0, seed=7) as bed:
        bed.spawn("a", "b")
        bed.assign(["a", "b"], "counter", Counter, options={"count": 1})
        assert (os.getcwd(), list(sys.path), random.getstate()) == before
        assert [bed.call(f"{name}/counter", "active") for name in "ab"] == ["a", "b"]


def test_a_callback_that_blocks_holds_up_no_other_result(small_bed):
    small_bed.spawn("n")
    small_bed.assign("n", "worker", Worker)
    free = threading.Event()
    for gate in "ab":
        small_bed.call("n/worker", "open", {"gate": gate})
    first = small_bed.call_task("n/worker", "work", {"gate": "a"})
    first.add_done_callback(lambda _: free.wait(20))
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(
            lambda: small_bed.call_task("n/worker", "work", {"gate": "b"}).result(10)
        )
        assert second.result(15) == "b" and first.result(10) == "a"
    free.set()


def test_the_native_roles_greetings_work(bed):
    bed.spawn("greets", "greeted")
    for channel in ("handshake", "handwave"):
        bed.call("greets/actor", channel, {"name": "greeted"})
        with pytest.raises((HandlerError, NodeLost)):
            bed.call("greets/actor", channel, {"name": "nobody"})

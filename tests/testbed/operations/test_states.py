"""One state of a role, whichever way it is taken and given back: migration, move, rename, undo of
a termination, checkpoint, update.
"""

from collections.abc import Iterator
from uuid import uuid4

import cloudpickle
import numpy as np
import pytest

from roleml_nb import (
    Element,
    Event,
    EventHandler,
    HandlerError,
    Role,
    Runnable,
    Service,
    Testbed,
    impl,
)
from roleml_nb.library import EpochTrainer
from roleml_nb.role import CallerError, ElementImplementation
from roleml_nb.testbed.operations.undo import capture, restore
from roleml_nb.workload import mlp
from tests.waiting import until

cloudpickle.register_pickle_by_value(__import__(__name__, fromlist=["_"]))
LIMIT = 30.0


def double(numbers: list) -> None:
    numbers[:] = [2 * number for number in numbers]


class Teller(Role):
    told = Event()

    def __init__(self):
        super().__init__()
        self.number = 0

    @Service(expand=True)
    def tell(self, caller) -> int:
        self.number += 1
        self.told.emit({"number": self.number})
        return self.number


class Listener(Role):
    """Listens to its teller once, and by hand to whom it is told, once or forever."""

    numbers = Element(list, default_constructor=list)

    def __init__(self):
        super().__init__()
        self.heard: list[int] = []
        self.once: list[int] = []
        self.assigned: list[str] = []

    @EventHandler("teller", "told", expand=True, mode="once")
    def hear_once(self, source, number):
        self.once.append(number)

    @Service(expand=True)
    def listen(self, caller, to: str, mode: str = "forever") -> None:
        self.subscribe(to, "told", self.hear, mode=mode)

    @Service(expand=True)
    def listen_to_node(self, caller, to: str) -> None:
        self.subscribe(to, "role-assigned", self.hear_of_role)

    @Service(expand=True)
    def listen_with_lambda(self, caller, to: str) -> None:
        self.subscribe(to, "told", lambda source, args, payloads: None)

    def hear(self, caller, args, payloads) -> None:
        self.heard.append(args["number"])

    def hear_of_role(self, caller, args, payloads) -> None:
        self.assigned.append(f"{caller.actor_name} {args['name']}")

    @Service(expand=True)
    def get(self, caller) -> tuple:
        return self.heard, self.once, self.assigned

    @Service(expand=True)
    def get_numbers(self, caller) -> list:
        return self.numbers()


class Ticker(Role, Runnable):
    """Ticks until it is stopped, or until it has ticked often enough."""

    def __init__(self, last: int = -1):
        super().__init__()
        self.last, self.ticks, self.begun, self.ending = last, 0, 0, False
        self.deaf = False

    def run(self) -> None:
        self.ending = False
        self.begun += 1
        while not self.ending and self.ticks != self.last:
            self.ticks += 1
            self.base.host.clock.sleep(0.005)
        self.last = -1

    def stop(self) -> None:
        if not self.deaf:
            self.ending = True

    @Service(expand=True)
    def get(self, caller) -> tuple:
        return self.ticks, self.begun

    @Service(expand=True)
    def set_deaf(self, caller, deaf: bool) -> None:
        self.deaf = deaf
        self.ending = not deaf


class Nodes:
    """Four nodes of one test, and ways to take a role off its node and put it there again."""

    def __init__(self, bed, folder):
        self.bed, self.folder = bed, folder
        mark = uuid4().hex[:6]
        self.a, self.b, self.c, self.d = (f"{letter}{mark}" for letter in "abcd")
        bed.spawn(self.a, self.b, self.c, self.d)

    def status(self, node: str, role: str) -> str:
        status = {item.name: item for item in self.bed.status().nodes}
        return status[node].roles[role][1]

    def pause(self, node: str, role: str) -> None:
        message = {"name": role, "status": "paused"}
        self.bed.call(f"{node}/actor", "change-role-status", message)

    def resume(self, node: str, role: str) -> None:
        message = {"name": role, "status": "ready"}
        self.bed.call(f"{node}/actor", "change-role-status", message)

    def terminate(self, node: str, role: str):
        roles = self.bed.registry.instances(f"{node}/{role}")
        with capture(self.bed.deployment, roles) as kept:
            self.bed.terminate(node, role)
        assert kept[0].state is not None, kept[0].why
        return kept[0]

    def undo(self, terminated) -> None:
        restore(self.bed.deployment, terminated)

    # ways: each takes a node and a role, and returns the node that it is on then

    def way_migrate(self, node: str, role: str) -> str:
        self.bed.migrate(f"{node}/{role}", self.d, conflicts="keep")
        return self.d

    def way_back_and_forth(self, node: str, role: str) -> str:
        self.bed.migrate(f"{node}/{role}", self.d, conflicts="keep")
        self.bed.migrate(f"{self.d}/{role}", node, conflicts="keep")
        return node

    def way_rename(self, node: str, role: str) -> str:
        self.bed.rename(node, f"{node}r")
        if node == self.a:
            self.a = f"{node}r"
        else:
            self.b = f"{node}r"
        return f"{node}r"

    def way_move(self, node: str, role: str) -> str:
        hosts = [host for host in self.bed.fleet.alive if host != self.bed.registry.places[node]]
        if hosts:
            self.bed.move(node, on=int(hosts[0][6:]))
        return node

    def way_undo(self, node: str, role: str) -> str:
        self.undo(self.terminate(node, role))
        return node

    def way_checkpoint(self, node: str, role: str) -> str:
        file = self.folder / f"{uuid4().hex}.checkpoint"
        self.bed.save(file)
        self.bed.terminate(node, role)
        self.bed.restore(file)
        return node

    def way_restore_twice(self, node: str, role: str) -> str:
        file = self.folder / f"{uuid4().hex}.checkpoint"
        self.bed.save(file)
        self.bed.restore(file)
        self.bed.restore(file)
        return node


WAYS = sorted(name for name in vars(Nodes) if name.startswith("way_"))
ALL_OF_IT = ("way_checkpoint", "way_restore_twice")
"""These put back all that was there."""


@pytest.fixture(scope="module", params=[0, 2], ids=["one process", "engines"])
def bed(request) -> Iterator[Testbed]:
    """A testbed of these tests' own: a checkpoint has all of it."""
    with Testbed(engines=request.param, timeout=LIMIT, preload=()) as bed:
        yield bed


@pytest.fixture
def nodes(bed, tmp_path) -> Iterator[Nodes]:
    made = Nodes(bed, tmp_path)
    yield made
    bed.remove([made.a, made.b, made.c, made.d])


@pytest.fixture(params=WAYS)
def way(request, nodes):
    return getattr(nodes, request.param)


@pytest.fixture(params=[name for name in WAYS if name not in ALL_OF_IT])
def way_of_one(request, nodes):
    """A way that leaves roles alone that have been ended."""
    return getattr(nodes, request.param)


def test_what_was_heard_once_is_not_heard_again(bed, nodes, way) -> None:
    """Neither after the listener has gone that way, nor after it has subscribed anew then."""
    bed.assign(nodes.a, "teller", Teller)
    bed.assign(nodes.b, "listener", Listener)
    bed.relate(nodes.b, "teller", f"{nodes.a}/teller")
    bed.call(nodes.b + "/listener", "listen", {"to": f"{nodes.a}/teller"})
    bed.call(f"{nodes.a}/teller", "tell")
    until(lambda: bed.call(nodes.b + "/listener", "get")[:2] == ([1], [1]), "the event")
    place = way(nodes.b, "listener")
    bed.update(Listener)
    place = nodes.way_undo(place, "listener")
    for _ in range(2):
        bed.call(f"{nodes.a}/teller", "tell")
    until(lambda: bed.call(f"{place}/listener", "get")[0] == [1, 2, 3], "later events")
    assert bed.call(f"{place}/listener", "get")[1] == [1]


def test_what_was_heard_once_is_not_heard_again_from_an_emitter_elsewhere(bed, nodes, way) -> None:
    bed.assign(nodes.a, "teller", Teller)
    bed.assign(nodes.b, "listener", Listener)
    bed.relate(nodes.b, "teller", f"{nodes.a}/teller")
    bed.call(f"{nodes.a}/teller", "tell")
    until(lambda: bed.call(nodes.b + "/listener", "get")[1] == [1], "the event")
    place = way(nodes.a, "teller")
    nodes.way_undo(nodes.b, "listener")
    bed.call(nodes.b + "/listener", "listen", {"to": f"{place}/teller"})
    assert bed.call(f"{place}/teller", "tell") == 2
    until(lambda: bed.call(nodes.b + "/listener", "get")[0] == [2], "the next event")
    assert bed.call(nodes.b + "/listener", "get")[1] == [1]


def test_events_that_wait_for_a_paused_role_are_heard_in_order(bed, nodes, way) -> None:
    bed.assign(nodes.a, "teller", Teller)
    bed.assign(nodes.b, "listener", Listener)
    bed.call(nodes.b + "/listener", "listen", {"to": f"{nodes.a}/teller"})
    bed.relate(nodes.b, "teller", f"{nodes.a}/teller")  # which takes the first place
    nodes.pause(nodes.b, "listener")
    for _ in range(3):
        bed.call(f"{nodes.a}/teller", "tell")
    until(
        lambda: 6 in bed.fleet.on_hosts(waiting, nodes.b, "listener").values(),
        "events wait",
    )
    place = way(nodes.b, "listener")
    assert nodes.status(place, "listener") == "paused"
    bed.call(f"{nodes.a}/teller", "tell")
    nodes.resume(place, "listener")
    until(lambda: bed.call(f"{place}/listener", "get")[:2] == ([1, 2, 3, 4], [1]), "all, in order")


def waiting(host, node: str, role: str) -> int:
    actor = host.actors.get(node)
    return sum(map(len, actor.subscriptions.of_role(role).values())) if actor else -1


def test_a_subscription_for_one_event_stays_one_that_waits(bed, nodes, way) -> None:
    bed.assign(nodes.a, "teller", Teller)
    bed.assign(nodes.b, "listener", Listener)
    bed.call(nodes.b + "/listener", "listen", {"to": f"{nodes.a}/teller", "mode": "once"})
    place = way(nodes.b, "listener")
    for _ in range(2):
        bed.call(f"{nodes.a}/teller", "tell")
    bed.relate(place, "teller", f"{nodes.a}/teller")
    bed.call(f"{nodes.a}/teller", "tell")
    until(lambda: bed.call(f"{place}/listener", "get")[1] == [3], "the last event")
    assert bed.call(f"{place}/listener", "get")[0] == [1]


def test_a_subscriber_that_has_gone_elsewhere_hears_an_emitter_that_is_put_back(
    bed, nodes, way
) -> None:
    bed.assign(nodes.a, "teller", Teller)
    bed.assign(nodes.b, "listener", Listener)
    bed.call(nodes.b + "/listener", "listen", {"to": f"{nodes.a}/teller"})
    if way.__name__ in ALL_OF_IT:
        place = way(nodes.b, "listener")  # which would put the teller back, too
        terminated = nodes.terminate(nodes.a, "teller")
    else:
        terminated = nodes.terminate(nodes.a, "teller")
        place = way(nodes.b, "listener")
    nodes.undo(terminated)
    bed.call(f"{nodes.a}/teller", "tell")
    until(lambda: bed.call(f"{place}/listener", "get")[0] == [1], "it hears it")


def test_a_role_that_is_put_back_hears_emitters_that_have_gone_elsewhere(
    bed, nodes, way_of_one
) -> None:
    bed.assign(nodes.a, "teller", Teller)
    bed.assign(nodes.b, "listener", Listener)
    bed.relate(nodes.b, "teller", f"{nodes.a}/teller")
    bed.call(nodes.b + "/listener", "listen", {"to": f"{nodes.a}/teller"})
    bed.call(f"{nodes.a}/teller", "tell")
    until(lambda: bed.call(nodes.b + "/listener", "get")[:2] == ([1], [1]), "the event")
    nodes.pause(nodes.b, "listener")
    bed.call(f"{nodes.a}/teller", "tell")
    until(lambda: 1 in bed.fleet.on_hosts(waiting, nodes.b, "listener").values(), "it waits")
    terminated = nodes.terminate(nodes.b, "listener")
    place = way_of_one(nodes.a, "teller")
    nodes.undo(terminated)
    nodes.resume(nodes.b, "listener")
    bed.call(f"{place}/teller", "tell")
    until(lambda: bed.call(nodes.b + "/listener", "get")[0] == [1, 2, 3], "all of them")
    assert bed.call(nodes.b + "/listener", "get")[1] == [1]


def test_a_main_routine_goes_on_though_its_role_is_paused(bed, nodes, way) -> None:
    bed.assign(nodes.b, "ticker", Ticker)
    until(lambda: bed.call(nodes.b + "/ticker", "get")[0] > 0, "it runs")
    nodes.pause(nodes.b, "ticker")
    place = way(nodes.b, "ticker")
    assert nodes.status(place, "ticker") == "paused"
    nodes.resume(place, "ticker")
    ticks = bed.call(f"{place}/ticker", "get")[0]
    until(lambda: bed.call(f"{place}/ticker", "get")[0] > ticks, "it runs on")


def test_a_main_routine_that_has_ended_is_not_begun_again(bed, nodes, way) -> None:
    bed.assign(nodes.b, "ticker", Ticker, options={"last": 3})
    until(lambda: bed.call(nodes.b + "/ticker", "get") == (3, 1), "it has ended")
    until(lambda: not any(bed.fleet.on_hosts(running, nodes.b).values()), "its thread, too")
    place = way(nodes.b, "ticker")
    bed.call(f"{place}/ticker", "get")
    assert not any(bed.fleet.on_hosts(running, place).values())
    assert bed.call(f"{place}/ticker", "get") == (3, 1)


def running(host, node: str) -> list[str]:
    actor = host.actors.get(node)
    return actor.routines.running() if actor else []


def test_a_main_routine_that_does_not_stop_in_time_runs_again(bed, nodes) -> None:
    bed.assign(nodes.b, "ticker", Ticker)
    bed.call(nodes.b + "/ticker", "set-deaf", {"deaf": True})
    with pytest.raises(HandlerError, match="has not ended 0.1 s after stop"):
        bed.call_task(
            f"{nodes.b}/actor", "migrate-role", {"name": "ticker", "to": nodes.d, "timeout": 0.1}
        ).result(LIMIT)
    bed.call(nodes.b + "/ticker", "set-deaf", {"deaf": False})  # it ends now, and is begun again
    until(lambda: bed.call(nodes.b + "/ticker", "get")[1] == 2, "it runs again")


def test_an_element_that_was_not_used_yet_is_initialized_where_it_is(bed, nodes, way) -> None:
    given = ElementImplementation(impl=[1, 2], initializer=double)
    bed.assign(nodes.b, "listener", Listener, elements={"numbers": given})
    place = way(nodes.b, "listener")
    for _ in range(2):
        assert bed.call(f"{place}/listener", "get-numbers") == [2, 4]
    place = nodes.way_undo(place, "listener")
    assert bed.call(f"{place}/listener", "get-numbers") == [2, 4]  # once is enough


def test_a_listener_that_is_no_method_keeps_its_role_where_it_is(bed, nodes) -> None:
    bed.assign(nodes.a, "teller", Teller)
    bed.assign(nodes.b, "listener", Listener)
    bed.call(nodes.b + "/listener", "listen-with-lambda", {"to": f"{nodes.a}/teller"})
    with pytest.raises(
        CallerError,
        match=f"{nodes.b}/listener cannot move: it listens to {nodes.a}/teller.told with '<lambda>'"
        ", which is no method of it; subscribe with a method",
    ):
        bed.migrate(f"{nodes.b}/listener", nodes.d)
    assert bed.call(nodes.b + "/listener", "get") == ([], [], [])


def test_an_optimizer_goes_on_from_where_it_was(bed, nodes, way) -> None:
    from torch.optim import Adam

    data = [(np.eye(4, dtype=np.float32), np.arange(4) % 2)]
    bed.assign(
        nodes.b,
        "trainer",
        EpochTrainer,
        elements={"model": impl(mlp, 4, 2, optimizer=Adam), "dataset": data},
    )
    bed.call(f"{nodes.b}/trainer", "train")
    bed.call(f"{nodes.b}/trainer", "train")
    twice = bed.call(f"{nodes.b}/trainer", "get-model")
    bed.terminate(nodes.b, "trainer")
    bed.assign(
        nodes.b,
        "trainer",
        EpochTrainer,
        elements={"model": impl(mlp, 4, 2, optimizer=Adam), "dataset": data},
    )
    bed.call(f"{nodes.b}/trainer", "train")
    once = bed.call(f"{nodes.b}/trainer", "get-model")
    place = way(nodes.b, "trainer")
    bed.call(f"{place}/trainer", "train")
    after = bed.call(f"{place}/trainer", "get-model")
    for name, value in twice.items():
        assert np.array_equal(value, after[name]) and not np.array_equal(value, once[name])


# checkpoints


def test_a_checkpoint_keeps_those_who_listen_to_nodes_and_to_roles_that_are_not_there_yet(
    bed, nodes
) -> None:
    file = nodes.folder / "run.checkpoint"
    bed.assign(nodes.b, "listener", Listener)
    bed.call(nodes.b + "/listener", "listen", {"to": f"{nodes.a}/teller"})
    bed.call(nodes.b + "/listener", "listen-to-node", {"to": f"{nodes.a}/actor"})
    bed.save(file)
    bed.restore(file)
    bed.assign(nodes.a, "teller", Teller)
    bed.call(f"{nodes.a}/teller", "tell")
    told = ([1], [], [f"{nodes.a} teller"])
    until(lambda: bed.call(nodes.b + "/listener", "get") == told, "it hears both")
    with Testbed.from_checkpoint(file, engines=0, timeout=LIMIT) as other:
        assert other.call(nodes.b + "/listener", "get") == ([], [], [])
        other.assign(nodes.a, "teller", Teller)
        other.call(f"{nodes.a}/teller", "tell")
        until(lambda: other.call(nodes.b + "/listener", "get") == told, "it hears both")


def test_a_checkpoint_of_a_renamed_node_goes_on_under_its_new_name(bed, nodes) -> None:
    bed.assign(nodes.a, "teller", Teller)
    bed.assign(nodes.b, "listener", Listener)
    bed.relate(nodes.b, "teller", f"{nodes.a}/teller")
    bed.call(f"{nodes.a}/teller", "tell")
    until(lambda: bed.call(nodes.b + "/listener", "get")[1] == [1], "the event")
    place = nodes.way_rename(nodes.a, "teller")
    bed.call(nodes.b + "/listener", "listen", {"to": f"{place}/teller"})
    bed.save(nodes.folder / "renamed")
    spec = {name: bed.spec()["nodes"][name] for name in (place, nodes.b)}
    with Testbed.from_checkpoint(nodes.folder / "renamed", engines=0, timeout=LIMIT) as other:
        assert other.call(f"{place}/teller", "tell") == 2
        until(lambda: other.call(nodes.b + "/listener", "get")[:2] == ([2], [1]), "the next one")
        for name, node in spec.items():
            assert {**other.spec()["nodes"][name], "engine": ""} == {**node, "engine": ""}
    nodes.way_migrate(nodes.b, "listener")
    bed.restore(nodes.folder / "renamed")  # the role is where it was
    assert bed.call(f"{place}/teller", "tell") == 2
    until(lambda: bed.call(nodes.b + "/listener", "get")[:2] == ([2], [1]), "the next one")


# names


def test_a_renamed_node_is_known_by_its_native_role_and_by_roles_that_are_not_there_yet(
    bed, nodes
) -> None:
    bed.relate(nodes.b, "boss", f"{nodes.a}/actor")
    bed.assign(nodes.a, "teller", Teller)
    bed.assign(nodes.b, "listener", Listener)
    bed.relate(nodes.b, "teller", f"{nodes.a}/teller")
    bed.terminate(nodes.a, "teller")
    known = bed.spec()["nodes"][nodes.b]["relationships"]
    assert known == {"boss": [f"{nodes.a}/actor"], "teller": [f"{nodes.a}/teller"]}
    place = nodes.way_rename(nodes.a, "teller")
    known = bed.spec()["nodes"][nodes.b]["relationships"]
    assert known == {"boss": [f"{place}/actor"], "teller": [f"{place}/teller"]}
    bed.assign(place, "teller", Teller)
    bed.call(f"{place}/teller", "tell")
    until(lambda: bed.call(nodes.b + "/listener", "get")[1] == [1], "it hears its successor")

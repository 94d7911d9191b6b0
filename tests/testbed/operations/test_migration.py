"""Roles that move from node to node while others go on calling them."""

import threading

import cloudpickle
import numpy as np
import pytest

from roleml_nb import (
    CallerError,
    Element,
    Event,
    EventHandler,
    HandlerError,
    Role,
    RoleInstanceID,
    RoleMLError,
    Runnable,
    Service,
    Task,
    impl,
)
from roleml_nb.actor.migration import Migration
from roleml_nb.actor.snapshot import capture
from roleml_nb.library import (
    EpochTrainer,
    FedAvgAggregator,
    FederatedCoordinator,
    GossipAggregator,
    GossipCoordinator,
)
from roleml_nb.workload import digits, digits_test, mlp
from tests.waiting import until

cloudpickle.register_pickle_by_value(__import__(__name__, fromlist=["_"]))


class Counter(Role):
    changed = Event()
    box = Element(list, default_constructor=list)

    def __init__(self, start=0):
        super().__init__()
        self.count = start

    @Service(expand=True)
    def add(self, caller, amount=1):
        self.count += amount
        self.box().append(self.count)
        self.changed.emit(args={"count": self.count})
        return self.count

    @Task(expand=True)
    def add_later(self, caller):
        self.count += 1
        return self.id.actor_name

    @Service(expand=True)
    def get(self, caller):
        return self.count, len(self.box()), str(self.id)

    @Service(expand=True)
    def hold(self, caller, seconds):
        import time

        self.holding = True
        time.sleep(seconds)

    @Service(expand=True)
    def is_holding(self, caller):
        return getattr(self, "holding", False)


class User(Role):
    """Calls the counter of its relationship, and listens to it."""

    def __init__(self):
        super().__init__()
        self.heard = []

    @EventHandler("counter", "changed", expand=True)
    def on_changed(self, source, count):
        self.heard.append((str(source), count))

    @Service(expand=True)
    def use(self, caller, times=1):
        for _ in range(times):
            self.call("counter", "add")

    @Task(expand=True)
    def use_much(self, caller, times):
        for _ in range(times):
            self.call("counter", "add")
            self.call_task("counter", "add-later").result()

    @Service(expand=True)
    def get_heard(self, caller):
        return list(self.heard)


def scene(bed, name):
    """A counter on -a, a user on -b, and an empty node -c on the other engine than -a."""
    bed.spawn(f"{name}-a", f"{name}-b", f"{name}-d", f"{name}-c")
    bed.assign(f"{name}-a", "counter", Counter)
    bed.assign(f"{name}-b", "user", User)
    bed.relate(f"{name}-b", "counter", f"{name}-a/counter")
    return f"{name}-a/counter", f"{name}-b/user", f"{name}-c"


def test_a_role_moves_with_its_state_and_is_found_where_it_is(bed):
    counter, user, target = scene(bed, "moves")
    bed.call(user, "use", {"times": 3})
    assert bed.migrate(counter, to=target) == RoleInstanceID(target, "counter")
    assert bed.call(f"{target}/counter", "get") == (3, 3, "moves-c/counter")
    bed.call(user, "use", {"times": 2})
    assert bed.call(f"{target}/counter", "get") == (5, 5, "moves-c/counter")
    heard = until(
        lambda: (found := bed.call(user, "get_heard")) and len(found) == 5 and found, "five events"
    )
    assert heard == [
        ("moves-a/counter", 1),
        ("moves-a/counter", 2),
        ("moves-a/counter", 3),
        ("moves-c/counter", 4),
        ("moves-c/counter", 5),
    ]
    nodes = bed.spec()["nodes"]
    assert nodes["moves-a"]["roles"] == {} and list(nodes["moves-c"]["roles"]) == ["counter"]
    assert nodes["moves-b"]["relationships"] == {"counter": ["moves-c/counter"]}
    assert "counter=Counter ready" in str(bed.status())


def test_a_call_to_the_old_address_follows_the_role(bed):
    class Stubborn(Role):
        @Service(expand=True)
        def insist(self, caller, where):
            return self.call(RoleInstanceID.of(where), "add", amount=10)

    counter, _, target = scene(bed, "follow")
    bed.assign("follow-d", "stubborn", Stubborn)
    bed.migrate(counter, to=target)
    assert bed.call("follow-d/stubborn", "insist", {"where": counter}) == 10


def test_local_roles_find_each_other_after_one_has_left(bed):
    class Neighbour(Role):
        @Service(expand=True)
        def ask(self, caller):
            return self.call("counter", "add")

    class Asker(Role):
        @Service(expand=True)
        def ask(self, caller):
            return self.call("neighbour", "ask")

    bed.spawn("home", "abroad")
    bed.assign("home", "counter", Counter)
    bed.assign("home", "neighbour", Neighbour)
    bed.assign("home", "asker", Asker)
    bed.migrate("home/counter", to="abroad")
    assert bed.call("home/neighbour", "ask") == 1
    # it mentions 'counter', which lives there under that name
    bed.migrate("home/neighbour", to="abroad")
    assert bed.call("home/asker", "ask") == 2
    bed.migrate("home/asker", to="abroad")
    assert bed.call("abroad/asker", "ask") == 3


def test_no_call_is_lost_or_made_twice_and_events_stay_in_order(bed):
    counter, user, target = scene(bed, "fire")
    task = bed.call_task(user, "use-much", {"times": 150})
    place = counter
    for stop in range(6):
        place = str(bed.migrate(place, to=target if stop % 2 == 0 else "fire-a"))
    task.result(60)
    assert bed.call(place, "get")[0] == 300
    heard = until(
        lambda: (found := bed.call(user, "get_heard")) and len(found) == 150 and found, "150 events"
    )
    counts = [count for _, count in heard]
    assert counts == sorted(counts)


def test_a_moving_listener_misses_no_event(bed):
    counter, user, target = scene(bed, "listener")
    done = threading.Event()

    def emit():
        for _ in range(200):
            bed.call(counter, "add")
        done.set()

    thread = threading.Thread(target=emit)
    thread.start()
    place = user
    while not done.is_set():
        place = str(bed.migrate(place, to=target if place == user else "listener-b"))
    thread.join()
    heard = until(
        lambda: (found := bed.call(place, "get_heard")) and len(found) == 200 and found,
        "200 events",
    )
    assert [count for _, count in heard] == list(range(1, 201))


def test_a_runnable_is_stopped_and_runs_again(bed):
    class Worker(Role, Runnable):
        def __init__(self):
            super().__init__()
            self.places = []
            self.stopping = False

        def __setstate__(self, state):
            self.__dict__.update(state, stopping=False)

        def run(self):
            self.places.append(self.id.actor_name)
            while not self.stopping:
                import time

                time.sleep(0.01)

        def stop(self):
            self.stopping = True

        @Service(expand=True)
        def get_places(self, caller):
            return list(self.places)

    bed.spawn("run-a", "run-b")
    bed.assign("run-a", "worker", Worker)
    until(lambda: bed.call("run-a/worker", "get_places") == ["run-a"], "it runs")
    bed.migrate("run-a/worker", to="run-b")
    until(lambda: bed.call("run-b/worker", "get_places") == ["run-a", "run-b"], "it runs again")


class Locked(Role):
    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()

    @Service(expand=True)
    def ping(self, caller):
        return "pong"


class Peer(Role):
    @Service(expand=True)
    def ask(self, caller):
        return str(self.ctx.relationships.members("peer")[0])


def test_what_cannot_move_stays_and_says_why(bed):
    bed.spawn("stay-a", "stay-b")
    bed.assign("stay-a", "locked", Locked)
    with pytest.raises(
        CallerError,
        match="stay-a/locked cannot move: its attribute 'lock' cannot be sent .*__getstate__",
    ):
        bed.migrate("stay-a/locked", to="stay-b")
    assert bed.call("stay-a/locked", "ping") == "pong"
    bed.assign(["stay-a", "stay-b"], "peer", Peer)
    with pytest.raises(
        CallerError, match="node 'stay-b' already has a role 'peer'; move it to 'stay-b/other-name'"
    ):
        bed.migrate("stay-a/peer", to="stay-b")
    bed.relate("stay-a", "peer", "stay-b/peer")
    bed.relate("stay-b", "peer", "stay-a/peer")
    with pytest.raises(
        CallerError,
        match="speaks of 'peer', which on node 'stay-b' means other roles than on 'stay-a'",
    ):
        bed.migrate("stay-a/peer", to="stay-b/peer2")
    assert bed.call("stay-a/peer", "ask") == "stay-b/peer"
    assert str(bed.migrate("stay-a/peer", to="stay-b/peer2", conflicts="keep")) == "stay-b/peer2"
    # the peer that node stay-b knows has come to it
    assert bed.call("stay-b/peer2", "ask") == "stay-b/peer2"


@pytest.mark.parametrize(
    "role, to, text",
    [
        ("refuse-a/contuer", "refuse-c", "no role 'contuer'; did you mean 'counter'"),
        ("refuse-a/counter", "refuse-x", "no node matches 'refuse-x'; did you mean"),
        ("refuse-a/counter", "refuse-*", "names 4 nodes, and a role moves to one"),
        ("refuse-a/counter", "refuse-a", "refuse-a/counter is there already"),
    ],
)
def test_a_mistyped_migration_changes_nothing(bed, role, to, text):
    counter, user, _ = scene(bed, "refuse")
    before = bed.spec()
    with pytest.raises(RoleMLError) as refused:
        bed.migrate(role, to=to)
    assert text in str(refused.value)
    assert bed.spec() == before
    bed.call(user, "use")


def test_a_role_whose_handler_goes_on_stays(bed):
    counter, user, target = scene(bed, "busy")
    holding = bed.call_task(counter, "hold", {"seconds": 1.0})
    until(lambda: bed.call(counter, "is-holding"), "the handler runs")
    with pytest.raises(RoleMLError, match="busy-a/counter: 1 handlers still running after 0.1 s"):
        bed.migrate(counter, to=target, timeout=0.1)
    bed.call(user, "use")
    holding.result(10)
    assert bed.call(counter, "get")[2] == counter


def test_a_target_that_dies_leaves_the_role_where_it_was(own_bed):
    import os
    import signal

    class Fatal(Counter):
        def __setstate__(self, state):
            os.kill(os.getpid(), signal.SIGKILL)

    own_bed.spawn("a", on=0)
    own_bed.spawn("b", on=1)
    own_bed.assign("a", "counter", Fatal)
    own_bed.call("a/counter", "add")
    with pytest.raises(
        HandlerError, match="NodeLost: b/actor.counter was not answered: engine1 is lost"
    ):
        own_bed.migrate("a/counter", to="b")
    assert own_bed.call("a/counter", "add") == 2


def test_a_role_that_was_arriving_is_given_up_when_its_node_dies(own_bed):
    import os

    class Deadly(Counter):
        def __getstate__(self):
            return {**super().__getstate__(), "pid": os.getpid()}

        def __setstate__(self, state):
            import os
            import signal

            self.__dict__.update(state)
            os.kill(self.pid, signal.SIGKILL)

    own_bed.spawn("a", on=0)
    own_bed.spawn("b", on=1)
    own_bed.assign("a", "counter", Deadly)
    with pytest.raises(RoleMLError, match="engine0 is lost"):
        own_bed.migrate("a/counter", to="b")
    until(lambda: own_bed.lost, "it is lost")
    until(lambda: own_bed.call("b/actor", "get-roles") == {}, "it is given up")
    assert own_bed.respawn() == ["a"]
    assert own_bed.call("a/counter", "add") == 1
    own_bed.assign("b", "counter", Counter)
    assert own_bed.call("b/counter", "add") == 1


@pytest.mark.parametrize("announced", [False, True])
def test_a_role_whose_node_dies_goes_on_where_others_know_it(own_bed, announced):
    """The steps of a migration, as far as its node has come with them."""
    own_bed.spawn("a", on="notebook")
    own_bed.spawn("b", on=1)
    own_bed.assign("a", "counter", Counter)
    own_bed.call("a/counter", "add")
    home = own_bed.fleet.home.actors["a"]
    activity = home.halt_role("counter", 10)
    snapshot = capture(home, "counter", "move", "keep", activity)
    old, new = RoleInstanceID("a", "counter"), RoleInstanceID("b", "counter")
    home.ask_node(Migration.adopt, "b", name="counter", snapshot=snapshot).result(10)
    if announced:
        told = home.ask_node(Migration.repoint, "b", old=old, new=new, added={}, removed={})
        told.result(10)
    own_bed.fleet.on_hosts(lose_the_notebook, "b")
    roles = own_bed.call("b/actor", "get-roles")
    assert {name: str(status) for name, (_, status) in roles.items()} == (
        {"counter": "ready"} if announced else {}
    )


def lose_the_notebook(host, node):
    if node in host.actors:
        host.router.lost["notebook"] = "a test has said so"
        host.actors[node].migration.host_lost()
        del host.router.lost["notebook"]


def test_the_native_role_moves_roles_for_managers_only(bed):
    class Manager(Role):
        @Service(expand=True)
        def move(self, caller, node, name, to):
            return self.call_task(
                RoleInstanceID(node, "actor"), "migrate-role", {"name": name, "to": to}
            ).result()

    counter, _, target = scene(bed, "native")
    bed.assign("native-d", "manager", Manager)
    order = {"node": "native-a", "name": "counter", "to": target}
    with pytest.raises(HandlerError, match="native-d/manager is not a manager of this node"):
        bed.call("native-d/manager", "move", order)
    bed.relate("native-a", "manager", "native-d/manager")
    assert bed.call("native-d/manager", "move", order) == RoleInstanceID(target, "counter")
    assert "counter" in bed.spec()["nodes"][target]["roles"]


def federated(bed, name, moves):
    nodes = bed.spawn(f"{name}{{1..3}}")
    bed.spawn(f"{name}-server", f"{name}-spare")
    nodes.assign(
        "trainer",
        EpochTrainer,
        elements={"model": impl(mlp, 64, 10, hidden=8), "dataset": impl(digits, part=0, parts=30)},
    )
    bed.assign(f"{name}-server", "aggregator", FedAvgAggregator)
    bed.assign(f"{name}-server", "coordinator", FederatedCoordinator)
    bed.relate(f"{name}-server", "trainer", nodes.role("trainer"))
    task = bed.call_task(f"{name}-server/coordinator", "run", {"num_rounds": 12})
    for role, to in moves:
        bed.migrate(f"{name}{role}", to=f"{name}{to}")
    task.result(60)
    return bed.call(f"{name}-server/coordinator", "get-model")


def test_moving_roles_does_not_change_a_running_federated_training(bed):
    still = federated(bed, "still", [])
    moved = federated(
        bed,
        "moved",
        [
            ("1/trainer", "-spare"),
            ("-server/aggregator", "2"),
            ("2/aggregator", "-server"),
            ("-spare/trainer", "1"),
        ],
    )
    assert all(np.array_equal(still[name], moved[name]) for name in still)


def test_a_running_gossip_training_goes_on_while_its_roles_move(bed):
    peers = bed.spawn("talk{1..3}")
    bed.spawn("talk-spare")
    peers.assign(
        "trainer",
        EpochTrainer,
        elements={
            "model": impl(mlp, 64, 10),
            "dataset": impl(digits, part=0, parts=10),
            "dataset_test": impl(digits_test),
        },
    )
    peers.assign("aggregator", GossipAggregator)
    peers.assign("coordinator", GossipCoordinator)
    peers.relate("peer", peers.role("aggregator"))
    tasks = [
        bed.call_task(f"talk{number}/coordinator", "run", {"num_rounds": 15, "test_every": 15})
        for number in (1, 2, 3)
    ]
    bed.migrate("talk1/aggregator", to="talk-spare")
    bed.migrate("talk2/trainer", to="talk-spare")
    bed.migrate("talk-spare/aggregator", to="talk1")
    assert all(task.result(60)["accuracy"] > 0.6 for task in tasks)
    rounds = bed.trace.metrics.to_pandas().query(
        "channel == 'round-completed' and metric == 'round'"
    )
    assert [len(rounds[rounds.node == f"talk{number}"]) for number in (1, 2, 3)] == [15, 15, 15]

"""Clients register with a server, which starts once."""

import pickle

import pytest

from roleml_nb import HandlerError, Role, RoleInstanceID, Service, impl
from roleml_nb.library import ClientInitiator, EpochTrainer, ServerInitiator
from roleml_nb.workload import digits, mlp
from tests.waiting import until


class Starter(ServerInitiator):
    def __init__(self, **options):
        super().__init__(**options)
        self.starts, self.greeted = [], []

    def register_impl(self, instance: RoleInstanceID):
        if instance.actor_name.startswith("stranger"):
            raise ValueError("no strangers")
        self.greeted.append(str(instance))

    def start_impl(self):
        members = self.ctx.relationships.get_relationship_view(self.relationship_name)
        self.starts.append(sorted(map(str, members)))

    @Service
    def look(self, caller, args, payloads):
        return self.starts, sorted(self.greeted), self.cumulated_clients


def test_it_starts_once_when_enough_clients_have_registered(bed):
    bed.spawn("hall", "guest{1..3}")
    bed.assign(
        "hall", "initiator", Starter, options={"min_clients": 2, "relationship_name": "client"}
    )
    bed.relate("guest*", "server", "hall/initiator")
    for number, node in enumerate(("guest1", "guest2", "guest3"), 1):
        bed.assign(
            node, "trainer", EpochTrainer, elements={"model": impl(mlp), "dataset": impl(digits)}
        )
        bed.assign(node, "initiator", ClientInitiator)
        until(
            lambda number=number: bed.call("hall/initiator", "look")[2] == number, f"{node} is in"
        )
    starts, greeted, count = until(
        lambda: (seen := bed.call("hall/initiator", "look"))[0] and seen, "a start"
    )
    # the third may be quicker than the start
    assert starts == [["guest1/trainer", "guest2/trainer"]] or starts[0] == greeted
    assert len(starts) == 1 and count == 3
    assert greeted == ["guest1/trainer", "guest2/trainer", "guest3/trainer"]
    assert not [error for error in bed.errors if "hall" in str(error) or "guest" in str(error)]


class Twice(Role):
    @Service(expand=True)
    def introduce(self, caller, times):
        for _ in range(times):
            self.call("server", "register")


def test_the_same_client_counts_once_and_a_refused_one_not_at_all(bed):
    bed.spawn("desk", "regular", "stranger")
    bed.assign("desk", "initiator", Starter, options={"min_clients": 2})
    bed.spawn("other")
    for node in ("regular", "stranger", "other"):
        bed.assign(node, "self", Twice)
        bed.relate(node, "server", "desk/initiator")
    bed.call("regular/self", "introduce", {"times": 3})
    with pytest.raises(HandlerError, match="no strangers"):
        bed.call("stranger/self", "introduce", {"times": 1})
    assert bed.call("desk/initiator", "look")[::2] == ([], 1)
    bed.call("other/self", "introduce", {"times": 1})
    until(
        lambda: bed.call("desk/initiator", "look")[0] == [["other/self", "regular/self"]], "a start"
    )


def test_it_starts_with_whoever_is_there_when_time_is_up(bed):
    bed.spawn("late")
    bed.assign("late", "initiator", Starter, options={"max_seconds": 0.01})
    until(lambda: bed.call("late/initiator", "look")[0] == [[]], "a start")


def test_it_can_be_stopped_before_it_starts(bed):
    bed.spawn("quiet")
    bed.assign("quiet", "initiator", Starter)
    bed.terminate("quiet", "initiator")
    assert not [error for error in bed.errors if "quiet" in str(error)]


def test_its_state_travels():
    role = Starter(min_clients=1)
    role.clients.add(RoleInstanceID("a", "b"))
    copy = pickle.loads(pickle.dumps(role))
    assert copy.cumulated_clients == 1 and copy._decided.result(0) is True

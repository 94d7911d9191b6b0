"""Who may send what inside a testbed: every internal kind of message, and every control, from
everybody.
"""

import os
import pickle
import re

import cloudpickle
import pytest
import zmq

from roleml_nb import CallerError, Role, RoleInstanceID, Service, Task
from roleml_nb.actor.migration import check_relationships
from roleml_nb.messaging.envelope import Envelope
from roleml_nb.messaging.pending import Pending
from roleml_nb.messaging.permissions import HOST_MESSAGES, KINDS, Sender, host_refusal, refusal
from roleml_nb.messaging.requests import NODE_REQUESTS, node_request, role_request
from tests.waiting import until

SENDERS = {
    "a role": ("a/asker", "engine0"),
    "its node": ("a/actor", "engine0"),
    "a role of the notebook": ("notebook/asker", "notebook"),
    "the notebook": ("notebook/actor", "notebook"),
    "one that says it is the notebook": ("notebook/actor", "engine0"),
}
EVERYBODY, NODES, NOTEBOOK = (
    set(SENDERS),
    {"its node", "the notebook", "one that says it is the notebook"},
    {"the notebook"},
)
KIND_TABLE = {
    **dict.fromkeys(
        (
            "service",
            "task",
            "event",
            "subscribe",
            "unsubscribe",
            "discontinue",
            "reply",
            "error",
            "moved",
        ),
        EVERYBODY,
    ),
    **dict.fromkeys(
        (
            "resubscribe",
            "adopt",
            "adopted",
            "abandon",
            "repoint",
            "listen",
        ),
        NODES,
    ),
    **dict.fromkeys(("describe", "capture", "prepare", "restore", "release"), NOTEBOOK),
    "host": set(),
    "x": set(),
    "": set(),
}
ENGINES = ("engine0", "engine1")
ANY = {
    (sender, receiver)
    for sender in ("notebook", *ENGINES)
    for receiver in ("notebook", *ENGINES)
    if sender != receiver
}
DOWN, UP = (
    {("notebook", engine) for engine in ENGINES},
    {(engine, "notebook") for engine in ENGINES},
)
HOST_TABLE = {
    **dict.fromkeys(("inquire", "answer", "cancel", "bye"), ANY),
    **dict.fromkeys(("lost", "given-up", "deadlock", "stop", "order"), DOWN),
    **dict.fromkeys(("stopped", "pulse", "link", "trace", "error"), UP),
    "x": set(),
    "": set(),
}


@pytest.mark.parametrize("kind", KIND_TABLE)
def test_who_may_send_each_kind(kind):
    found = {
        name: refusal(kind, RoleInstanceID.of(source), peer)
        for name, (source, peer) in SENDERS.items()
    }
    assert {name for name, reason in found.items() if not reason} == KIND_TABLE[kind]
    assert all(
        SENDERS[name][0] in reason and repr(kind) in reason
        for name, reason in found.items()
        if reason
    )


@pytest.mark.parametrize("channel", HOST_TABLE)
def test_which_host_may_send_each_control_to_which(channel):
    found = {pair: host_refusal(channel, *pair) for pair in ANY}
    assert {pair for pair, reason in found.items() if not reason} == HOST_TABLE[channel]
    assert all(
        pair[0] in reason and repr(channel) in reason for pair, reason in found.items() if reason
    )


def kinds_and_controls(host):
    from roleml_nb.messaging.requests import NODE_REQUESTS

    kinds = {
        request.kind
        for receiver in host.router._receivers.values()
        for request in NODE_REQUESTS.values()
        if isinstance(receiver._parts[request.part], request.part)
    }
    return kinds, set(host.router.host_messages._handlers)


def test_nothing_is_without_a_rule_and_no_rule_without_its_thing(bed):
    bed.spawn("permissions")
    found = bed.fleet.on_hosts(kinds_and_controls)
    requests = {frozenset(kinds) for kinds, _ in found.values() if kinds}
    [kinds] = requests
    handed_over = {"service", "task", "event", "discontinue", "reply", "error", "moved"}
    assert kinds == set(NODE_REQUESTS)
    assert (
        kinds | handed_over
        == set(KINDS)
        == {kind for kind, senders in KIND_TABLE.items() if senders}
    )
    controls = set().union(*(controls for _, controls in found.values()))
    assert (
        controls
        <= set(HOST_MESSAGES)
        == {channel for channel, pairs in HOST_TABLE.items() if pairs}
    )
    if len(found) > 1:
        assert controls == set(HOST_MESSAGES)


A, B, C = RoleInstanceID("a", "x"), RoleInstanceID("b", "x"), RoleInstanceID("c", "x")


class Snapshot:
    def __init__(self, old):
        self.old = old


@pytest.mark.parametrize("declare", [node_request, role_request])
def test_a_request_that_does_not_declare_its_asker_cannot_be_declared(declare):
    def handler(self):
        """Never called."""

    before = dict(KINDS)
    with pytest.raises(TypeError, match="asker"):
        declare("x")
    for asker in (None, "the notebook", Sender):
        with pytest.raises(TypeError, match="'x' does not declare who may ask: .* is no Sender"):
            declare("x", asker)(handler)
    with pytest.raises(TypeError, match="'x' does not declare about whose roles a node may ask"):
        declare("x", Sender.NODE)(handler)
    for kind in ("repoint", "event"):
        with pytest.raises(
            (TypeError, RuntimeError)
        ) as refused:  # Python 3.11 wraps what __set_name__ raises
            type("Part", (), {"handler": declare(kind, Sender.ROLE)(handler)})
        assert f"request '{kind}' is declared twice" in str(
            refused.value.__cause__ or refused.value
        )
    assert before == KINDS


def about(request, role):
    """Arguments of a request that speak of that role."""
    given = {}
    for path in request.about:
        name, _, attribute = path.partition(".")
        given[name] = Snapshot(role) if attribute else role
    return given


@pytest.mark.parametrize(
    "kind", [kind for kind, request in NODE_REQUESTS.items() if request.asker is Sender.NODE]
)
def test_a_node_speaks_of_its_own_roles_alone(kind):
    request = NODE_REQUESTS[kind]
    request.check(RoleInstanceID("a", "actor"), about(request, A))
    with pytest.raises(
        CallerError,
        match=rf"'{kind}' is for a node's own roles, and c/actor sent it about one of a",
    ):
        request.check(RoleInstanceID("c", "actor"), about(request, A))


@pytest.mark.parametrize("one, other", [(A, B), (B, A)])
def test_either_end_of_a_move_announces_it(one, other):
    given = {"old": one, "new": other}
    NODE_REQUESTS["repoint"].check(RoleInstanceID("a", "actor"), given)
    with pytest.raises(CallerError, match=r"c/actor sent it about one of (a or b|b or a)"):
        NODE_REQUESTS["repoint"].check(RoleInstanceID("c", "actor"), given)


@pytest.mark.parametrize("node, relationship", [("c", "peer"), ("b", "manager"), ("a", "/")])
@pytest.mark.parametrize("place", [0, 1])
def test_a_move_changes_no_relationship_that_is_none_of_its_business(node, relationship, place):
    changes = [{"a": {"x": [A]}, "b": {"y": [B]}}, {}]
    check_relationships(("a", "b"), *changes)
    changes[place] = {node: {relationship: [A]}}
    with pytest.raises(
        CallerError,
        match=f"a move between a and b changes no relationship {relationship} of {node}",
    ):
        check_relationships(("a", "b"), *changes)


class Trap:
    """Makes a folder where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


class Meddler(Role):
    """Sends what it is told to, in its own name or that of its node."""

    @Service(expand=True)
    def send(self, caller, kind: str, target: str, channel: str, content, name: str):
        from roleml_nb import CallerError, RoleInstanceID

        try:
            return self.base.caller.request(
                kind,
                name,
                RoleInstanceID.of(target),
                channel,
                Trap(content) if isinstance(content, str) else content,
            ).result(20)
        except CallerError as error:
            return str(error)

    @Task(expand=True)
    def control(self, caller, host: str, channel: str, value, trap: str = ""):
        self.base.host.router.send_to_host(host, channel, Trap(trap) if trap else value)


class Victim(Role):
    @Service(expand=True)
    def add(self, caller, one: int, other: int):
        return one + other


cloudpickle.register_pickle_by_value(__import__(__name__, fromlist=["_"]))


@pytest.mark.parametrize(
    "kind", [kind for kind, request in NODE_REQUESTS.items() if request.asker is not Sender.ROLE]
)
@pytest.mark.parametrize("where", ["same host", "another host"])
def test_a_stranger_is_refused_before_its_request_is_read_and_nothing_has_changed(
    bed, kind, where, tmp_path
):
    request, trap = NODE_REQUESTS[kind], tmp_path / "read"
    name = f"meddler-{kind}-{where.replace(' ', '-')}"
    engines = sorted(bed.fleet.alive) or ["notebook"]
    bed.spawn(name, on=engines[0])
    bed.spawn(f"victim-{name}", on=engines[0 if where == "same host" else -1])
    bed.assign(name, "meddler", Meddler)
    bed.assign(f"victim-{name}", "victim", Victim)

    def told(role, content):
        return bed.call(
            f"{name}/meddler",
            "send",
            {
                "kind": kind,
                "target": f"victim-{name}/actor",
                "channel": "victim",
                "content": content,
                "name": role,
            },
        )

    for role in ("meddler", "actor") if request.asker is Sender.NOTEBOOK else ("meddler",):
        assert f"only {request.asker.value} may send '{kind}', and {name}/{role} (on " in told(
            role, str(trap)
        )
    assert not trap.exists()
    if request.asker is Sender.NODE:  # another node, about a role that is not its own
        content = about(request, RoleInstanceID(f"victim-{name}", "victim"))
        assert (
            f"'{kind}' is for a node's own roles, and {name}/actor sent it about one of"
            f" victim-{name}" in told("actor", content)
        )
    assert bed.call(f"victim-{name}/victim", "add", {"one": 1, "other": 2}) == 3
    bed.remove([name, f"victim-{name}"])


def test_a_node_cannot_move_what_is_not_its_own(bed):
    bed.spawn("mover", "moved-{1,2}")
    bed.assign("mover", "meddler", Meddler)
    bed.assign("moved-1", "victim", Victim)
    bed.relate("mover", "other", "moved-1/victim")
    told = bed.call(
        "mover/meddler",
        "send",
        {
            "kind": "repoint",
            "target": "moved-2/actor",
            "channel": "repoint",
            "name": "actor",
            "content": {
                "old": RoleInstanceID("moved-1", "victim"),
                "new": RoleInstanceID("moved-2", "victim"),
                "added": {},
                "removed": {},
            },
        },
    )
    assert (
        "'repoint' is for a node's own roles, and mover/actor sent it about one of moved-1 or"
        " moved-2" in told
    )
    assert bed.call("moved-1/victim", "add", {"one": 1, "other": 2}) == 3


def test_a_message_of_which_nobody_says_who_may_send_it_cannot_be_served(bed):
    messages = bed.fleet.home.router.host_messages
    with pytest.raises(ValueError, match="'x' is served, and HOST_MESSAGES does not say who"):
        messages.serve("x", print)
    assert "x" not in messages._handlers


def test_an_answer_of_a_host_that_was_not_asked_is_dropped(bed):
    messages, here = bed.fleet.home.router.host_messages, RoleInstanceID("notebook", "")
    envelope = Envelope("host", here, (), "inquire", 0.0)
    asked = Pending(envelope, here, "engine1", 10**9, messages._asked)
    answer = pickle.dumps((0, {"number": 10**9, "succeeded": True, "value": "yes"}))
    messages.receive("engine0", "answer", lambda: pickle.loads(answer))
    assert not asked.done()
    messages.receive("engine1", "answer", lambda: pickle.loads(answer))
    assert asked.result(0) == "yes" and 10**9 not in messages._asked


@pytest.mark.parametrize("name", ["stop", "order", "nonsense", "\udcff"])
def test_what_comes_on_a_control_channel_is_checked_before_it_is_read(bed, name, tmp_path):
    trap, home = tmp_path / "read", bed.fleet.home
    before, generation = len(refused(bed, name, "notebook")), home.router.run_generation
    packed = name.encode(errors="surrogateescape") + b" " + pickle.dumps(Trap(str(trap)))
    home.router.host_messages.receive_packed("engine0", packed)
    assert not trap.exists() and home.router.run_generation == generation
    if name in HOST_MESSAGES:
        assert len(refused(bed, name, "notebook")) == before + 1
    home.router.host_messages.receive_packed("engine0", b"pulse " + packed.partition(b" ")[2])
    assert trap.exists()


@pytest.mark.parametrize("bed", [2], indirect=True, ids=["engines"])
@pytest.mark.parametrize(
    "channel", [name for name, sender in HOST_MESSAGES.items() if sender is not Sender.HOST]
)
def test_an_engine_does_not_believe_another_one(bed, channel, tmp_path):
    if "liar" not in bed.registry.places:
        bed.spawn("liar", on="engine0").assign("meddler", Meddler)
    trap, sender = tmp_path / "read", HOST_MESSAGES[channel]
    generation, errors = bed.fleet.run("engine1", generation_of), len(bed.errors)
    for host in ("engine1", "notebook") if sender is Sender.NOTEBOOK else ("engine1",):
        before = len(refused(bed, channel, host))
        bed.call_task(
            "liar/meddler",
            "control",
            {"host": host, "channel": channel, "value": None, "trap": str(trap)},
        ).result(20)
        lines = until(
            lambda host=host, before=before: (
                (found := refused(bed, channel, host))[before:] and found
            ),
            "the log has the refusal",
        )
        assert (
            f"{host} takes '{channel}' from {sender.value} alone, and not from engine0: dropped"
            in lines[-1]
        )
    assert not trap.exists()
    assert (
        bed.fleet.run("engine1", generation_of) == generation
        and len(bed.errors) == errors
        and not bed.lost
    )


ARGUMENTS = {
    "error": ("error",),
    "link": ("peer_id", "kind", "reason"),
    "answer": ("number", "succeeded", "value"),
    "inquire": ("number",),
    "cancel": ("number",),
    "pulse": ("rows",),
    "stopped": ("run_generation", "stopped"),
    "lost": ("host_id", "reason"),
    "nonsense": ("x",),
}


@pytest.mark.parametrize("bed", [2], indirect=True, ids=["engines"])
def test_what_no_control_is_costs_nothing_that_came_with_it(bed):
    errors = len(bed.errors)
    bed.spawn("babbler", on="engine0").assign("meddler", Meddler)
    junk = [
        None,
        3,
        "text",
        b"bytes",
        (),
        (1,),
        ("a", "b", "c"),
        [1],
        {},
        ("engine1", "direct", 1, 2),
        float("nan"),
    ]
    linked = sorted(bed.links())
    for channel, names in ARGUMENTS.items():
        values = [*junk, *((0, dict.fromkeys(names, value)) for value in junk)]
        for value in values:
            bed.call_task(
                "babbler/meddler",
                "control",
                {"host": "notebook", "channel": channel, "value": value},
            ).result(20)
    assert bed.call(
        "babbler/meddler",
        "send",
        {
            "kind": "describe",
            "target": "babbler/actor",
            "channel": "",
            "content": None,
            "name": "meddler",
        },
    ).startswith("only the notebook may send")
    assert len(bed.errors) == errors and not bed.lost and sorted(bed.links()) == linked
    assert bed.waiting() == [] and str(bed.stop_run()) == "run stopped: nothing was at work"
    bed.remove("babbler")


def refused(bed, channel, host):
    return [line for line in str(bed.logs(host)).splitlines() if f"takes '{channel}'" in line]


def generation_of(host):
    return host.router.run_generation


def test_who_was_turned_away_is_in_the_log_of_the_host(own_bed):
    home = own_bed.fleet.home
    with zmq.Context() as context, context.socket(zmq.DEALER) as stranger:
        stranger.linger = 0
        stranger.connect(f"ipc://{home.transport.address.ipc_path}")
        stranger.send_multipart([b"hello"])
        line = (
            r"notebook refused a message from localhost\S*: not authenticated \(1 refused in all\)"
        )
        until(lambda: re.search(line, str(own_bed.logs("notebook"))), "it is")

"""The native role, the ends of roles, and what a node knows of its surroundings."""

import re
import threading

import cloudpickle
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
)
from roleml_nb.actor import NativeRole
from roleml_nb.role import (
    ConstructStrategy,
    ElementImplementation,
    NodeLost,
    NoSuchRoleError,
    Status,
    StatusError,
)
from tests.waiting import until

cloudpickle.register_pickle_by_value(__import__(__name__, fromlist=["_"]))


def native(node):
    return RoleInstanceID(node, "actor")


class Watcher(Role):
    """Listens to all that a native role tells."""

    def __init__(self):
        super().__init__()
        self.heard = []

    @Service(expand=True)
    def watch(self, caller, node, channels):
        for channel in channels:
            self.subscribe(
                native(node),
                channel,
                lambda source, args, payloads, channel=channel: self.heard.append(
                    (channel, dict(args))
                ),
            )

    @Service(expand=True)
    def get_heard(self, caller):
        return list(self.heard)


class Plain(Role):
    beat = Event()

    @Service(expand=True)
    def ping(self, caller):
        return "pong"

    @Service(expand=True)
    def emit(self, caller):
        self.beat.emit({"n": 1})

    @Task(expand=True)
    def emit_late(self, caller):
        """As soon as the role is being ended."""
        import time

        while self.base.roles.started("plain"):
            time.sleep(0.01)
        self.beat.emit({"n": 2})
        return "done"


def watch(bed, name, *channels):
    bed.spawn(f"{name}-a", f"{name}-w")
    bed.assign(f"{name}-w", "watcher", Watcher)
    bed.call(f"{name}-w/watcher", "watch", {"node": f"{name}-a", "channels": channels})
    return lambda count: until(
        lambda: len(found := bed.call(f"{name}-w/watcher", "get-heard")) >= count and found,
        f"{count} events",
    )


def test_roles_come_and_go_by_the_native_role_and_it_tells_so(bed):
    heard = watch(bed, "life", "role-assigned", "role-status-changed", "role-removed")
    node = native("life-a")
    assert (
        bed.call(node, "assign-role", {"name": "plain", "spec": {"class": Plain}}) is Status.READY
    )
    assert (
        bed.call(node, "change-role-status", {"name": "plain", "status": Status.PAUSED})
        is Status.PAUSED
    )
    assert bed.call(node, "get-role-status", {"name": "plain"}) is Status.PAUSED
    assert (
        bed.call(node, "change-role-status", {"name": "plain", "status": "ready"}) is Status.READY
    )
    bed.call(node, "terminate-role", {"name": "plain"})
    assert heard(4) == [
        ("role-assigned", {"name": "plain", "cls": "Plain"}),
        ("role-status-changed", {"name": "plain", "new_status": "paused"}),
        ("role-status-changed", {"name": "plain", "new_status": "ready"}),
        ("role-removed", {"name": "plain"}),
    ]
    with pytest.raises(NoSuchRoleError, match="node 'life-a' has no role 'plain'"):
        bed.call(node, "get-role-status", {"name": "plain"})


def test_a_spec_says_all_that_a_role_needs(bed):
    bed.spawn("spec")
    bed.call(
        native("spec"),
        "assign-role",
        {
            "name": "box",
            "spec": {
                "class": Box,
                "options": {"label": "L"},
                "impl": {
                    "items": {"constructor": "builtins.list", "construct_strategy": "once_eager"},
                    "text": ElementImplementation(impl="T"),
                },
            },
        },
    )
    # known to the notebook, though it was not asked
    assert bed.call("spec/box", "read") == ("L", [], "T")
    assert bed.call(native("spec"), "get-roles")["box"] == ("Box", Status.READY)


class Box(Role):
    items = Element(list)
    text = Element(str)

    def __init__(self, label):
        super().__init__()
        self.label = label

    @Service(expand=True)
    def read(self, caller):
        return self.label, self.items(), self.text()


@pytest.mark.parametrize(
    "channel, args, text",
    [
        (
            "assign-role",
            {"name": "actor", "spec": {"class": Plain}},
            "the name 'actor' is the native role's own",
        ),
        ("assign-role", {"name": "x"}, "give either spec= or cls="),
        (
            "assign-role",
            {"name": "x", "spec": {"clas": Plain}},
            "a role's spec has no key 'clas'; known: class, impl, options",
        ),
        (
            "assign-role",
            {"name": "x", "spec": {"class": "no.such.Role"}},
            "'no.such.Role' cannot be imported on this node",
        ),
        (
            "assign-role",
            {"name": "x", "spec": {"class": "builtins.dict"}},
            "'class' must be a Role class",
        ),
        (
            "assign-role",
            {"name": "x", "spec": {"class": Box, "impl": {"items": {"contructor": list}}}},
            "element 'items' has no property 'contructor'; did you mean 'constructor'",
        ),
        ("terminate-role", {"name": "actor"}, "has no role 'actor' that can be terminated"),
        (
            "terminate-role",
            {"name": "plian"},
            "has no role 'plian' that can be terminated; did you mean 'plain'",
        ),
        (
            "change-role-status",
            {"name": "actor", "status": "paused"},
            "the native role's status cannot be changed",
        ),
        (
            "change-role-status",
            {"name": "plain", "status": "puased"},
            "no status 'puased'; did you mean 'paused'",
        ),
        (
            "change-role-status",
            {"name": "plain", "status": "terminated"},
            "to end a role call terminate-role",
        ),
        (
            "change-role-status",
            {"name": "plain", "status": "declared"},
            "is ready and cannot become declared again",
        ),
        (
            "update-relationship",
            {"relationship_name": "r", "op": "ad", "instances": [("a", "b")]},
            "op must be 'add' or 'remove'",
        ),
        (
            "update-relationship",
            {"relationship_name": "r", "op": "add", "instances": []},
            "no instances to add",
        ),
        (
            "update-contacts",
            {"contacts": {"x": "nowhere:1"}},
            "actor 'x' cannot be reached at 'nowhere:1': no such host",
        ),
        ("migrate-role", {"name": "actor", "to": "faulty-b"}, "the native role stays on its node"),
        (
            "migrate-role",
            {"name": "plain", "to": "faulty-b", "conflicts": "x"},
            "conflicts must be 'refuse' or 'keep', not 'x'",
        ),
    ],
)
def test_wrong_orders_are_refused_and_change_nothing(bed, channel, args, text):
    bed.spawn("faulty", "faulty-b")
    bed.assign("faulty", "plain", Plain)
    with pytest.raises((CallerError, NoSuchRoleError)) as refused:
        bed.call(native("faulty"), channel, args)
    assert text in str(refused.value)
    assert bed.call("faulty/plain", "ping") == "pong"
    assert bed.call(native("faulty"), "get-roles") == {"plain": ("Plain", Status.READY)}


def test_contacts_and_relationships_are_changed_and_told(bed):
    heard = watch(bed, "rel", "relationship-updated", "contact-updated")
    node, member = native("rel-a"), RoleInstanceID("rel-w", "watcher")
    assert (
        bed.call(
            node,
            "update-relationship",
            {"relationship_name": "r", "op": "add", "instances": [member]},
        )
        == 1
    )
    bed.call(
        node,
        "add-relationship-link",
        {"from_relationship_name": "alias", "to_relationship_name": "r"},
    )
    assert (
        bed.call(
            node,
            "update-relationship",
            {"relationship_name": "alias", "op": "remove", "instances": [member]},
        )
        == 0
    )
    with pytest.raises(CallerError, match="would be a circle"):
        bed.call(
            node,
            "add-relationship-link",
            {"from_relationship_name": "r", "to_relationship_name": "alias"},
        )
    bed.call(
        node, "update-contacts", {"contacts": {"rel-w": bed.spec()["nodes"]["rel-w"]["engine"]}}
    )
    # order holds within a channel
    told = [args for channel, args in heard(5) if channel == "relationship-updated"]
    assert told[:2] == [
        {"name": name, "op": "add", "instances": [member]} for name in ("r", "alias")
    ]
    assert sorted(args["name"] for args in told[2:]) == ["alias", "r"]
    assert [args for channel, args in heard(5) if channel == "contact-updated"] == [
        {"name": "rel-w"}
    ]


def test_actors_greet_each_other(bed):
    heard = watch(bed, "greet", "handshake-completed", "handwave-completed", "contact-updated")
    bed.call(native("greet-a"), "handshake", {"name": "greet-w"})
    bed.call(native("greet-w"), "handshake", {"name": "greet-a"})
    bed.call(native("greet-a"), "handwave", {"name": "greet-w"})
    assert sorted(heard(3)) == [
        ("contact-updated", {"name": "greet-w"}),
        ("handshake-completed", {"name": "greet-w"}),
        ("handwave-completed", {"name": "greet-w"}),
    ]
    with pytest.raises(HandlerError, match="no node named 'nobody'"):
        bed.call(native("greet-a"), "handshake", {"name": "nobody"})


class Polite(Role):
    @Service(expand=True)
    def greet(self, caller, name):
        """A role greets by its actor."""
        self.base.handshake(name)
        self.base.handwave(name)
        return self.base.convert_relationship_to_instance("friend")


def test_a_role_greets_by_its_actor(bed):
    bed.spawn("polite", "met")
    bed.assign("polite", "polite", Polite)
    bed.relate("polite", "friend", "met/actor")
    assert bed.call("polite/polite", "greet", {"name": "met"}) == RoleInstanceID("met", "actor")
    with pytest.raises(HandlerError, match="no node named 'nobody'"):
        bed.call("polite/polite", "greet", {"name": "nobody"})


def test_nobody_but_a_manager_steers_a_node(bed):
    class Thief(Role):
        @Service(expand=True)
        def attempt(self, caller, channel, args):
            node = RoleInstanceID("guarded", "actor")
            self.call(node, channel, args)

        @Task(expand=True)
        def attempt_task(self, caller, channel, args):
            self.call_task(RoleInstanceID("guarded", "actor"), channel, args).result()

    bed.spawn("guarded", "thief")
    bed.assign("guarded", "plain", Plain)
    bed.assign("thief", "thief", Thief)
    services = {
        "update-contacts": {"contacts": {}},
        "handshake": {"name": "thief"},
        "handwave": {"name": "thief"},
        "update-relationship": {
            "relationship_name": "manager",
            "op": "add",
            "instances": [("thief", "thief")],
        },
        "add-relationship-link": {"from_relationship_name": "a", "to_relationship_name": "b"},
        "get-role-status": {"name": "plain"},
        "get-roles": {},
        "get-channels": {"name": "plain"},
    }
    tasks = {
        "assign-role": {"name": "x", "cls": Plain},
        "update-roles": {"names": ["plain"], "cls": Plain},
        "terminate-role": {"name": "plain"},
        "change-role-status": {"name": "plain", "status": "paused"},
        "migrate-role": {"name": "plain", "to": "thief"},
    }
    assert services.keys() | {"greet"} == NativeRole.services.keys()
    assert tasks.keys() == NativeRole.tasks.keys()
    for how, channels in (("attempt", services), ("attempt-task", tasks)):
        for channel, args in channels.items():
            with pytest.raises(HandlerError, match="thief/thief is not a manager of this node"):
                bed.call("thief/thief", how, {"channel": channel, "args": args})
    with pytest.raises(HandlerError, match="only actors greet, and thief/thief is a role"):
        bed.call("thief/thief", "attempt", {"channel": "greet", "args": {"greeting": "handshake"}})


def test_a_call_to_a_paused_role_waits(bed):
    bed.spawn("wait").assign("plain", Plain)
    bed.call(native("wait"), "change-role-status", {"name": "plain", "status": "paused"})
    call = bed.call_task("wait/plain", "ping")
    assert not call.done()
    bed.call(native("wait"), "change-role-status", {"name": "plain", "status": "ready"})
    assert call.result(10) == "pong"


def test_a_role_cannot_wait_for_its_own_end(bed):
    class Suicidal(Role):
        @Service(expand=True)
        def attempt(self, caller, channel, args):
            self.call_task(
                RoleInstanceID(self.id.actor_name, "actor"), channel, {"name": self.name, **args}
            ).result()

    bed.spawn("self-a", "self-b").assign("role", Suicidal)
    bed.relate("self-a", "manager", "self-a/role")
    for channel, args in (
        ("terminate-role", {}),
        ("change-role-status", {"status": "paused"}),
        ("migrate-role", {"to": "self-b"}),
    ):
        with pytest.raises(
            HandlerError,
            match="self-a/role cannot wait for the end of the handler that it calls from",
        ):
            bed.call("self-a/role", "attempt", {"channel": channel, "args": args})


class Owner(Role, Runnable):
    """Writes down how it ends, in a list that outlives it."""

    log: list = []
    thing = Element(dict)

    def __init__(self):
        super().__init__()
        self.ending = threading.Event()

    def run(self):
        self.ending.wait(20)
        Owner.log.append("main routine ended")

    def stop(self):
        self.ending.set()

    @Task(expand=True)
    def work(self, caller):
        import time

        Owner.log.append("handler begun")
        time.sleep(0.2)
        Owner.log.append("handler ended")


class Reader(Role):
    @Service(expand=True)
    def read(self, caller, cls):
        return list(cls.log)


def test_a_role_ends_in_order(bed, tmp_path):
    bed.spawn("order").assign(
        "owner",
        Owner,
        elements={
            "thing": ElementImplementation(
                constructor=dict,
                construct_strategy=ConstructStrategy.ONCE_EAGER,
                serializer="json",
                serializer_destination=str(tmp_path / "thing.json"),
                destructor=lambda thing: Owner.log.append("destroyed"),
            )
        },
    )
    bed.assign("order", "reader", Reader)
    work = bed.call_task("order/owner", "work")
    until(lambda: bed.call("order/reader", "read", {"cls": Owner}), "it has begun")
    bed.call(native("order"), "terminate-role", {"name": "owner"})
    assert bed.call("order/reader", "read", {"cls": Owner}) == [
        "handler begun",
        "handler ended",
        "main routine ended",
        "destroyed",
    ]
    assert work.result(5) is None
    assert (tmp_path / "thing.json").read_text() == "{}"


def test_a_faulty_end_is_told_and_leaves_the_node_usable(bed):
    class Faulty(Role, Runnable):
        thing = Element(
            dict, default_constructor=dict, default_construct_strategy=ConstructStrategy.ONCE_EAGER
        )

        def run(self): ...

        def stop(self):
            raise OSError("cannot stop")

    def burst(thing):
        raise ValueError("cannot be destroyed")

    bed.spawn("faulty-end").assign(
        "faulty",
        Faulty,
        elements={
            "thing": ElementImplementation(
                constructor=dict, construct_strategy=ConstructStrategy.ONCE_EAGER, destructor=burst
            )
        },
    )
    bed.call(native("faulty-end"), "terminate-role", {"name": "faulty"})
    for text in (
        "faulty-end/faulty.element thing failed on .*cannot be destroyed",
        "faulty-end/faulty.stop failed on .*cannot stop",
    ):
        until(
            lambda text=text: [error for error in bed.errors if re.search(text, str(error))], text
        )
    bed.assign("faulty-end", "plain", Plain)
    assert bed.call("faulty-end/plain", "ping") == "pong"


def test_a_main_routine_that_fails_is_told(bed):
    class Failing(Role, Runnable):
        def run(self):
            raise ArithmeticError("in the main routine")

        def stop(self): ...

    bed.spawn("failing").assign("failing", Failing)
    error = until(
        lambda: [item for item in bed.errors if "in the main routine" in str(item)],
        "the error is told",
    )[0]
    assert (
        "failing/failing.run failed on" in str(error)
        and "raise ArithmeticError" in error.remote_traceback
    )


def test_nothing_is_emitted_by_a_role_that_ends(bed):
    bed.spawn("mute").assign("plain", Plain)
    bed.trace.messages.to_pandas()  # the first look imports pandas
    late = bed.call_task("mute/plain", "emit-late")
    until(
        lambda: (
            "emit-late"
            in set(bed.trace.messages.to_pandas().query("target == 'mute/plain'").channel)
        ),
        "it has begun",
    )
    bed.call(native("mute"), "terminate-role", {"name": "plain"})
    with pytest.raises(StatusError, match="mute/plain is terminating: it cannot emit 'beat'"):
        late.result(10)


def test_an_element_that_cannot_be_built_leaves_the_node_as_it_was(bed):
    def explode():
        raise MemoryError("too large")

    bed.spawn("explode")
    with pytest.raises(
        HandlerError, match="explode/actor.assign-role failed on .*MemoryError: too large"
    ):
        bed.assign(
            "explode",
            "box",
            Box,
            options={"label": ""},
            elements={
                "items": ElementImplementation(
                    constructor=explode, construct_strategy=ConstructStrategy.ONCE_EAGER
                ),
                "text": "t",
            },
        )
    assert bed.call(native("explode"), "get-roles") == {}
    bed.assign("explode", "box", Box, options={"label": "x"}, elements={"items": [], "text": "t"})
    assert bed.call("explode/box", "read") == ("x", [], "t")


def test_the_heart_beats_where_somebody_listens():
    from roleml_nb.host.host import Host

    class Ear(Role):
        def __init__(self):
            super().__init__()
            self.beats = []

        @EventHandler("/", "heartbeat")
        def on_heartbeat(self, source, args, payloads):
            self.beats.append(str(source))

    host = Host("here", "here", call_timeout=5.0, heartbeat=0.05)
    host.send_trace, host.report_error = lambda *_: None, lambda error: None
    try:
        host.spawn(["node", "idle"])
        ear = Ear()
        host.actors["node"].add_role("ear", ear)
        host.actors["node"].start_role("ear")
        until(lambda: len(ear.beats) >= 3, "three beats")
        assert set(ear.beats) == {"node/actor"}
    finally:
        host.stop()


def test_the_context_of_a_node(bed):
    class Curious(Role):
        @Service(expand=True)
        def look(self, caller):
            import os
            import random
            import sys

            context = self.ctx
            return {
                "profile": context.profile.name,
                "same": type(context).active_context() is context,
                "names": sorted(set(context.relationships.all_relationships())),
                "seed": type(context.seed).__name__,
                "workdir": context.workdir == os.getcwd(),
                "time": context.apply_general_template("$time"),
                "start": context.start_time_formatted,
                "path": context.src in sys.path,
                "random": random.random(),
                "contacts": "curious" in context.contacts.all_actor_names(),
            }

    bed.spawn("curious").assign("curious", Curious)
    found = bed.call("curious/curious", "look")
    assert found["profile"] == "curious" and found["same"] and found["names"] == ["/", "manager"]
    assert (
        found["seed"] == "int"
        and found["workdir"]
        and found["contacts"]
        and found["time"] == found["start"]
    )


def test_a_node_that_is_not_there_is_lost(bed):
    class Caller(Role):
        @Service(expand=True)
        def ask(self, caller):
            self.call(RoleInstanceID("nowhere", "role"), "x")

    bed.spawn("asks").assign("caller", Caller)
    with pytest.raises(HandlerError, match="no node named 'nowhere'"):
        bed.call("asks/caller", "ask")
    assert issubclass(NodeLost, RoleMLError)

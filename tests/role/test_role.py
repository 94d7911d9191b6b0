"""The programming model, without any node."""

import pytest

from roleml_nb.role import (
    CallerError,
    Element,
    Event,
    EventHandler,
    Lifecycle,
    NoSuchRoleError,
    Relationships,
    Role,
    RoleDefinitionError,
    RoleInstanceID,
    RoleMLError,
    Service,
    Status,
    StatusError,
    Task,
    natural_key,
    parse_instances,
)
from roleml_nb.role.conditions import check_conditions, passes


class Base(Role):
    model = Element(int)
    test_done = Event()
    renamed = Event("other_name")

    @Service
    def get_model(self, caller, args, payloads): ...

    @Task("train-it", expand=True)
    def train(self, caller, *, epochs, lr=0.1): ...


class Derived(Base):
    @Task(expand=True)
    def get_model(self, caller): ...


def test_channels_are_collected_under_their_standard_names():
    assert Base.services == {"get-model": "get_model"}
    assert Base.tasks == {"train-it": "train"}
    assert Base.events == {"test-done": "test_done", "other-name": "renamed"}
    assert Base.elements == {"model": "model"}


def test_a_subclass_inherits_and_may_change_a_channels_kind():
    assert Derived.services == {} and set(Derived.tasks) == {"get-model", "train-it"}
    assert Base.services == {"get-model": "get_model"}


def test_a_handler_of_the_wrong_shape_is_refused_where_it_is_defined():
    with pytest.raises(
        RoleDefinitionError, match=r"service .*ask must take \(self, caller, args, payloads\)"
    ):

        class Wrong(Role):
            @Service
            def ask(self, caller, question): ...


def test_two_channels_of_one_name_are_refused():
    with pytest.raises(RoleDefinitionError, match="Twice: 'ask' is declared by ask and answer"):

        class Twice(Role):
            @Service(expand=True)
            def ask(self, caller): ...

            @Service("ask", expand=True)
            def answer(self, caller): ...

    with pytest.raises(RoleDefinitionError, match="Loud: 'told' is declared by told and tell"):

        class Loud(Role):
            told = Event()

            @Task("told", expand=True)
            def tell(self, caller): ...


def test_a_service_and_a_task_may_share_a_name():
    class Both(Base):
        @Service("work", expand=True)
        def work_now(self, caller): ...

        @Task("work", expand=True)
        def work_later(self, caller): ...

    class Later(Both):
        @Task("work", expand=True)
        def work_at_night(self, caller): ...

        work_now = None

    assert (Both.services["work"], Both.tasks["work"]) == ("work_now", "work_later")
    assert "work" not in Later.services and Later.tasks["work"] == "work_at_night"


def test_expanded_arguments_are_checked_before_the_handler_runs():
    handler = Base.train.handler
    with pytest.raises(CallerError, match="takes no 'epoch'; did you mean 'epochs'"):
        handler.invoke(None, None, {"epoch": 1}, {})
    with pytest.raises(CallerError, match="needs epochs"):
        handler.invoke(None, None, {}, {"lr": 1})


def test_an_unknown_option_is_refused():
    with pytest.raises(TypeError, match="Base takes no option speed"):
        Base(speed=1)


@pytest.mark.parametrize(
    "conditions, args, wanted",
    [
        ({"x": 1}, {"x": 1}, True),
        ({"x__gt": 1}, {"x": 1}, False),
        ({"x__ge": 1}, {"x": 1}, True),
        ({"x__<": 1}, {"x": 0}, True),
        ({"x__contains": "a"}, {"x": "cat"}, True),
        ({"x": 1}, {}, False),
        ({"x__lt": 1}, {"x": "text"}, False),
        ({}, {}, True),
        ({"x": 1, "y": 2}, {"x": 1, "y": 3}, False),
    ],
)
def test_conditions(conditions, args, wanted):
    check_conditions(conditions)
    assert passes(conditions, args) is wanted


def test_an_unknown_operator_is_refused():
    with pytest.raises(ValueError, match="'x__gtt'.*did you mean 'gt'"):
        check_conditions({"x__gtt": 1})


def test_relationships_tell_what_changed_and_follow_links():
    relationships, told = Relationships(), []
    relationships.listeners.append(lambda *change: told.append(change))
    a, b = RoleInstanceID("a", "r"), RoleInstanceID("b", "r")
    relationships.link_relationship("alias", "real")
    relationships.add_to_relationship("alias", a, b)
    relationships.add_to_relationship("real", a)
    assert (
        relationships.get_relationship_view("real")
        == {a, b}
        == relationships.get_relationship_view("alias")
    )
    relationships.remove_from_relationship("real", b)
    assert told == [
        ("real", "add", (a, b)),
        ("alias", "add", (a, b)),
        ("real", "remove", (b,)),
        ("alias", "remove", (b,)),
    ]
    with pytest.raises(ValueError, match="circle"):
        relationships.link_relationship("real", "alias")


def test_a_paused_role_waits_for_its_handlers():
    lifecycle = Lifecycle("n/r")
    lifecycle.become(Status.READY)
    with (
        lifecycle.entered(),
        pytest.raises(StatusError, match="1 handlers still running after 0.01 s"),
    ):
        lifecycle.pause(0.01)
    lifecycle.pause(1)
    with (
        pytest.raises(StatusError, match="n/r is paused and did not become ready in 0.01 s"),
        lifecycle.entered(0.01),
    ):
        pass
    lifecycle.resume()
    lifecycle.terminate(1)
    with pytest.raises(NoSuchRoleError), lifecycle.entered():
        pass


def test_names():
    assert sorted(["c10", "c2", "c1"], key=natural_key) == ["c1", "c2", "c10"]
    assert parse_instances(["a/b", "c"], "d") == [("a", "b"), ("c", "d")]
    with pytest.raises(ValueError, match="not of the form"):
        RoleInstanceID.of("a/b/c")


def test_what_every_role_has_is_no_name_for_a_channel():
    with pytest.raises(
        RoleDefinitionError,
        match=r"Named.name: every role has a 'name' of its own.*@Service\('name'\)",
    ):

        class Named(Role):
            @Service
            def name(self, caller, args, payloads): ...

    with pytest.raises(RoleDefinitionError, match="Elemental.id: every role has a 'id'"):

        class Elemental(Role):
            id = Element(int)

    class Fine(Role):
        @Service("name")
        def get_name(self, caller, args, payloads): ...

    assert Fine.services == {"name": "get_name"}


def test_event_handlers_are_inherited_and_overridden():
    class One(Role):
        @EventHandler("oven", "heat-up")
        def heated(self, source, args, payloads): ...

        @EventHandler("stove", "heat-up")
        def other(self, source, args, payloads): ...

        @EventHandler("oven", "heat-up", extra_filter=lambda oven: oven.actor_name == "old")
        def third(self, source, args, payloads): ...

    class Again(One):
        @EventHandler("oven", "heat-up", mode="once")
        def heated(self, source, args, payloads): ...

    assert Again.subscriptions == {"heated", "other", "third"}


@pytest.mark.parametrize(
    ("declare", "text"),
    [
        (lambda: Service(expand=[1, 2]), "Service: expand must be True or False, got [1, 2]"),
        (lambda: Task(3), "Task: channel_name must be a text, Callable or None, got 3"),
        (lambda: EventHandler("peer", 3), "EventHandler: channel_name must be a text, got 3"),
    ],
)
def test_wrong_arguments_of_a_declaration_are_told_where_it_is(declare, text):
    with pytest.raises(RoleMLError) as caught:
        declare()
    assert str(caught.value) == text

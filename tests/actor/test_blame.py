"""Whose fault an error of a call is: the caller's, whose arguments do not fit, or the handler's,
whatever it raises.
"""

import pytest

from roleml_nb import CallerError, HandlerError, Role, RoleInstanceID, Service, Task
from roleml_nb.role import RoleDefinitionError


class Blamed(Role):
    @Service(expand=True)
    def open(self, caller, **more):
        return more

    @Service(expand=True)
    def named(self, caller, *, a=1, b: int = 2):
        return a

    @Service(expand=True)
    def raising(self, caller, kind, text):
        raise {
            "TypeError": TypeError,
            "AttributeError": AttributeError,
            "KeyError": KeyError,
            "ValueError": ValueError,
        }[kind](text)

    @Task(expand=True)
    def inner(self, caller):
        return self.named(caller, c=1)

    @Service(expand=True)
    def passed_on(self, caller, given):
        return self.call(RoleInstanceID("blamed", "role"), "open", given)

    @Service
    def plain(self, caller, args, payloads):
        return len(None)


@pytest.fixture
def role(bed):
    bed.spawn("blamed")
    bed.assign("blamed", "role", Blamed)
    return bed


@pytest.mark.parametrize(
    "channel, given, text",
    [
        ("named", {"c": 1}, "service 'named' takes no 'c'; known: a, b"),
        ("named", {"self": 1}, "service 'named' takes no 'self'; known: a, b"),
        (
            "named",
            {"caller": 1},
            "service 'named' takes no 'caller'; its first parameter, 'caller', is who calls",
        ),
        (
            "open",
            {"caller": 1},
            "service 'open' takes no 'caller'; its first parameter, 'caller', is who calls",
        ),
        ("open", {"self": 1}, "service 'open' takes no 'self'; there are none"),
        ("raising", {"kind": "TypeError"}, "service 'raising' needs text"),
    ],
)
def test_arguments_that_do_not_fit_are_the_callers_fault(role, channel, given, text):
    with pytest.raises(CallerError) as caught:
        role.call("blamed/role", channel, given)
    assert str(caught.value) == f"blamed/role.{channel}: {text}"


def test_names_that_are_no_texts_are_told(role):
    with pytest.raises(
        HandlerError,
        match=r"blamed/role.passed-on failed on .*: CallerError: blamed/role.open: "
        r"service 'open' takes no 5; there are none",
    ):
        role.call("blamed/role", "passed-on", {"given": {5: 1}})


@pytest.mark.parametrize("kind", ["TypeError", "AttributeError", "KeyError", "ValueError"])
def test_what_a_handler_raises_is_its_own_fault(role, kind):
    """However much its text looks like one of a wrong call."""
    text = "Blamed.named() got an unexpected keyword argument 'c'"
    with pytest.raises(HandlerError) as caught:
        role.call("blamed/role", "raising", {"kind": kind, "text": text})
    assert (
        f": {kind}: " in str(caught.value)
        and text in str(caught.value)
        and caught.value.where["error"] == kind
    )
    assert "in raising" in caught.value.remote_traceback


def test_a_wrong_call_within_a_handler_is_not_the_callers_fault(role):
    with pytest.raises(
        HandlerError,
        match="blamed/role.inner failed on .*: TypeError: .*unexpected keyword argument 'c'",
    ):
        role.call_task("blamed/role", "inner").result()
    with pytest.raises(HandlerError, match="TypeError: object of type 'NoneType' has no len"):
        role.call("blamed/role", "plain", {"a": 1})


def test_annotations_of_a_users_handler_bind_nobody(role):
    assert role.call("blamed/role", "named", {"a": "x", "b": "no number"}) == "x"


def test_arguments_by_position_only_are_refused_where_the_role_is_defined():
    with pytest.raises(
        RoleDefinitionError,
        match=r"service .*\.f is called with its arguments by name, and x, y can be given "
        "by position only: move the / to behind the caller, or leave it out",
    ):

        class Positional(Role):
            @Service(expand=True)
            def f(self, caller, x, y, /):
                return x

    class Fine(Role):
        @Service(expand=True)
        def f(self, caller, /, caller_=1, **more):
            return more

    handler = Fine.f.handler
    assert handler.invoke(Fine().f, RoleInstanceID("a", "b"), {"caller": 1, "self": 2}, {}) == {
        "caller": 1,
        "self": 2,
    }

"""Attributes that every role has are not hidden by a class or a role."""

from dataclasses import dataclass

import pytest

from roleml_nb import Role, Service
from roleml_nb.role import RoleDefinitionError

OWN = (
    "every role has a '{}' of its own, and this hides its channels and elements; call the attribute"
    " otherwise"
)


@pytest.mark.parametrize(
    "name", ["services", "tasks", "events", "subscriptions", "elements", "plugin_attributes"]
)
def test_a_method_that_hides_channels_is_refused_with_the_class(name):
    names = {"Role": Role}
    source = (
        f"class Hides(Role):\n    def set_up(me, x):\n        me.y = 1\n        me.{name} = x\n"
    )
    with pytest.raises(RoleDefinitionError) as refused:
        exec(source, names)
    assert str(refused.value) == f"Hides.set_up: self.{name} = …: {OWN.format(name)}"


@pytest.mark.parametrize("line", [
    "self.a, self.tasks = 1, 2",
    "self.tasks: list = []",
    "x = 3; self.tasks = x",
    "self.tasks = (lambda: self)",
    "self.id = 1",
    "self.name = 'x'",
    "self.ctx = None",
])  # fmt: skip
def test_ways_to_set_it(line):
    with pytest.raises(
        RoleDefinitionError, match=r"^Hides\.__init__: self\.\w+ = …: every role has a "
    ):
        exec(f"class Hides(Role):\n    def __init__(self):\n        {line}\n", {"Role": Role})


def test_what_others_have_and_what_is_read_is_nobodys_business():
    class Reads(Role):
        def __init__(self, other):
            super().__init__()
            other.tasks = 1
            self.seen = self.tasks
            self.title = other.name

    assert Reads(type("Other", (), {"name": "n"})()).title == "n"


def test_a_class_body_that_hides_them():
    with pytest.raises(
        RoleDefinitionError, match=r"Hides\.tasks: every role has a 'tasks' of its own"
    ):

        class Hides(Role):
            tasks = ["a"]

    with pytest.raises(
        RoleDefinitionError, match=r"a channel may be named so: @Service\('events'\)"
    ):

        class Declares(Role):
            @Service
            def events(self, caller, args, payloads): ...

    @dataclass(slots=True)
    class Copied(Role):  # its body is made of that of a class that is ready
        size: int = 1

        @Service(expand=True)
        def get(self, caller):
            return self.size

    assert Copied.services == {"get": "get"}


@pytest.mark.parametrize("name", ["tasks", "name"])
def test_a_role_that_has_one_by_other_ways_is_not_taken_in(bed, name):
    @dataclass
    class Given(Role):
        size: int = 1

        def __post_init__(self):
            setattr(self, name, ["x"])

    bed.spawn("reserved")
    with pytest.raises(
        Exception, match=f"Given: self.{name} was set: every role has a '{name}' of its own"
    ):
        bed.assign("reserved", "given", Given)
    assert bed.spec()["nodes"]["reserved"]["roles"] == {}

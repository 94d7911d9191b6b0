"""Names are checked where they are given, and what is refused changes nothing."""

import pytest

from roleml_nb import Each, Element, Event, EventHandler, Role, Service, Testbed, impl
from roleml_nb.role import ArgumentError, RoleDefinitionError, RoleInstanceID, RoleMLError

RULE = "letters, digits, '_', '-' and '.', a letter first"
BAD = [
    "",
    " ",
    "r/x",
    "*",
    "a?",
    "a[1]",
    "a,b",
    "a=b",
    "a b",
    "\x1b[31m",
    "a\0b",
    "1a",
    "-a",
    "a\n",
    "\ud800",
    "x" * 200 + "/",
]
GOOD = ["trainer", "_x", "peer-2", "a.b", "größe", "A1"]


class Box(Role):
    value = Element(int, default_impl=1)
    extra = Element(object, optional=True)
    boxed = Event()

    def __init__(self, size=1, *, label=""):
        super().__init__()
        self.size = size

    @Service(expand=True)
    def get(self, caller):
        return self.size, self.value()


class Needy(Role):
    def __init__(self, size):
        super().__init__()


class Manager(Role):
    @Service(expand=True)
    def tell(self, caller, node, channel, args):
        target = RoleInstanceID(node, "actor")
        if channel == "assign-role":
            self.call_task(target, channel, args).result(10)
        else:
            self.call(target, channel, args)


def make(part, *, size=2):
    return part + size


def unchanged(bed, text, action):
    """Return the error; the spec is as it was."""
    before = bed.spec()
    with pytest.raises(RoleMLError) as refused:
        action()
    assert text in str(refused.value)
    assert "\n" not in str(refused.value)
    assert bed.spec() == before
    return refused.value


@pytest.fixture
def nodes(bed):
    bed.spawn("named{1..2}")
    bed.assign("named*", "box", Box)
    return bed


@pytest.mark.parametrize("name", BAD)
def test_no_role_and_no_relationship_is_called_so(nodes, name):
    bed = nodes
    for noun, action in [
        ("role", lambda: bed.assign("named*", name, Box)),
        ("role", lambda: bed.migrate("named1/box", f"named2/{name}")),
        ("relationship", lambda: bed.relate("named1", name, "named2/box")),
        ("relationship", lambda: bed.wire("ring", relationship=name, nodes="named*", role="box")),
        ("relationship", lambda: bed.link_relationship("named1", name, "box")),
        ("relationship", lambda: bed.link_relationship("named1", "alias", name)),
    ]:
        error = unchanged(bed, f"cannot be the name of a {noun}: {RULE}", action)
        assert isinstance(error, ArgumentError)
        assert len(str(error)) < 200


@pytest.mark.parametrize("name", GOOD)
def test_these_names_serve_everywhere(nodes, name, tmp_path):
    bed = nodes
    bed.assign("named1", name, Box, options={"size": 5})
    bed.relate("named2", name, f"named1/{name}")
    assert bed.call(f"named1/{name}", "get") == (5, 1)
    assert bed.spec()["nodes"]["named2"]["relationships"][name] == [f"named1/{name}"]
    bed.relate("named2", name, f"named1/{name}", remove=True)
    bed.terminate("named1", name)


def test_a_role_that_assigns_and_relates_is_told_too(nodes):
    bed = nodes
    bed.assign("named2", "manager", Manager)
    bed.relate("named1", "manager", "named2/manager")
    for channel, args, noun in [
        ("assign-role", {"name": "r/x", "spec": {"class": "tests.testbed.test_names.Box"}}, "role"),
        (
            "add-relationship-link",
            {"from_relationship_name": "*", "to_relationship_name": "x"},
            "relationship",
        ),
        (
            "add-relationship-link",
            {"from_relationship_name": "x", "to_relationship_name": ""},
            "relationship",
        ),
        (
            "update-relationship",
            {"relationship_name": "a,b", "op": "add", "instances": [("named1", "box")]},
            "relationship",
        ),
    ]:
        with pytest.raises(RoleMLError, match=f"cannot be the name of a {noun}: {RULE}"):
            bed.call("named2/manager", "tell", {"node": "named1", "channel": channel, "args": args})
    bed.terminate("named2", "manager")


def test_a_handler_of_a_relationship_that_cannot_be():
    with pytest.raises(
        RoleDefinitionError, match=r"Listener\.hear: 'a/b' cannot be the name of a relationship"
    ):

        class Listener(Role):
            @EventHandler("a/b", "boxed")
            def hear(self, caller, args, payloads): ...

    class Own(Role):
        @EventHandler("/", "role-assigned")
        def hear(self, caller, args, payloads): ...

    assert Own.subscriptions == {"hear"}


@pytest.mark.parametrize(("where", "text"), [
    ("roles: {'r/x': {class: tests.testbed.test_names.Box}}",
     "nodes.a.roles.r/x: 'r/x' cannot be the name of a role"),
    ("roles: {actor: {class: tests.testbed.test_names.Box}}",
     "'actor' cannot be the name of a role: it is the native role's own"),
    ("relationships: {'*': [a/actor]}",
     "nodes.a.relationships.*.0: '*' cannot be the name of a relationship"),
    ("links: {'': x}", "'' cannot be the name of a relationship"),
    ("links: {x: 'a b'}", "nodes.a.links.x: 'a b' cannot be the name of a relationship"),
])  # fmt: skip
def test_names_in_a_file_are_told_with_their_place(tmp_path, where, text):
    path = tmp_path / "run.yaml"
    path.write_text(f"roleml_nb: 1\nengines: 0\nnodes:\n  a:\n    {where}\n")
    with pytest.raises(RoleMLError) as refused:
        Testbed.from_spec(path, trust=True)
    assert f"run.yaml:5: {text}" in str(refused.value) or text in str(refused.value)
    assert "run.yaml:5: " in str(refused.value)


@pytest.mark.parametrize(("role", "options", "elements", "text"), [
    (Box, {"sise": 1}, {}, "assign box=Box: Box takes no option 'sise'; did you mean 'size'?"),
    (Needy, {}, {}, "assign box=Needy: Needy needs an option 'size'"),
    (Manager, {"x": 1}, {}, "Manager takes no option 'x'"),
    (Box, {"size": Each([1])}, {}, "Each has 1 values for 2 nodes"),
    (Box, {}, {"valeu": 1}, "Box has no element 'valeu'; did you mean 'value'?"),
    (Box, {}, {"value": "x"}, "named1/box: element 'value' must be int, not str"),
    (Box, {}, {"value": Each([1, "x"])}, "named2/box: element 'value' must be int, not str"),
    (Box, {}, {"value": impl(make, 1, siez=3)},
     "element 'value': make() got an unexpected keyword argument 'siez'; did you mean 'size'?"),
    (Box, {}, {"value": impl(make)}, "element 'value': make() missing a required argument: 'part'"),
])  # fmt: skip
def test_a_mistake_in_an_assignment_leaves_the_role_that_was_there(
    nodes, role, options, elements, text
):
    bed = nodes
    unchanged(
        bed, text, lambda: bed.assign("named*", "box", role, options=options, elements=elements)
    )
    assert bed.call("named*/box", "get") == {"named1": (1, 1), "named2": (1, 1)}


def test_begun_anew_are_all_or_none(nodes):
    bed = nodes
    bed.assign("named1", "box", Box, options={"size": 2}, elements={"extra": 3})
    bed.assign("named2", "box", Box, options={"size": 4})

    class Later(Box):
        extra = Element(object)

        @Service(expand=True)
        def get(self, caller):
            return -self.size

    Later.__qualname__ = Later.__name__ = "Box"
    text = "named2/box: element 'extra' of Box is not implemented"
    unchanged(bed, text, lambda: bed.update(Later, fresh=True))
    assert bed.call("named*/box", "get") == {"named1": (2, 1), "named2": (4, 1)}
    bed.assign("named2", "box", Box, options={"size": 4}, elements={"extra": 0})
    bed.update(Later, fresh=True)
    assert bed.call("named*/box", "get") == {"named1": -2, "named2": -4}


def test_places_of_a_pattern_are_those_of_its_nodes(nodes):
    bed = nodes
    unchanged(
        bed, "no node matches 'typo'", lambda: bed.arrange({"named1": (1, 2), "typo": (3, 4)})
    )
    bed.arrange({"named*": (7, 8)})
    given = bed.spec()["nodes"]
    assert [given[name]["at"] for name in ("named1", "named2")] == [[7, 8], [7, 8]]
    assert set(bed.registry.positions) <= set(bed.registry.places)
    bed.arrange({"named*": None})
    assert "at" not in bed.spec()["nodes"]["named1"]


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b"])
def test_names_that_no_file_has_are_told_in_one_line(nodes, name, tmp_path):
    bed, shown = nodes, ascii(name)[1:-1]
    for action in (
        lambda: bed.save_spec(tmp_path / f"{name}.yaml"),
        lambda: bed.record(tmp_path / name),
        lambda: bed.save(tmp_path / name),
        lambda: bed.restore(tmp_path / name),
        lambda: Testbed.from_spec(tmp_path / name),
        lambda: Testbed.from_spec(tmp_path / "x.yaml", root=name),
        lambda: bed.spawn("named9", workdir=name),
        lambda: bed.spawn("named9", src=name),
    ):
        error = unchanged(bed, "", action)
        assert shown in ascii(str(error)) or shown in str(error)
    assert list(tmp_path.iterdir()) == []

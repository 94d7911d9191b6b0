"""Our own spec: there and back."""

import json
import os

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from roleml_nb import Each, NodeLost, Role, RoleInstanceID, RoleMLError, Service, Testbed, impl
from roleml_nb.role import ConstructStrategy, ElementImplementation, TestbedError
from roleml_nb.spec import ConfigError, read
from roleml_nb.spec.entry import Entry
from roleml_nb.spec.scope import Scope
from roleml_nb.spec.values import decode, encode
from roleml_nb.spec.yaml import dump
from roleml_nb.testbed.operations.load import load
from tests.spec.examples import Adder, Caller, Keeper, double, make_store
from tests.waiting import until

OPTIONS = {
    "start": 3,
    "none": None,
    "flag": True,
    "real": 0.1,
    "text": "ü: # x",
    "list": [1, [2]],
    "tuple": (1, (2, [3])),
    "set": {1, 2},
    "dict": {"a": {"b": 1}, "$c": 2},
    "numbered": {1: "one", (2, 3): "pair"},
    "role": RoleInstanceID("a", "keeper"),
    "function": double,
    "numpy": np.float64(0.5),
}

KEEPER = "tests.spec.examples.Keeper"


def furnish(bed: Testbed) -> None:
    bed.spawn("one", "two{1..3}")
    bed.assign(
        "one",
        "keeper",
        Keeper,
        options=OPTIONS,
        elements={"store": impl(make_store, deep={"x": (1, 2)}), "function": Adder},
    )
    bed.assign(
        "two*",
        "keeper",
        Keeper,
        options={"start": Each([10, 11, 12])},
        elements={
            "store": ElementImplementation(
                constructor=make_store,
                constructor_args={"y": 1},
                construct_strategy=ConstructStrategy.EVERY_CALL,
            )
        },
    )
    bed.relate("two*", "keeper", "one/keeper")
    bed.assign("two1", "caller", Caller)
    bed.relate("one", "pupils", "two*/keeper")
    bed.link_relationship("one", "apprentices", "pupils")
    bed.relate("two1", "gone", "one/keeper")
    bed.relate("two1", "gone", "one/keeper", remove=True)


def test_the_spec_is_plain_and_rebuilds_the_same(tmp_path):
    with Testbed(engines=0, seed=5) as own:
        furnish(own)
        spec = own.spec()
        own.save_spec(tmp_path / "run.yaml")
        own.save_spec(tmp_path / "run.json")
    assert json.loads(json.dumps(spec)) == spec == yaml.safe_load(yaml.safe_dump(spec))
    for source in (spec, tmp_path / "run.yaml", str(tmp_path / "run.json")):
        with Testbed.from_spec(source) as again:
            assert again.spec() == spec and again.seed == 5
            said = again.call("one/keeper", "get")
            assert said["options"].pop("function")(4) == 8
            assert said == {
                "start": 3,
                "options": {
                    key: value for key, value in OPTIONS.items() if key not in ("start", "function")
                },
                "store": {"made": True, "deep": {"x": (1, 2)}},
            }
            assert again.call("two*/keeper", "get")["two3"] == {
                "start": 12,
                "options": {},
                "store": {"made": True, "y": 1},
            }
            assert again.call("one/keeper", "members", {"relationship": "apprentices"}) == [
                f"two{n}/keeper" for n in (1, 2, 3)
            ]


def emptied(value):
    """Take everything out of plain data, at all depths."""
    for item in list(value.values() if isinstance(value, dict) else value):
        if isinstance(item, (dict, list)):
            emptied(item)
    value.clear()


def test_the_spec_is_a_copy():
    with Testbed(engines=0) as own:
        furnish(own)
        own.arrange({"one": (1, 2)})
        first = own.spec()
        before = json.dumps(first)
        emptied(first)
        assert json.dumps(own.spec()) == before


def test_roles_come_back_in_the_order_in_which_they_were_assigned():
    with Testbed(engines=0) as bed:
        bed.spawn("a", "b")
        bed.assign("b", "keeper", Keeper, options={"start": 8})
        bed.assign(["a", "b"], "other", Keeper)
        bed.relate("a", "keeper", "b/keeper")
        bed.assign("a", "caller", Caller)
        bed.assign("b", "other", Keeper)
        spec = bed.spec()
    turns = {
        f"{node}/{role}": said["turn"]
        for node, given in spec["nodes"].items()
        for role, said in given["roles"].items()
    }
    assert turns == {"b/keeper": 0, "a/other": 1, "a/caller": 2, "b/other": 3}
    with Testbed.from_spec(spec) as again:
        assert until(lambda: again.call("a/caller", "get-heard"), "the call") == 8
        assert again.spec() == spec and again.errors == []


def test_engines_and_places_come_back(tmp_path):
    with Testbed(engines=2, preload=()) as bed:
        bed.spawn("a", "b", on=1)
        bed.spawn("c", "d")
        bed.spawn("here", on="notebook")
        spec = bed.spec()
        with Testbed.from_spec(spec, preload=()) as again:
            assert again.spec() == spec and again.engines == 2
    with Testbed.from_spec(spec, engines=0) as alone:
        assert set(alone.registry.places) == {"notebook", "a", "b", "c", "d", "here"}
        assert set(alone.registry.places.values()) == {"notebook"}


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text() | st.sampled_from(["$call", "$ref"]), inner, max_size=3)
        | st.dictionaries(st.integers(), inner, max_size=3)
        | st.sets(st.integers(), max_size=3)
    ),
    max_leaves=8,
)


@given(values)
def test_values_come_back_as_they_were(value):
    plain = encode(value)
    assert decode(Entry.of(json.loads(json.dumps(plain))), Scope()) == value
    assert decode(Entry.of(yaml.safe_load(dump(plain))), Scope()) == value
    assert encode(decode(Entry.of(plain), Scope())) == plain


def local_function():
    def inner():
        return {}

    return inner


@pytest.mark.parametrize(
    "elements, options, text",
    [
        (
            {"store": {"a": [np.ones(2)]}},
            {},
            (
                "nodes.x.roles.keeper.elements.store.a.0: a value of type numpy.ndarray is not"
                " plain data"
            ),
        ),
        (
            {"store": impl(local_function())},
            {},
            (
                "nodes.x.roles.keeper.elements.store: a value of type function"
                " (tests.spec.test_spec.local_function.<locals>.inner) is"
            ),
        ),
        (
            {"store": impl(make_store, deep=(1, np.ones(1)))},
            {},
            "nodes.x.roles.keeper.elements.store.kwargs.deep.1: a value of type numpy.ndarray is",
        ),
        (
            {},
            {"start": lambda: 3},
            (
                "nodes.x.roles.keeper.options.start: a value of type function"
                " (tests.spec.test_spec.<lambda>) is"
            ),
        ),
        (
            {},
            {"start": Adder(), "other": object()},
            (
                "nodes.x.roles.keeper.options.start: a value of type"
                " tests.spec.examples.Adder is not plain data (and 1 more); give it as"
                " impl(function, …)"
            ),
        ),
    ],
)
def test_what_is_not_plain_is_refused_by_save_with_its_path(elements, options, text, tmp_path):
    with Testbed(engines=0) as bed:
        bed.spawn("x")
        bed.assign("x", "keeper", Keeper, elements=elements, options=options)
        spec = bed.spec()
        json.dumps(spec)
        with pytest.raises(ConfigError) as caught:
            bed.save_spec(tmp_path / "run.yaml")
    assert str(caught.value).startswith(f"cannot save {tmp_path}/run.yaml: {text}")
    assert not (tmp_path / "run.yaml").exists()
    with pytest.raises(
        ConfigError, match=r"^nodes\.x\.roles\.keeper\..*was not plain data when the spec was made"
    ):
        read(spec)


def test_save_says_when_it_cannot_write(tmp_path):
    with (
        Testbed(engines=0) as bed,
        pytest.raises(TestbedError, match="cannot write .*/no/run.yaml: No such file or directory"),
    ):
        bed.save_spec(tmp_path / "no" / "run.yaml")


class OfTheNotebook(Role):
    __module__ = "__main__"

    @Service(expand=True)
    def where(self, caller):
        return self.profile.name


def test_classes_of_the_notebook_are_looked_up_by_name():
    with Testbed(engines=0) as bed:
        bed.spawn("x")
        bed.assign("x", "role", OfTheNotebook)
        spec = bed.spec()
    assert spec["nodes"]["x"]["roles"]["role"]["class"] == "__main__.OfTheNotebook"
    with Testbed.from_spec(spec, names={"OfTheNotebook": OfTheNotebook}) as again:
        assert again.call("x/role", "where") == "x" and again.spec() == spec
    with pytest.raises(
        ConfigError,
        match=(
            r"^nodes\.x\.roles\.role\.class: the notebook defines no 'OfTheNotebook': run the cell "
            r"that does, then load again; did you mean 'OffTheNotebook'\?$"
        ),
    ):
        Testbed.from_spec(spec, names={"OffTheNotebook": OfTheNotebook})


def test_a_load_that_fails_half_way_leaves_no_testbed(monkeypatch):
    stopped = []
    monkeypatch.setattr(
        Testbed, "stop", lambda self, stop=Testbed.stop: (stopped.append(self), stop(self))
    )
    spec = {
        "nodes": {
            "a": {"roles": {"keeper": {"class": "tests.spec.examples.Keeper"}}},
            "b": {"roles": {"broken": {"class": "tests.spec.examples.Broken"}}},
        }
    }
    with pytest.raises(
        Exception,
        match=r"^nodes\.b\.roles\.broken: b/actor\.assign-role failed on .*broken on purpose",
    ):
        Testbed.from_spec(spec, engines=0)
    assert len(stopped) == 1 and not stopped[0].running


def test_on_a_running_testbed_it_is_taken_back(bed):
    bed.spawn("half1")
    bed.assign("half1", "keeper", Keeper)
    before = bed.spec()["nodes"]["half1"]
    spec = {
        "nodes": {
            "half1": {
                "roles": {"second": {"class": "tests.spec.examples.Keeper"}},
                "relationships": {"x": ["half2/broken"]},
            },
            "half2": {"roles": {"broken": {"class": "tests.spec.examples.Broken"}}},
        }
    }
    with pytest.raises(Exception, match="broken on purpose"):
        load(bed, spec)
    after = bed.spec()["nodes"]
    assert after["half1"] == before and after["half2"]["roles"] == {}
    assert bed.call("half1/keeper", "members", {"relationship": "x"}) == []


def test_a_link_that_a_node_refuses_is_told_with_its_place(bed):
    bed.spawn("linked")
    bed.assign("linked", "keeper", Keeper)
    bed.relate("linked", "taken", "linked/keeper")
    with pytest.raises(
        RoleMLError,
        match=(
            r"^nodes\.linked\.links\.taken: .*relationship 'taken' has members and cannot become a"
            r" link"
        ),
    ):
        load(bed, {"nodes": {"linked": {"links": {"taken": "other"}}}})
    assert bed.spec()["nodes"]["linked"]["links"] == {}


def test_a_node_that_is_lost_meanwhile_is_told_with_the_place(own_bed):
    own_bed.spawn("steady", on="notebook")
    own_bed.spawn("doomed", on=1)
    spec = {"nodes": {"doomed": {"roles": {"killer": {"class": "tests.spec.examples.Killer"}}}}}
    with pytest.raises(NodeLost, match=r"^nodes\.doomed\.roles\.killer: "):
        load(own_bed, spec)
    assert own_bed.running and own_bed.spec()["nodes"]["doomed"]["roles"] == {}


def test_nodes_have_the_seed_of_the_testbed_or_their_own():
    with Testbed(engines=0, seed=3) as bed:
        bed.spawn("a")
        bed.spawn("b", seed=4, workdir="/tmp")
        bed.assign(["a", "b", "notebook"], "keeper", Keeper)
        assert bed.call("notebook/keeper", "context")[2] == 3
        assert bed.call("{a,b}/keeper", "context") == {
            "a": (os.getcwd(), os.getcwd(), 3),
            "b": ("/tmp", "/tmp", 4),
        }
        spec = bed.spec()
        with pytest.raises(TestbedError, match=r"^a node has no 'sed'; did you mean 'seed'\?"):
            bed.spawn("c", sed=4)
        with pytest.raises(TestbedError, match=r"^seed must be int, not 'x'$"):
            bed.spawn("c", seed="x")
        assert bed.spec() == spec
    with Testbed.from_spec(spec) as again:
        assert again.call("b/keeper", "context") == ("/tmp", "/tmp", 4) and again.spec() == spec


def test_bad_input_changes_nothing(bed):
    before = bed.spec()
    with pytest.raises(ConfigError, match="no node 'nobody'"):
        load(bed, {"nodes": {"fresh": {"relationships": {"x": ["nobody/y"]}}}})
    assert bed.spec() == before


def test_a_member_without_its_role_is_noted():
    spec = {
        "nodes": {
            "a": {"relationships": {"x": ["b/keper"]}},
            "b": {"roles": {"keeper": {"class": KEEPER}}},
        }
    }
    with pytest.warns(
        UserWarning,
        match=(
            r"^nodes\.a\.relationships\.x\.0: b/keper is not in this spec; did you mean 'keeper'\?$"
        ),
    ):
        bed = Testbed.from_spec(spec, engines=0)
    with bed:
        assert bed.spec()["nodes"]["a"]["relationships"] == {"x": ["b/keper"]}


@pytest.mark.parametrize(
    "text, message",
    [
        ("nodes: {a: {role: {}}}\n", "s.yaml:1: nodes.a.role: unknown key; did you mean 'roles'?"),
        (
            "roleml_nb: 2\nnodes: {}\n",
            "s.yaml:1: roleml_nb: a spec of version 2; this roleml_nb reads version 1",
        ),
        ("roleml_nb: 1\n", "s.yaml:1: needs a key 'nodes'"),
        (
            "nodes: {}\nengines: two\n",
            "s.yaml:2: engines: must be a whole number, not the text 'two'",
        ),
        (
            "nodes:\n  a:\n    roles:\n      k: {}\n",
            "s.yaml:4: nodes.a.roles.k: needs a key 'class'",
        ),
        (
            "nodes:\n  a:\n    relationships:\n      k: [b]\n",
            "s.yaml:4: nodes.a.relationships.k.0: 'b' is not of the form 'node/role'",
        ),
        (
            (
                f"nodes:\n  a:\n    roles:\n      k:\n        class: {KEEPER}\n        options:"
                " {start: {$cal: x}}\n"
            ),
            "s.yaml:6: nodes.a.roles.k.options.start.$cal: unknown key; did you mean '$call'",
        ),
        (
            (
                f"nodes:\n  a:\n    roles:\n      k:\n        class: {KEEPER}\n        elements:\n "
                "         store: {$call: tests.spec.examples.no}\n"
            ),
            ("s.yaml:7: nodes.a.roles.k.elements.store.$call: tests.spec.examples has no 'no'"),
        ),
        (
            (
                f"nodes:\n  a:\n    roles:\n      k:\n        class: {KEEPER}\n        elements:\n "
                f"         store: {{$call: {KEEPER}, arg: []}}\n"
            ),
            "s.yaml:7: nodes.a.roles.k.elements.store.arg: unknown key; did you mean 'args'",
        ),
        (
            (
                f"nodes:\n  a:\n    roles:\n      k:\n        class: {KEEPER}\n        elements:\n "
                "         sore: 1\n"
            ),
            (
                "s.yaml:7: nodes.a.roles.k.elements.sore: Keeper has no element 'sore'; did you"
                " mean 'store'"
            ),
        ),
        (
            (
                f"nodes:\n  a:\n    roles:\n      k:\n        class: {KEEPER}\n        options:"
                " {start: {$role: x}}\n"
            ),
            "s.yaml:6: nodes.a.roles.k.options.start.$role: 'x' is not of the form 'node/role'",
        ),
        (
            (
                f"nodes:\n  a:\n    roles:\n      k:\n        class: {KEEPER}\n        options:"
                " {start: {$dict: [[1]]}}\n"
            ),
            "s.yaml:6: nodes.a.roles.k.options.start.$dict.0: must be a pair: [key, value]",
        ),
    ],
)
def test_errors_point_at_file_line_and_key(refused, text, message):
    assert refused(s=text).startswith(message)


def test_a_spec_is_loaded_alone(write):
    write(s="nodes: {}\n", a="name: a\n")
    with pytest.raises(ConfigError, match=r"^s\.yaml:1: a spec is loaded alone"):
        read(["a.yaml", "s.yaml"])
    with pytest.raises(ConfigError, match="^nothing to load"):
        read([])

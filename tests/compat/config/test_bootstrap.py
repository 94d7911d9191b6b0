"""RoleML's configuration of actors: planned, refused, deployed; roles and elements in all their
spellings.
"""

import sys

import pytest

from roleml_nb import Testbed
from roleml_nb.spec import read
from roleml_nb.testbed.operations.load import load
from tests.spec.examples import Keeper, add_initial, double, make_store

EXAMPLES = "tests.spec.examples"
SERVER = f"""\
name: server
address: 127.0.0.1:5000
contacts: {{client: 127.0.0.1:5001}}
messaging_component:
  type: roleml.extensions.messaging.default.comb.DefaultMessagingComponent
  options: {{remove_contact_on_handwave: false}}
collective_implementor: roleml.core.actor.group.impl.threaded.ThreadedCollectiveImplementor
log_file_path: logs/$time
log_console_level: warning
log_console_type: shared
debug: true
seed: 42
relationships:
  manager: [client/caller, elsewhere/boss]
  own: /keeper
  natives: [client]
relationship_links: {{self: own}}
element_preset:
  {EXAMPLES}.Keeper:
    elements:
      store: {{class: builtins.dict, constructor_args: {{preset: true}}}}
roles:
  keeper: {EXAMPLES}.Keeper
  small:
    class: {EXAMPLES}.SmallKeeper
    impl: {{store: {{impl: {{given: 1}}}}}}
"""
CLIENT = f"""\
name: client
address: 127.0.0.1:5001
contacts: {{server: 127.0.0.1:5000, outside: 127.0.0.1:6000}}
handshakes: [server]
handwaves: [server]
relationships:
  keeper: server/keeper
  other: [outside/keeper]
roles:
  caller: {{class: {EXAMPLES}.Caller}}
"""


def test_several_actors_are_nodes_of_one_testbed(write, bed):
    name = write(
        actors="- !include server.yaml\n- !include client.yaml\n", server=SERVER, client=CLIENT
    )
    plan = read(name)
    assert list(plan.nodes) == plan.first == ["server", "client"]
    assert plan.notes == [
        (
            "server.yaml:14: 0.relationships.manager.1: elsewhere/boss is left out: no such actor"
            " is loaded here"
        ),
        (
            "client.yaml:8: 1.relationships.other.0: outside/keeper is left out: no such actor is"
            " loaded here"
        ),
        (
            "actors.yaml: not used, since nodes live on ipyparallel engines, where each reaches"
            " each: address, collective_implementor, contacts, debug, handshakes, handwaves,"
            " log_console_level, log_console_type, log_file_path, messaging_component"
        ),
    ]
    load(bed, name)
    assert bed.call("server/keeper", "get")["store"] == {"preset": True}
    assert bed.call("server/small", "get")["store"] == {"given": 1}
    members = {
        name: bed.call("server/keeper", "members", {"relationship": name})
        for name in ("own", "self", "natives", "manager")
    }
    assert members == {
        "own": ["server/keeper"],
        "self": ["server/keeper"],
        "natives": ["client/actor"],
        "manager": ["notebook/actor", "client/caller"],
    }
    for role in ("server/keeper", "server/small", "client/caller"):
        bed.terminate(*role.split("/"))


def test_several_files_and_plain_data_do_too(write):
    write(server=SERVER, client=CLIENT)
    plan = read(["server.yaml", "client.yaml", {"name": "third"}])
    assert list(plan.nodes) == ["server", "client", "third"]


def test_actors_and_a_run_come_together(write):
    name = write(
        server=SERVER,
        run=(
            "profiles: [{name: pupil, address: x}]\nprofiles_separate: [{name: server, address:"
            " y}]\nroles: {pupil: {keeper: {class:"
            f" {EXAMPLES}.Keeper}}}}}}\nrelationship_rules: {{pupil: {{teacher: server/keeper}},"
            " server: {pupil: pupil/keeper}}\n"
        ),
    )
    with (
        pytest.warns(
            UserWarning,
            match=(
                r"client/actor is left out[^$]*server\.yaml, run\.yaml: not used[^$]*address,"
                r" collective_implementor"
            ),
        ),
        Testbed.from_spec([name, "run.yaml"], engines=0) as bed,
    ):
        assert bed.call("pupil/keeper", "members", {"relationship": "teacher"}) == ["server/keeper"]
        assert bed.call("server/keeper", "members", {"relationship": "pupil"}) == ["pupil/keeper"]
        assert (
            bed.call("server/keeper", "context")[2] == 42
            and bed.call("pupil/keeper", "context")[2] == 0
        )


def test_roles_find_workdir_src_and_seed_in_their_context(write, tmp_path, monkeypatch, bed):
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "work" / "code").mkdir(parents=True)
    role = f"{{keeper: {EXAMPLES}.Keeper}}"
    name = write(
        c=(
            f"- {{name: c1, workdir: work, src: code, seed: 7, roles: {role}}}\n- {{name: c2, seed:"
            f" -1, roles: {role}}}\n"
        )
    )
    load(bed, name)
    assert bed.call("c1/keeper", "context") == (
        str(tmp_path / "work"),
        str(tmp_path / "work" / "code"),
        7,
    )
    spec = bed.spec()["nodes"]
    assert (
        spec["c1"]["workdir"] == str(tmp_path / "work")
        and bed.call("c2/keeper", "context")[2] == spec["c2"]["seed"] >= 0
    )
    load(bed, {"nodes": {"c3": {"seed": 9, "roles": {"keeper": {"class": f"{EXAMPLES}.Keeper"}}}}})
    assert bed.call("c3/keeper", "context")[2] == 9 == bed.spec()["nodes"]["c3"]["seed"]


@pytest.mark.parametrize(
    "choice, store", [("override", {"own": 1}), ("preset", {"preset": True}), (None, {"own": 1})]
)
def test_presets_and_own_implementations(choice, store, bed):
    preset = {
        "elements": {"store": {"class": "builtins.dict", "constructor_args": {"preset": True}}}
    }
    preset |= {"on_conflict": choice} if choice else {}
    load(
        bed,
        {
            "name": "preset",
            "element_preset": {f"{EXAMPLES}.Keeper": preset},
            "roles": {
                "keeper": {
                    "class": f"{EXAMPLES}.SmallKeeper",
                    "impl": {"store": {"impl": {"own": 1}}},
                }
            },
        },
    )
    assert bed.call("preset/keeper", "get")["store"] == store


def test_a_preset_may_forbid_own_implementations(refused):
    text = f"""\
name: a
element_preset:
  {EXAMPLES}.Keeper:
    elements: {{store: {{impl: {{}}}}}}
    on_conflict: error
roles:
  keeper:
    class: {EXAMPLES}.Keeper
    impl:
      store: {{impl: {{}}}}
"""
    assert refused(a=text).startswith(
        "a.yaml:10: roles.keeper.impl.store: implemented here and in the element_preset of Keeper"
        " (a.yaml:4: "
    )


@pytest.mark.parametrize(
    "element, store",
    [
        ({"impl": {"x": 1}}, {"x": 1}),
        ({"impl": f"{EXAMPLES}.settings"}, {"from": "a module"}),
        ({"impl": {"type": f"{EXAMPLES}.make_store", "options": {"x": 1}}}, {"made": True, "x": 1}),
        ({"class": "builtins.dict"}, {}),
        (
            {
                "class": "builtins.dict",
                "constructor_args": {"x": 1},
                "construct_strategy": "ONCE_EAGER",
            },
            {"x": 1},
        ),
        ({"constructor_args": {"x": 1}}, {"x": 1}),
        (
            {"constructor": f"{EXAMPLES}.make_store", "constructor_args": {"x": 1}},
            {"made": True, "x": 1},
        ),
        ({"constructor": "builtins.dict", "constructor_args": {"x": 1}}, {"x": 1}),
        (
            {
                "impl": {"x": 1},
                "initializer": f"{EXAMPLES}.add_initial",
                "initialize_strategy": "every_call",
            },
            {"x": 1, "initialized": True},
        ),
        (
            {
                "deserializer": "json",
                "deserializer_source": "store.json",
                "deserializer_mode": "text",
            },
            {"stored": 1},
        ),
    ],
)
def test_elements_in_their_spellings(element, store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "store.json").write_text('{"stored": 1}')
    spec = {
        "name": "a",
        "roles": {"keeper": {"class": f"{EXAMPLES}.Keeper", "impl": {"store": element}}},
    }
    with Testbed.from_spec(spec, engines=0) as bed:
        assert bed.call("a/keeper", "get")["store"] == store
        again = bed.spec()
    with Testbed.from_spec(again) as bed:
        assert bed.call("a/keeper", "get")["store"] == store
        assert bed.spec() == again


@pytest.mark.parametrize(
    "function, result",
    [
        ({"impl": f"{EXAMPLES}.double"}, 10),
        ({"class": f"{EXAMPLES}.Adder"}, 105),
        ({"impl": {"type": f"{EXAMPLES}.Adder", "options": {"amount": 7}}}, 12),
        ({"constructor": f"{EXAMPLES}.Adder"}, TypeError),
    ],
)
def test_elements_that_are_functions(function, result):
    spec = {
        "name": "a",
        "roles": {"keeper": {"class": f"{EXAMPLES}.Keeper", "impl": {"function": function}}},
    }
    with Testbed.from_spec(spec, engines=0) as bed:
        again = bed.spec()
        with Testbed.from_spec(again) as second:
            assert second.spec() == again
        if result is TypeError:  # an instance of Adder is the constructor, and makes the number 100
            with pytest.raises(Exception, match="'int' object is not callable"):
                bed.call("a/keeper", "apply", {"value": 5})
        else:
            assert bed.call("a/keeper", "apply", {"value": 5}) == result


def test_programs_give_classes_and_functions_as_they_are():
    spec = {
        "name": "a",
        "roles": {
            "plain": Keeper,
            "keeper": {
                "class": Keeper,
                "impl": {
                    "store": {
                        "constructor": make_store,
                        "constructor_args": {"x": [1]},
                        "initializer": add_initial,
                    },
                    "function": {"impl": double},
                },
            },
        },
    }
    with Testbed.from_spec(spec, engines=0) as bed:
        assert bed.call("a/keeper", "get")["store"] == {"made": True, "x": [1], "initialized": True}
        assert (
            bed.call("a/keeper", "apply", {"value": 4}) == 8
            and bed.call("a/plain", "get")["start"] == 0
        )
        again = bed.spec()
    with Testbed.from_spec(again) as bed:
        assert bed.spec() == again


def test_a_serializer_writes_when_the_role_ends(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = {
        "impl": {"x": 1},
        "serializer": "json",
        "serializer_destination": "out.json",
        "serializer_mode": "text",
    }
    with Testbed.from_spec(
        {
            "name": "a",
            "roles": {"keeper": {"class": f"{EXAMPLES}.Keeper", "impl": {"store": store}}},
        },
        engines=0,
    ) as bed:
        bed.terminate("a", "keeper")
        assert (tmp_path / "out.json").read_text() == '{"x": 1}'


def test_modules_are_found_in_src(write, tmp_path, monkeypatch, bed):
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / f"roles_of_{bed.engines}.py").write_text(
        "from roleml_nb import Role, Service\nclass There(Role):\n    @Service(expand=True)\n   "
        " def here(self, caller): return __name__\n"
    )
    monkeypatch.setattr(sys, "path", list(sys.path))
    name = write(
        a=(
            f"name: found{bed.engines}\nsrc: sources\nroles: {{there:"
            f" roles_of_{bed.engines}.There}}\n"
        )
    )
    load(bed, name)
    assert bed.call(f"found{bed.engines}/there", "here") == f"roles_of_{bed.engines}"


def test_a_refused_file_leaves_the_search_path_alone(write, refused, tmp_path):
    (tmp_path / "sources").mkdir()
    before = list(sys.path)
    assert refused(a="name: a\nsrc: sources\nroles: {x: nowhere.X}\n").startswith(
        "a.yaml:3: roles.x: there is no module 'nowhere'"
    )
    assert sys.path == before


@pytest.mark.parametrize(
    "text, message",
    [
        ("name: a\nadress: b\n", "a.yaml:2: adress: unknown key; did you mean 'address'"),
        ("name: a\nroles: [x]\n", "a.yaml:2: roles: must be a mapping (key: value), not a list"),
        (
            "name: a\nrelationships:\n  x: [b/y]\n",
            "a.yaml:3: relationships.x.0: no actor 'b'; known: a",
        ),
        (
            "name: a\nrelationships:\n  x: a/y\n",
            "a.yaml:3: relationships.x: node 'a' has no role 'y'; there are none",
        ),
        (
            "name: a\nrelationships:\n  x: a/\n",
            "a.yaml:3: relationships.x: 'a/' is no role: write actor/role",
        ),
        (
            "name: a\ncontacts: {alice: b}\nhandshakes: [alcie]\n",
            "a.yaml:3: handshakes.0: 'alcie' is not among the contacts; did you mean 'alice'?",
        ),
        (
            "name: a\nlog_file_level: LOUD\n",
            "a.yaml:2: log_file_level: no such choice: 'LOUD'; known: ",
        ),
        (
            "name: a\nlog_console_type: sharde\n",
            "a.yaml:2: log_console_type: no such choice: 'sharde'; did you mean 'shared'?",
        ),
        ("name: a\ndebug: 1\n", "a.yaml:2: debug: must be true or false, not 1"),
        ("name: a\nseed: x\n", "a.yaml:2: seed: must be a whole number, not the text 'x'"),
        ("name: a\nsrc: nowhere\n", "a.yaml:2: src: there is no folder "),
        (
            "name: a\nmessaging_component: {typ: x}\n",
            "a.yaml:2: messaging_component.typ: unknown key; did you mean 'type'?",
        ),
        ("- name: a\n- name: a\n", "a.yaml:2: 1.name: a second actor 'a'"),
        (
            f"name: a\nroles:\n  k:\n    class: {EXAMPLES}.Plain\n    options: {{x: 1}}\n",
            "a.yaml:5: roles.k.options.x: Plain takes no option 'x'; there are none",
        ),
        (
            f"name: a\nroles:\n  k:\n    class: {EXAMPLES}.Broken\n    options: {{x: 1}}\n",
            "a.yaml:5: roles.k.options.x: Broken takes no option 'x'; there are none",
        ),
        (
            (
                f"name: a\nroles:\n  k:\n    class: {EXAMPLES}.Keeper\n    impl:\n      store:"
                f" {{class: {EXAMPLES}.make_store}}\n"
            ),
            (
                "a.yaml:6: roles.k.impl.store.class: tests.spec.examples.make_store is"
                " not a class; what else makes"
            ),
        ),
        (
            (
                f"name: a\nroles:\n  k:\n    class: {EXAMPLES}.Keeper\n    impl:\n      store:"
                f" {{constructor: {EXAMPLES}.settings}}\n"
            ),
            (
                "a.yaml:6: roles.k.impl.store.constructor: tests.spec.examples.settings"
                " cannot be called: it is dict"
            ),
        ),
        (
            (
                f"name: a\nroles:\n  k:\n    class: {EXAMPLES}.Keeper\n    impl:\n      store:"
                " {serializer: pikcle}\n"
            ),
            "a.yaml:6: roles.k.impl.store: no serializer is named 'pikcle'; did you mean 'pickle'?",
        ),
        (
            (
                f"name: a\nroles:\n  k:\n    class: {EXAMPLES}.Keeper\n    impl:\n      store:"
                f" {{destructor: {EXAMPLES}.SmallKeeper}}\n"
            ),
            (
                "a.yaml:6: roles.k.impl.store.destructor: the instances of"
                " tests.spec.examples.SmallKeeper cannot be called"
            ),
        ),
        (
            (
                f"name: a\nroles:\n  k:\n    class: {EXAMPLES}.Keeper\n    impl: {{store:"
                f" {EXAMPLES}.settings}}\n"
            ),
            (
                "a.yaml:5: roles.k.impl.store: must be a mapping (key: value), not the text"
                " 'tests.spec.examples.settings'"
            ),
        ),
        (
            f"name: a\nelement_preset:\n  {EXAMPLES}.double: {{}}\n",
            f"a.yaml:3: element_preset.{EXAMPLES}.double: {EXAMPLES}.double is not a role class",
        ),
    ],
)
def test_errors_point_at_file_line_and_key(refused, text, message):
    assert refused(a=text).startswith(message)

"""RoleML's configuration of a run: expanded, refused, deployed."""

import pytest
import yaml

from roleml_nb import Testbed
from roleml_nb.spec import expand, read
from roleml_nb.testbed.operations.load import load
from tests.waiting import until

KEEPER = "tests.spec.examples.Keeper"
RUN = """\
profiles: !include nodes.yaml
profiles_separate:
  - {name: gate, address: 10.0.0.1:4000}
roles: !include roles.yaml
connection_rules:
  - client.* server
  - server client.*
connections:
  gate: [server]
<<: !include topology.yaml
deployment_order: [server, client.*]
"""
NODES = "".join(
    f"- {{name: {name}, address: '127.0.0.1:{5000 + number}'}}\n"
    for number, name in enumerate(["server", "client1", "client2", "client10"])
)
ROLES = f"""\
client.*:
  keeper:
    class: {KEEPER}
    options:
      start: $c[1-2]
      drawn: $r[1, 1000000]
    impl:
      store:
        constructor: tests.spec.examples.make_store
        constructor_args: {{part: '$[4-6]', all: '@[1-3]'}}
client2:
  other: {{class: {KEEPER}}}
server:
  keeper: {{class: {KEEPER}, options: {{start: 5}}}}
"""
TOPOLOGY = """\
relationships:
  server:
    keeper: [client1]
    helper: [client2/other]
relationship_rules:
  server:
    keeper: client(1|2)
  client.*:
    boss: server/keeper
    guard: gate
  gate|server:
    everyone: client.*/keeper
  conductor:
    boss: server/keeper
relationship_links:
  client.*: {leader: boss}
"""


@pytest.fixture
def run(write):
    return write(run=RUN, nodes=NODES, roles=ROLES, topology=TOPOLOGY)


def test_expansion_writes_everything_out(run):
    expanded = expand(run, seed=3)
    drawn = {
        name: given["keeper"]["options"].pop("drawn")
        for name, given in expanded["roles"].items()
        if name != "server"
    }
    assert len(set(drawn.values())) == 3 and all(1 <= value <= 1000000 for value in drawn.values())

    def client(start, part):
        return {
            "class": KEEPER,
            "options": {"start": start},
            "impl": {
                "store": {
                    "constructor": "tests.spec.examples.make_store",
                    "constructor_args": {"part": part, "all": [1, 2, 3]},
                }
            },
        }

    assert expanded["roles"] == {
        "client1": {"keeper": client(1, 4)},
        "client2": {"keeper": client(2, 5), "other": {"class": KEEPER}},
        "client10": {"keeper": client(1, 6)},
        "server": {"keeper": {"class": KEEPER, "options": {"start": 5}}},
    }
    assert [item["name"] for item in expanded["profiles"]] == [
        "server",
        "client1",
        "client2",
        "client10",
        "gate",
    ]
    assert expanded["connections"] == {
        "client1": ["server"],
        "client2": ["server"],
        "client10": ["server"],
        "server": ["client1", "client2", "client10"],
        "gate": ["server"],
    }
    everyone = ["client1/keeper", "client2/keeper", "client10/keeper"]
    assert expanded["relationships"] == {
        "server": {
            "keeper": ["client1", "client1/keeper", "client2/keeper"],
            "helper": ["client2/other"],
            "everyone": everyone,
        },
        **{
            f"client{number}": {"boss": ["server/keeper"], "guard": ["gate/guard"]}
            for number in (1, 2, 10)
        },
        "gate": {"everyone": everyone},
        "conductor": {"boss": ["server/keeper"]},
    }
    assert expanded["relationship_links"] == {
        f"client{number}": {"leader": "boss"} for number in (1, 2, 10)
    }
    assert expanded["deployment_order"] == ["server", "client1", "client2", "client10"]
    assert expanded["fixed"] is True and expanded["seed"] == 3 and "seed" not in expand(run)


def test_what_is_drawn_depends_on_the_seed_alone(run):
    assert expand(run)["roles"] == expand(run)["roles"] == expand(run, seed=0)["roles"]
    assert expand(run)["roles"] != expand(run, seed=1)["roles"]


def test_the_expanded_run_is_saved_and_deploys_the_same(run, write):
    expanded = expand(run, "fixed.yaml")
    assert yaml.safe_load(open("fixed.yaml")) == expanded == expand("fixed.yaml")
    with pytest.warns(UserWarning), Testbed.from_spec(run, engines=0) as first:
        with pytest.warns(UserWarning), Testbed.from_spec("fixed.yaml", engines=0) as second:
            assert first.spec() == second.spec()
            first.save_spec("ours.yaml")
    with (
        pytest.warns(UserWarning, match="gate/guard is not in this spec"),
        Testbed.from_spec("ours.yaml") as third,
    ):
        assert third.spec() == first.spec()
        assert third.call("client10/keeper", "get")["store"] == {
            "made": True,
            "part": 6,
            "all": [1, 2, 3],
        }


def test_on_a_running_testbed_its_seed_draws(run):
    with Testbed(engines=0, seed=3) as bed:
        load(bed, run)
        assert (
            bed.call("client1/keeper", "get")["options"]["drawn"]
            == expand(run, seed=3)["roles"]["client1"]["keeper"]["options"]["drawn"]
        )


def test_notes_tell_what_is_not_used(run):
    assert read(run).notes == [
        "run.yaml: not used, since nodes live on ipyparallel engines, where each reaches each:"
        " address, connection_rules, connections"
    ]


def test_the_deployment_has_roles_relationships_and_links(run, bed):
    bed, _ = load(bed, run)
    assert bed.call("client2/keeper", "get")["start"] == 2
    assert bed.call("client10/keeper", "get")["store"] == {
        "made": True,
        "part": 6,
        "all": [1, 2, 3],
    }
    assert bed.call("server/keeper", "members", {"relationship": "keeper"}) == [
        "client1/keeper",
        "client2/keeper",
    ]
    assert bed.call("client1/keeper", "members", {"relationship": "leader"}) == ["server/keeper"]
    assert bed.registry.relationships["gate"]["everyone"] == [
        "client1/keeper",
        "client2/keeper",
        "client10/keeper",
    ]
    assert bed.registry.relationships["notebook"]["boss"] == ["server/keeper"]
    for node in ("server", "client1", "client2", "client10"):
        bed.terminate(node, "keeper")


def test_relationships_are_there_when_a_role_begins_to_run(write, bed):
    load(
        bed,
        write(
            run="""\
profiles: [{name: early, address: x}, {name: late, address: x}]
roles:
  early: {caller: {class: tests.spec.examples.Caller}}
  late: {keeper: {class: tests.spec.examples.Keeper, options: {start: 7}}}
relationship_rules: {early: {keeper: late}}
deployment_order: [late]
"""
        ),
    )
    assert until(lambda: bed.call("early/caller", "get-heard"), "the call") == 7


@pytest.mark.parametrize(
    "text, message",
    [
        (
            "profiles: [{name: a}]\nrols: {}\n",
            "run.yaml:2: rols: unknown key; did you mean 'roles'",
        ),
        (
            "profiles: [{name: a, adress: x}]\n",
            "run.yaml:1: profiles.0.adress: unknown key; did you mean 'address'?",
        ),
        ("profiles:\n  - {address: x}\n", "run.yaml:2: profiles.0: needs a key 'name'"),
        (
            "profiles:\n  - {name: a}\n  - {name: a}\n",
            "run.yaml:3: profiles.1.name: a second actor 'a' (first: run.yaml:2: profiles.0.name)",
        ),
        ("profiles: a\n", "run.yaml:1: profiles: must be a list, not the text 'a'"),
        ("profiles: [{name: 1}]\n", "run.yaml:1: profiles.0.name: must be text, not 1"),
        (
            "profiles: [{name: a}]\nroles:\n  b: {}\n",
            "run.yaml:3: roles.b: no actor 'b' here; known: a",
        ),
        (
            "profiles: [{name: a}]\nroles:\n  a(: {}\n",
            (
                "run.yaml:3: roles.a(: 'a(' is not a regular expression: missing ), unterminated"
                " subpattern at position 1"
            ),
        ),
        (
            f"profiles: [{{name: a}}]\nroles:\n  a:\n    keeper:\n      class: {KEEPER}s\n",
            (
                "run.yaml:5: roles.a.keeper.class: tests.spec.examples has no 'Keepers';"
                " did you mean 'Keeper'"
            ),
        ),
        (
            "profiles: [{name: a}]\nroles:\n  a: {k: {class: nowhere.to.be.Found}}\n",
            (
                "run.yaml:3: roles.a.k.class: there is no module 'nowhere'; is its folder on"
                " sys.path, or named by the key 'src'?"
            ),
        ),
        (
            "profiles: [{name: a}]\nroles:\n  a: {k: {class: Keeper}}\n",
            (
                "run.yaml:3: roles.a.k.class: 'Keeper' is not a dotted name such as"
                " package.module.Class"
            ),
        ),
        (
            ("profiles: [{name: a}]\nroles:\n  a: {k: {class: tests.spec.examples.double}}\n"),
            "run.yaml:3: roles.a.k.class: tests.spec.examples.double is not a role class",
        ),
        (
            (
                f"profiles: [{{name: a}}]\nroles:\n  a:\n    k:\n      class: {KEEPER}\n     "
                " opitons: {}\n"
            ),
            "run.yaml:6: roles.a.k.opitons: unknown key; did you mean 'options'?",
        ),
        (
            (
                f"profiles: [{{name: a}}]\nroles:\n  a:\n    k:\n      class: {KEEPER}\n     "
                " impl:\n        stoer: {}\n"
            ),
            "run.yaml:7: roles.a.k.impl.stoer: Keeper has no element 'stoer'; did you mean 'store'",
        ),
        (
            (
                f"profiles: [{{name: a}}]\nroles:\n  a:\n    k:\n      class: {KEEPER}\n     "
                " impl:\n        store:\n          loader: {}\n"
            ),
            "run.yaml:8: roles.a.k.impl.store.loader: unknown key; known: class, ",
        ),
        (
            (
                f"profiles: [{{name: a}}]\nroles:\n  a:\n    k:\n      class: {KEEPER}\n     "
                " impl:\n        store:\n          construct_strategy: onec\n"
            ),
            (
                "run.yaml:8: roles.a.k.impl.store.construct_strategy: no such choice: 'onec'; did"
                " you mean 'once'"
            ),
        ),
        (
            f"profiles: [{{name: a}}]\nroles:\n  a:\n    actor:\n      class: {KEEPER}\n",
            "run.yaml:4: roles.a.actor: 'actor' cannot be the name of a role",
        ),
        (
            (
                "profiles: [{name: a}]\nroles:\n  a:\n    k: {class:"
                " tests.spec.examples.Needy, options: {size: 1}}\n"
            ),
            "run.yaml:4: roles.a.k: element 'store' of Needy is not implemented",
        ),
        (
            (
                "profiles: [{name: a}]\nroles:\n  a:\n    k: {class:"
                " tests.spec.examples.Needy, impl: {store: {impl: {}}}}\n"
            ),
            "run.yaml:4: roles.a.k: Needy needs an option 'size'",
        ),
        (
            (
                "profiles: [{name: a}]\nroles:\n  a:\n    k: {class:"
                " tests.spec.examples.Needy, options: {sise: 1}, impl: {store: {impl:"
                " {}}}}\n"
            ),
            (
                "run.yaml:4: roles.a.k.options.sise: Needy takes no option 'sise'; did you mean"
                " 'size'?"
            ),
        ),
        (
            (
                f"profiles: [{{name: a}}]\nroles:\n  a: {{k: {{class: {KEEPER}, options: {{start:"
                " '$c[x]'}}}\n"
            ),
            "run.yaml:3: roles.a.k.options.start: the template '$c[x]' is not well formed",
        ),
        (
            "profiles: [{name: a}]\nconnection_rules:\n  - a b c\n",
            "run.yaml:3: connection_rules.0: must be two patterns: FROM TO",
        ),
        (
            "profiles: [{name: alan}]\nconnections:\n  alan: [aln]\n",
            "run.yaml:3: connections.alan.0: no actor 'aln' in profiles; did you mean 'alan'?",
        ),
        (
            "profiles: [{name: alan}]\nrelationships:\n  aln: {x: [alan]}\n",
            "run.yaml:3: relationships.aln: no actor 'aln' in profiles; did you mean 'alan'?",
        ),
        (
            "profiles: [{name: alan}]\nrelationships:\n  alan:\n    x: [aln/y]\n",
            "run.yaml:4: relationships.alan.x.0: no node 'aln'; did you mean 'alan'?",
        ),
        (
            (
                "profiles: [{name: a}]\nroles: {a: {keeper: {class:"
                f" {KEEPER}}}}}}}\nrelationship_rules:\n  a:\n    x: a/keper\n"
            ),
            (
                "run.yaml:5: relationship_rules.a.x: node 'a' has no role 'keper'; did you mean"
                " 'keeper'?"
            ),
        ),
        (
            "profiles: [{name: a}]\nrelationships: {a: {x: [a/y/z]}}\n",
            "run.yaml:2: relationships.a.x.0: 'a/y/z' is not of the form 'node/role'",
        ),
        (
            "profiles: [{name: a}]\nrelationship_links:\n  a: {x: y, y: x}\n",
            "run.yaml:3: relationship_links.a.x: the link 'x' → 'y' is a circle",
        ),
        (
            (
                "profiles: [{name: a}]\nrelationships: {a: {x: [a/actor]}}\nrelationship_links:\n "
                " a: {x: y}\n"
            ),
            (
                "run.yaml:4: relationship_links.a.x: 'x' is a relationship with members and cannot"
                " be a link too"
            ),
        ),
        (
            "profiles: [{name: a}]\ndeployment_order: [b]\n",
            "run.yaml:2: deployment_order.0: no actor 'b' here; known: a",
        ),
        (
            "profiles: [{name: a}]\nfixed: true\nconnection_rules: []\n",
            (
                "run.yaml:3: connection_rules: is for what is still to be expanded; remove it, or"
                " 'fixed: true'"
            ),
        ),
        (
            "profiles: [{name: a}]\nfixed: 'yes'\n",
            "run.yaml:2: fixed: must be true or false, not the text 'yes'",
        ),
        (
            "profiles: [{name: a}]\nfixed: true\nroles: {b: {}}\n",
            "run.yaml:3: roles.b: no actor 'b' in profiles; known: a",
        ),
        (
            "profiles: [{name: 'two words'}]\n",
            "run.yaml:1: profiles.0.name: 'two words' is not a node name",
        ),
        (
            "profiles: [{name: 'a{1..2}'}]\n",
            "run.yaml:1: profiles.0.name: 'a{1..2}' names several nodes; name each",
        ),
        (
            "porfiles: []\n",
            (
                "run.yaml:1: neither a spec (with 'nodes'), nor a run of RoleML (with 'profiles'),"
                " nor an actor of RoleML (with 'name'): found 'porfiles'"
            ),
        ),
        ("- 1\n", "run.yaml:1: 0: must be a mapping (key: value), not 1"),
        (
            "",
            (
                "run.yaml:1: neither a spec (with 'nodes'), nor a run of RoleML (with 'profiles'),"
                " nor an actor of RoleML (with 'name'): it is empty"
            ),
        ),
    ],
)
def test_errors_point_at_file_line_and_key(refused, text, message):
    assert refused(run=text).startswith(message)


def test_errors_point_into_included_files(refused):
    text = refused(
        run="profiles: [{name: a}]\nroles: !include roles.yaml\n",
        roles=f"# roles\na:\n  k:\n    class: {KEEPER}x\n",
    )
    assert text.startswith("roles.yaml:4: roles.a.k.class: ")


def test_an_idle_pattern_is_noted(write):
    name = write(run="profiles: [{name: a}]\nroles:\n  b.*: {}\n")
    assert read(name).notes == ["run.yaml:3: roles.b.*: no actor matches 'b.*'"]


def test_the_conductor_is_left_out_of_relationships(write):
    name = write(
        run="profiles: [{name: a}]\nrelationships:\n  a: {manager: [conductor/conductor]}\n"
    )
    plan = read(name)
    assert plan.notes == [
        "run.yaml:3: relationships.a.manager.0: conductor/conductor is left out: "
        "the notebook takes the conductor's place"
    ]
    assert plan.nodes["a"].relationships == {"manager": []}

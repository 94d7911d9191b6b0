"""Topologies: what they are made of, what is said of them, and wiring along their edges."""

import math

import networkx as nx
import numpy as np
import pytest

from roleml_nb import Role, Service, Testbed, Topology, topology
from roleml_nb.role import RoleMLError, TestbedError
from roleml_nb.topologies.graphs import GRAPHS


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("n", [1, 2, 3, 8, 9, 25])
def test_every_named_graph_is_connected_at_every_size(name, n):
    made = topology(name, n).check()
    assert len(made.nodes) == n == made.graph().number_of_nodes()
    assert np.allclose(made.weights().sum(0), 1)


def test_the_numbers_of_known_graphs():
    ring = topology("ring", 8).report()
    assert (ring.edges, ring.degree, ring.diameter) == (8, (2, 2, 2), 4)
    # Metropolis–Hastings: thirds
    assert ring.rate == pytest.approx(1 / 3 + 2 / 3 * math.cos(2 * math.pi / 8), abs=1e-12)
    assert ring.spectral_gap == pytest.approx(1 - ring.rate)
    assert ring.rounds_per_tenth == pytest.approx(math.log(10) / -math.log(ring.rate))
    full = topology("full", 5).report()
    assert (full.edges, full.diameter, full.rate, full.rounds_per_tenth) == (10, 1, 0, 1)
    assert topology("star", 6).report().degree == (1, 10 / 6, 5)
    assert topology("directed-ring", 4).report().rate == pytest.approx(abs(1 + 1j) / 2)
    assert topology("torus", 25).report().degree == (4, 4, 4)
    assert topology("tree", 7).report().diameter == 4
    assert topology("line", 1).report().rate == 0


def test_the_report_as_text_and_picture():
    report = topology("ring", 4).report()
    assert (
        str(report)
        == "ring: 4 nodes, 4 edges\ndegree          2\ndiameter        2\nspectral gap    0.6667\n"
        "consensus rate  0.3333 per round, a tenth is left after 2.1 rounds"
    )
    assert report.draw().data[1].text == ("node1", "node2", "node3", "node4")
    assert len(topology("directed-ring", 5).report().draw().layout.annotations) == 5
    assert "not connected" in str(topology(nx.empty_graph(3), 3).report())


def test_random_graphs_come_from_their_seed():
    one, same, other = (
        topology("small-world", 20, seed=seed, degree=4).neighbours() for seed in (1, 1, 2)
    )
    assert one == same != other


def test_any_graph_over_names_or_over_as_many_things():
    graph = nx.Graph([("b", "a"), ("b", "c")])
    assert topology(graph, ["a", "b", "c"]).neighbours() == {
        "a": ["b"],
        "b": ["a", "c"],
        "c": ["b"],
    }
    assert topology(nx.path_graph(3), ["x", "y", "z"]).neighbours()["y"] == ["x", "z"]
    assert topology(nx.MultiGraph([(0, 0), (0, 1), (0, 1)]), 2).neighbours() == {
        "node1": ["node2"],
        "node2": ["node1"],
    }


def test_a_graph_per_round():
    def one_peer(round):
        graph = nx.empty_graph(8, nx.DiGraph)
        graph.add_edges_from((i, (i + 2 ** (round % 3)) % 8) for i in range(8))
        return graph

    changing = topology(one_peer, 8)
    assert changing.changes and changing.name == "one_peer"
    assert changing.neighbours(0)["node1"] == ["node2"] and changing.neighbours(5)["node1"] == [
        "node5"
    ]
    report = changing.report(rounds=3)  # three rounds of one message each are the exact mean
    assert report.rate == pytest.approx(0, abs=1e-2) and report.degree == (3, 3, 3)
    assert topology(lambda round: ("ring", "star")[round % 2], 4).neighbours(1)["node1"] == [
        "node2",
        "node3",
        "node4",
    ]


def test_the_rate_of_several_rounds_is_per_round():
    ring = topology("ring", 8).report()
    assert topology(lambda round: "ring", 8).report(rounds=3).rate == pytest.approx(ring.rate)
    # one graph after the other, of which only both together are connected: W₂ W₁ mixes a–b, then
    # b–c, and c–d
    pairs = topology(
        lambda round: (
            nx.Graph([("a", "b"), ("c", "d")])
            if round % 2 == 0
            else nx.Graph([("b", "c"), ("a", "a"), ("d", "d")])
        ),
        list("abcd"),
    ).report(rounds=2)
    assert pairs.rate == pytest.approx(math.sqrt(1 / 2)) and pairs.diameter == 3
    # b → c, then c → b, then b → a: what is left in b and c is [[3/8, 1/4], [1/4, 1/2]]; the other
    # way round it is more
    one_way = [
        nx.DiGraph([edge, ("a", "a"), ("b", "b"), ("c", "c")])
        for edge in (("b", "c"), ("c", "b"), ("b", "a"))
    ]
    report = topology(lambda round: one_way[round % 3], list("abc")).report(rounds=3)
    assert report.rate == pytest.approx(((7 + math.sqrt(17)) / 16) ** (1 / 3))


def test_halves_and_trees():
    halves = topology("full", 5).bipartite()
    assert halves.neighbours() == {
        "node1": ["node2", "node3", "node4", "node5"],
        **{f"node{k}": [] for k in (2, 3, 4, 5)},
    }
    odd = topology("ring", 5).bipartite().graph()
    assert nx.is_connected(odd.to_undirected()) and nx.is_bipartite(odd)
    tree = topology("grid", 9).spanning_tree("node5").graph()
    assert nx.is_arborescence(tree) and tree.in_degree["node5"] == 0
    with pytest.raises(TestbedError, match="no node 'node10' in .*; did you mean 'node1'"):
        topology("grid", 9).spanning_tree("node10")


@pytest.mark.parametrize(
    "source, options, text",
    [
        ("rign", {}, "no graph 'rign'; did you mean 'ring'"),
        ("ring", {"degree": 3}, "a ring graph has no option 'degree'; there are none"),
        (
            "small-world",
            {"degre": 3},
            "a small-world graph has no option 'degre'; did you mean 'degree'?",
        ),
        (
            "random-regular",
            {"degree": 3},
            "no graph of 5 nodes has degree 3 everywhere: one of the two must be even",
        ),
        ("erdos-renyi", {"p": "x"}, "no erdos-renyi graph of 5 nodes with p='x'"),
        (
            nx.path_graph(4),
            {},
            "the graph has 4 nodes, but there are 5 to wire: node1, node2, node3, node4, node5",
        ),
        (nx.path_graph(5), {"degree": 3}, "degree: options are for graphs given by name"),
        (7, {}, "a topology is a name, a networkx graph or a callable of the round, not 7"),
        (lambda round: round, {}, "a round's graph is a name or a networkx graph, not 0"),
        (len, {}, "len gave no graph for round 0: TypeError: object of type 'int' has no len()"),
    ],
)
def test_what_cannot_be_is_refused(source, options, text):
    with pytest.raises(TestbedError) as error:
        topology(source, 5, **options)
    assert text in str(error.value)


def test_a_disconnected_graph_is_refused_with_its_components():
    graph = nx.Graph([("a", "b"), ("c", "d")])
    with pytest.raises(
        TestbedError,
        match=(
            r"the given graph is not connected: its components are \{a, b\} and \{c, d\}; add edges"
        ),
    ):
        topology(graph, "abcd").check()
    with pytest.raises(
        TestbedError, match=r"not strongly connected: its components are \{a\} and \{b\}"
    ):
        topology(nx.DiGraph([("a", "b")]), "ab").check()
    with pytest.raises(TestbedError, match=r"\{node1\} and \{node2\} and \{node3\} and 5 more;"):
        topology("erdos-renyi", 8, p=0.0).check()


class Known(Role):
    @Service(expand=True)
    def peers(self, caller, name="peer"):
        return sorted(map(str, self.ctx.relationships.get_relationship_view(name)))


def test_wiring_and_wiring_anew(bed):
    nodes = bed.spawn("wired{1..4}").assign("known", Known)
    made = bed.wire("star", nodes="wired*", role="known")
    assert isinstance(made, Topology)
    assert bed.call("wired1/known", "peers") == ["wired2/known", "wired3/known", "wired4/known"]
    bed.wire("ring", nodes=nodes, role="known")
    assert bed.call("wired*/known", "peers") == {
        "wired1": ["wired2/known", "wired4/known"],
        "wired2": ["wired1/known", "wired3/known"],
        "wired3": ["wired2/known", "wired4/known"],
        "wired4": ["wired1/known", "wired3/known"],
    }
    assert bed.spec()["nodes"]["wired2"]["relationships"] == {
        "peer": ["wired1/known", "wired3/known"]
    }
    bed.wire(
        lambda round: ("ring", "line")[round % 2],
        nodes=nodes,
        role="known",
        relationship="next",
        round=1,
    )
    assert bed.call("wired1/known", "peers", {"name": "next"}) == ["wired2/known"]


def test_what_cannot_be_wired_changes_nothing(bed):
    bed.spawn("unwired{1..4}").assign("known", Known)
    graph = nx.Graph([("unwired1", "unwired2"), ("unwired3", "unwired4")])
    with pytest.raises(TestbedError, match=r"\{unwired1, unwired2\} and \{unwired3, unwired4\}"):
        bed.wire(graph, nodes="unwired*", role="known")
    with pytest.raises(RoleMLError, match="no role 'knwon'; did you mean 'known'"):
        bed.wire("ring", nodes="unwired*", role="knwon")
    with pytest.raises(TestbedError, match="no node has a role 'nobody'; assign it first"):
        bed.wire("ring", role="nobody")
    with pytest.raises(TestbedError, match="changes from round to round: wire"):
        bed.wire(lambda round: "ring", nodes="unwired*", role="known")
    assert bed.call("unwired1/known", "peers") == []
    bed.wire(graph, nodes="unwired*", role="known", connected=False)
    assert bed.call("unwired1/known", "peers") == ["unwired2/known"]


def test_random_wiring_comes_from_the_testbeds_seed():
    def wired(seed):
        with Testbed(engines=0, seed=seed) as bed:
            bed.spawn("n{1..16}").assign("known", Known)
            bed.wire("random-regular", role="known", degree=4)
            return bed.spec()["nodes"], str(bed.status()).splitlines()[0]

    assert wired(1) == wired(1)
    assert wired(1)[0] != wired(2)[0]
    assert wired(2)[1] == "testbed: in this process, 16 nodes, seed 2"

"""What each method tells of whose models went into which, against what it did with them."""

import networkx as nx
import numpy as np
import pytest

from roleml_nb import Each, Testbed, impl
from roleml_nb.library import (
    ChocoMixer,
    EpochTrainer,
    FedAvgAggregator,
    FederatedCoordinator,
    RingAggregator,
    TopK,
    TreeAggregator,
    metropolis_hastings,
)
from tests.science.decentralised import tiny

MIX = {"num_epochs": 0}


@pytest.fixture(scope="module")
def lab():
    with Testbed(engines=0, timeout=60, preload=()) as bed:
        yield bed
        assert bed.errors == []


def told(bed, prefix):
    table = bed.trace.contributions.to_pandas()
    return table[table.target.str.startswith(prefix)]


def matrix(table, nodes, step=1):
    """The weights of one step, rows are targets."""
    rows = table[(table.step == step) & table.weight.notna()]
    places = {node: place for place, node in enumerate(nodes)}
    weights = np.zeros((len(places), len(places)))
    for row in rows.itertuples():
        weights[places[row.target.partition("/")[0]], places[row.source.partition("/")[0]]] = (
            row.weight
        )
    return weights


GRAPHS = {"star": nx.star_graph(3), "one-way": nx.DiGraph([(0, 1), (0, 2), (1, 2), (2, 3), (3, 0)])}


@pytest.mark.parametrize(
    "kind, graph",
    [*((kind, "star") for kind in tiny.MIXERS), ("SGP", "one-way"), ("epidemic", "one-way")],
)
def test_the_weights_of_a_mixer_are_those_that_it_mixed_with(lab, kind, graph):
    """W times the models before is the models after, round by round."""
    name = f"mixed-{kind.replace(' ', '-')}-{graph}-"
    nodes = tiny.trainers(lab, f"{name}{{1..4}}", 4)
    tiny.mixers(lab, nodes, f"{name}leader", kind, GRAPHS[graph])
    if kind == "CHOCO":  # which knows the models of the others exactly when nothing is left out
        nodes.assign(
            "mixer",
            ChocoMixer,
            options={"consensus_step": 0.7},
            elements={"compressor": impl(TopK, 1.0)},
        )
    for step in (1, 2, 3):
        before = tiny.models(lab, nodes)
        lab.call(f"{name}leader/coordinator", "run", {"num_rounds": 1, **MIX})
        weights = matrix(told(lab, name), nodes, step)
        np.testing.assert_allclose(weights.sum(1), 1)
        np.testing.assert_allclose(tiny.models(lab, nodes), weights @ before, atol=1e-6)


def test_d_psgd_tells_the_row_of_metropolis_and_hastings(lab):
    nodes = tiny.trainers(lab, "row{1..4}", 4)
    tiny.mixers(lab, nodes, "row-leader", "D-PSGD", "star")
    lab.call("row-leader/coordinator", "run", {"num_rounds": 2})
    table = told(lab, "row")
    expected = np.array([[1, 1, 1, 1], [1, 3, 0, 0], [1, 0, 3, 0], [1, 0, 0, 3]]) / 4
    np.testing.assert_allclose(matrix(table, nodes, 2), expected)
    graph = {"row1": ["row2", "row3", "row4"], "row2": ["row1"], "row3": ["row1"], "row4": ["row1"]}
    for row in table.itertuples():
        assert row.weight == pytest.approx(
            metropolis_hastings(graph)[row.target.split("/")[0]][row.source.split("/")[0]]
        )
    assert set(table.outcome) == {"arrived"}


def test_push_sum_tells_its_shares_of_the_models_without_bias(lab):
    """On 1 → 2 → 3 → 1 with 1 → 3 as well: P halves all but what 1 sends, and w starts at one."""
    nodes = tiny.trainers(lab, "pushed{1..3}", 3)
    tiny.mixers(lab, nodes, "pushed-leader", "SGP", nx.DiGraph([(0, 1), (0, 2), (1, 2), (2, 0)]))
    lab.call("pushed-leader/coordinator", "run", {"num_rounds": 3, **MIX})
    shares, weight = (
        np.array([[1 / 3, 0, 1 / 2], [1 / 3, 1 / 2, 0], [1 / 3, 1 / 2, 1 / 2]]),
        np.ones(3),
    )
    for step in (1, 2, 3):
        parts = shares * weight
        np.testing.assert_allclose(
            matrix(told(lab, "pushed"), nodes, step), parts / parts.sum(1, keepdims=True)
        )
        weight = parts.sum(1)


def test_a_neighbour_that_is_gone_failed(lab):
    """After all were asked who their peers are, and before it has sent anything."""
    nodes = tiny.trainers(lab, "gone{1..3}", 3)
    tiny.mixers(lab, nodes, "gone-leader", "D-PSGD", "full")
    lab.terminate("gone3", "mixer")
    lab.call("gone1/mixer", "train", {"receivers": ["gone2/mixer", "gone3/mixer"], "round": 1})
    lab.call("gone2/mixer", "train", {"receivers": ["gone1/mixer"], "round": 1})
    lab.call("gone1/mixer", "mix")
    table = told(lab, "gone1")
    assert list(zip(table.source, table.outcome, strict=True)) == [
        ("gone1/mixer", "arrived"),
        ("gone2/mixer", "arrived"),
        ("gone3/mixer", "failed"),
    ]
    # who has two edges, of which one leads nowhere
    assert list(table.weight[:2]) == pytest.approx([2 / 3, 1 / 3])


@pytest.mark.parametrize("counts", [[4, 4, 4], [2, 4, 10]], ids=["equal", "by size"])
def test_a_ring_tells_the_share_of_each_node(lab, counts):
    name = f"ring{counts[0]}-"
    nodes = lab.spawn(f"{name}{{1..3}}").assign(
        "trainer",
        EpochTrainer,
        elements={
            "model": impl(tiny.Numbers, seed=Each(range(3))),
            "dataset": impl(tiny.Points, 0, 3, Each(counts)),
        },
    )
    tiny.ring(lab, nodes, f"{name}leader")
    lab.call(f"{name}leader/coordinator", "run", {"num_rounds": 2})
    table = told(lab, name)
    assert list(table.source) == [f"{node}/ring" for node in nodes] * 2
    assert list(table.weight) == pytest.approx([count / sum(counts) for count in counts] * 2)


def test_a_ring_tells_who_was_lost(lab):
    nodes = tiny.trainers(lab, "lost{1..3}", 3)
    tiny.ring(lab, nodes, "lost-leader")
    lab.terminate("lost2", "ring")
    lab.call("lost-leader/coordinator", "run", {"num_rounds": 2})
    table = told(lab, "lost")
    assert list(table[table.step == 1].outcome) == ["arrived", "arrived", "failed"]
    assert list(table[table.outcome == "failed"].source) == ["lost2/ring"]
    assert list(table[table.step == 2].weight) == pytest.approx([0.5, 0.5])


def test_an_average_of_two_is_told_by_both(lab):
    nodes = tiny.trainers(lab, "pair{1..2}", 2)
    nodes.assign("worker", tiny.AdPsgdWorker)
    lab.relate("pair1", "peer", "pair2/worker")
    lab.call("pair1/worker", "run", {"num_rounds": 2})
    table = told(lab, "pair")
    assert len(table) == 8 and set(table.weight) == {0.5}
    assert set(zip(table.target, table.source, strict=True)) == {
        (f"pair{one}/worker", f"pair{other}/worker") for one in (1, 2) for other in (1, 2)
    }
    lab.terminate("pair2", "worker")
    lab.call("pair1/worker", "run", {"num_rounds": 1})
    last = told(lab, "pair1").iloc[-1]
    assert (last.source, last.outcome) == ("pair2/worker", "failed") and np.isnan(last.weight)


def test_each_level_of_a_tree_tells_of_those_right_below(lab):
    leaves = lab.spawn("leaf{1..3}").assign(
        "trainer",
        EpochTrainer,
        elements={
            "model": impl(tiny.Numbers),
            "dataset": impl(tiny.Points, Each(range(3)), 3, Each([2, 6, 8])),
        },
    )
    lab.spawn("tree-inner", "tree-root")
    lab.assign("tree-inner", "aggregator", TreeAggregator)
    lab.assign("tree-root", "aggregator", FedAvgAggregator)
    lab.assign("tree-root", "coordinator", FederatedCoordinator)
    lab.relate("tree-inner", "trainer", leaves.role("trainer")[:2])
    lab.relate("tree-root", "trainer", ["tree-inner/aggregator", "leaf3/trainer"])
    lab.call("tree-root/coordinator", "run", {"num_rounds": 1})
    table = told(lab, "tree")
    found = {(row.target, row.source): row.weight for row in table.itertuples()}
    assert found == pytest.approx(
        {
            ("tree-inner/aggregator", "leaf1/trainer"): 1 / 4,
            ("tree-inner/aggregator", "leaf2/trainer"): 3 / 4,
            ("tree-root/aggregator", "tree-inner/aggregator"): 1 / 2,
            ("tree-root/aggregator", "leaf3/trainer"): 1 / 2,
        }
    )
    lab.terminate("leaf2", "trainer")
    lab.call("tree-root/coordinator", "run", {"num_rounds": 1})
    last = told(lab, "tree-inner").tail(2)
    assert list(zip(last.source, last.outcome, strict=True)) == [
        ("leaf1/trainer", "arrived"),
        ("leaf2/trainer", "failed"),
    ]


def test_a_node_alone_has_all_the_weight(lab):
    nodes = tiny.trainers(lab, "alone1", 1)
    tiny.mixers(lab, nodes, "alone-leader", "D-PSGD", "full")
    nodes.assign("ring", RingAggregator)
    lab.call("alone-leader/coordinator", "run", {"num_rounds": 1})
    assert list(told(lab, "alone").weight) == [1.0]

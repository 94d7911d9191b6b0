"""Trees of two and three levels of aggregation equal flat federated averaging, in closed form."""

import numpy as np
import pytest

from roleml_nb import Each, Testbed, impl
from roleml_nb.library import (
    EpochTrainer,
    FedAvg,
    FedAvgAggregator,
    FedAvgM,
    FederatedCoordinator,
    FedNova,
    PowerOfChoiceSelector,
    QFedAvg,
    Scaffold,
    TreeAggregator,
)
from roleml_nb.role import RoleMLError
from tests.science.federated.problems import LeastSquares, arrays, data, hessian, linear

LEAVES = 6
SIZES = [len(data(part)) for part in range(LEAVES)]


def tree(bed, name, levels, strategy=None, root=None, **options):
    """Levels of inner nodes between the root and six leaves, two below each."""
    bed.spawn(f"{name}-leaf{{1..{LEAVES}}}").assign(
        "trainer",
        EpochTrainer,
        elements={"model": impl(LeastSquares, 0.02), "dataset": impl(data, Each(range(LEAVES)))},
    )
    below = [f"{name}-leaf{number}/trainer" for number in range(1, LEAVES + 1)]
    for level in range(levels):
        groups = [below[start : start + 2] for start in range(0, len(below), 2)]
        below = []
        for number, group in enumerate(groups):
            node = f"{name}-inner{level}x{number}"
            bed.spawn(node)
            bed.assign(
                node,
                "aggregator",
                TreeAggregator,
                options=options,
                elements={"strategy": strategy or FedAvg()},
            )
            bed.relate(node, "trainer", group)
            below.append(f"{node}/aggregator")
    bed.spawn(f"{name}-root")
    bed.assign(
        f"{name}-root", "aggregator", FedAvgAggregator, elements={"strategy": root or FedAvg()}
    )
    bed.assign(f"{name}-root", "coordinator", FederatedCoordinator)
    bed.relate(f"{name}-root", "trainer", below)

    def run(num_rounds, **arguments):
        bed.call(f"{name}-root/coordinator", "run", {"num_rounds": num_rounds, **arguments})
        return bed.call(f"{name}-root/coordinator", "get-model")["w"]

    return run


def trained(w, part):
    return w - 0.02 * (hessian(part) @ w - linear(part))


def flat(rounds, parts=range(LEAVES), w=None):
    w = np.zeros(4) if w is None else w
    for _ in range(rounds):
        w = np.average(
            [trained(w, part) for part in parts], axis=0, weights=[SIZES[part] for part in parts]
        )
    return w


@pytest.mark.parametrize("levels", [1, 2])
def test_two_and_three_levels_equal_one(lab, levels):
    np.testing.assert_allclose(tree(lab, f"levels{levels}", levels)(5), flat(5), rtol=1e-10)


def test_inner_rounds_between_outer_ones(lab):
    """Each edge averages three times before the cloud does once."""
    w = np.zeros(4)
    for _ in range(2):
        edges = [flat(3, parts, w) for parts in ([0, 1], [2, 3], [4, 5])]
        w = np.average(
            edges, axis=0, weights=[SIZES[0] + SIZES[1], SIZES[2] + SIZES[3], SIZES[4] + SIZES[5]]
        )
    np.testing.assert_allclose(tree(lab, "edges", 1, frequency=3)(2), w, rtol=1e-10)


def test_a_server_optimizer_above_the_edges(lab):
    w, momentum = np.zeros(4), np.zeros(4)
    for _ in range(4):
        momentum = 0.5 * momentum + flat(1, w=w) - w
        w = w + momentum
    np.testing.assert_allclose(
        tree(lab, "momentum", 1, root=impl(FedAvgM, momentum=0.5))(4), w, rtol=1e-10
    )


def test_a_server_optimizer_at_each_edge(lab):
    """What an edge's optimizer steps from is the model that came from above."""
    w, momenta = np.zeros(4), [np.zeros(4) for _ in range(3)]
    for _ in range(3):
        ends = []
        for edge, parts in enumerate(([0, 1], [2, 3], [4, 5])):
            momenta[edge] = 0.5 * momenta[edge] + flat(1, parts, w) - w
            ends.append(w + momenta[edge])
        w = np.average(
            ends, axis=0, weights=[SIZES[0] + SIZES[1], SIZES[2] + SIZES[3], SIZES[4] + SIZES[5]]
        )
    np.testing.assert_allclose(
        tree(lab, "each", 1, strategy=impl(FedAvgM, momentum=0.5))(3), w, rtol=1e-10
    )


def loss(w, parts):
    """On all the data of these leaves."""
    x, y = (np.concatenate(some) for some in zip(*map(arrays, parts), strict=True))
    return 0.5 * np.mean((x @ w - y) ** 2)


def test_an_inner_node_tells_the_loss_on_all_that_is_below(lab):
    tree(lab, "told", 2)
    w = np.array([1.0, -1.0, 0.5, 2.0])
    for node, parts in (("told-inner0x1", [2, 3]), ("told-inner1x0", [0, 1, 2, 3])):
        found = lab.call(f"{node}/aggregator", "evaluate", payloads={"update": {"w": w}})
        assert found["loss"] == pytest.approx(loss(w, parts), rel=1e-12)
        assert lab.call(f"{node}/aggregator", "evaluate")["loss"] == pytest.approx(
            loss(np.zeros(4), parts), rel=1e-12
        )
    assert (lab.call("told-leaf1/trainer", "get-model")["w"] == 0).all()


def test_q_fedavg_above_the_edges(lab):
    """Each edge is a client, with the mean of its leaves' models and the loss of the server's model
    on their data.
    """
    q, smoothness, w = 2.0, 1 / 0.02, np.zeros(4)
    for _ in range(2):
        top, bottom = 0.0, 0.0
        for parts in ([0, 1], [2, 3], [4, 5]):
            risk, delta = loss(w, parts), smoothness * (w - flat(1, parts, w))
            top, bottom = (
                top + risk**q * delta,
                bottom + q * risk ** (q - 1) * delta @ delta + smoothness * risk**q,
            )
        w = w - top / bottom
    np.testing.assert_allclose(
        tree(lab, "fair", 1, root=impl(QFedAvg, q=q, lr=0.02))(2), w, rtol=1e-9
    )


def test_power_of_choice_among_the_edges(lab):
    run = tree(lab, "choosy", 1)
    lab.assign(
        "choosy-root",
        "client-selector",
        PowerOfChoiceSelector,
        options={"fraction": 1 / 3, "candidates": 3},
    )
    w = np.zeros(4)
    for _ in range(3):
        w = flat(1, max(([0, 1], [2, 3], [4, 5]), key=lambda parts, w=w: loss(w, parts)), w)
    np.testing.assert_allclose(run(3), w, rtol=1e-10)


def test_what_an_inner_node_cannot_return_is_refused():
    """In a testbed of its own: the other inner nodes refuse, too, and nobody waits for their
    answers any more.
    """
    with Testbed(engines=0, timeout=60, preload=()) as bed:
        with pytest.raises(
            RoleMLError,
            match=(
                "levels-nova-inner0x0/aggregator is an inner node and .*not what stepwise ask for"
            ),
        ):
            tree(bed, "levels-nova", 1, root=impl(FedNova))(1)
        with pytest.raises(
            RoleMLError,
            match=(
                "levels-no-inner0x0/aggregator is an inner node and has models to return only, not"
                " what control ask for: above it, the strategy must be FedAvg, QFedAvg or a server"
                " optimizer"
            ),
        ):
            tree(bed, "levels-no", 1, root=impl(Scaffold))(1)

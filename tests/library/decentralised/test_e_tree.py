"""E-tree learning, on one process and on engines."""

import pytest

from roleml_nb import CallerError, Each, impl
from roleml_nb.library import (
    EpochTrainer,
    FedAvgAggregator,
    FederatedCoordinator,
    ModelMaintainer,
    TreeAggregator,
    average,
)
from roleml_nb.workload import digits, digits_test, mlp

PARTS = {"partition": "dirichlet", "alpha": 0.5}  # leaves of very different sizes


def leaves(bed, name, size):
    nodes = bed.spawn(f"{name}-leaf{{1..{size}}}")
    return nodes.assign(
        "trainer",
        EpochTrainer,
        elements={
            "model": impl(mlp, 64, 10),
            "dataset": impl(digits, part=Each(range(size)), parts=size, **PARTS),
        },
    )


def inner(bed, node, below, **options):
    bed.spawn(node)
    bed.assign(node, "aggregator", TreeAggregator, options=options)
    bed.relate(node, "trainer", below)


def root(bed, node, below):
    bed.spawn(node)
    bed.assign(
        node,
        "evaluator",
        ModelMaintainer,
        elements={"model": impl(mlp, 64, 10), "dataset_test": impl(digits_test)},
    )
    bed.assign(node, "aggregator", FedAvgAggregator)
    bed.assign(node, "coordinator", FederatedCoordinator)
    bed.relate(node, "trainer", below)


def flat(size, rounds):
    update = mlp(64, 10).get_params()
    models, parts = (
        [mlp(64, 10) for _ in range(size)],
        [digits(part, size, **PARTS) for part in range(size)],
    )
    for _ in range(rounds):
        for model, part in zip(models, parts, strict=True):
            model.set_params(update)
            model.train(part)
        update = average([model.get_params() for model in models], [len(part) for part in parts])
    return update


def close(one, two):
    return all((one[name] - two[name]).abs().max() < 1e-6 for name in two)


def test_three_levels_that_aggregate_every_round_equal_federated_averaging(bed):
    leaves(bed, "deep", 5)
    inner(bed, "deep-low1", ["deep-leaf1/trainer", "deep-leaf2/trainer"])
    inner(bed, "deep-low2", ["deep-leaf3/trainer"])
    inner(bed, "deep-high", ["deep-low1/aggregator", "deep-low2/aggregator", "deep-leaf4/trainer"])
    root(bed, "deep-root", ["deep-high/aggregator", "deep-leaf5/trainer"])
    bed.call("deep-root/coordinator", "run", {"num_rounds": 2, "distribute": True})
    expected = flat(5, 2)
    assert close(bed.call("deep-root/coordinator", "get-model"), expected)
    for found in bed.call("deep-leaf*/trainer", "get-model").values():  # the result has flown down
        assert close(found, expected)
    assert bed.call("deep-high/aggregator", "get-data-size") == sum(
        len(digits(part, 5, **PARTS)) for part in range(4)
    )


def test_a_level_can_aggregate_more_often_than_the_one_above(bed):
    leaves(bed, "often", 2)
    inner(bed, "often-low", ["often-leaf1/trainer", "often-leaf2/trainer"], frequency=3)
    root(bed, "often-root", "often-low/aggregator")
    bed.call("often-root/coordinator", "run", {"num_rounds": 1})
    assert close(bed.call("often-root/coordinator", "get-model"), flat(2, 3))


def test_each_level_tells_of_its_aggregations_and_it_learns(bed):
    leaves(bed, "learn", 4)
    for number in (1, 2):
        inner(
            bed,
            f"learn-low{number}",
            [f"learn-leaf{2 * number - 1}/trainer", f"learn-leaf{2 * number}/trainer"],
        )
    root(bed, "learn-root", "learn-low*/aggregator")
    result = bed.call("learn-root/coordinator", "run", {"num_rounds": 10, "num_epochs": 2})
    assert result["accuracy"] >= 0.8
    metrics = bed.trace.metrics.to_pandas()
    told = metrics[(metrics.channel == "aggregation-completed") & (metrics.metric == "clients")]
    for node in ("learn-root", "learn-low1", "learn-low2"):
        assert list(told[told.node == node].value) == [2.0] * 10


def test_misuse_is_named(bed):
    bed.spawn("bare")
    bed.assign("bare", "aggregator", TreeAggregator)
    with pytest.raises(
        CallerError,
        match=(
            "relationship 'trainer' of bare is empty: relate those below first, e.g. %rml relate"
            " bare"
        ),
    ):
        bed.call("bare/aggregator", "train")
    with pytest.raises(ValueError, match="frequency must be 1 or more, got 0"):
        TreeAggregator(frequency=0)

"""Runs and their comparison, from notes as hosts ship them, and from real runs."""

import numpy as np
import pytest

from roleml_nb import Each, compare, impl
from roleml_nb.trace import Trace


def message(source, target, size, sent, outcome="delivered"):
    return (1, "service", source, target, "send", size, "direct", sent, sent, outcome, "")


def metric(node, channel, value, step, sent, name="accuracy", role="r"):
    return (sent, node, role, channel, name, value, step)


def served(accuracies, start=100.0, size=10):
    """A server that says after each second how accurate it is, and has sent `size` bytes to a
    client before.
    """
    trace = Trace(100.0, lambda: None)
    trace.add(
        [
            message("server/a", "client1/t", size, start + second)
            for second in range(len(accuracies))
        ]
        + [
            message("server/a", "server/e", 999, start),
            message("notebook/actor", "server/actor", 999, start - 0.5),
            message("server/a", "client2/t", 999, start + 0.1, "lost: gone"),
        ],
        [
            metric("server", "round-completed", value, 1 + step, start + step + 0.5)
            for step, value in enumerate(accuracies)
        ]
        + [metric("client1", "epoch-completed", 1.0, 1, start + 0.2)],
    )
    return trace


@pytest.fixture
def peers():
    """Two peers, of which the second is slower, and reports twice where the first reports three
    times.
    """
    trace = Trace(0.0, lambda: None)
    trace.add(
        [message("p1/a", "p2/a", 100, 1.0), message("p2/a", "p1/a", 50, 2.5)],
        [
            metric("p1", "round-completed", 0.2, 4, 1.5),
            metric("p1", "round-completed", 0.6, 5, 2.0),
            metric("p1", "round-completed", 0.8, 6, 3.0),
            metric("p2", "round-completed", 0.4, 1, 2.0),
            metric("p2", "round-completed", 0.4, 2, 4.0),
            metric("p1", "told", 3.0, 1, 1.6, "consensus_distance"),
        ],
    )
    return trace


def test_a_curve_has_rounds_time_and_bytes_between_nodes():
    trace = served([0.5, 0.7, 0.9])
    curve = trace.run("fedavg", "server client*").curve()
    assert list(curve["round"]) == [1, 2, 3] and list(curve["accuracy"]) == [0.5, 0.7, 0.9]
    assert list(curve["bytes"]) == [10, 20, 30] and list(curve["time"]) == [0.5, 1.5, 2.5]
    assert curve[["worst", "p10", "deviation", "consensus_distance"]].isna().all(axis=None)
    assert trace.run("fedavg", "server client*").bytes == 30


def test_nodes_that_are_behind_count_with_what_they_had(peers):
    curve = peers.run("gossip", "p*").curve()
    assert list(curve["round"]) == [1, 2, 3]  # each node's first emission is its first round
    assert np.allclose(curve["accuracy"], [0.3, 0.5, 0.6])
    assert np.allclose(curve["worst"], [0.2, 0.4, 0.4]) and np.allclose(
        curve["deviation"], [0.1, 0.1, 0.2]
    )
    assert np.allclose(curve["p10"], [0.22, 0.42, 0.44])
    assert list(curve["time"]) == [1.0, 3.0, 3.0] and list(curve["bytes"]) == [100, 150, 150]
    assert list(curve["consensus_distance"]) == [3.0, 3.0, 3.0]


def test_the_spread_is_taken_from_tests_on_nodes_where_one_node_counts_rounds():
    trace = served([0.5, 0.7])
    trace.add(
        [],
        [
            metric("client1", "test-completed", 0.4, 1, 100.3),
            metric("client2", "test-completed", 0.8, 1, 101.3),
            metric("client1", "test-completed", 0.6, 2, 101.4),
        ],
    )
    curve = trace.run("fedavg", "server client*").curve()
    assert list(curve["worst"]) == [0.4, 0.6] and np.allclose(curve["deviation"], [0.0, 0.1])
    with pytest.raises(
        ValueError,
        match=(
            "run 'fedavg': no 'accuracy' on channel 'test-complete'; did you mean 'test-completed'"
        ),
    ):
        trace.run("fedavg", per_node="test-complete").curve()


def test_a_run_ends_with_its_budget_and_may_be_cut_by_time():
    trace = served([0.5, 0.7, 0.9])
    assert list(trace.run("fedavg", max_bytes=20).curve()["bytes"]) == [10, 20]
    assert trace.run("fedavg", max_bytes=25).bytes == 20
    assert list(trace.run("fedavg", start=1.0, stop=1.9).curve()["accuracy"]) == [0.7]


def test_what_the_notebook_notes_is_in_the_run():
    trace = served([0.5])
    trace.record("server", "consensus_distance", 0.25)
    assert trace.metrics.to_pandas().iloc[-1][["node", "channel", "value", "step"]].tolist() == [
        "server",
        "noted",
        0.25,
        1,
    ]


def test_the_mean_over_seeds_has_students_interval():
    from scipy.stats import t

    finals = [0.80, 0.86, 0.90, 0.84]
    runs = [
        served([0.5, final], size=10 + seed).run("fedavg", seed=seed)
        for seed, final in enumerate(finals)
    ]
    comparison = compare(runs)
    low, high = t.interval(0.95, 3, np.mean(finals), np.std(finals, ddof=1) / 2)
    row = comparison.summary(target=0.85).loc["fedavg"]
    assert (
        row["accuracy"] == pytest.approx(0.85)
        and row["low"] == pytest.approx(low)
        and row["high"] == pytest.approx(high)
    )
    assert row["seeds"] == 4
    band = comparison.band("fedavg")
    assert list(band["round"]) == [1, 2] and list(band["mean"]) == pytest.approx([0.5, 0.85])
    assert list(band["low"]) == pytest.approx([0.5, low]) and list(band["high"]) == pytest.approx(
        [0.5, high]
    )
    assert compare(runs, confidence=0.5).summary().loc["fedavg", "high"] < row["high"]


def test_a_mean_to_the_target_is_of_all_seeds_or_of_none():
    runs = [
        served([0.5, final], size=10 + seed).run("fedavg", seed=seed)
        for seed, final in enumerate([0.80, 0.86, 0.90])
    ]
    comparison = compare(runs)
    some, every, none = (comparison.summary(target).loc["fedavg"] for target in (0.85, 0.8, 0.95))
    assert [row["reached"] for row in (some, every, none)] == ["2 of 3", "3 of 3", "0 of 3"]
    columns = ["round_to_target", "bytes_to_target", "time_to_target"]
    assert some[columns].isna().all() and none[columns].isna().all()
    assert every[columns].tolist() == pytest.approx([2, 2 * (10 + 11 + 12) / 3, 1.5])
    took = comparison.to_target(0.85)
    assert took["seed"].tolist() == [0, 1, 2] and took["round"].isna().tolist() == [
        True,
        False,
        False,
    ]
    assert took[["bytes", "time"]][1:].to_numpy().tolist() == [[22, 1.5], [24, 1.5]]
    bar, dots = comparison.plot(target=0.85).data[-2:]
    # no bar, but what the two took
    assert list(bar.x) == ["fedavg<br>2 of 3"] and np.isnan(bar.y).all()
    assert list(dots.y[1:]) == pytest.approx([22e-6, 24e-6])


def test_one_seed_has_no_band_and_that_is_said():
    runs = [served([0.5, 0.8 - seed / 10]).run("fedavg", seed=seed) for seed in range(2)]
    single = served([0.5, 0.7])
    assert (
        compare(runs, confidence=0.9).note
        == "bands: 90 % confidence interval of the mean over seeds"
    )
    mixed = compare([*runs, single.run("gossip")])
    assert (
        mixed.note
        == "bands: 95 % confidence interval of the mean over seeds; none for gossip: one seed"
    )
    alone = compare([single.run("gossip"), single.run("ring")])
    assert (
        alone.note
        == "no confidence bands: one seed each, so nothing is known of the spread over seeds"
    )
    for comparison in (mixed, alone):
        assert comparison.note in comparison.plot().layout.title.text and comparison.note in repr(
            comparison
        )


def test_seeds_that_spend_differently_are_compared_where_all_have_a_value():
    runs = [
        served([0.1, 0.2, 0.3], size=10).run("a", seed=0),
        served([0.5, 0.7], size=14).run("a", seed=1),
    ]
    band = compare(runs).band("a", "bytes")
    assert list(band["bytes"]) == [14, 20, 28]
    assert list(band["mean"]) == pytest.approx([(0.1 + 0.5) / 2, (0.2 + 0.5) / 2, (0.2 + 0.7) / 2])
    assert compare(runs).band("a")["round"].tolist() == [1, 2]


def test_the_tidy_table_and_the_picture(peers):
    runs = [served([0.5, final]).run("fedavg", seed=seed) for seed, final in enumerate([0.8, 0.9])]
    comparison = compare([*runs, peers.run("gossip", "p*")])
    table = comparison.to_pandas()
    assert list(table.columns) == [
        "run",
        "seed",
        "round",
        "time",
        "bytes",
        "accuracy",
        "worst",
        "p10",
        "deviation",
        "consensus_distance",
    ]
    assert list(table.groupby(["run", "seed"]).size()) == [2, 2, 3]
    summary = comparison.summary(target=0.55)
    assert np.isnan(summary.loc["gossip", "low"]) and summary.loc["gossip", "round_to_target"] == 3
    assert comparison.summary(target=2.0)["reached"].tolist() == ["0 of 2", "0 of 1"]
    assert comparison.summary(target=2.0)["bytes_to_target"].isna().all()
    figure = comparison.plot(target=0.55)
    assert [title.text for title in figure.layout.annotations] == [
        "accuracy against rounds",
        "accuracy against MB sent",
        "accuracy against seconds",
        "accuracy over the nodes",
        "consensus distance",
        "MB sent until accuracy 0.55",
    ]
    shown = [trace.name for trace in figure.data if trace.showlegend]
    assert shown == ["fedavg", "gossip"]
    assert list(figure.data[2].y) == pytest.approx([0.5, 0.85])


def test_without_messages_there_are_no_bytes():
    trace = Trace(0.0, lambda: None)
    trace.add([], [metric("a", "round-completed", 0.5, 1, 2.0)])
    comparison = compare([trace.run("quiet")])
    assert np.isnan(comparison.summary(0.4).loc["quiet", "bytes_to_target"])
    assert [title.text for title in comparison.plot(0.4).layout.annotations] == [
        "accuracy against rounds",
        "accuracy against seconds",
    ]


def test_errors_name_the_value_and_what_is_allowed():
    trace = served([0.5])
    run = trace.run("fedavg")
    for make, text in [
        (lambda: compare([]), r"there are no runs to compare: give some, such as bed.trace.run"),
        (lambda: compare([trace]), "compare takes runs, such as .*, not <Trace"),
        (
            lambda: compare([run, trace.run("fedavg")]),
            "there are two runs 'fedavg' with seed 0: give repetitions seeds",
        ),
        (lambda: compare([run, trace.run("b", metric="loss")]), "these have accuracy, loss"),
        (
            lambda: compare([run], confidence=95),
            "confidence must be more than 0 and less than 1, got 95",
        ),
        (
            lambda: compare([run]).band("fedavg", "rounds"),
            "axis must be one of round, bytes, time, got 'rounds'",
        ),
        (
            lambda: compare([trace.run("x", "sever")]),
            "run 'x': no metrics from nodes 'sever'; did you mean 'server'",
        ),
        (
            lambda: compare([trace.run("x", metric="acuracy")]),
            "none of its nodes emitted 'acuracy'; did you mean 'accuracy'",
        ),
        (
            lambda: compare([trace.run("x", channel="round")]),
            "no 'accuracy' on channel 'round'; did you mean 'round-completed'",
        ),
    ]:
        with pytest.raises(ValueError, match=text):
            make()
    trace.add(
        [], [metric("other", "b-done", 1.0, 1, 102.0), metric("other", "a-done", 1.0, 1, 102.0)]
    )
    with pytest.raises(
        ValueError, match="is on several channels, a-done, b-done; say with channel=… which one"
    ):
        compare([trace.run("x", "other")])
    assert len(compare([trace.run("x", "other", channel="a-done")]).to_pandas()) == 1


def test_two_architectures_of_one_testbed_are_compared(bed):
    from roleml_nb.library import (
        EpochTrainer,
        FedAvgAggregator,
        FederatedCoordinator,
        GossipAggregator,
        GossipCoordinator,
        ModelMaintainer,
    )
    from roleml_nb.workload import digits, digits_test, mlp

    server, clients = bed.spawn("cmp-server"), bed.spawn("cmp-client{1..3}")
    peers = bed.spawn("cmp-peer{1..3}")
    for nodes in (clients, peers):
        nodes.assign(
            "trainer",
            EpochTrainer,
            elements={
                "model": impl(mlp, 64, 10),
                "dataset": impl(digits, part=Each(range(3)), parts=3),
                "dataset_test": impl(digits_test),
            },
        )
    server.assign("aggregator", FedAvgAggregator)
    server.assign("coordinator", FederatedCoordinator)
    server.assign(
        "evaluator",
        ModelMaintainer,
        elements={"model": impl(mlp, 64, 10), "dataset_test": impl(digits_test)},
    )
    server.relate("trainer", clients.role("trainer"))
    peers.assign("aggregator", GossipAggregator)
    peers.assign("coordinator", GossipCoordinator)
    peers.relate("peer", "cmp-peer*/aggregator")
    bed.call("cmp-server/coordinator", "run", {"num_rounds": 3})
    bed.call("cmp-peer*/coordinator", "run", {"num_rounds": 3, "test_every": 1})

    comparison = compare(
        [bed.trace.run("fedavg", "cmp-server cmp-client*"), bed.trace.run("gossip", "cmp-peer*")]
    )
    summary = comparison.summary(target=0.3)
    assert list(summary["rounds"]) == [3, 3]
    size = 4 * (64 * 64 + 64 + 64 * 10 + 10)
    # per round, 3 models there and back; gossip sends 3 models a round, and both say little else
    assert (
        18 <= summary.loc["fedavg", "bytes"] / size < 18.6
        and 9 <= summary.loc["gossip", "bytes"] / size < 9.3
    )
    assert (
        summary.loc["gossip", "worst"] <= summary.loc["gossip", "accuracy"]
        and summary.loc["fedavg", "reached"] == "1 of 1"
    )
    assert len(comparison.plot().data) > 6


def test_equal_repetitions_have_no_band_and_are_said():
    again = (
        "repetitions differ where models and data have the seed of their testbed, or one that is"
        " given"
    )
    equal = [served([0.5, 0.7]).run("fedavg", "server client*", seed=seed) for seed in (0, 1, 2)]
    comparison = compare(equal)
    assert comparison.equal("fedavg") == [[0, 1, 2]]
    assert (
        comparison.note == "no confidence bands: nothing is known of the spread over seeds; "
        f"seeds 0, 1, 2 of fedavg are equal in every round; {again}"
    )
    band = comparison.band("fedavg")
    assert list(band["mean"]) == [0.5, 0.7] and band[["low", "high"]].isna().all(axis=None)
    row = comparison.summary().loc["fedavg"]
    assert (
        row["seeds"] == 3
        and row["accuracy"] == 0.7
        and np.isnan(row["low"])
        and np.isnan(row["high"])
    )
    assert "of fedavg are equal" in comparison.plot().layout.title.text

    two = compare(
        [
            *equal[:2],
            served([0.5, 0.8]).run("fedavg", "server client*", seed=3),
            *[
                served([0.5, end]).run("other", "server client*", seed=seed)
                for seed, end in ((0, 0.6), (1, 0.7))
            ],
        ]
    )
    assert two.equal("fedavg") == [[0, 1]] and two.equal("other") == []
    assert (
        two.note == "bands: 95 % confidence interval of the mean over seeds; "
        f"seeds 0, 1 of fedavg are equal in every round; {again}"
    )
    assert two.band("fedavg")["high"].iloc[-1] > 0.8

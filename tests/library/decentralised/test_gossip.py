"""What gossip does with ages, by hand, on one process and on engines."""

import numpy as np

from tests.science.decentralised import tiny


def inbox(bed, node, *models):
    for value, age in models:
        bed.call(
            f"{node}/aggregator",
            "accept-gossip",
            {"age": age},
            payloads={"update": {"w": np.full(2, value)}},
        )


def test_a_merge_weighs_by_age_and_has_the_highest(bed):
    """Hegedűs et al. 2019, algorithm MERGE: w ← Σ t w / Σ t, t ← max t."""
    bed.spawn("merge").assign("aggregator", tiny.GossipAggregator)
    inbox(bed, "merge", (8.0, 3), (-2.0, 1), (5.0, 2))
    merged = bed.call(
        "merge/aggregator", "merge", {"age": 2}, payloads={"update": {"w": np.zeros(2)}}
    )
    assert merged["update"]["w"].tolist() == [4.0, 4.0]  # (2 · 0 + 3 · 8 − 1 · 2 + 2 · 5) / 8
    assert (merged["age"], merged["merged"], merged["useful"]) == (3, 3, 1)
    alone = bed.call(
        "merge/aggregator", "merge", {"age": 7}, payloads={"update": {"w": np.ones(2)}}
    )
    assert (alone["age"], alone["merged"]) == (7, 0) and alone["update"]["w"].tolist() == [1.0, 1.0]
    inbox(bed, "merge", (3.0, 0))
    untrained = bed.call(
        "merge/aggregator", "merge", {"age": 0}, payloads={"update": {"w": np.ones(2)}}
    )
    assert (untrained["age"], untrained["useful"]) == (0, 0) and untrained["update"][
        "w"
    ].tolist() == [2.0, 2.0]


def test_ages_grow_with_trainings_and_go_along_with_models(bed):
    """Node 1 trains three times and pushes models of ages 1, 2 and 3; node 2 trains once, and
    merges all of them.
    """
    nodes = tiny.trainers(bed, "aged{1..2}", 2)
    tiny.gossip(bed, nodes, "line")
    bed.call("aged1/coordinator", "run", {"num_rounds": 3})
    bed.call("aged2/coordinator", "run", {"num_rounds": 2})
    first, second = tiny.Numbers(0), tiny.Numbers(1)
    sent = []
    for _ in range(3):
        first.train(tiny.Points(0))
        sent.append(first.w)
    second.train(tiny.Points(1))
    second.w = merged = (1 * second.w + 1 * sent[0] + 2 * sent[1] + 3 * sent[2]) / 7
    second.train(tiny.Points(1))
    np.testing.assert_allclose(tiny.models(bed, ["aged2"])[0], second.w, rtol=1e-12)
    table = bed.trace.metrics.to_pandas().query(
        "node == 'aged2' and channel == 'round-completed' and metric == 'age'"
    )
    assert list(table.value) == [3, 4]
    answer = bed.call(
        "aged1/aggregator", "merge", {"age": 0}, payloads={"update": {"w": np.zeros(3)}}
    )
    assert answer["age"] == 4
    np.testing.assert_allclose(answer["update"]["w"], (3 * merged + 4 * second.w) / 7, rtol=1e-12)

"""Decentralised methods against what is known of them."""

import math

import networkx as nx
import numpy as np
import pytest
import torch

from roleml_nb import CallerError, HandlerError, impl, topology
from roleml_nb.library import (
    ChocoMixer,
    DPsgdMixer,
    EpochTrainer,
    Quantization,
    RandomK,
    StochasticGradientPush,
    TopK,
)
from tests.science.decentralised import tiny

MIX = {"num_epochs": 0}
UNEVEN = nx.DiGraph([(0, 1), (1, 2), (2, 3), (3, 0), (0, 2), (0, 3)])
"""Nodes send to three others, or to one."""


def distance(models, mean=None):
    return float(
        np.sqrt(((models - (models.mean(0) if mean is None else mean)) ** 2).sum(1).mean())
    )


def started(bed, name, kind, graph, n, size=3, **options):
    nodes = tiny.trainers(bed, f"{name}{{1..{n}}}", n, size)
    tiny.mixers(bed, nodes, f"{name}-leader", kind, graph, **options)

    def run(rounds, **args):
        return bed.call(
            f"{name}-leader/coordinator", "run", {"num_rounds": rounds, **args}, timeout=60
        )

    return nodes, run


def test_d_psgd_averages_at_the_rate_of_the_spectral_gap(lab):
    """On a ring, from its slowest eigenvector, each round multiplies the distance by exactly 1/3 +
    2/3 cos(2π/n).
    """
    nodes, run = started(lab, "gap", "D-PSGD", "ring", 8)
    slowest = np.cos(2 * np.pi * np.arange(8) / 8)
    for node, value in zip(nodes, slowest, strict=True):
        lab.call(
            f"{node}/trainer", "apply-update", payloads={"update": {"w": np.full(3, 1 + value)}}
        )
    rate = topology("ring", 8).report().rate
    assert rate == pytest.approx(1 / 3 + 2 / 3 * math.cos(2 * math.pi / 8), abs=1e-12)
    before = distance(tiny.models(lab, nodes))
    for _ in range(5):
        run(1, **MIX)
        after = distance(tiny.models(lab, nodes))
        assert after / before == pytest.approx(rate, abs=1e-9)
        before = after
    assert np.abs(tiny.models(lab, nodes).mean(0) - 1).max() < 1e-12


@pytest.mark.parametrize("graph", ["star", "line", "small-world", "scale-free"])
def test_d_psgd_multiplies_by_the_matrix_of_metropolis_and_hastings(lab, graph):
    nodes, run = started(lab, f"matrix-{graph}", "D-PSGD", graph, 7)
    before, matrix = tiny.models(lab, nodes), topology(graph, 7).weights()
    run(6, **MIX)
    after = tiny.models(lab, nodes)
    np.testing.assert_allclose(after, np.linalg.matrix_power(matrix, 6) @ before, atol=1e-12)
    assert np.abs(after.mean(0) - before.mean(0)).max() < 1e-6
    assert distance(after) <= topology(graph, 7).report().rate ** 6 * distance(before) + 1e-12


@pytest.mark.parametrize("overlap", [False, True])
def test_d_psgd_with_training_is_its_equation(lab, overlap):
    nodes, run = started(
        lab, f"equation{overlap}", "D-PSGD overlapped" if overlap else "D-PSGD", "ring", 5
    )
    models, matrix = tiny.models(lab, nodes), topology("ring", 5).weights()
    centres = np.array([tiny.Points(part).batch.mean(0) for part in range(5)])
    run(4)
    for _ in range(4):
        steps = -0.3 * (models - centres)
        models = matrix @ models + steps if overlap else matrix @ (models + steps)
    np.testing.assert_allclose(tiny.models(lab, nodes), models, atol=1e-12)


def test_the_mean_of_d_psgd_is_gradient_descent_on_all_data(lab):
    nodes, run = started(lab, "descent", "D-PSGD", "grid", 6)
    mean = tiny.models(lab, nodes).mean(0)
    centre = np.mean([tiny.Points(part).batch.mean(0) for part in range(6)], 0)
    run(10)
    for _ in range(10):
        mean = mean - 0.3 * (mean - centre)
    np.testing.assert_allclose(tiny.models(lab, nodes).mean(0), mean, atol=1e-12)


def test_d_psgd_on_a_graph_that_changes(lab):
    nodes = tiny.trainers(lab, "changing{1..5}", 5)
    tiny.mixers(lab, nodes, "changing-leader", "D-PSGD", "full")
    changing = topology(lambda round: ("ring", "star", "line")[round % 3], nodes)
    lab.assign(
        "changing-leader",
        "coordinator",
        tiny.DecentralisedCoordinator,
        elements={"topology": changing},
    )
    models = tiny.models(lab, nodes)
    for _ in range(2):  # the second run goes on where the first one ended
        lab.call("changing-leader/coordinator", "run", {"num_rounds": 2, **MIX}, timeout=60)
    for number in range(4):
        models = changing.weights(number) @ models
    np.testing.assert_allclose(tiny.models(lab, nodes), models, atol=1e-12)


def test_push_sum_reaches_the_exact_mean_on_a_directed_ring(lab):
    nodes, run = started(lab, "push", "SGP", "directed-ring", 5)
    mean = tiny.models(lab, nodes).mean(0)
    run(150, **MIX)
    assert np.abs(tiny.models(lab, nodes) - mean).max() < 1e-12


def test_push_sum_reaches_the_exact_mean_where_degrees_differ(lab):
    nodes, run = started(lab, "uneven", "SGP", UNEVEN, 4)
    mean = tiny.models(lab, nodes).mean(0)
    run(1, **MIX)
    assert np.abs(tiny.models(lab, nodes) - mean).max() > 0.01
    run(150, **MIX)
    assert np.abs(tiny.models(lab, nodes) - mean).max() < 1e-12


@pytest.mark.parametrize(
    "graph, n", [("exponential", 6), (UNEVEN, 4)], ids=["exponential", "uneven"]
)
def test_stochastic_gradient_push_is_its_algorithm(lab, graph, n):
    """Assran et al. 2019, algorithm 1, line by line: the gradient is that at z, the step is made
    from x. Where degrees differ, w is not 1, and x is not z.
    """
    nodes, run = started(lab, f"sgp{n}-", "SGP", graph, n)
    x, w = tiny.models(lab, nodes), np.ones((n, 1))
    z, matrix = x, topology(graph, n).weights()
    centres = np.array([tiny.Points(part).batch.mean(0) for part in range(n)])
    run(4)
    for _ in range(4):
        x, w = matrix @ (x - 0.3 * (z - centres)), matrix @ w
        z = x / w
    assert n == 6 or np.abs(w - 1).max() > 0.2
    np.testing.assert_allclose(tiny.models(lab, nodes), z, atol=1e-12)


@pytest.mark.parametrize("step", [0.3, 1.0])
def test_choco_is_its_algorithm(lab, step):
    """Koloskova et al. 2019, algorithm 2, with the larger of two entries in each message, on a
    star, where weights differ.
    """
    nodes = tiny.trainers(lab, f"algorithm{step}-{{1..4}}", 4, 2)
    nodes.assign(
        "mixer",
        ChocoMixer,
        options={"consensus_step": step},
        elements={"compressor": impl(TopK, 0.5)},
    )
    lab.wire("star", nodes=nodes, role="mixer")
    tiny.lead(lab, nodes, f"algorithm{step}-leader")
    x, known, matrix = tiny.models(lab, nodes), np.zeros((4, 2)), topology("star", 4).weights()
    centres = np.array([tiny.Points(part, 2).batch.mean(0) for part in range(4)])
    lab.call(f"algorithm{step}-leader/coordinator", "run", {"num_rounds": 3}, timeout=60)
    for _ in range(3):
        x = x - 0.3 * (x - centres)
        left = x - known
        known = known + np.where(np.abs(left) == np.abs(left).max(1, keepdims=True), left, 0)
        x = x + step * (matrix @ known - known)
    np.testing.assert_allclose(tiny.models(lab, nodes), x, atol=1e-6)


def test_quantization_is_qsgd_divided_by_tau():
    """sign(v) |v| / (s τ) ⌊s |v_k| / |v| + ξ⌋, τ = 1 + min(d/s², √d/s): where s |v_k| / |v| is
    whole, ξ does not matter.
    """

    def quantized(vector, levels):
        compressor = Quantization(levels)
        return compressor.decompress(
            compressor.compress(np.array(vector), np.random.default_rng(1))
        )

    # 4/25 < 2/5
    np.testing.assert_allclose(
        quantized([3.0, -4.0, 0.0, 0.0], 5), np.array([3, -4, 0, 0]) / (1 + 4 / 25)
    )
    # √16/1 < 16/1
    np.testing.assert_allclose(
        quantized([0.0] * 15 + [-7.0], 1), np.array([0] * 15 + [-7]) / (1 + 4)
    )
    random, vector = np.random.default_rng(2), np.array([1.0, -2.0, 0.5, 4.0])
    drawn = [
        Quantization(2).decompress(Quantization(2).compress(vector, random)) for _ in range(20000)
    ]
    # without bias but for τ
    np.testing.assert_allclose(np.mean(drawn, 0), vector / (1 + 1), atol=0.03)


def test_compressors_keep_what_they_say():
    """Of the ten numbers, the three largest; or three that are drawn, each as often as any
    other.
    """
    vector, random = np.array([0.1, -9, 3, 0, 5, -0.2, 1, 2, -4, 0.5]), np.random.default_rng(0)
    kept = TopK(0.3).decompress(TopK(0.3).compress(vector, random))
    np.testing.assert_allclose(kept, np.array([0, -9, 0, 0, 5, 0, 0, 0, -4, 0]))
    drawn = np.array(
        [RandomK(0.3).decompress(RandomK(0.3).compress(np.ones(10), random)) for _ in range(3000)]
    )
    assert set(drawn.sum(1)) == {3} and np.abs(drawn.mean(0) - 0.3).max() < 0.03


def test_choco_with_one_entry_in_a_hundred_converges_where_naive_compression_does_not(lab):
    found = {}
    for feedback in (True, False):
        nodes = tiny.trainers(lab, f"choco{feedback}{{1..3}}", 3, 100)
        nodes.assign(
            "mixer",
            ChocoMixer,
            options={"error_feedback": feedback},
            elements={"compressor": impl(TopK, 0.01)},
        )
        lab.wire("full", nodes=nodes, role="mixer")
        tiny.lead(lab, nodes, f"choco{feedback}-leader")
        before = tiny.models(lab, nodes)
        lab.call(
            f"choco{feedback}-leader/coordinator", "run", {"num_rounds": 400, **MIX}, timeout=60
        )
        found[feedback] = before, tiny.models(lab, nodes)
    before, after = found[True]
    assert distance(after, before.mean(0)) < 0.02 * distance(before)
    assert np.abs(after.mean(0) - before.mean(0)).max() < 1e-6
    before, after = found[False]
    assert distance(after, before.mean(0)) > 0.3 * distance(before)
    sent = lab.trace.messages.to_pandas()
    sent = sent[
        sent.channel.eq("accept")
        & sent.kind.eq("service")
        & sent.source.str.startswith("chocoTrue")
    ]
    assert len(sent) == 400 * 3 * 2


@pytest.mark.parametrize(
    "compressor, delta",
    [
        (TopK(0.1), 0.1),
        (RandomK(0.1), 0.1),
        (TopK(1e-9), 1 / 400),
        (Quantization(16), 1 / (1 + min(400 / 256, 20 / 16))),
    ],
)
def test_compressors_are_contractions(compressor, delta):
    """E |v - C(v)|² ≤ (1 - δ) |v|², over 200 draws."""
    rng = np.random.default_rng(0)
    vector = rng.normal(size=400) * np.exp(rng.normal(size=400))
    errors = [
        ((vector - compressor.decompress(compressor.compress(vector, rng))) ** 2).sum()
        for _ in range(200)
    ]
    assert np.mean(errors) <= (1 - delta) * (vector**2).sum() * 1.05
    assert not compressor.decompress(compressor.compress(np.zeros(400), rng)).any()
    assert (
        sum(getattr(part, "nbytes", 8) for part in compressor.compress(vector, rng).values())
        <= 0.26 * vector.nbytes
    )


def test_compressors_refuse_what_they_cannot():
    for make, text in [
        (lambda: TopK(0), "share must be more than 0 and at most 1, got 0"),
        (lambda: Quantization(128), "levels must be from 1 to 127, got 128"),
        (
            lambda: ChocoMixer(consensus_step=2),
            "consensus_step must be more than 0 and at most 1, got 2",
        ),
    ]:
        with pytest.raises(ValueError, match=text):
            make()


@pytest.mark.parametrize("compressor", [impl(RandomK, 0.3), impl(Quantization, 8)])
def test_choco_keeps_the_mean_with_random_compressors(lab, compressor):
    name = f"keeps-{compressor.function.__name__}"
    nodes = tiny.trainers(lab, f"{name}{{1..4}}", 4, 30)
    nodes.assign(
        "mixer", ChocoMixer, options={"consensus_step": 0.2}, elements={"compressor": compressor}
    )
    lab.wire("ring", nodes=nodes, role="mixer")
    tiny.lead(lab, nodes, f"{name}-leader")
    before = tiny.models(lab, nodes)
    lab.call(f"{name}-leader/coordinator", "run", {"num_rounds": 100, **MIX}, timeout=60)
    after = tiny.models(lab, nodes)
    assert np.abs(after.mean(0) - before.mean(0)).max() < 1e-6
    assert distance(after) < 0.2 * distance(before)


def test_epidemic_learning_sends_to_a_sample_anew_in_each_round(lab):
    nodes, run = started(lab, "epidemic", "epidemic", "full", 8, sample=2)
    before = distance(tiny.models(lab, nodes))
    run(10, **MIX)
    assert distance(tiny.models(lab, nodes)) < 0.01 * before
    sent = lab.trace.messages.to_pandas()
    sent = sent[
        sent.channel.eq("accept") & sent.kind.eq("service") & sent.source.str.startswith("epidemic")
    ]
    assert set(sent.groupby("source").size()) == {20}
    assert (sent.groupby("source")["target"].nunique() > 3).all()


def test_epidemic_learning_with_an_oracle(lab):
    """A random regular graph per round (EL-Oracle), from the coordinator's topology."""
    nodes = tiny.trainers(lab, "oracle{1..8}", 8)
    tiny.mixers(lab, nodes, "oracle-leader", "epidemic", "full")
    changing = topology(lambda round: nx.random_regular_graph(2, 8, seed=round), nodes)
    lab.assign(
        "oracle-leader",
        "coordinator",
        tiny.DecentralisedCoordinator,
        elements={"topology": changing},
    )
    before = tiny.models(lab, nodes)
    lab.call("oracle-leader/coordinator", "run", {"num_rounds": 20, **MIX}, timeout=60)
    expected = before
    for number in range(20):
        expected = changing.weights(number) @ expected  # of regular graphs, the plain mean
    np.testing.assert_allclose(tiny.models(lab, nodes), expected, atol=1e-12)


class Kept:
    """Entries of all types; training does nothing."""

    def __init__(self):
        self.entries = {
            "w": np.arange(3.0) / 7,
            "single": np.full(2, 1 / 3, np.float32),
            "count": np.array(5),
            "tensor": torch.linspace(0, 1, 3),
            "tracked": torch.tensor(7),
            "on": np.array([True, False]),
        }

    def train(self, data, **options):
        return {}

    def get_params(self):
        return {
            name: value.clone() if hasattr(value, "clone") else value.copy()
            for name, value in self.entries.items()
        }

    def set_params(self, params):
        self.entries = params


@pytest.mark.parametrize("kind", tiny.MIXERS)
def test_equal_models_stay_as_they_are(lab, kind):
    name = f"equal-{kind.replace(' ', '-')}"
    nodes = lab.spawn(f"{name}{{1..4}}").assign(
        "trainer", EpochTrainer, elements={"model": impl(Kept), "dataset": impl(tiny.Points)}
    )
    tiny.mixers(lab, nodes, f"{name}-leader", kind, "ring")
    lab.call(f"{name}-leader/coordinator", "run", {"num_rounds": 3}, timeout=60)
    expected = Kept().entries
    for node in nodes:
        for entry, value in lab.call(f"{node}/trainer", "get-model").items():
            assert type(value) is type(expected[entry]) and value.dtype == expected[entry].dtype
            np.testing.assert_allclose(np.asarray(value), np.asarray(expected[entry]), rtol=1e-6)


# gossip


@pytest.mark.parametrize("mode", ["push", "pull", "push-pull"])
@pytest.mark.parametrize("order", ["train-merge", "merge-train"])
def test_gossip_brings_models_together(lab, mode, order):
    """One node after the other, so that it is the same each time."""
    name = f"gossip-{mode}-{order}-"
    nodes = tiny.trainers(lab, f"{name}{{1..6}}", 6)
    tiny.gossip(lab, nodes, "ring", mode=mode, order=order)
    before = tiny.models(lab, nodes)
    for _ in range(20):
        for node in nodes:
            result = lab.call(f"{node}/coordinator", "run", {"num_rounds": 1, **MIX})
    assert result == {"rounds": 1, "accuracy": None, "reproducible": False}
    after = tiny.models(lab, nodes)
    assert distance(after) < 0.1 * distance(before)
    assert (after.min(0) >= before.min(0) - 1e-12).all() and (
        after.max(0) <= before.max(0) + 1e-12
    ).all()


def test_one_round_of_each_order_and_mode(lab):
    """Two nodes, one after the other, against the same by hand."""
    for mode, order in (
        ("push", "train-merge"),
        ("push", "merge-train"),
        ("push-pull", "train-merge"),
        ("pull", "train-merge"),
    ):
        name = f"hand-{mode}-{order}-"
        nodes = tiny.trainers(lab, f"{name}{{1..2}}", 2)
        tiny.gossip(lab, nodes, "line", mode=mode, order=order)
        one, two = (tiny.Numbers(seed) for seed in range(2))
        lab.call(f"{name}1/coordinator", "run", {"num_rounds": 1})
        one.train(tiny.Points(0))
        lab.call(f"{name}2/coordinator", "run", {"num_rounds": 1})
        if order == "merge-train":  # with an untrained model of age 0
            two.w = one.w
        two.train(tiny.Points(1))
        if order == "train-merge" and mode != "pull":
            two.w = (one.w + two.w) / 2
        np.testing.assert_allclose(tiny.models(lab, nodes), [one.w, two.w], atol=1e-12)
        waiting = [lab.call(f"{node}/aggregator", "count") for node in nodes]
        assert waiting == ([1, 0] if mode == "push" else [1, 1] if mode == "push-pull" else [0, 1])


def test_randomised_pairwise_gossip_falls_as_expected(lab):
    """AD-PSGD without training is the averaging of Boyd, Ghosh, Prabhakar and Shah, "Randomized
    Gossip Algorithms", IEEE Transactions on Information Theory 52(6), 2006: E |x - mean|² ≤
    λ₂(E[W])ᵗ |x₀ - mean|².
    """
    nodes = tiny.trainers(lab, "pairs{1..6}", 6, 200)
    graph = topology("ring", nodes)
    tiny.ad_psgd(lab, nodes, graph)
    edges = [
        (nodes.names.index(a), nodes.names.index(b)) for a, b in graph.bipartite().graph().edges
    ]
    pairs = []
    for i, j in edges:
        pair = np.eye(6)
        pair[[i, i, j, j], [i, j, i, j]] = 0.5
        pairs.append(pair)
    rate = np.sort(np.linalg.eigvalsh(np.mean(pairs, 0)))[-2]
    start = tiny.models(lab, nodes)
    spread = (start - start.mean(0)) @ (start - start.mean(0)).T
    expected = spread
    for _ in range(10):
        expected = np.mean([pair @ expected @ pair.T for pair in pairs], 0)
    active, chosen, left = sorted({nodes.names[i] for i, _ in edges}), np.random.default_rng(0), []
    for _ in range(40):
        for node, model in zip(nodes, start, strict=True):
            lab.call(f"{node}/trainer", "apply-update", payloads={"update": {"w": model}})
        for _ in range(10):
            lab.call(
                f"{active[chosen.integers(len(active))]}/worker", "run", {"num_rounds": 1, **MIX}
            )
        after = tiny.models(lab, nodes)
        assert np.abs(after.mean(0) - start.mean(0)).max() < 1e-12
        left.append(((after - after.mean(0)) ** 2).sum())
    assert np.mean(left) <= rate**10 * np.trace(spread)
    # seeds are fixed: the same each time
    assert np.mean(left) == pytest.approx(np.trace(expected), rel=0.25)


# what is refused


def test_a_disconnected_graph_is_refused_before_anything_is_trained(lab):
    nodes = tiny.trainers(lab, "apart{1..5}", 5)
    nodes.assign("mixer", DPsgdMixer)
    lab.wire(nx.Graph([(0, 1), (2, 3), (3, 4)]), nodes=nodes, role="mixer", connected=False)
    tiny.lead(lab, nodes, "apart-leader")
    before = tiny.models(lab, nodes)
    with pytest.raises(
        CallerError,
        match=(
            r"not connected: its components are \{apart1, apart2\} and \{apart3, apart4, apart5\};"
            r" wire"
        ),
    ):
        lab.call("apart-leader/coordinator", "run", {"num_rounds": 1})
    assert (tiny.models(lab, nodes) == before).all()


def test_one_way_edges_are_for_methods_that_bear_them(lab):
    nodes = tiny.trainers(lab, "oneway{1..3}", 3)
    tiny.mixers(lab, nodes, "oneway-leader", "D-PSGD", "directed-ring")
    with pytest.raises(
        CallerError,
        match=(
            "oneway1/mixer sends to oneway2/mixer, but not the other way round: this method needs"
            " edges both"
        ),
    ):
        lab.call("oneway-leader/coordinator", "run", {"num_rounds": 1})
    nodes.assign("mixer", StochasticGradientPush)
    assert lab.call("oneway-leader/coordinator", "run", {"num_rounds": 1})["nodes"] == 3
    nodes.assign("mixer", DPsgdMixer)
    lab.assign(
        "oneway-leader",
        "coordinator",
        tiny.DecentralisedCoordinator,
        elements={"topology": topology("ring", ["oneway1", "other"])},
    )
    with pytest.raises(
        CallerError,
        match=(
            "topology of oneway-leader/coordinator does not name the node oneway2, oneway3: make it"
            " over"
        ),
    ):
        lab.call("oneway-leader/coordinator", "run", {"num_rounds": 1})


def test_a_leader_without_nodes_and_a_node_without_trainer_say_so(lab):
    lab.spawn("idle-leader", "idle1")
    lab.assign("idle-leader", "coordinator", tiny.DecentralisedCoordinator)
    with pytest.raises(
        CallerError, match="relationship 'mixer' of idle-leader is empty: relate the nodes first"
    ):
        lab.call("idle-leader/coordinator", "run", {"num_rounds": 1})
    lab.assign("idle1", "mixer", DPsgdMixer)
    lab.relate("idle-leader", "mixer", "idle1/mixer")
    with pytest.raises(HandlerError, match="trainer"):
        lab.call("idle-leader/coordinator", "run", {"num_rounds": 1})
    with pytest.raises(CallerError, match="num_epochs must be 0 or more, got -1"):
        lab.call("idle-leader/coordinator", "run", {"num_rounds": 1, "num_epochs": -1})


def test_the_mean_of_the_tests_is_reported(lab):
    nodes, run = started(lab, "tested", "D-PSGD", "ring", 3)
    result = run(4, test_every=2)
    assert result == {"rounds": 4, "nodes": 3, "accuracy": 1.0}
    metrics = lab.trace.metrics.to_pandas()
    losses = metrics[(metrics.node == "tested-leader") & (metrics.metric == "loss")].value
    assert len(losses) == 2
    own = [lab.call(f"{node}/trainer", "test")["loss"] for node in nodes]
    assert losses.iloc[-1] == pytest.approx(np.mean(own))

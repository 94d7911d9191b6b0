"""Every strategy, mixer, compressor and aggregator of the library, with a model that has all that a
state dict may have.

What they make of its trained weights is what they make of the same weights as one plain vector;
statistics are averaged, counters copied, and frozen weights left, to the last bit.
"""

import inspect

import numpy as np
import pytest
import torch

from roleml_nb import Each, RoleInstanceID, Testbed, impl, library
from roleml_nb.library import (
    AdPsgdWorker,
    AsynchronousCoordinator,
    AsynchronousStrategy,
    ChocoMixer,
    ClientResult,
    ClusteredCoordinator,
    Compressor,
    DecentralisedCoordinator,
    EpochTrainer,
    FedAvgAggregator,
    FederatedCoordinator,
    FedNova,
    GossipAggregator,
    Mixer,
    ModelMaintainer,
    QFedAvg,
    Quantization,
    RingAggregator,
    RingCoordinator,
    Scaffold,
    Strategy,
    TopK,
    TreeAggregator,
    consensus_distance,
)
from roleml_nb.role import RoleMLError
from roleml_nb.workload import ArrayDataset, TorchClassifier, digits, digits_test
from tests.science.odd import (
    SAMPLES,
    START,
    TRAINED,
    Flat,
    check,
    flat,
    odd,
    renewed,
    samples,
    thawed,
)

CLIENTS = len(SAMPLES)
SHARES = np.array(SAMPLES) / sum(SAMPLES)


def concrete(base):
    """All classes of this kind that the library has."""
    found = [getattr(library, name) for name in library.__all__]
    return [
        one
        for one in found
        if inspect.isclass(one)
        and issubclass(one, base)
        and one is not base
        and not inspect.isabstract(one)
    ]


STRATEGIES, ASYNCHRONOUS, MIXERS, COMPRESSORS = map(
    concrete, (Strategy, AsynchronousStrategy, Mixer, Compressor)
)
ABOVE_A_TREE = [one for one in STRATEGIES if one not in (FedNova, Scaffold)]


@pytest.fixture(scope="module")
def lab():
    with Testbed(engines=0, timeout=60, preload=()) as bed:
        yield bed
        assert bed.errors == []


def trainers(bed, name, model, count=CLIENTS):
    bed.spawn(f"{name}{{1..{count}}}").assign(
        "trainer",
        EpochTrainer,
        elements={"model": impl(model), "dataset": impl(samples, Each(range(count)))},
    )
    return [f"{name}{number}/trainer" for number in range(1, count + 1)]


def test_the_library_has_what_is_tried_here():
    assert [len(some) for some in (STRATEGIES, ASYNCHRONOUS, MIXERS, COMPRESSORS)] == [8, 2, 4, 3]


# federated


def federated(bed, name, model, strategy, tree=False):
    below = trainers(bed, f"{name}-client", model)
    bed.spawn(f"{name}-server")
    if tree:
        for number, group in enumerate((below[:2], below[2:])):
            bed.spawn(f"{name}-inner{number}")
            bed.assign(f"{name}-inner{number}", "aggregator", TreeAggregator)
            bed.relate(f"{name}-inner{number}", "trainer", group)
        below = [f"{name}-inner{number}/aggregator" for number in range(2)]
    bed.assign(
        f"{name}-server", "aggregator", FedAvgAggregator, elements={"strategy": impl(strategy)}
    )
    bed.assign(f"{name}-server", "coordinator", FederatedCoordinator)
    bed.relate(f"{name}-server", "trainer", below)
    bed.call(f"{name}-server/coordinator", "run", {"num_rounds": 3})
    return bed.call(f"{name}-server/coordinator", "get-model")


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("tree", [False, True], ids=["flat", "tree"])
def test_strategies(lab, strategy, tree):
    if tree and strategy not in ABOVE_A_TREE:
        return  # refused: tests/science/federated/test_hierarchy_known.py
    name = f"{strategy.__name__}{'-tree' if tree else ''}"
    found = federated(lab, name, odd, strategy, tree)
    running = START
    for _ in range(3):
        running = np.einsum(
            "p,pij->ij", SHARES, [renewed(running, part) for part in range(CLIENTS)]
        )
    # its weights are of losses in evaluation mode, and so of the statistics
    if strategy is QFedAvg:
        expected = flat(found)
    else:
        expected = federated(lab, f"{name}-flat", Flat, strategy, tree)["w"]
    check(found, expected, running, 3)


def test_a_server_optimizer_above_a_tree(bed):
    """On engines, too: what a model knows of its entries goes from the leaves to the root."""
    found, plain = (
        federated(bed, f"above-{model.__name__.lower()}", model, library.FedAdam, tree=True)
        for model in (odd, Flat)
    )
    running = START
    for _ in range(3):
        running = np.einsum(
            "p,pij->ij", SHARES, [renewed(running, part) for part in range(CLIENTS)]
        )
    check(found, plain["w"], running, 3)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_strategies_on_models_alone(strategy):
    """Also where clients' models are far apart, and steps large."""
    start, updates = odd().get_params(), [odd().get_params() for _ in range(3)]
    random = np.random.default_rng(0)
    for update in updates:
        for name in (*TRAINED, "norm.running_mean", "norm.running_var"):
            update[name].add_(
                torch.tensor(random.uniform(0, 5, update[name].shape)).to(update[name].dtype)
            )
        update["again.weight"] = update["square.weight"]
        update["norm.num_batches_tracked"] += int(random.integers(1, 9))

    def results(some, controls):
        return [
            ClientResult(
                RoleInstanceID(f"c{number}", "t"),
                update,
                SAMPLES[number],
                steps=3 + number,
                control=control,
                initial_loss=1.0 + number,
            )
            for number, (update, control) in enumerate(zip(some, controls, strict=True))
        ]

    zero = {name: np.zeros(start[name].shape) for name in TRAINED}
    found = strategy().aggregate(start, results(updates, [zero] * 3))
    plain = [{"w": flat(update)} for update in updates]
    expected = strategy().aggregate(
        {"w": flat(start)}, results(plain, [{"w": np.zeros(len(flat(start)))}] * 3)
    )
    running = np.einsum(
        "p,pij->ij",
        SHARES,
        [
            [np.asarray(update[f"norm.running_{name}"], float) for name in ("mean", "var")]
            for update in updates
        ],
    )
    check(
        found,
        expected["w"],
        running,
        max(int(update["norm.num_batches_tracked"]) for update in updates),
    )


@pytest.mark.parametrize("strategy", ASYNCHRONOUS)
def test_asynchronous_strategies(lab, strategy):
    """With one client, which is never late."""
    options = {"size": 1, "lr": 0.5} if strategy is library.FedBuff else {"mixing": 0.5}

    def run(name, model, tree):
        (client,) = trainers(lab, f"{name}-client", model, 1)
        if tree:
            lab.spawn(f"{name}-inner").assign("aggregator", TreeAggregator)
            lab.relate(f"{name}-inner", "trainer", client)
            client = f"{name}-inner/aggregator"
        lab.spawn(f"{name}-server")
        lab.assign(
            f"{name}-server",
            "coordinator",
            AsynchronousCoordinator,
            elements={"strategy": impl(strategy, **options)},
        )
        lab.relate(f"{name}-server", "trainer", client)
        lab.call(f"{name}-server/coordinator", "run", {"num_rounds": 3})
        return lab.call(f"{name}-server/coordinator", "get-model")

    weight = 1.0 if strategy is library.FedBuff else 0.5
    running = START
    for _ in range(3):
        running = (1 - weight) * running + weight * renewed(running, 0)
    for tree in (False, True):
        name = f"{strategy.__name__}-{tree}"
        check(run(name, odd, tree), run(f"{name}-flat", Flat, tree)["w"], running, 3)


def test_what_some_clients_train_and_others_have_frozen_is_stepped():
    """The step of who has frozen it is zero; what all have frozen is left."""
    start = odd().get_params()
    updates = [odd().get_params(), thawed().get_params()]
    updates[1]["frozen.bias"] += 8
    results = [
        ClientResult(RoleInstanceID(f"c{number}", "t"), update, 1)
        for number, update in enumerate(updates)
    ]
    for strategy, step in ((library.FedAvg(), 4.0), (library.FedAvgM(lr=0.5), 2.0)):
        found = strategy.aggregate(start, results)
        torch.testing.assert_close(found["frozen.bias"], start["frozen.bias"] + step)
        assert torch.equal(found["frozen.weight"], start["frozen.weight"])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_who_has_something_frozen_counts_as_one_that_did_not_move_it(strategy):
    start, names = odd().get_params(), (*TRAINED, "frozen.bias")

    def aggregated(first):
        updates, controls = (
            [first, thawed().get_params()],
            [{name: np.ones(start[name].shape) for name in names} for _ in range(2)],
        )
        for number, update in enumerate(updates):
            update["into.weight"] += 1 + number
        updates[1]["frozen.bias"] += 8
        if first is frozen:
            del controls[0]["frozen.bias"]
        else:
            controls[0]["frozen.bias"] *= 0
        made = strategy()
        found = [
            made.aggregate(
                start,
                [
                    ClientResult(
                        RoleInstanceID(f"c{number}", "t"),
                        update,
                        1 + number,
                        steps=2 + number,
                        initial_loss=1.0 + number,
                        control=control,
                    )
                    for number, (update, control) in enumerate(zip(updates, controls, strict=True))
                ],
            )
            for _ in range(2)
        ]
        return found, {
            name: value.tolist() for name, value in made.arguments().get("control", {}).items()
        }

    frozen = odd().get_params()
    (found, told), (expected, wanted) = aggregated(frozen), aggregated(thawed().get_params())
    for one, other in zip(found, expected, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)
        assert not torch.equal(one["frozen.bias"], start["frozen.bias"])
    assert told == wanted


def test_a_stale_result_brings_its_step_along_and_not_its_statistics():
    """A variance that fell since the result began must not become less than nothing."""
    from roleml_nb.library.federated.client_results import rebase_update

    base, update, onto = (odd().get_params() for _ in range(3))
    (
        base["norm.running_var"].fill_(9.0),
        update["norm.running_var"].fill_(1.0),
        onto["norm.running_var"].fill_(2.0),
    )
    base["scale"].fill_(1.0), update["scale"].fill_(1.5), onto["scale"].fill_(3.0)
    found = rebase_update(update, base, onto, [])
    assert (found["norm.running_var"] == 1.0).all() and found["scale"] == 3.5


def test_fedbuff_averages_statistics_however_late_they_are():
    strategy = library.FedBuff(size=2)
    base, update = odd().get_params(), odd().get_params()
    base["norm.running_var"].fill_(9.0), update["norm.running_var"].fill_(2.0)
    for staleness, variance in ((3, 1.0), (0, 4.0)):
        result = odd().get_params()
        result["norm.running_var"].fill_(variance)
        found = strategy.receive(update, {"update": result}, base, staleness)
    assert found["norm.running_var"].tolist() == pytest.approx(
        [0.25 * 2.0 + 0.25 * 1.0 + 0.5 * 4.0] * 3
    )


def test_clustered(lab):
    def run(name, model):
        clients = trainers(lab, f"{name}-client", model)
        lab.spawn(f"{name}-server").assign("aggregator", FedAvgAggregator)
        first = model().get_params()
        far = {key: value + 50 if key in (*TRAINED, "w") else value for key, value in first.items()}
        lab.assign(
            f"{name}-server", "coordinator", ClusteredCoordinator, elements={"models": [first, far]}
        )
        lab.relate(f"{name}-server", "trainer", clients)
        sizes = lab.call(f"{name}-server/coordinator", "run", {"num_rounds": 1})["sizes"]
        assert sizes == [CLIENTS, 0]
        return lab.call(f"{name}-server/coordinator", "get-model")

    running = np.einsum("p,pij->ij", SHARES, [renewed(START, part) for part in range(CLIENTS)])
    check(run("clustered", odd), run("clustered-flat", Flat)["w"], running, 1)


# decentralised


def decentralised(bed, name, model, mixer, rounds=3, **elements):
    trainers(bed, name, model)
    options = {"consensus_step": 0.5} if mixer is ChocoMixer else {}
    for number in range(1, CLIENTS + 1):
        bed.assign(f"{name}{number}", "mixer", mixer, options=options, elements=elements)
    for number in range(1, CLIENTS + 1):
        bed.relate(f"{name}{number}", "peer", f"{name}*/mixer")
    bed.spawn(f"{name}-leader").assign("coordinator", DecentralisedCoordinator)
    bed.relate(f"{name}-leader", "mixer", f"{name}*/mixer")
    bed.call(f"{name}-leader/coordinator", "run", {"num_rounds": rounds})
    return [bed.call(f"{name}{number}/trainer", "get-model") for number in range(1, CLIENTS + 1)]


def mixed_statistics(rounds=3):
    """On a full graph, all weights of all methods are 1 / n."""
    running = START
    for _ in range(rounds):
        running = np.mean([renewed(running, part) for part in range(CLIENTS)], axis=0)
    return running


@pytest.mark.parametrize(
    "mixer, options", [(one, {}) for one in MIXERS] + [(library.DPsgdMixer, {"overlap": True})]
)
def test_mixers(lab, mixer, options):
    class Chosen(mixer):
        def __init__(self):
            super().__init__(**options)

    elements = {"compressor": impl(TopK, 1.0)} if mixer is ChocoMixer else {}
    name = f"{mixer.__name__}{len(options)}"
    found = decentralised(lab, name, odd, Chosen, **elements)
    expected = decentralised(lab, f"{name}-flat", Flat, Chosen, **elements)
    for params, plain in zip(found, expected, strict=True):
        check(params, plain["w"], mixed_statistics(), 3)


def test_push_sum_where_weights_are_not_one(lab):
    """Edges 1 → 2 → 3 → 1 and 1 → 3: statistics are mixed as P w s / P w, with s those of after the
    training.
    """
    edges = {1: [2, 3], 2: [3], 3: [1]}

    def run(name, model):
        trainers(lab, name, model)
        for number in edges:
            lab.assign(f"{name}{number}", "mixer", library.StochasticGradientPush)
        for number, others in edges.items():
            lab.relate(f"{name}{number}", "peer", [f"{name}{other}/mixer" for other in others])
        lab.spawn(f"{name}-leader").assign("coordinator", DecentralisedCoordinator)
        lab.relate(f"{name}-leader", "mixer", f"{name}*/mixer")
        lab.call(f"{name}-leader/coordinator", "run", {"num_rounds": 4})
        return [lab.call(f"{name}{number}/trainer", "get-model") for number in edges]

    shares = np.zeros((3, 3))
    for number, others in edges.items():
        for receiver in (number, *others):
            shares[receiver - 1, number - 1] = 1 / (1 + len(others))
    running, weights = [START] * 3, np.ones(3)
    for _ in range(4):
        biased = [weights[part] * renewed(running[part], part) for part in range(3)]
        weights = shares @ weights
        running = np.einsum("ij,jkl->ikl", shares, biased) / weights[:, None, None]
    assert np.abs(weights - 1).max() > 0.1
    for params, plain, expected in zip(
        run("push", odd), run("push-flat", Flat), running, strict=True
    ):
        check(params, plain["w"], expected, 4)


def test_choco_names_who_trains_something_else(lab):
    name = "choosy"
    trainers(lab, name, odd, 2)
    lab.spawn(f"{name}3").assign(
        "trainer", EpochTrainer, elements={"model": impl(thawed), "dataset": impl(samples, 2)}
    )
    lab.assign(f"{name}*", "mixer", ChocoMixer)
    lab.relate(f"{name}*", "peer", f"{name}*/mixer")
    lab.spawn(f"{name}-leader").assign("coordinator", DecentralisedCoordinator)
    lab.relate(f"{name}-leader", "mixer", f"{name}*/mixer")
    with pytest.raises(
        RoleMLError,
        match=(
            r"choosy[123]/mixer has sent (45|65) trained numbers, and choosy[123]/mixer trains"
            r" (45|65): "
            "with CHOCO, the same weights must be trained, and the same be frozen"
        ),
    ):
        lab.call(f"{name}-leader/coordinator", "run", {"num_rounds": 1})
    lab.errors.clear()


@pytest.mark.parametrize("compressor", COMPRESSORS)
def test_compressors(compressor):
    """In two testbeds, whose nodes are called the same, so that they draw the same."""

    def run(model):
        with Testbed(engines=0, timeout=60, preload=(), seed=5) as bed:
            return decentralised(bed, "node", model, ChocoMixer, compressor=impl(compressor))

    found, expected = run(odd), run(Flat)
    for params, plain in zip(found, expected, strict=True):
        check(params, plain["w"], mixed_statistics(), 3)


def images(part=None):
    """Digits with grey values up to 255, as BatchNorm's statistics of them are."""
    data = digits_test() if part is None else digits(part, 4)
    return ArrayDataset(data.x * 255, data.y, batch_size=64)


def normed():
    return torch.nn.Sequential(
        torch.nn.BatchNorm1d(64), torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10)
    )


def test_choco_learns_where_statistics_are_large(bed):
    """As vectors with the parameters, they drowned these: accuracy 0.1."""
    bed.spawn("grey{1..4}").assign(
        "trainer",
        EpochTrainer,
        elements={
            "model": impl(TorchClassifier, normed, lr=0.1, seed=0),
            "dataset": impl(images, Each(range(4))),
            "dataset_test": impl(images),
        },
    )
    for number in range(1, 5):
        bed.assign(
            f"grey{number}",
            "mixer",
            ChocoMixer,
            options={"consensus_step": 0.3},
            elements={"compressor": impl(Quantization)},
        )
    bed.relate("grey*", "peer", "grey*/mixer")
    bed.spawn("grey-leader").assign("coordinator", DecentralisedCoordinator)
    bed.relate("grey-leader", "mixer", [f"grey{number}/mixer" for number in range(1, 5)])
    assert (
        bed.call("grey-leader/coordinator", "run", {"num_rounds": 15, "test_every": 15})["accuracy"]
        > 0.9
    )


def test_ring(bed):
    def run(name, model):
        trainers(bed, name, model)
        bed.spawn(f"{name}-leader").assign("coordinator", RingCoordinator)
        for number in range(1, CLIENTS + 1):
            bed.assign(f"{name}{number}", "aggregator", RingAggregator)
        bed.relate(
            f"{name}-leader",
            "ring",
            [f"{name}{number}/aggregator" for number in range(1, CLIENTS + 1)],
        )
        bed.call(f"{name}-leader/coordinator", "run", {"num_rounds": 3})
        return [
            bed.call(f"{name}{number}/trainer", "get-model") for number in range(1, CLIENTS + 1)
        ]

    running = START
    for _ in range(3):
        running = np.einsum(
            "p,pij->ij", SHARES, [renewed(running, part) for part in range(CLIENTS)]
        )
    for params, plain in zip(run("oddring", odd), run("flatring", Flat), strict=True):
        check(params, plain["w"], running, 3)


def trained_apart(count=2):
    """Models and statistics of so many nodes after one training each."""
    models = [odd() for _ in range(count)]
    for part, model in enumerate(models):
        model.train(samples(part))
    return [model.get_params() for model in models], [renewed(START, part) for part in range(count)]


def test_gossip(bed):
    (own, other), (mine, theirs) = trained_apart()
    bed.spawn("oddgossip").assign("aggregator", GossipAggregator)
    bed.call("oddgossip/aggregator", "accept-gossip", {"age": 3}, {"update": other})
    merged = bed.call("oddgossip/aggregator", "merge", {"age": 1}, {"update": own})["update"]
    check(merged, 0.25 * flat(own) + 0.75 * flat(other), 0.25 * mine + 0.75 * theirs, 1)


def test_ad_psgd(bed):
    (own, other), (mine, theirs) = trained_apart()
    trainers(bed, "oddpassive", odd, 1)
    bed.assign("oddpassive1", "worker", AdPsgdWorker)
    bed.call("oddpassive1/trainer", "apply-update", {"update": other})
    mean = bed.call("oddpassive1/worker", "average", payloads={"update": own})
    check(mean, 0.5 * flat(own) + 0.5 * flat(other), 0.5 * mine + 0.5 * theirs, 1)


# distances, messages, and what stays on a node


def test_distances_are_of_what_is_trained_each_weight_once():
    models, _ = trained_apart(3)
    vectors = np.stack([flat(params) for params in models])
    expected = np.sqrt(((vectors - vectors.mean(0)) ** 2).sum(1).mean())
    assert consensus_distance(models) == pytest.approx(expected, rel=1e-6)


def test_distances_that_were_sent_are_the_same(bed):
    trainers(bed, "oddfar", odd)
    calls = [bed.call_task(f"oddfar{number}/trainer", "train") for number in range(1, CLIENTS + 1)]
    models = [call.result() for call in calls]
    vectors = np.stack([flat(params) for params in models])
    assert consensus_distance(models) == pytest.approx(
        np.sqrt(((vectors - vectors.mean(0)) ** 2).sum(1).mean()), rel=1e-6
    )
    for params in models:
        assert params["again.weight"] is params["square.weight"]


def test_all_names_of_a_local_weight_are_local(bed):
    bed.spawn("oddlocal").assign(
        "trainer", ModelMaintainer, options={"local": "again.*"}, elements={"model": impl(odd)}
    )
    shared = bed.call("oddlocal/trainer", "get-model")
    assert set(odd().get_params()) - set(shared) == {"square.weight", "again.weight"}

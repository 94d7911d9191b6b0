"""The same weights, to the last bit, on any number of engines and in every run; no global random
state is touched.
"""

import random

import numpy as np
import pytest
import torch

from roleml_nb import Each, Testbed, impl, topology
from roleml_nb.library import ChocoMixer, EpidemicMixer, EpochTrainer, RandomK
from roleml_nb.workload import digits, digits_test, mlp
from tests.science.decentralised import tiny


def weights(bed):
    """Of all synchronous architectures, by name, as bytes."""
    found = {}

    def note(name, nodes, leader):
        bed.call(f"{leader}/coordinator", "run", {"num_rounds": 4}, timeout=60)
        found[name] = [bed.call(f"{node}/trainer", "get-model")["w"].tobytes() for node in nodes]

    for name in ("federated", "ring", "tree", *tiny.MIXERS):
        key = name.replace(" ", "-")
        nodes = tiny.trainers(bed, f"{key}{{1..5}}", 5, size=17)
        leader = f"{key}-leader"
        if name == "federated":
            tiny.federated(bed, leader, nodes.role("trainer"), size=17)
        elif name == "ring":
            tiny.ring(bed, nodes, leader)
        elif name == "tree":
            tiny.tree(bed, nodes, leader, topology("full", nodes), size=17)
        else:
            tiny.mixers(bed, nodes, leader, name, "exponential" if name == "SGP" else "small-world")
        if name == "CHOCO":
            nodes.assign("mixer", ChocoMixer, elements={"compressor": impl(RandomK, 0.3)})
        if name == "epidemic":
            nodes.assign("mixer", EpidemicMixer, options={"sample": 2})
        note(name, nodes, leader)
    found["torch"] = perceptrons(bed)
    return found


def perceptrons(bed):
    nodes = bed.spawn("perceptron{1..3}").assign(
        "trainer",
        EpochTrainer,
        elements={"model": impl(mlp, 64, 10), "dataset": impl(digits, Each(range(3)), 3)},
    )
    tiny.mixers(bed, nodes, "perceptron-leader", "D-PSGD", "line")
    bed.call("perceptron-leader/coordinator", "run", {"num_rounds": 3}, timeout=60)
    return [
        value.numpy().tobytes()
        for node in nodes
        for value in bed.call(f"{node}/trainer", "get-model").values()
    ]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """torch adds up in another order where it has more threads; engines get one by `threads=1`."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def expected(one_thread):
    with Testbed(engines=0, seed=11, timeout=60, preload=()) as bed:
        first = weights(bed)
        assert weights(bed) == first  # anew on the same testbed
    return first


@pytest.mark.parametrize("engines", [0, 1, 2, 4])
def test_weights_are_the_same_on_any_number_of_engines(expected, engines):
    with Testbed(engines=engines, seed=11, timeout=60, threads=1, preload=()) as bed:
        assert weights(bed) == expected
        assert bed.errors == []


def test_the_seed_decides_where_something_is_drawn(expected):
    with Testbed(engines=0, seed=12, timeout=60, preload=()) as bed:
        other = weights(bed)
    assert {name for name in expected if other[name] != expected[name]} >= {"CHOCO", "epidemic"}
    assert other["ring"] == expected["ring"] and other["federated"] == expected["federated"]


def test_global_random_state_is_left_alone():
    random.seed(3)
    np.random.seed(3)
    torch.manual_seed(3)

    def state():
        _, keys, *rest = np.random.get_state()
        return random.getstate(), keys.tolist(), rest, torch.get_rng_state().tolist()

    before = state()
    with Testbed(engines=0, timeout=60, preload=()) as bed:
        nodes = bed.spawn("n{1..4}").assign(
            "trainer",
            EpochTrainer,
            elements={
                "model": impl(mlp, 64, 10, seed=Each(range(4))),
                "dataset": impl(digits, Each(range(4)), 4),
                "dataset_test": impl(digits_test),
            },
        )
        tiny.mixers(bed, nodes, "leader", "epidemic", "random-regular", sample=1)
        bed.call("leader/coordinator", "run", {"num_rounds": 2, "test_every": 1}, timeout=60)
        tiny.gossip(bed, nodes, "erdos-renyi")
        bed.call("n*/coordinator", "run", {"num_rounds": 2}, timeout=60)
        tiny.ad_psgd(bed, nodes, topology("scale-free", nodes))
        bed.call("n*/worker", "run", {"num_rounds": 2}, timeout=60)
        nodes.assign("mixer", ChocoMixer, elements={"compressor": impl(RandomK, 0.3)})
        bed.wire("small-world", nodes=nodes, role="mixer")
        bed.call("leader/coordinator", "run", {"num_rounds": 2}, timeout=60)
        assert bed.errors == []
    assert state() == before

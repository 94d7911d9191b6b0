"""Options of federated learning, two by two: each pair of any two of them is in a run that ends
well, or is refused by name.
"""

import itertools
from typing import Any

import numpy as np
import pytest
import torch

from roleml_nb import HandlerError, RoleMLError, Testbed, impl
from roleml_nb.library import (
    ClientSelector,
    DataSizeSelector,
    EpochTrainer,
    FedAdagrad,
    FedAdam,
    FedAvg,
    FedAvgAggregator,
    FedAvgM,
    FederatedCoordinator,
    FedNova,
    FedYogi,
    ModelMaintainer,
    OortSelector,
    PowerOfChoiceSelector,
    QFedAvg,
    Scaffold,
    TreeAggregator,
)
from roleml_nb.workload import TorchClassifier, digits, digits_test


def network(kind: str, momentum: float, adam: bool) -> TorchClassifier:
    def build() -> torch.nn.Module:
        layers: list[torch.nn.Module] = [
            torch.nn.Linear(64, 16),
            torch.nn.ReLU(),
            torch.nn.Linear(16, 10),
        ]
        if kind == "batch norm":
            layers.insert(1, torch.nn.BatchNorm1d(16))
        module = torch.nn.Sequential(*layers)
        if kind == "frozen":
            module[0].requires_grad_(False)
        return module

    def optimizer(parameters, lr: float) -> torch.optim.Optimizer:
        return (
            torch.optim.Adam(parameters, 0.1 * lr)
            if adam
            else torch.optim.SGD(parameters, lr, momentum=momentum)
        )

    return TorchClassifier(build, optimizer=optimizer if adam or momentum else None, lr=0.1, seed=0)


FACTORS: dict[str, list[Any]] = {
    "strategy": [
        impl(FedAvg),
        impl(FedAvgM, lr=1.0, momentum=0.5),
        impl(FedAdagrad, lr=0.05),
        impl(FedAdam, lr=0.05),
        impl(FedYogi, lr=0.05),
        impl(FedNova),
        impl(FedNova, momentum=0.5),
        impl(QFedAvg, q=1.0, lr=0.1),
        impl(Scaffold),
    ],
    "aggregator": ["flat", "tree"],
    "model": [  # kind, momentum, Adam, and the entries that are local
        ("plain", 0.0, False, ""),
        ("plain", 0.5, False, ""),
        ("plain", 0.0, True, ""),
        ("batch norm", 0.0, False, ""),
        ("batch norm", 0.5, False, "batch-norm"),
        ("batch norm", 0.0, True, "buffers"),
        ("frozen", 0.5, False, ""),
    ],
    "optimizer": ["kept", "fresh"],
    "selector": [None, ClientSelector, DataSizeSelector, PowerOfChoiceSelector, OortSelector],
    "quorum": [
        {},
        {"min_results": 1},
        {"deadline": 60.0},
        {"enough": 1, "late": "stale"},
        {"min_results": 2, "late": "drop"},
    ],
    "options": [None, {"proximal": 0.1}, {"lr": 0.05}],
    "num_epochs": [1, 2],
}


def pairs_of(row: tuple[int, ...]) -> set[tuple[int, int, int, int]]:
    return {(a, row[a], b, row[b]) for a, b in itertools.combinations(range(len(row)), 2)}


def covering() -> list[tuple[int, ...]]:
    """Rows of which each pair of values of two factors is in one at least: the best of some random
    rows, again and again.
    """
    sizes, random = [len(values) for values in FACTORS.values()], np.random.default_rng(0)
    left: set[tuple[int, int, int, int]] = set()
    for a, b in itertools.combinations(range(len(sizes)), 2):
        left |= {(a, x, b, y) for x in range(sizes[a]) for y in range(sizes[b])}
    rows = []
    while left:
        a, x, b, y = min(left)
        tried = []
        for _ in range(40):
            row = [int(random.integers(size)) for size in sizes]
            row[a], row[b] = x, y
            tried.append(tuple(row))
        rows.append(max(tried, key=lambda row: len(pairs_of(row) & left)))
        left -= pairs_of(rows[-1])
    return rows


ROWS = covering()
REFUSED = {  # what may be refused, and the words that name it
    "Oort needs losses": "told no training loss: give the aggregator a strategy that asks for it",
    "half of two is one": (
        "the client-selector chose 1 of 2 clients for round 1, and min_results or enough ask for 2:"
        " have it choose more"
    ),
    "trees have models only": "is an inner node and has models to return only",
    "FedNova needs its own SGD": "FedNova",
}


@pytest.fixture(scope="module")
def bed():
    with Testbed(0, timeout=60.0) as made:
        yield made


def deploy(bed: Testbed, name: str, chosen: dict[str, Any]) -> str:
    """Four clients, below two edges in a tree; returns the server's name."""
    server, clients, edges = f"{name}-server", f"{name}-c{{1..4}}", f"{name}-e{{1..2}}"
    bed.spawn(server, clients)
    *model, local = chosen["model"]
    data = {"parts": 8, "partition": "dirichlet", "alpha": 1.0, "seed": 1}
    for number in range(4):
        bed.assign(
            f"{name}-c{number + 1}",
            "trainer",
            EpochTrainer,
            options={"local": local, "optimizer": chosen["optimizer"]},
            elements={"model": impl(network, *model), "dataset": impl(digits, number, **data)},
        )
    bed.assign(server, "coordinator", FederatedCoordinator)
    bed.assign(server, "aggregator", FedAvgAggregator, elements={"strategy": chosen["strategy"]})
    bed.assign(
        server,
        "evaluator",
        ModelMaintainer,
        options={"local": local},
        elements={"model": impl(network, *model), "dataset_test": impl(digits_test)},
    )
    if chosen["selector"] is not None:
        bed.assign(server, "client-selector", chosen["selector"], options={"fraction": 0.5})
    if chosen["aggregator"] == "tree":
        bed.spawn(edges)
        bed.assign(f"{name}-e*", "trainer", TreeAggregator)
        bed.relate(f"{name}-e1", "trainer", f"{name}-c{{1..2}}/trainer")
        bed.relate(f"{name}-e2", "trainer", f"{name}-c{{3..4}}/trainer")
        bed.relate(server, "trainer", f"{name}-e*/trainer")
    else:
        bed.relate(server, "trainer", f"{name}-c*/trainer")
    return server


def run(bed: Testbed, server: str, chosen: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    given = {
        "num_rounds": 3,
        "num_epochs": chosen["num_epochs"],
        "options": chosen["options"],
        **chosen["quorum"],
    }
    done = bed.call(f"{server}/coordinator", "run", given)
    return done, bed.call(f"{server}/coordinator", "get-model")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(map(str, row)))
def test_a_run_ends_well_or_is_refused_by_name(bed, row):
    chosen = {
        name: values[place] for (name, values), place in zip(FACTORS.items(), row, strict=True)
    }
    name = "pair" + "".join(map(str, row))
    server = deploy(bed, name, chosen)
    try:
        before = bed.call(f"{server}/evaluator", "test")
        done, model = run(bed, server, chosen)
    except RoleMLError as error:
        said = str(error)
        bare = isinstance(error, HandlerError) and error.where["error"] in (
            "TypeError",
            "KeyError",
            "AttributeError",
            "ValueError",
            "IndexError",
        )
        assert not bare and any(words in said for words in REFUSED.values()), (chosen, said)
    else:
        assert all(np.isfinite(np.asarray(entry, float)).all() for entry in model.values()), chosen
        # with local buffers, the evaluator's own were never trained: its loss says little, but its
        # accuracy does
        assert np.isfinite(done["loss"]) and done["accuracy"] > before["accuracy"] - 0.05, (
            chosen,
            before,
            done,
        )
    finally:
        bed.remove(f"{name}-*")


def plain(**changed: Any) -> dict[str, Any]:
    return {name: values[0] for name, values in FACTORS.items()} | changed


def model_of(bed: Testbed, name: str, **changed: Any) -> dict[str, np.ndarray]:
    chosen = plain(**changed)
    try:
        model = run(bed, deploy(bed, name, chosen), chosen)[1]
        return {key: entry.numpy() for key, entry in model.items()}
    finally:
        bed.remove(f"{name}-*")


@pytest.mark.parametrize(
    "strategy",
    [*FACTORS["strategy"][:6], *FACTORS["strategy"][7:]],
    ids=lambda made: made.function.__name__,
)
@pytest.mark.parametrize(
    "quorum",
    [{"min_results": 4}, {"deadline": 100.0, "min_results": 4}],
    ids=["min_results", "deadline"],
)
def test_a_quorum_of_all_changes_no_number(bed, strategy, quorum):
    expected = model_of(bed, "whole", strategy=strategy)
    model = model_of(bed, "quorum", strategy=strategy, quorum=quorum)
    for name, entry in expected.items():
        np.testing.assert_allclose(model[name], entry, rtol=0, atol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    "strategy", FACTORS["strategy"][:5], ids=lambda made: made.function.__name__
)
@pytest.mark.parametrize(
    "kind",
    [FACTORS["model"][1], FACTORS["model"][3], FACTORS["model"][6]],
    ids=lambda kind: kind[0],
)
def test_a_tree_changes_no_number(bed, strategy, kind):
    """Below a server optimizer, with momentum that clients keep, statistics of BatchNorm, and
    frozen weights.
    """
    expected = model_of(bed, "star", strategy=strategy, model=kind)
    model = model_of(bed, "tree", strategy=strategy, model=kind, aggregator="tree")
    for name, entry in expected.items():
        np.testing.assert_allclose(model[name], entry, rtol=0, atol=2e-4, err_msg=name)


@pytest.mark.parametrize(
    "kind", FACTORS["model"][:4], ids=["plain", "momentum", "Adam", "batch norm"]
)
@pytest.mark.parametrize("optimizer", ["kept", "fresh"])
def test_server_momentum_above_any_client_is_what_a_plain_loop_makes(bed, kind, optimizer):
    model = model_of(
        bed, "loop", strategy=impl(FedAvgM, lr=1.0, momentum=0.5), model=kind, optimizer=optimizer
    )
    parts = [
        digits(number, parts=8, partition="dirichlet", alpha=1.0, seed=1) for number in range(4)
    ]
    clients = [network(*kind[:3]) for _ in parts]
    shares = np.array([len(part) for part in parts]) / sum(map(len, parts))
    w = {name: entry.double().numpy() for name, entry in clients[0].get_params().items()}
    trained = {name for name, _ in clients[0].module.named_parameters()}
    velocity = dict.fromkeys(w, 0.0)
    for _ in range(3):
        came = []
        for client, part in zip(clients, parts, strict=True):
            client.set_params(
                {
                    name: torch.tensor(entry).to(client.get_params()[name].dtype)
                    for name, entry in w.items()
                }
            )
            if optimizer == "fresh":
                client.reset_optimizer()
            client.train(part)
            came.append(
                {name: entry.double().numpy() for name, entry in client.get_params().items()}
            )
        for name in w:
            mean = sum(share * one[name] for share, one in zip(shares, came, strict=True))
            if name in trained:
                velocity[name] = 0.5 * velocity[name] + (mean - w[name])
                w[name] = w[name] + velocity[name]
            else:
                w[name] = (
                    np.max([one[name] for one in came], axis=0)
                    if name.endswith("num_batches_tracked")
                    else mean
                )
    for name, entry in w.items():
        np.testing.assert_allclose(model[name], entry, rtol=0, atol=2e-5, err_msg=name)


def test_each_pair_is_in_a_row():
    values = [len(values) for values in FACTORS.values()]
    pairs = sum(a * b for a, b in itertools.combinations(values, 2))
    assert len(set().union(*map(pairs_of, ROWS))) == pairs == 512

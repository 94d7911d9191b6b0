"""Strategies and what they share: fixed points, counters, buffers, stale results."""

import numpy as np
import pytest
import torch

from roleml_nb import RoleInstanceID
from roleml_nb.library import (
    ClientResult,
    FedAdagrad,
    FedAdam,
    FedAsync,
    FedAvg,
    FedAvgM,
    FedBuff,
    FedNova,
    FedYogi,
    QFedAvg,
    Scaffold,
)

STRATEGIES = [
    FedAvg(),
    FedAvgM(),
    FedAdagrad(),
    FedAdam(),
    FedYogi(),
    Scaffold(),
    FedNova(),
    FedNova(momentum=0.9),
    QFedAvg(q=2),
]


def module(seed=0):
    torch.manual_seed(seed)
    layers = torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2)
    )
    layers.train()
    layers(torch.randn(8, 3))
    return layers


def state(seed=0):
    return {name: value.detach().clone() for name, value in module(seed).state_dict().items()}


BUFFERS = [name for name, _ in module().named_buffers()]
PARAMETERS = [name for name, _ in module().named_parameters()]


def results(updates, sizes=(1, 5, 10), **known):
    return [
        ClientResult(
            RoleInstanceID(f"client{number}", "trainer"),
            update,
            size,
            buffers=BUFFERS,
            steps=3 + number,
            initial_loss=1.0 + number,
            control={name: np.zeros(update[name].shape) for name in PARAMETERS},
            **known,
        )
        for number, (update, size) in enumerate(zip(updates, sizes, strict=False))
    ]


@pytest.fixture(autouse=True)
def no_random_state_is_left():
    before = torch.get_rng_state()
    yield
    torch.set_rng_state(before)


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: type(strategy).__name__)
def test_equal_inputs_are_a_fixed_point(strategy):
    """With BatchNorm, whose statistics are buffers, and its counter, which is an integer."""
    model = state()
    for _ in range(2):
        merged = strategy.aggregate(model, results([state(), state(), state()]))
        assert list(merged) == list(model)
        for name in model:
            assert merged[name].dtype == model[name].dtype
            torch.testing.assert_close(merged[name], model[name], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("strategy", [FedAsync(), FedBuff(size=3)], ids=["FedAsync", "FedBuff"])
def test_equal_inputs_are_a_fixed_point_of_asynchronous_ones(strategy):
    model = state()
    for staleness in range(3):
        merged = strategy.receive(
            model, {"update": state(), "buffers": BUFFERS}, state(), staleness
        )
    assert merged["1.num_batches_tracked"].dtype == torch.int64
    for name in model:
        torch.testing.assert_close(merged[name], model[name], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    "strategy",
    [FedAvgM(lr=3.0), FedAdam(lr=5.0), FedYogi(lr=5.0), Scaffold(lr=7.0), QFedAvg(lr=0.1)],
    ids=lambda strategy: type(strategy).__name__,
)
def test_statistics_are_averaged_whatever_becomes_of_the_parameters(strategy):
    """A server optimizer on a variance could make it negative."""
    model, updates = state(0), [state(1), state(2), state(3)]
    updates[1]["1.num_batches_tracked"] += 4
    merged = strategy.aggregate(model, results(updates))
    mean = (
        sum(
            size * update["1.running_var"] for size, update in zip((1, 5, 10), updates, strict=True)
        )
        / 16
    )
    torch.testing.assert_close(merged["1.running_var"], mean)
    assert merged["1.num_batches_tracked"] == 5


def test_the_inputs_are_not_changed():
    model, updates = state(0), [state(1), state(2), state(3)]
    for strategy in STRATEGIES:
        merged = strategy.aggregate(model, results(updates))
        for value in merged.values():
            value.zero_()
    for number, update in enumerate([model, *updates]):
        assert all(torch.equal(update[name], value) for name, value in state(number).items())


@pytest.mark.parametrize(
    "strategy",
    [
        FedAvg(),
        FedAvg(metrics=True),
        FedAvgM(lr=1.0),
        Scaffold(lr=0.5),
        FedNova(),
        FedNova(momentum=0.9),
        QFedAvg(q=0),
        QFedAvg(q=2),
    ],
    ids=lambda strategy: type(strategy).__name__,
)
def test_the_weights_that_are_told_are_those_that_were_used(strategy):
    random = np.random.default_rng(3)
    model, updates = {"w": random.normal(size=5)}, [{"w": random.normal(size=5)} for _ in range(3)]
    control = {"w": np.zeros(5)}
    given = [
        ClientResult(
            RoleInstanceID(f"client{number}", "trainer"),
            update,
            size,
            staleness=number,
            steps=3 + number,
            initial_loss=1.0 + number,
            control=control,
        )
        for number, (update, size) in enumerate(zip(updates, (1, 5, 10), strict=True))
    ]
    merged = strategy.aggregate(model, given)
    weights = strategy.weights(given)
    assert len(weights) == 3 and min(weights) > 0
    step = sum(
        weight * (update["w"] - model["w"]) for weight, update in zip(weights, updates, strict=True)
    )
    np.testing.assert_allclose(merged["w"], model["w"] + step, rtol=1e-12)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_fednova_finds_the_gradients_behind_steps_with_momentum(rho):
    """Clients whose gradients are constant: Δᵢ is −η gᵢ Σ over the steps of how far momentum has
    grown, and the normalised step is −η τ_eff Σ pᵢ gᵢ, whatever the numbers of steps (Wang et al.
    2020, equations 6 to 8).
    """
    gradients, steps, sizes, lr = np.array([[1.0, -2.0], [3.0, 0.5]]), [2, 7], [30, 10], 0.1
    given, grown = [], []
    for number, (gradient, count, size) in enumerate(zip(gradients, steps, sizes, strict=True)):
        w, velocity = np.zeros(2), np.zeros(2)
        for _ in range(count):
            velocity = rho * velocity + gradient
            w = w - lr * velocity
        grown.append(-w[0] / lr / gradient[0])
        given.append(
            ClientResult(RoleInstanceID(f"client{number}", "trainer"), {"w": w}, size, steps=count)
        )
    merged = FedNova(momentum=rho).aggregate({"w": np.zeros(2)}, given)
    effective = 0.75 * grown[0] + 0.25 * grown[1]
    np.testing.assert_allclose(
        merged["w"], -lr * effective * (0.75 * gradients[0] + 0.25 * gradients[1]), rtol=1e-12
    )


def test_scaffold_does_not_weigh_clients_by_their_data():
    """Karimireddy et al. 2020, algorithm 1, line 16: x ← x + η_g / |S| Σ (yᵢ − x)."""
    given = [
        ClientResult(
            RoleInstanceID(f"client{number}", "trainer"),
            {"w": np.array([value])},
            size,
            control={"w": np.zeros(1)},
        )
        for number, (value, size) in enumerate([(2.0, 1), (5.0, 99)])
    ]
    assert Scaffold(lr=0.5).aggregate({"w": np.array([1.0])}, given)["w"] == pytest.approx(
        1 + 0.5 * (1 + 4) / 2
    )


def test_a_stale_result_counts_less():
    fresh = ClientResult(RoleInstanceID("a", "t"), {"w": np.zeros(1)}, 4)
    stale = ClientResult(RoleInstanceID("b", "t"), {"w": np.ones(1)}, 4, staleness=3)
    assert stale.weight == 2.0
    assert FedAvg().aggregate({"w": np.zeros(1)}, [fresh, stale])["w"] == pytest.approx(2 / 6)


def test_scaffold_counts_the_clients_it_has_seen():
    """c is the mean of all control variates: those of clients that have not been seen are zero."""

    def result(name, change):
        return ClientResult(
            RoleInstanceID(name, "t"), {"w": np.zeros(1)}, 1, control={"w": np.full(1, change)}
        )

    seen, known = Scaffold(), Scaffold(population=4)
    for strategy, expected in ((seen, [2.0, 3.0, 3.5]), (known, [0.5, 1.5, 1.75])):
        for results_of_round, value in zip(
            ([("a", 2.0)], [("b", 4.0)], [("a", 1.0)]), expected, strict=True
        ):
            strategy.aggregate({"w": np.zeros(1)}, [result(*one) for one in results_of_round])
            assert strategy.arguments()["control"]["w"] == pytest.approx(value)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: FedAvgM(momentum=1), "momentum must be 0 or more and less than 1, got 1"),
        (lambda: FedAdam(lr=0), "lr must be more than 0, got 0"),
        (lambda: FedYogi(beta_2=1.5), "beta_2 must be 0 or more and less than 1, got 1.5"),
        (lambda: FedAdagrad(tau=0), "tau must be more than 0, got 0"),
        (lambda: QFedAvg(q=-1), "q must be 0 or more, got -1"),
        (lambda: FedNova(momentum=-0.1), "momentum must be 0 or more and less than 1, got -0.1"),
        (lambda: Scaffold(population=0), "population must be 1 or more, got 0"),
        (lambda: FedBuff(size=0), "size must be 1 or more, got 0"),
        (lambda: FedAsync(mixing=1.5), "mixing must be more than 0 and at most 1, got 1.5"),
        (
            lambda: FedAsync(staleness="linear"),
            "staleness must be 'polynomial', 'constant' or 'hinge', got 'linear'",
        ),
    ],
)
def test_misuse_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()

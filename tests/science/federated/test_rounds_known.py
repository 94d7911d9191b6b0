"""Algorithms in rounds, on convex problems where the answer is known."""

import numpy as np
import pytest

from roleml_nb import Testbed, impl
from roleml_nb.library import FedAdagrad, FedAdam, FedAvgM, FedNova, FedYogi, QFedAvg, Scaffold
from tests.science.federated.problems import data, federation, hessian, linear, optimum

SIZES = np.array([len(data(part)) for part in range(3)])
SHARES = SIZES / SIZES.sum()


def gradient(w, shares=SHARES, size=None):
    return sum(
        share * (hessian(part, size) @ w - linear(part, size)) for part, share in enumerate(shares)
    )


def local(w, part, steps, lr, size=None):
    for _ in range(steps):
        w = w - lr * (hessian(part, size) @ w - linear(part, size))
    return w


def test_one_step_on_all_data_per_round_is_centralised_gradient_descent(lab):
    found = federation(lab, "central")(30)
    w = np.zeros(4)
    for _ in range(30):
        w = w - 0.05 * gradient(w)
    assert np.abs(found - w).max() < 1e-6
    assert np.abs(federation(lab, "converged", lr=0.2)(400) - optimum(SHARES)).max() < 1e-6


@pytest.mark.parametrize("steps", [1, 3])
def test_the_weighted_mean_in_closed_form(lab, steps):
    found = federation(lab, f"closed{steps}")(1, num_epochs=steps)
    expected = sum(
        share * local(np.zeros(4), part, steps, 0.05) for part, share in enumerate(SHARES)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_fedprox_comes_to_rest_where_its_local_objective_is_least(lab):
    """Li et al. 2020, equation 2: the minimum of F(w) + μ/2 ‖w − w₀‖² is (A + μI)⁻¹ (b + μ w₀)."""
    mu, start = 2.0, np.ones(4)
    found = federation(lab, "prox", clients=1, start=1.0)(
        1, num_epochs=2000, options={"proximal": mu}
    )
    np.testing.assert_allclose(
        found, np.linalg.solve(hessian(0) + mu * np.eye(4), linear(0) + mu * start), atol=1e-10
    )


def test_fedprox_without_a_proximal_term_is_federated_averaging(lab):
    first = federation(lab, "plain")(3, num_epochs=4)
    second = federation(lab, "zero")(3, num_epochs=4, options={"proximal": 0.0})
    assert np.array_equal(first, second)


def test_scaffold_reaches_the_optimum_that_federated_averaging_misses(lab):
    rounds = {"num_rounds": 300, "num_epochs": 10}
    best = optimum([1 / 3] * 3, size=20)
    averaged = federation(lab, "drift", size=20)(**rounds)
    corrected = federation(lab, "scaffold", strategy=impl(Scaffold), size=20)(**rounds)
    assert np.linalg.norm(averaged - best) > 0.05
    assert np.linalg.norm(corrected - best) < 1e-6


def test_scaffold_equals_its_algorithm_line_by_line(lab):
    found = federation(lab, "lines", strategy=impl(Scaffold, lr=0.5), size=20)(4, num_epochs=3)
    x, c, own = np.zeros(4), np.zeros(4), [np.zeros(4) for _ in range(3)]
    for _ in range(4):
        steps, changes = [], []
        for part in range(3):
            y = x
            for _ in range(3):
                y = y - 0.05 * (hessian(part, 20) @ y - linear(part, 20) - own[part] + c)
            renewed = own[part] - c + (x - y) / (3 * 0.05)
            steps.append(y - x), changes.append(renewed - own[part])
            own[part] = renewed
        x, c = x + 0.5 * sum(steps) / 3, c + sum(changes) / 3
    np.testing.assert_allclose(found, x, rtol=1e-10)


def test_scaffold_with_some_of_the_clients_equals_its_algorithm(lab):
    """Who is not there keeps its cᵢ, and c moves by |S| / N of the mean change."""
    federation(lab, "some", strategy=impl(Scaffold, population=3), size=20)
    x, c, own = np.zeros(4), np.zeros(4), [np.zeros(4) for _ in range(3)]
    found = {"w": np.zeros(4)}
    for chosen in ([0, 1], [1, 2], [0, 2], [2], [0, 1]):
        found = lab.call(
            "some-server/aggregator",
            "aggregate",
            {
                "clients": [f"some-client{part + 1}/trainer" for part in chosen],
                "update": found,
                "num_epochs": 3,
            },
        )["update"]
        steps, changes = [], []
        for part in chosen:
            y = x
            for _ in range(3):
                y = y - 0.05 * (hessian(part, 20) @ y - linear(part, 20) - own[part] + c)
            renewed = own[part] - c + (x - y) / (3 * 0.05)
            steps.append(y - x), changes.append(renewed - own[part])
            own[part] = renewed
        x, c = x + sum(steps) / len(chosen), c + sum(changes) / 3
    np.testing.assert_allclose(found["w"], x, rtol=1e-10)


def test_fednova_removes_the_bias_of_unequal_local_steps(lab):
    """As many epochs, but batches of 4: client 2 makes 7 steps where client 0 makes 3.

    The steps are small, so what is left is the bias alone: federated averaging solves the problem
    with shares that are weighted by steps.
    """
    arguments = {"batch_size": 4, "lr": 0.002}
    best = optimum(SHARES)
    averaged = federation(lab, "biased", **arguments)(700)
    normalised = federation(lab, "nova", strategy=impl(FedNova), **arguments)(700)
    assert np.linalg.norm(averaged - best) > 5 * np.linalg.norm(normalised - best)
    steps = np.ceil(SIZES / 4)
    biased = optimum(SHARES * steps / (SHARES * steps).sum())
    assert np.linalg.norm(averaged - biased) < 0.2 * np.linalg.norm(averaged - best)


def test_fednova_equals_its_closed_form(lab):
    found = federation(lab, "nova-closed", strategy=impl(FedNova), batch_size=4)(1)
    ends, steps = [], []
    for part in range(3):
        w = np.zeros(4)
        batches = list(data(part, batch_size=4))
        for x, y in batches:
            w = w - 0.05 * x.T @ (x @ w - y) / len(y)
        ends.append(w), steps.append(len(batches))
    effective = sum(share * count for share, count in zip(SHARES, steps, strict=True))
    expected = effective * sum(
        share * end / count for share, end, count in zip(SHARES, ends, steps, strict=True)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def adaptive(second, lr, beta_1=0.9, tau=1e-3):
    def recursion(rounds):
        x, m, v = np.zeros(4), np.zeros(4), np.full(4, tau**2)
        for _ in range(rounds):
            delta = sum(share * local(x, part, 2, 0.05) for part, share in enumerate(SHARES)) - x
            m = beta_1 * m + (1 - beta_1) * delta
            v = second(v, delta**2)
            x = x + lr * m / (np.sqrt(v) + tau)
        return x

    return recursion


def momentum(rounds):
    x, m = np.zeros(4), np.zeros(4)
    for _ in range(rounds):
        delta = sum(share * local(x, part, 2, 0.05) for part, share in enumerate(SHARES)) - x
        m = 0.8 * m + delta
        x = x + 0.5 * m
    return x


@pytest.mark.parametrize(
    "name, strategy, recursion",
    [
        ("avgm", impl(FedAvgM, lr=0.5, momentum=0.8), momentum),
        (
            "adagrad",
            impl(FedAdagrad, lr=0.3),
            adaptive(lambda v, square: v + square, 0.3, beta_1=0.0),
        ),
        ("adam", impl(FedAdam, lr=0.3), adaptive(lambda v, square: 0.99 * v + 0.01 * square, 0.3)),
        (
            "yogi",
            impl(FedYogi, lr=0.3),
            adaptive(lambda v, square: v - 0.01 * square * np.sign(v - square), 0.3),
        ),
    ],
)
def test_server_optimizers_equal_the_recursion_of_their_paper(lab, name, strategy, recursion):
    np.testing.assert_allclose(
        federation(lab, name, strategy=strategy)(8, num_epochs=2), recursion(8), rtol=1e-9
    )


def test_q_0_is_the_unweighted_mean(lab):
    found = federation(lab, "q0", strategy=impl(QFedAvg, q=0.0, lr=0.05))(5, num_epochs=2)
    w = np.zeros(4)
    for _ in range(5):
        w = sum(local(w, part, 2, 0.05) for part in range(3)) / 3
    np.testing.assert_allclose(found, w, rtol=1e-9)


def test_q_evens_out_the_losses(lab):
    """Where it comes to rest, Σ F_k^(q+1) is least (Li et al. 2020, equation 2)."""

    def losses(w):
        return np.array(
            [
                0.5 * np.mean((x @ w - y) ** 2)
                for x, y in (next(iter(data(part))) for part in range(3))
            ]
        )

    found = federation(lab, "q2-fair", strategy=impl(QFedAvg, q=2.0, lr=0.05))(200)
    even = losses(federation(lab, "q0-fair", strategy=impl(QFedAvg, q=0.0, lr=0.05))(100))
    fair = losses(found)
    assert np.std(fair) < 0.9 * np.std(even) and (fair**3).sum() < (even**3).sum()
    slopes = [loss**2 * (hessian(part) @ found - linear(part)) for part, loss in enumerate(fair)]
    assert np.linalg.norm(sum(slopes)) < 1e-3 * max(np.linalg.norm(slope) for slope in slopes)


def test_q_fedavg_equals_its_algorithm(lab):
    q, smoothness = 2.0, 1 / 0.05
    found = federation(lab, "q2", strategy=impl(QFedAvg, q=q, lr=0.05))(1, num_epochs=2)
    x, top, bottom = np.zeros(4), 0.0, 0.0
    for part in range(3):
        inputs, targets = next(iter(data(part)))
        loss = 0.5 * np.mean((inputs @ x - targets) ** 2)
        delta = smoothness * (x - local(x, part, 2, 0.05))
        top, bottom = (
            top + loss**q * delta,
            bottom + q * loss ** (q - 1) * delta @ delta + smoothness * loss**q,
        )
    np.testing.assert_allclose(found, x - top / bottom, rtol=1e-9)


def test_the_result_is_the_same_to_the_last_bit_on_any_number_of_engines():
    found = []
    for engines in (0, 1, 2):
        with Testbed(engines=engines, timeout=60, preload=()) as bed:
            found.append(
                [
                    federation(bed, "bits", strategy=impl(Scaffold))(3, num_epochs=2),
                    federation(bed, "adam", strategy=impl(FedAdam))(3, num_epochs=2),
                ]
            )
    assert all(
        np.array_equal(one, other)
        for other in found[1:]
        for one, other in zip(found[0], other, strict=True)
    )

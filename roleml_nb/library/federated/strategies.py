"""Strategies, by which a server merges the models of its clients."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from roleml_nb.library.aggregation.mergers import RunningAverage, average
from roleml_nb.library.aggregation.same_entries import check_entries
from roleml_nb.library.aggregation.state_dicts import (
    Step,
    add_step,
    difference,
    subset,
    weighted_sum,
)
from roleml_nb.role import ArgumentError, RoleInstanceID
from roleml_nb.role.checks.numbers import check_count, check_number
from roleml_nb.role.parameters import STEPPED, entries, like

__all__ = [
    "ClientResult",
    "FedAvg",
    "FedNova",
    "QFedAvg",
    "Scaffold",
    "SteppingStrategy",
    "Strategy",
    "shares",
]


@dataclass(frozen=True)
class ClientResult:
    """The result of a client: of its ``train2``, or of its ``train`` and ``get-data-size``.

    `staleness` is its age in rounds. The step of a stale `update` has been added to the present
    model of the server.
    """

    client: RoleInstanceID
    update: Mapping[str, Any]
    data_size: int
    staleness: int = 0
    seconds: float = 0.0
    metrics: Mapping[str, Any] = field(default_factory=dict)
    buffers: Sequence[str] = ()
    steps: int = 0
    normaliser: float = 0.0
    rated: bool = False
    control: Mapping[str, np.ndarray] = field(default_factory=dict)
    initial_loss: float = 0.0
    inclusion: float = 1.0

    @property
    def weight(self) -> float:
        """data_size / inclusion / √(1 + staleness).

        Staleness is discounted as in FedBuff (Nguyen et al. 2022). `inclusion` is the probability
        that the client was selected, up to a factor.
        """
        return self.data_size / self.inclusion / (1 + self.staleness) ** 0.5


class Strategy(ABC):
    """Merges the models of a round; the element `strategy` of `FedAvgAggregator`.

    A strategy may carry a state from round to round, so each aggregator has one of its own.
    """

    channel = "train2"
    """The task of the clients."""

    def arguments(self) -> dict[str, Any]:
        """Return further arguments of that task."""
        return {}

    def running(self, weights: Sequence[float]) -> RunningAverage | None:
        """Return a running average, to which models are added one by one instead of `aggregate`.

        `weights` are those of the `ClientResult` of each client, in their order. Called if
        `channel` is "train"; None if `aggregate` needs all models at once.
        """
        return None

    def weights(self, results: Sequence[ClientResult]) -> list[float]:
        """Return the weight of each result in the last `aggregate`; by default, their `shares`."""
        return shares(results)

    @abstractmethod
    def aggregate(
        self, update: Mapping[str, Any], results: Sequence[ClientResult]
    ) -> dict[str, Any]:
        """Return the next model.

        Parameters
        ----------
        update : state dict
            The model that the round began with.
        results : sequence of ClientResult
            One or more, in the natural order of the clients.
        """


class FedAvg(Strategy):
    """The mean of the clients' models, weighted by data size (McMahan et al. 2017, algorithm 1).

    Parameters
    ----------
    metrics : bool
        True asks the clients for their training metrics as well, which `OortSelector` needs.
    """

    def __init__(self, metrics: bool = False):
        self.channel = "train2" if metrics else "train"

    def running(self, weights: Sequence[float]) -> RunningAverage | None:
        return RunningAverage(weights) if type(self).aggregate is FedAvg.aggregate else None

    def aggregate(
        self, update: Mapping[str, Any], results: Sequence[ClientResult]
    ) -> dict[str, Any]:
        return average(_updates(results), _weights(results))


class SteppingStrategy(Strategy):
    """x ← x + step, where x are the trained parameters; other entries are merged by `average`.

    Entries that any client trains are stepped; see `roleml_nb.role.parameters.kinds`.
    """

    def aggregate(
        self, update: Mapping[str, Any], results: Sequence[ClientResult]
    ) -> dict[str, Any]:
        updates = _updates(results)
        untrained: set[str] = set()
        for result in results:
            check_entries(result.client, result.update, update, "the server")
            untrained.update(result.buffers)
        names = [name for name in entries(STEPPED, *updates) if name not in untrained]
        deltas = [difference(trained, update, names) for trained in updates]
        step = self.step(deltas, results)
        averaged = average(updates, _weights(results))
        return like({**averaged, **add_step(subset(update, step), step)}, *updates)

    @abstractmethod
    def step(self, deltas: Sequence[Step], results: Sequence[ClientResult]) -> Step:
        """Return the step of the server, given those of the clients, Δᵢ = yᵢ − x."""


class FedNova(SteppingStrategy):
    """Normalised averaging, for clients that make unequal numbers of local steps.

    Wang, Liu, Liang, Joshi and Poor, "Tackling the Objective Inconsistency Problem in Heterogeneous
    Federated Optimization", NeurIPS 2020, equations 6 to 8: x ← x + (Σ pᵢ ‖aᵢ‖) Σ pᵢ Δᵢ / ‖aᵢ‖,
    with pᵢ the share of the data, and ‖aᵢ‖ the number of local steps τᵢ for plain SGD, (τᵢ − ρ (1 −
    ρ^τᵢ) / (1 − ρ)) / (1 − ρ) with momentum ρ, and (1 − (1 − α)^τᵢ) / α, α = ημ, with FedProx's μ.
    Clients compute it step by step, so that both together, and learning rates that differ, are
    right as well.

    Momentum must begin each round at rest, as it does in the authors' program: assign the clients'
    trainers with ``options={"optimizer": "fresh"}``. Before they train, trainers refuse optimizers
    that the formula does not fit: other ones than SGD, another momentum than this one, one that is
    kept from round to round, and Nesterov's.

    Parameters
    ----------
    momentum : float
        ρ of the clients' optimizer, from 0 to less than 1.
    """

    def __init__(self, momentum: float = 0.0):
        self.momentum = check_number("momentum", momentum, 0, 1, below=True)

    def arguments(self) -> dict[str, Any]:
        return {"stepwise": True, "normalise": self.momentum}

    def step(self, deltas: Sequence[Step], results: Sequence[ClientResult]) -> Step:
        return weighted_sum(deltas, self.weights(results))

    def weights(self, results: Sequence[ClientResult]) -> list[float]:
        """Return Σ pⱼ ‖aⱼ‖ · pᵢ / ‖aᵢ‖."""
        _check_rates(results)
        norms = [result.normaliser or self._norm_from_rest(result.steps) for result in results]
        pairs = list(zip(shares(results), norms, strict=True))
        effective = sum(share * norm for share, norm in pairs)
        return [effective * share / norm for share, norm in pairs]

    def _norm_from_rest(self, steps: int) -> float:
        rho = self.momentum
        return (steps - rho * (1 - rho**steps) / (1 - rho)) / (1 - rho)


def _check_rates(results: Sequence[ClientResult]) -> None:
    """Raise ArgumentError if the learning rates of some clients are known, and others are not."""
    known: dict[bool, RoleInstanceID] = {}
    for result in results:
        known.setdefault(result.rated, result.client)
    if len(known) > 1:
        raise ArgumentError(
            f"FedNova knows the learning rate of {known[True]}, and not that of {known[False]}:"
            " give the models of all clients an attribute 'lr', or of none"
        )


class QFedAvg(SteppingStrategy):
    """q-FedAvg: clients with a higher loss count more, which evens out the losses.

    Li, Sanjabi, Beirami and Smith, "Fair Resource Allocation in Federated Learning", ICLR 2020,
    algorithm 2: with L = 1 / `lr` and F_k the loss of the server's model on the data of client k, x
    ← x − Σ F_k^q L (x − y_k) / Σ h_k, where h_k = q F_k^(q−1) ‖L (x − y_k)‖² + L F_k^q. With q = 0
    it is the unweighted mean.

    Parameters
    ----------
    q : float
        0 or more: the more, the fairer.
    lr : float
        The clients' learning rate.
    """

    def __init__(self, q: float = 1.0, lr: float = 0.1):
        self.q = check_number("q", q, 0)
        self.lr = check_number("lr", lr, 0, above=True)
        self._weights: list[float] = []

    def arguments(self) -> dict[str, Any]:
        return {"test_first": True}

    def step(self, deltas: Sequence[Step], results: Sequence[ClientResult]) -> Step:
        q = self.q
        smoothness = 1 / self.lr
        losses = [max(result.initial_loss, 1e-10) for result in results]
        total = 0.0
        for loss, delta in zip(losses, deltas, strict=True):
            norm = smoothness**2 * sum(float((entry**2).sum()) for entry in delta.values())
            total += q * loss ** (q - 1) * norm + smoothness * loss**q
        self._weights = [smoothness * loss**q / total for loss in losses]
        return weighted_sum(deltas, self._weights)

    def weights(self, results: Sequence[ClientResult]) -> list[float]:
        """Return L F_k^q / Σ h."""
        return self._weights


class Scaffold(SteppingStrategy):
    """SCAFFOLD: control variates, estimates of gradients, correct the drift of the clients.

    Karimireddy et al., ICML 2020, algorithm 1: x ← x + η_g / |S| Σ (yᵢ − x), c ← c + 1 / N Σ (cᵢ⁺ −
    cᵢ), unweighted as there; `LocalSteps` has the steps of the clients.

    Parameters
    ----------
    lr : float
        η_g, the server's learning rate, more than 0.
    population : int, optional
        N, the number of all clients. When not given, c is the mean over those that have taken part
        so far.
    """

    def __init__(self, lr: float = 1.0, population: int | None = None):
        self.lr = check_number("lr", lr, 0, above=True)
        self.population = None if population is None else check_count("population", population, 1)
        self.control: Step = {}
        self._seen: set[RoleInstanceID] = set()

    def arguments(self) -> dict[str, Any]:
        return {"control": self.control}

    def step(self, deltas: Sequence[Step], results: Sequence[ClientResult]) -> Step:
        before = self.population or len(self._seen)
        self._seen.update(result.client for result in results)
        population = self.population or len(self._seen)
        controls = [result.control for result in results]
        changes = weighted_sum(controls, [1 / population] * len(results))
        control: Step = {}
        for name, change in changes.items():
            control[name] = self.control.get(name, 0.0) * (before / population) + change
        self.control = control
        return weighted_sum(deltas, self.weights(results))

    def weights(self, results: Sequence[ClientResult]) -> list[float]:
        """Return η_g / |S| for each result."""
        return [self.lr / len(results)] * len(results)


def shares(results: Sequence[ClientResult]) -> list[float]:
    """Return pᵢ: the weights of the results, scaled to a sum of 1."""
    weights = _weights(results)
    total = sum(weights)
    return [weight / total for weight in weights]


def _updates(results: Sequence[ClientResult]) -> list[Mapping[str, Any]]:
    return [result.update for result in results]


def _weights(results: Sequence[ClientResult]) -> list[float]:
    return [result.weight for result in results]

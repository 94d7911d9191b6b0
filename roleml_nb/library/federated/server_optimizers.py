"""Server optimizers, for which the clients' mean step is the gradient.

Reddi, Charles, Zaheer, Garrett, Rush, Konečný, Kumar and McMahan, "Adaptive Federated
Optimization", ICLR 2021, algorithm 2 (FedAdagrad, FedYogi, FedAdam), with Δ the mean of Δᵢ = yᵢ − x
weighted by data size; FedAvgM is of Hsu, Qi and Brown, "Measuring the Effects of Non-Identical Data
Distribution for Federated Visual Classification", 2019.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from roleml_nb.library.aggregation.state_dicts import Step, weighted_sum
from roleml_nb.role.checks.numbers import check_number

from .strategies import ClientResult, SteppingStrategy, shares

__all__ = ["FedAdagrad", "FedAdam", "FedAvgM", "FedYogi"]


class FedAvgM(SteppingStrategy):
    """Momentum on the server: m ← β m + Δ, x ← x + η m.

    With β = 0 and η = 1 it is federated averaging.

    Parameters
    ----------
    lr : float
        η, more than 0.
    momentum : float
        β, from 0 to less than 1.
    """

    def __init__(self, lr: float = 1.0, momentum: float = 0.9):
        self.lr = check_number("lr", lr, 0, above=True)
        self.momentum = check_number("momentum", momentum, 0, 1, below=True)
        self._first: Step = {}

    def step(self, deltas: Sequence[Step], results: Sequence[ClientResult]) -> Step:
        mean = weighted_sum(deltas, shares(results))
        first: Step = {}
        for name, delta in mean.items():
            first[name] = self.momentum * self._first.get(name, 0.0) + delta
        self._first = first
        return {name: self.lr * first for name, first in self._first.items()}


class AdaptiveOptimizer(SteppingStrategy):
    """m ← β₁ m + (1 − β₁) Δ, v ← `second`(v, Δ²), x ← x + η m / (√v + τ), entry by entry.

    v begins at τ².
    """

    def __init__(self, lr: float, beta_1: float, tau: float):
        self.lr = check_number("lr", lr, 0, above=True)
        self.beta_1 = check_number("beta_1", beta_1, 0, 1, below=True)
        self.tau = check_number("tau", tau, 0, above=True)
        self._first: Step = {}
        self._second: Step = {}

    def step(self, deltas: Sequence[Step], results: Sequence[ClientResult]) -> Step:
        for name, delta in weighted_sum(deltas, shares(results)).items():
            self._first[name] = self.beta_1 * self._first.get(name, 0.0) + (1 - self.beta_1) * delta
            before = self._second.get(name, np.full_like(delta, self.tau**2))
            self._second[name] = self.second(before, delta**2)
        step: Step = {}
        for name, first in self._first.items():
            step[name] = self.lr * first / (np.sqrt(self._second[name]) + self.tau)
        return step

    @abstractmethod
    def second(self, v: np.ndarray, square: np.ndarray) -> np.ndarray:
        """Return the next v."""


class FedAdagrad(AdaptiveOptimizer):
    """v ← v + Δ².

    Parameters
    ----------
    lr : float
        η, more than 0.
    beta_1 : float
        Decay of the mean of Δ, from 0 to less than 1.
    tau : float
        τ, the degree of adaptivity, more than 0: the smaller, the more adaptive.
    """

    def __init__(self, lr: float = 0.1, beta_1: float = 0.0, tau: float = 1e-3):
        super().__init__(lr, beta_1, tau)

    def second(self, v: np.ndarray, square: np.ndarray) -> np.ndarray:
        return v + square


class FedAdam(AdaptiveOptimizer):
    """v ← β₂ v + (1 − β₂) Δ².

    Parameters
    ----------
    lr, beta_1, tau : float
        As for `FedAdagrad`.
    beta_2 : float
        Decay of the mean of Δ², from 0 to less than 1.
    """

    def __init__(
        self, lr: float = 0.1, beta_1: float = 0.9, beta_2: float = 0.99, tau: float = 1e-3
    ):
        super().__init__(lr, beta_1, tau)
        self.beta_2 = check_number("beta_2", beta_2, 0, 1, below=True)

    def second(self, v: np.ndarray, square: np.ndarray) -> np.ndarray:
        return self.beta_2 * v + (1 - self.beta_2) * square


class FedYogi(FedAdam):
    """v ← v − (1 − β₂) Δ² sign(v − Δ²). The parameters are those of `FedAdam`."""

    def second(self, v: np.ndarray, square: np.ndarray) -> np.ndarray:
        return v - (1 - self.beta_2) * square * np.sign(v - square)

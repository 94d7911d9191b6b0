"""Strategies of asynchronous federated learning, which merge results one by one.

Stale results count less. Staleness depends on the order of arrival, so runs are not deterministic.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from roleml_nb.library.aggregation.mergers import average
from roleml_nb.library.aggregation.state_dicts import (
    Step,
    add_step,
    difference,
    subset,
    weighted_sum,
)
from roleml_nb.role.checks.names import check_choice
from roleml_nb.role.checks.numbers import check_count, check_number
from roleml_nb.role.parameters import FROZEN, STEPPED, entries, like

__all__ = ["AsynchronousStrategy", "FedAsync", "FedBuff"]


class AsynchronousStrategy(ABC):
    """Merges results one by one; the element `strategy` of `AsynchronousCoordinator`."""

    def begin(self) -> None:  # noqa: B027  (need not be overridden)
        """Discard the state of an earlier run; called at the beginning of a run."""

    @abstractmethod
    def weight(self, staleness: int) -> float:
        """Return the weight of a result that is `staleness` (0 or more) model versions old."""

    def share(self, staleness: int) -> float:
        """Return the share of such a result in the model, for ``contributions``.

        By default, this is its `weight`.
        """
        return self.weight(staleness)

    @abstractmethod
    def receive(
        self,
        update: Mapping[str, Any],
        result: Mapping[str, Any],
        base: Mapping[str, Any],
        staleness: int,
    ) -> dict[str, Any] | None:
        """Return the next version of the server's model `update`, or None if it stays as it is.

        Parameters
        ----------
        result : dict
            The result of a client's ``train2``.
        base : state dict
            The version that the client began with, `staleness` versions ago.
        """


class FedAsync(AsynchronousStrategy):
    """Mixes each result into the model at once: x ← (1 − α s) x + α s x_new.

    s is a function of the staleness t − τ.

    Xie, Koyejo and Gupta, "Asynchronous Federated Optimization", 2019, algorithm 1 and section 5.2.
    The local objective there has a proximal term: run with ``options={"proximal": ρ}``.

    Parameters
    ----------
    mixing : float
        α, more than 0, less than or equal to 1.
    staleness : {"polynomial", "constant", "hinge"}
        s = (t − τ + 1)^−a; 1; or 1 up to t − τ = b and 1 / (a (t − τ − b) + 1) beyond.
    a, b : float
        Of the staleness function.
    """

    def __init__(
        self, mixing: float = 0.6, staleness: str = "polynomial", a: float = 0.5, b: float = 4
    ):
        self.mixing = check_number("mixing", mixing, 0, 1, above=True)
        self.staleness = check_choice("staleness", staleness, ("polynomial", "constant", "hinge"))
        self.a = check_number("a", a, 0, above=True)
        self.b = check_number("b", b, 0)

    def weight(self, staleness: int) -> float:
        staleness = check_count("staleness", staleness)
        if self.staleness == "polynomial":
            return (staleness + 1) ** -self.a
        if self.staleness == "constant" or staleness <= self.b:
            return 1.0
        return 1 / (self.a * (staleness - self.b) + 1)

    def share(self, staleness: int) -> float:
        """Return α s."""
        return self.mixing * self.weight(staleness)

    def receive(
        self,
        update: Mapping[str, Any],
        result: Mapping[str, Any],
        base: Mapping[str, Any],
        staleness: int,
    ) -> dict[str, Any]:
        share = self.share(staleness)
        return average([update, result["update"]], [1 - share, share])


class FedBuff(AsynchronousStrategy):
    """Buffers the steps of K clients before the server makes one: x ← x + η_g / K Σ s(τᵢ) Δᵢ.

    s(τ) = 1 / √(1 + τ).

    Nguyen, Malik, Zhan, Yousefpour, Rabbat, Malek and Huba, "Federated Learning with Buffered
    Asynchronous Aggregation", AISTATS 2022, algorithm 1; Δᵢ = yᵢ − x as it was when the client
    began. Entries that are not trained, such as BatchNorm's statistics, are averaged: (1 − Σ s / K)
    x + Σ s(τᵢ) / K yᵢ.

    Parameters
    ----------
    size : int
        K, 1 or more.
    lr : float
        η_g, the server's learning rate, more than 0.
    """

    def __init__(self, size: int = 10, lr: float = 1.0):
        self.size = check_count("size", size, 1)
        self.lr = check_number("lr", lr, 0, above=True)
        self.begin()

    def begin(self) -> None:
        """Empty the buffer."""
        self._steps: list[Step] = []
        self._weights: list[float] = []
        self._updates: list[Mapping[str, Any]] = []
        self._untrained: set[str] = set()

    def weight(self, staleness: int) -> float:
        return 1 / (1 + check_count("staleness", staleness)) ** 0.5

    def share(self, staleness: int) -> float:
        """Return η_g s(τ) / K."""
        return self.lr * self.weight(staleness) / self.size

    def receive(
        self,
        update: Mapping[str, Any],
        result: Mapping[str, Any],
        base: Mapping[str, Any],
        staleness: int,
    ) -> dict[str, Any] | None:
        weight = self.weight(staleness) / self.size
        names = entries((STEPPED, FROZEN), result["update"])
        self._steps.append(difference(result["update"], base, names))
        self._untrained.update(result.get("buffers", ()))
        self._weights.append(weight)
        self._updates.append(result["update"])
        if len(self._steps) < self.size:
            return None
        weights = [max(0.0, 1 - sum(self._weights)), *self._weights]
        averaged = like(average([update, *self._updates], weights), *self._updates)
        step = self._server_step()
        self.begin()
        return like({**averaged, **add_step(subset(update, step), step)}, averaged)

    def _server_step(self) -> Step:
        trained = [name for name in entries(STEPPED, *self._updates) if name not in self._untrained]
        steps = [subset(step, trained) for step in self._steps]
        total = weighted_sum(steps, self._weights)
        return {name: self.lr * entry for name, entry in total.items()}

"""Client selection: who takes part in a round."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np

from roleml_nb.role import ErrorHandlingStrategy, Role, RoleInstanceID, RoleMLError, Service

from .addresses import in_order

__all__ = ["ClientSelector", "DataSizeSelector", "PowerOfChoiceSelector"]


class ClientSelector(Role):
    """Chooses the clients of a round at random (McMahan et al. 2017, the fraction C); all of them unless told otherwise.

    Parameters
    ----------
    fraction : float
        Share of the clients, more than 0, at most 1; at least one client is chosen.
    seed : int, optional
        The choice depends on the seed, the round and the candidates, and on nothing else. When not given, the seed is this
        role's branch of the testbed's seed tree.
    """

    def __init__(self, fraction: float = 1.0, seed: int | None = None):
        super().__init__()
        if not 0 < fraction <= 1:
            raise ValueError(f"fraction must be more than 0 and at most 1, got {fraction!r}")
        self.fraction = fraction
        self.seed = seed

    @Service(expand=True)
    def select_clients(self, caller: RoleInstanceID, candidates: list, round: int) -> list[RoleInstanceID]:  # noqa: A002
        """Some of `candidates`, in natural order. `caller` is the coordinator, asked for what is needed to choose."""
        clients = in_order(candidates)
        self.require(clients, "there are no candidates to select from")
        count = max(1, int(self.fraction * len(clients) + 0.5))
        random = self.rng(round) if self.seed is None else np.random.default_rng([self.seed, round])
        chosen = self.choose(clients, count, round, random, caller)
        return in_order(chosen)

    def choose(
        self, clients: list[RoleInstanceID], count: int, number: int, random: np.random.Generator,
        coordinator: RoleInstanceID,
    ) -> list[RoleInstanceID]:
        """`count` of the clients, for round `number`; the hook for other ways to choose."""
        return [clients[index] for index in random.choice(len(clients), count, replace=False)]


class SizedSelector(ClientSelector):
    """One that asks the candidates for their data sizes, in each round."""

    @abstractmethod
    def choose(
        self, clients: list[RoleInstanceID], count: int, number: int, random: np.random.Generator,
        coordinator: RoleInstanceID,
    ) -> list[RoleInstanceID]: ...

    def draw_by_size(self, clients: list[RoleInstanceID], count: int, random: np.random.Generator) -> list[RoleInstanceID]:
        """Draw without replacement, with probabilities in proportion to data size. Who does not answer is not drawn."""
        known = dict(self.call_group(clients, "get-data-size", on_error=ErrorHandlingStrategy.IGNORE))
        able = [client for client in clients if known.get(client)]
        self.require(able, "none of the candidates has any data")
        sizes = np.array([known[client] for client in able], float)
        drawn = random.choice(len(able), min(count, len(able)), replace=False, p=sizes / sizes.sum())
        return [able[index] for index in drawn]


class DataSizeSelector(SizedSelector):
    """Chooses clients with probabilities in proportion to how much data they have. Options as for `ClientSelector`."""

    def choose(
        self, clients: list[RoleInstanceID], count: int, number: int, random: np.random.Generator,
        coordinator: RoleInstanceID,
    ) -> list[RoleInstanceID]:
        return self.draw_by_size(clients, count, random)


class PowerOfChoiceSelector(SizedSelector):
    """Power-of-choice: of d clients drawn by data size, those on whose data the model has the highest loss.

    Cho, Wang and Joshi, "Towards Understanding Biased Client Selection in Federated Learning", AISTATS 2022, the strategy
    π_pow-d of section 3.

    Parameters
    ----------
    fraction, seed
        As for `ClientSelector`.
    candidates : int, optional
        d, how many are drawn, and get the model to tell their loss; at least as many as are chosen, at most all. Twice as
        many as are chosen when not given.
    """

    def __init__(self, fraction: float = 0.5, candidates: int | None = None, seed: int | None = None):
        super().__init__(fraction, seed)
        if candidates is not None and candidates < 1:
            raise ValueError(f"candidates must be 1 or more, got {candidates!r}")
        self.candidates = candidates

    def choose(
        self, clients: list[RoleInstanceID], count: int, number: int, random: np.random.Generator,
        coordinator: RoleInstanceID,
    ) -> list[RoleInstanceID]:
        wanted = 2 * count if self.candidates is None else max(self.candidates, count)
        drawn = in_order(self.draw_by_size(clients, wanted, random))
        losses = self._losses(drawn, self.call(coordinator, "get-model"))
        return sorted(losses, key=lambda client: -losses[client])[:count]

    def _losses(self, clients: list[RoleInstanceID], update: Any) -> dict[RoleInstanceID, float]:
        losses = {}
        for client, invocation in self.call_task_group(clients, "evaluate", payloads={"update": update},
                                                       on_call_error=ErrorHandlingStrategy.KEEP):
            try:
                losses[client] = invocation.result()["loss"]
            except RoleMLError as error:
                self.logger.warning("%s told no loss, and is not chosen: %s", client, error)
        self.require(losses, "none of the candidates told its loss")
        return losses

"""Selection of the clients of a round."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

import numpy as np

from roleml_nb.library.arrivals import gather
from roleml_nb.library.channel_numbers import count_of
from roleml_nb.library.channel_types import Roles
from roleml_nb.library.ordering import in_order, items_at
from roleml_nb.role import (
    Message,
    Role,
    RoleInstanceID,
    RoleInteractionError,
    Service,
)
from roleml_nb.role.checks.numbers import check_count, check_number, check_seed

__all__ = ["ClientSelector", "DataSizeSelector", "PowerOfChoiceSelector"]


class ClientSelector(Role):
    """Chooses a fraction C of the clients at random for each round (McMahan et al. 2017).

    By default, it chooses all of them.

    Parameters
    ----------
    fraction : float
        Share of the clients, more than 0, at most 1; at least one client is chosen.
    seed : int, optional
        The choice depends on the seed, the round and the candidates alone. When not given, the seed
        is this role's branch of the testbed's seed tree.
    """

    def __init__(self, fraction: float = 1.0, seed: int | None = None):
        super().__init__()
        self.fraction = check_number("fraction", fraction, 0, 1, above=True)
        self.seed = None if seed is None else check_seed(seed)
        self._inclusion: dict[RoleInstanceID, dict[RoleInstanceID, float]] = {}

    @Service(expand=True)
    def select_clients(
        self, caller: RoleInstanceID, candidates: Roles, round: int
    ) -> list[RoleInstanceID]:
        """Return the chosen ones of `candidates`, in natural order.

        `caller` is the coordinator, which a selector may ask for results of earlier rounds.
        """
        round = count_of("round", round)
        clients = in_order(candidates)
        self.require(clients, "there are no candidates to select from")
        count = max(1, int(self.fraction * len(clients) + 0.5))
        random = self.rng(round) if self.seed is None else np.random.default_rng([self.seed, round])
        self._inclusion.pop(caller, None)
        chosen = in_order(self.choose(clients, count, round, random, caller))
        self._inclusion[caller] = self.inclusion(chosen, caller)
        return chosen

    @Service(expand=True)
    def get_inclusion(self, caller: RoleInstanceID) -> dict[RoleInstanceID, float]:
        """Return the probability of each client of the caller's last selection, up to a factor.

        Empty when all are equal. A strategy that weights results by data size divides by it, so
        that data which made a client more likely to be chosen do not count twice (Horvitz and
        Thompson, JASA 1952).
        """
        return self._inclusion.get(caller, {})

    def choose(
        self,
        clients: list[RoleInstanceID],
        count: int,
        number: int,
        random: np.random.Generator,
        coordinator: RoleInstanceID,
    ) -> list[RoleInstanceID]:
        """Choose `count` of the clients for round `number`; the hook for subclasses."""
        return items_at(clients, random.choice(len(clients), count, replace=False))

    def inclusion(
        self, chosen: list[RoleInstanceID], coordinator: RoleInstanceID
    ) -> dict[RoleInstanceID, float]:
        """Return the result of `get_inclusion` for a choice; the hook for unequal choices."""
        return {}


class SizedSelector(ClientSelector):
    """A selector that asks the candidates for their data sizes in each round."""

    def __init__(self, fraction: float = 1.0, seed: int | None = None):
        super().__init__(fraction, seed)
        self._probabilities: dict[RoleInstanceID, float] = {}

    @abstractmethod
    def choose(
        self,
        clients: list[RoleInstanceID],
        count: int,
        number: int,
        random: np.random.Generator,
        coordinator: RoleInstanceID,
    ) -> list[RoleInstanceID]: ...

    def ask(
        self,
        clients: list[RoleInstanceID],
        kind: str,
        channel: str,
        message: Message,
        coordinator: RoleInstanceID,
    ) -> tuple[dict[RoleInstanceID, Any], dict[RoleInstanceID, Exception]]:
        """Return the answers of clients, and the errors.

        A client that does not answer within the time of a round's quorum is left out.
        """
        try:
            quorum = self.call(coordinator, "get-quorum")
        except RoleInteractionError:  # coordinators of other classes wait for all clients
            quorum = {}
        return gather(
            self,
            clients,
            kind,
            channel,
            message,
            deadline=quorum.get("deadline"),
            enough=quorum.get("enough"),
        )

    def data_sizes(
        self, clients: list[RoleInstanceID], coordinator: RoleInstanceID
    ) -> tuple[list[RoleInstanceID], np.ndarray]:
        """Return the clients that have data, and their sizes, without those that do not answer."""
        known, _ = self.ask(clients, "service", "get-data-size", Message(), coordinator)
        able = [client for client in clients if known.get(client)]
        self.require(able, "none of the candidates has any data")
        return able, np.array([known[client] for client in able], float)

    def inclusion(
        self, chosen: list[RoleInstanceID], coordinator: RoleInstanceID
    ) -> dict[RoleInstanceID, float]:
        return {client: self._probabilities[client] for client in chosen}


class DataSizeSelector(SizedSelector):
    """Chooses clients with probabilities in proportion to their data sizes.

    Options as for `ClientSelector`.

    Of n clients, k are chosen such that client i is among them with probability π_i = k n_i / Σ n.
    A client for which that is 1 or more is always chosen, and the rest of k is drawn among the
    others in the same way (systematic sampling in random order: Hartley and Rao, "Sampling with
    Unequal Probabilities and without Replacement", 1962). Strategies that weight by data size
    divide it by π_i: models count equally, except those that are always chosen, and the expected
    mean of a round is that of all clients weighted by data size (so does scheme I of Li, Huang,
    Yang, Wang and Zhang, "On the Convergence of FedAvg on Non-IID Data", ICLR 2020).
    """

    def choose(
        self,
        clients: list[RoleInstanceID],
        count: int,
        number: int,
        random: np.random.Generator,
        coordinator: RoleInstanceID,
    ) -> list[RoleInstanceID]:
        able, sizes = self.data_sizes(clients, coordinator)
        probabilities = inclusion_probabilities(sizes, min(count, len(able)))
        self._probabilities = dict(zip(able, probabilities.tolist(), strict=True))
        return items_at(able, draw_systematically(probabilities, random))


class PowerOfChoiceSelector(SizedSelector):
    """Power-of-choice: of d clients drawn by data size, the ones with the highest losses.

    Cho, Wang and Joshi, "Towards Understanding Biased Client Selection in Federated Learning",
    AISTATS 2022, the strategy π_pow-d of section 3. As there, the models of those chosen count
    equally, with strategies that weight by data size, too.

    Parameters
    ----------
    fraction, seed
        As for `ClientSelector`.
    candidates : int, optional
        d, the number of clients that are drawn, and get the model to compute their loss; at least
        as many as are chosen, at most all. Twice as many as are chosen when not given.
    """

    def __init__(
        self, fraction: float = 0.5, candidates: int | None = None, seed: int | None = None
    ):
        super().__init__(fraction, seed)
        self.candidates = None if candidates is None else check_count("candidates", candidates, 1)

    def choose(
        self,
        clients: list[RoleInstanceID],
        count: int,
        number: int,
        random: np.random.Generator,
        coordinator: RoleInstanceID,
    ) -> list[RoleInstanceID]:
        wanted = 2 * count if self.candidates is None else max(self.candidates, count)
        able, sizes = self.data_sizes(clients, coordinator)
        shares = sizes / sizes.sum()
        places = random.choice(len(able), min(wanted, len(able)), replace=False, p=shares)
        self._probabilities = dict(zip(able, shares.tolist(), strict=True))
        drawn = in_order(items_at(able, places))
        losses = self._losses(drawn, coordinator)
        return sorted(losses, key=lambda client: -losses[client])[:count]

    def _losses(
        self, clients: list[RoleInstanceID], coordinator: RoleInstanceID
    ) -> dict[RoleInstanceID, float]:
        message = Message({}, {"update": self.call(coordinator, "get-model")})
        answers, errors = self.ask(clients, "task", "evaluate", message, coordinator)
        for client, error in errors.items():
            self.logger.warning("%s told no loss, and is not chosen: %s", client, error)
        losses: dict[RoleInstanceID, float] = {}
        for client, metrics in answers.items():
            loss = metrics["loss"]
            if math.isfinite(loss):
                losses[client] = loss
            else:
                self.logger.warning("%s told a loss of %s, and is not chosen", client, loss)
        self.require(losses, "none of the candidates told a loss that is a finite number")
        return losses


def inclusion_probabilities(sizes: np.ndarray, count: int) -> np.ndarray:
    """Return π_i, shape (n,): in proportion to the sizes, at most 1, with the sum `count` ≤ n."""
    certain = np.zeros(len(sizes), bool)
    while not certain.all():
        rest = sizes * ~certain
        found = (count - certain.sum()) * rest / rest.sum()
        if not (found >= 1).any():
            return np.where(certain, 1.0, found)
        certain |= found >= 1
    return np.ones(len(sizes))


def draw_systematically(probabilities: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Draw places, as many as the (whole) sum of the probabilities; i with probability π_i."""
    order = random.permutation(len(probabilities))
    ends = np.cumsum(probabilities[order])
    count = round(float(ends[-1]))
    ends[-1] = count
    return order[np.searchsorted(ends, random.random() + np.arange(count), side="right")]

"""Oort: client selection by statistical and system utility.

Lai, Zhu, Madhyastha and Chowdhury, "Oort: Efficient Federated Learning via Guided Participant
Selection", OSDI 2021, algorithm 1 and equation 1.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from roleml_nb.library.ordering import items_at, without
from roleml_nb.role import ArgumentError, RoleInstanceID
from roleml_nb.role.checks.numbers import as_number, check_count, check_number

from .selection import ClientSelector

__all__ = ["OortSelector"]


class ObservedUtility(NamedTuple):
    """Statistical utility and seconds of a client in the last round in which it took part."""

    utility: float
    seconds: float
    round: int


class OortSelector(ClientSelector):
    """Prefers clients with useful data that are fast enough; each round has a share of new clients.

    The statistical utility of a client, |B| √(1/|B| Σ loss²), is replaced by |B| times its mean
    training loss, so that no loss of a single sample leaves the client; and new clients are drawn
    at random, while the paper prefers those that may be fast. As in the authors' program
    (``oort.py`` of FedScale), utilities are clipped at their 95 % quantile and scaled to lie
    between 0 and 1 before the bonus for long absence is added. A client whose loss is no finite
    number has the utility 0. The coordinator's aggregator needs the strategy
    ``FedAvg(metrics=True)`` or any other one but the plain `FedAvg`.

    Parameters
    ----------
    fraction, seed
        As for `ClientSelector`.
    exploration, decay, least : float
        ε, the share of a round for clients that have not taken part yet, which is multiplied by
        `decay` in each round, down to `least`.
    preferred_seconds : float, optional
        T: the utility of a client that takes t > T seconds is multiplied by (T/t)^`penalty`. When
        not given, time does not count, and the choice is deterministic.
    penalty : float
        α.
    window : int
        The pacer: when the utility gathered in the last `window` rounds is less than in the
        `window` before, T grows by its first value.
    cutoff : float
        c: clients are drawn by utility from a pool of those with at least c times the utility of
        the best one that a choice by utility alone would leave out.
    pool : int
        The pool has more than `pool` times as many clients as are drawn from it, if there are so
        many; 1 or more, 10 as in the authors' program.
    """

    def __init__(
        self,
        fraction: float = 0.5,
        seed: int | None = None,
        exploration: float = 0.9,
        decay: float = 0.98,
        least: float = 0.2,
        preferred_seconds: float | None = None,
        penalty: float = 2.0,
        window: int = 20,
        cutoff: float = 0.95,
        pool: int = 10,
    ):
        super().__init__(fraction, seed)
        exploration = as_number("exploration", exploration)
        least = as_number("least", least)
        if not 0 <= least <= exploration <= 1:
            raise ArgumentError(
                f"0 <= least <= exploration <= 1 must hold, got least={least!r},"
                f" exploration={exploration!r}"
            )
        self.exploration = exploration
        self.decay = check_number("decay", decay, 0, 1, above=True)
        self.least = least
        self.preferred_seconds = preferred_seconds
        if preferred_seconds is not None:
            self.preferred_seconds = check_number("preferred_seconds", preferred_seconds, 0)
        self.penalty = check_number("penalty", penalty, 0)
        self.window = check_count("window", window, 1)
        self.cutoff = check_number("cutoff", cutoff, 0, 1)
        self.pool = check_count("pool", pool, 1)
        self.known: dict[RoleInstanceID, ObservedUtility] = {}
        self._pace = preferred_seconds or 0.0
        self._gathered: list[float] = []

    def choose(
        self,
        clients: list[RoleInstanceID],
        count: int,
        number: int,
        random: np.random.Generator,
        coordinator: RoleInstanceID,
    ) -> list[RoleInstanceID]:
        if number > 1:
            self.learn(self.call(coordinator, "get-results"), number - 1)
        return self.pick(clients, count, number, random)

    def pick(
        self, clients: list[RoleInstanceID], count: int, number: int, random: np.random.Generator
    ) -> list[RoleInstanceID]:
        """Choose `count` clients for round `number`: (1 − ε) of them by utility, and new ones."""
        share = max(self.least, self.exploration * self.decay ** (number - 1))
        old = [client for client in clients if client in self.known]
        new = without(clients, self.known)
        exploited = min(len(old), max(count - len(new), int((1 - share) * count + 0.5)))
        explored: list[RoleInstanceID] = []
        if new:
            drawn = random.choice(len(new), count - exploited, replace=False)
            explored = items_at(new, drawn)
        return self._exploit(old, exploited, number, random) + explored

    def learn(self, results: dict[RoleInstanceID, dict], number: int) -> None:
        """Record the utility and the seconds of the clients of round `number`."""
        for client, result in results.items():
            self.require(
                "loss" in result,
                f"{client} told no training loss: give the aggregator a strategy that asks for it, "
                "e.g. --element strategy=FedAvg(metrics=True), and select among clients that tell "
                "it, which an inner node of a tree does not",
            )
            utility = result["data_size"] * abs(result["loss"])
            if not math.isfinite(utility):
                self.logger.warning(
                    "%s told a training loss of %s in round %s: its utility counts as 0",
                    client,
                    result["loss"],
                    number,
                )
                utility = 0.0
            self.known[client] = ObservedUtility(utility, result["seconds"], number)
        self._gathered.append(sum(self.known[client].utility for client in results))
        recent = self._gathered[-self.window :]
        before = self._gathered[-2 * self.window : -self.window]
        if self.preferred_seconds and len(before) == self.window and sum(before) > sum(recent):
            self.preferred_seconds += self._pace
            self._gathered.clear()

    def utility(
        self,
        client: RoleInstanceID,
        number: int,
        highest: float,
        lowest: float = 0.0,
        spread: float = 1.0,
    ) -> float:
        """Return equation 1 for a client: its utility, with the bonus and the penalty.

        This is ((min(u, highest) − lowest) / spread + √(0.1 log R / L)) (T/t)^α. The root is the
        bonus for long absence: R is `number`, L the last round of the client.
        """
        known = self.known[client]
        utility = (min(known.utility, highest) - lowest) / spread + (
            0.1 * np.log(number) / known.round
        ) ** 0.5
        if self.preferred_seconds and known.seconds > self.preferred_seconds:
            utility *= (self.preferred_seconds / known.seconds) ** self.penalty
        return float(utility)

    def utilities(self, clients: list[RoleInstanceID], number: int) -> np.ndarray:
        """Return equation 1 for known clients, with statistical utilities scaled to 0 … 1."""
        known = [self.known[client].utility for client in clients]
        utilities = sorted(utility for utility in known if utility > 0) or [0.0]
        highest = utilities[min(int(0.95 * len(utilities)), len(utilities) - 1)]
        lowest = 0.999 * utilities[0]
        spread = max(utilities[-1] - lowest, 1e-4)
        scaled = [self.utility(client, number, highest, lowest, spread) for client in clients]
        return np.maximum(scaled, 1e-12)

    def _exploit(
        self, old: list[RoleInstanceID], count: int, number: int, random: np.random.Generator
    ) -> list[RoleInstanceID]:
        if not count:
            return []
        utilities = self.utilities(old, number)
        order = np.argsort(-utilities, kind="stable")
        edge = self.cutoff * utilities[order[min(count, len(old) - 1)]]
        able = order[: max(self.pool * count + 1, int((utilities >= edge).sum()))]
        weights = utilities[able] / utilities[able].sum()
        return items_at(old, random.choice(able, count, replace=False, p=weights))

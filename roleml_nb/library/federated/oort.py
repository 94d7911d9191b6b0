"""Oort: client selection by statistical and system utility.

Lai, Zhu, Madhyastha and Chowdhury, "Oort: Efficient Federated Learning via Guided Participant
Selection", OSDI 2021, algorithm 1 and equation 1.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from roleml_nb.role import ArgumentError, RoleInstanceID
from roleml_nb.role.checks.numbers import as_count, as_number, check_count, check_number

from .selection import ClientSelector

__all__ = ["OortSelector"]


class ObservedUtility(NamedTuple):
    """What is known of a client: its statistical utility, and how long it took, in the round when
    it last took part.
    """

    utility: float
    seconds: float
    round: int


class OortSelector(ClientSelector):
    """Prefers clients whose data teach the model most, and that are fast enough; a share of each
    round goes to new ones.

    The statistical utility of a client, |B| √(1/|B| Σ loss²), is taken as |B| · its mean training
    loss, so that no loss of a single sample leaves the client; and new clients are drawn at random,
    while the paper prefers those that are thought to be fast. As in the authors' program
    (``oort.py`` of FedScale), utilities are clipped at their 95 % quantile and scaled to lie
    between 0 and 1 before the bonus for what is long ago is added. A client whose loss is no finite
    number has the utility 0. The coordinator's aggregator needs the strategy
    ``FedAvg(metrics=True)`` or any other one but the plain `FedAvg`.

    Parameters
    ----------
    fraction, seed
        As for `ClientSelector`.
    exploration, decay, least : float
        ε, the share of a round for clients that have not taken part yet, which falls by the factor
        `decay` each round, down to `least`.
    preferred_seconds : float, optional
        T: the utility of a client that takes t > T seconds is multiplied by (T/t)^`penalty`. When
        not given, time does not count, and the choice is deterministic.
    penalty : float
        α.
    window : int
        The pacer: when the utility gathered in the last `window` rounds is less than in the
        `window` before, T grows by its first value.
    cutoff : float
        c: those whose utility is at least c times that of the best one that would not be chosen by
        utility alone are in the pool that is drawn from, by utility.
    pool : int
        The pool has more than so many times as many clients as are drawn from it, if there are, 1
        or more: 10 as in the authors' program.
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
        exploration, least = as_number("exploration", exploration), as_number("least", least)
        if not 0 <= least <= exploration <= 1:
            raise ArgumentError(
                f"0 <= least <= exploration <= 1 must hold, got least={least!r},"
                f" exploration={exploration!r}"
            )
        pool = as_count("pool", pool)
        if pool < 1:
            raise ArgumentError(f"pool must be 1 or more, got {pool!r}")
        self.exploration, self.decay, self.least = (
            exploration,
            check_number("decay", decay, 0, 1, above=True),
            least,
        )
        self.preferred_seconds = (
            None
            if preferred_seconds is None
            else check_number("preferred_seconds", preferred_seconds, 0)
        )
        self.penalty, self.window = (
            check_number("penalty", penalty, 0),
            check_count("window", window, 1),
        )
        self.cutoff, self.pool = check_number("cutoff", cutoff, 0, 1), pool
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
        """`count` clients for round `number` out of what is known by now: (1 − ε) of them
        exploited, the rest explored.
        """
        share = max(self.least, self.exploration * self.decay ** (number - 1))
        old = [client for client in clients if client in self.known]
        new = [client for client in clients if client not in self.known]
        exploited = min(len(old), max(count - len(new), int((1 - share) * count + 0.5)))
        explored = (
            [new[index] for index in random.choice(len(new), count - exploited, replace=False)]
            if new
            else []
        )
        return self._exploit(old, exploited, number, random) + explored

    def learn(self, results: dict[RoleInstanceID, dict], number: int) -> None:
        """Take in what the clients of round `number` returned."""
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
        recent, before = (
            self._gathered[-self.window :],
            self._gathered[-2 * self.window : -self.window],
        )
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
        """Equation 1: ((the utility, at most `highest`) − `lowest`) / `spread`, + √(0.1 log R / L),
        × (T/t)^α.

        The root is the bonus for what is long ago: R is `number`, L the round in which the client
        took part last.
        """
        known = self.known[client]
        utility = (min(known.utility, highest) - lowest) / spread + (
            0.1 * np.log(number) / known.round
        ) ** 0.5
        if self.preferred_seconds and known.seconds > self.preferred_seconds:
            utility *= (self.preferred_seconds / known.seconds) ** self.penalty
        return float(utility)

    def utilities(self, clients: list[RoleInstanceID], number: int) -> np.ndarray:
        """Equation 1 for clients that are known, scaled so that their statistical utilities are
        from 0 to 1.
        """
        utilities = sorted(
            self.known[client].utility for client in clients if self.known[client].utility > 0
        ) or [0.0]
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
        return [old[index] for index in random.choice(able, count, replace=False, p=weights)]

"""Gossip learning.

Ormándi, Hegedűs and Jelasity, "Gossip Learning with Linear Models on Fully Distributed Data", Concurrency and
Computation: Practice and Experience 25(4), 2013: models walk through the network, and learn at every node. Merging
weighted by age: Hegedűs, Danner and Jelasity, "Gossip Learning as a Decentralized Alternative to Federated Learning",
DAIS 2019.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from roleml_nb.role import (
    CallTimeout,
    Event,
    NodeLost,
    Role,
    RoleInstanceID,
    Service,
    Task,
)

from .addresses import generator_of, in_order
from .guarded import GuardedRole
from .mergers import average

__all__ = ["GossipAggregator", "GossipCoordinator"]


class GossipAggregator(GuardedRole):
    """Keeps the models that come in, and merges them on request (Ormándi et al. 2013, Hegedűs et al. 2019).

    A model's age is the number of trainings that it has seen.
    """

    def __init__(self) -> None:
        super().__init__()
        self._inbox: list[tuple[Any, int]] = []

    @Service(expand=True)
    def accept_gossip(self, caller: RoleInstanceID, update: Any, age: int = 1) -> bool:
        """Keep a model (a state dict) of the given age (0 or more) until the next merge."""
        self.require(age >= 0, f"age must be 0 or more, got {age!r}")
        with self.lock:
            self._inbox.append((update, age))
        return True

    @Service(expand=True)
    def count(self, caller: RoleInstanceID) -> int:
        """How many models wait to be merged."""
        with self.lock:
            return len(self._inbox)

    @Service(expand=True)
    def merge(self, caller: RoleInstanceID, update: Any, age: int) -> dict[str, Any]:
        """Merge one's own model with all that came in since the last merge.

        Returns
        -------
        dict
            "update" (the mean, weighted by age), "age" (the highest) and "merged" (how many had come in).
        """
        self.require(age >= 0, f"age must be 0 or more, got {age!r}")
        with self.lock:
            received, self._inbox = self._inbox, []
        if not received:
            return {"update": update, "age": age, "merged": 0}
        updates = [update, *(one for one, _ in received)]
        ages = [age, *(its for _, its in received)]
        return {"update": average(updates, ages if any(ages) else None), "age": max(ages), "merged": len(received)}


class GossipCoordinator(Role):
    """Runs one node of gossip learning (Ormándi et al. 2013): train, merge, send to a random peer.

    Needs a ``trainer`` and an ``aggregator`` (relationships, or roles on the same node), and the relationship
    ``peer``: aggregators of other nodes. A peer that does not answer is skipped with a warning: gossip bears loss.

    Parameters
    ----------
    seed : int
        With the node's name, decides which peers are chosen.
    """

    round_completed = Event()

    def __init__(self, seed: int = 0):
        super().__init__()
        self.seed = seed
        self.age = 0
        self._rng: np.random.Generator | None = None

    @Task(expand=True)
    def run(
        self, caller: RoleInstanceID, num_rounds: int, num_epochs: int = 1, test_every: int = 0,
        options: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Do `num_rounds` rounds of `num_epochs` local epochs.

        After each round, ``round-completed`` carries "round" (from 1), "age", "merged" (models that had come in), and,
        every `test_every` rounds (0: never), the trainer's test metrics. `options` go to the trainer's ``train``.

        Returns
        -------
        dict
            "rounds", and "accuracy" of the last test (None if there was none).
        """
        self.require(num_rounds >= 1, f"num_rounds must be 1 or more, got {num_rounds!r}")
        node = self.id.actor_name
        self.require(self._peers(), f"relationship 'peer' of {node} names no other node: relate the peers first, "
                                    f"e.g. %rml relate {node} peer=node*/aggregator")
        training = {**(options or {}), "num_epochs": num_epochs}
        tested: dict[str, Any] = {}
        for number in range(1, num_rounds + 1):
            update = self.call_task("trainer", "train", args=training).result()
            self.age += 1
            merged = self.call("aggregator", "merge", args={"age": self.age}, payloads={"update": update})
            self.age = merged["age"]
            if merged["merged"]:
                self.call("trainer", "apply-update", payloads={"update": merged["update"]})
            self._gossip(merged["update"])
            metrics: dict[str, Any] = {}
            if test_every and number % test_every == 0:
                metrics = tested = self.call_task("trainer", "test").result()
            self.round_completed.emit(
                args={**metrics, "round": number, "age": self.age, "merged": merged["merged"]}
            )
        return {"rounds": num_rounds, "accuracy": tested.get("accuracy")}

    def _peers(self) -> list[RoleInstanceID]:
        known = self.ctx.relationships.get_relationship_view("peer")
        return in_order(peer for peer in known if peer.actor_name != self.id.actor_name)

    def _gossip(self, update: Any) -> None:
        peers = self._peers()
        if not peers:
            return
        if self._rng is None:
            self._rng = generator_of(self.seed, self.id.actor_name)
        peer = peers[self._rng.integers(len(peers))]
        try:
            self.call(peer, "accept-gossip", args={"age": self.age}, payloads={"update": update})
        except (NodeLost, CallTimeout) as error:
            self.logger.warning("%s did not take the model: %s", peer, error)

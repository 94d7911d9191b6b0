"""Gossip learning.

Ormándi, Hegedűs and Jelasity, "Gossip Learning with Linear Models on Fully Distributed Data",
Concurrency and Computation: Practice and Experience 25(4), 2013: models walk through the network,
and learn at every node. Merging weighted by age: Hegedűs, Danner and Jelasity, "Gossip Learning as
a Decentralized Alternative to Federated Learning", DAIS 2019. Pairs and times depend on the speed
of nodes and links: a run cannot be reproduced.
"""

from __future__ import annotations

from typing import Any

from roleml_nb.library.aggregation.contributions import emit_contributions
from roleml_nb.library.aggregation.mergers import average
from roleml_nb.library.aggregation.same_entries import check_entries
from roleml_nb.library.attempts import result_of
from roleml_nb.library.channel_numbers import count_of
from roleml_nb.library.channel_types import Params
from roleml_nb.library.locking import GuardedRole
from roleml_nb.library.ordering import in_order
from roleml_nb.role import CallTimeout, Element, Event, RoleInstanceID, Service
from roleml_nb.role.checks.names import check_choice
from roleml_nb.role.errors import GONE

from .peer_rounds import PeerRounds
from .token_accounts import Proactive, TokenAccount

__all__ = ["GossipAggregator", "GossipCoordinator"]

MODES = ("push", "pull", "push-pull")
ORDERS = ("train-merge", "merge-train")


class GossipAggregator(GuardedRole):
    """Keeps received models, and merges them on request (Ormándi et al. 2013, Hegedűs et al. 2019).

    A model's age is the number of trainings that it has seen. After each merge, ``contributions``
    carries the senders, with the "age" and the "weight" (they sum to 1) of each model; the trace
    shows them as a table.
    """

    contributions = Event()

    def __init__(self) -> None:
        super().__init__()
        self._inbox: list[tuple[Any, int, str]] = []
        self._shown: tuple[Any, int] | None = None

    @Service(expand=True)
    def accept_gossip(
        self, caller: RoleInstanceID, update: Params, age: int = 1, source: str = ""
    ) -> bool:
        """Keep a model (a state dict) of the given age (0 or more) until the next merge.

        `source` is the node that it comes from, if not the caller.
        """
        age = count_of("age", age)
        with self.lock:
            self._inbox.append((update, age, source or str(caller)))
        return True

    @Service(expand=True)
    def exchange(
        self, caller: RoleInstanceID, update: Params | None = None, age: int = 1
    ) -> dict[str, Any] | None:
        """Keep the caller's model, if any, and return the one that `show` has set last.

        The result has its "update" and its "age"; it is None before the first `show`.
        """
        age = count_of("age", age)
        if update is not None:
            self.accept_gossip(caller, update, age)
        with self.lock:
            if self._shown is None:
                return None
            shown, its_age = self._shown
            return {"update": shown, "age": its_age}

    @Service(expand=True)
    def show(self, caller: RoleInstanceID, update: Params, age: int) -> None:
        """Set the model that `exchange` returns from now on."""
        age = count_of("age", age)
        with self.lock:
            self._shown = (update, age)

    @Service(expand=True)
    def count(self, caller: RoleInstanceID) -> int:
        """Return the number of models that wait to be merged."""
        with self.lock:
            return len(self._inbox)

    @Service(expand=True)
    def merge(self, caller: RoleInstanceID, update: Params, age: int) -> dict[str, Any]:
        """Merge the caller's model with all that were received since the last merge.

        Returns
        -------
        dict
            "update" (the mean, weighted by age), "age" (the highest), "merged" (the number of
            received models) and "useful" (the number of those that are older than the caller's).
        """
        age = count_of("age", age)
        with self.lock:
            received, self._inbox = self._inbox, []
        for one, _, source in received:
            check_entries(source, one, update, f"the caller's, {caller}")
        if not received:
            return {"update": update, "age": age, "merged": 0, "useful": 0}
        updates, ages, sources = zip((update, age, str(caller)), *received, strict=True)
        weights = list(ages) if any(ages) else [1] * len(ages)
        merged = average(updates, weights)
        total = sum(weights)
        emit_contributions(
            self.contributions,
            [(source, weight / total) for source, weight in zip(sources, weights, strict=True)],
            ages=dict(zip(sources, ages, strict=True)),
        )
        return {
            "update": merged,
            "age": max(ages),
            "merged": len(received),
            "useful": sum(its > age for its in ages[1:]),
        }


class GossipCoordinator(PeerRounds):
    """Runs one node of gossip learning (Ormándi et al. 2013).

    In each round, it trains, merges, and exchanges models with random peers.

    Needs a ``trainer`` and an ``aggregator`` (relationships, or roles on the same node), and the
    relationship ``peer``: aggregators of other nodes. A peer that does not answer is skipped with a
    warning: gossip tolerates loss. Element: `account`, a `TokenAccount`, which decides the number
    of messages in a round; one, unless given. No node waits for another, so a run cannot be
    reproduced. ``round-completed`` carries the model's "age", "merged" (the number of received
    models) and "sent" (exchanges that this node began), too.

    Parameters
    ----------
    seed : int, optional
        With the node's name, decides which peers are chosen. By default it comes from the testbed's
        seed.
    mode : str
        "push": send the model. "pull": ask for the peer's. "push-pull": both at once. (Demers et
        al., "Epidemic Algorithms for Replicated Database Maintenance", PODC 1987.)
    order : str
        "train-merge": a model is trained, then merged with what came in, as in Hegedűs et al. 2019.
        "merge-train": it is merged first, and what is sent was trained last, as MU in Ormándi et
        al. 2013.
    """

    account: Any = Element(TokenAccount, default_constructor=Proactive)

    def __init__(self, seed: int | None = None, mode: str = "push", order: str = "train-merge"):
        super().__init__(seed)
        self.mode = check_choice("mode", mode, MODES)
        self.order = check_choice("order", order, ORDERS)
        self.age = 0
        self.exchanged = 0
        """The number of exchanges that this node has begun."""

    def _check_peers(self) -> None:
        node = self.id.actor_name
        self.require(
            self._peers() or self._only_node(),
            f"relationship 'peer' of {node} names no other node: relate "
            f"the peers first, e.g. %rml relate {node} peer=node*/aggregator",
        )

    def _do_round(self, training: dict[str, Any]) -> dict[str, Any]:
        if self.order == "merge-train":
            merged = self._merge(self.call("trainer", "get-model"))
            merged = {**merged, "update": self._train(training)}
        else:
            merged = self._merge(self._train(training))
        return {"age": self.age, "merged": merged["merged"], "sent": self._gossip(merged)}

    def _train(self, training: dict[str, Any]) -> Any:
        if not training["num_epochs"]:
            return self.call("trainer", "get-model")
        update = result_of(self.call_task("trainer", "train", args=training))
        self.age += 1
        return update

    def _merge(self, update: Any) -> dict[str, Any]:
        """Merge the model with the received ones; its age becomes that of the oldest."""
        merged = self.call(
            "aggregator", "merge", args={"age": self.age}, payloads={"update": update}
        )
        if merged["merged"]:
            self.call("trainer", "apply-update", payloads={"update": merged["update"]})
        self.age = merged["age"]
        return merged

    def _peers(self) -> list[RoleInstanceID]:
        known = self.ctx.relationships.get_relationship_view("peer")
        return in_order(peer for peer in known if peer.actor_name != self.id.actor_name)

    def _only_node(self) -> bool:
        others = {*self.ctx.contacts.all_actor_names()} - {self.id.actor_name}
        for manager in self.ctx.relationships.get_relationship_view("manager"):
            others.discard(manager.actor_name)
        return not others

    def _gossip(self, merged: dict[str, Any]) -> int:
        """Exchange models with as many peers as the account allows; return their number."""
        update = merged["update"]
        peers = self._peers()
        if self.mode != "push":
            self.call("aggregator", "show", args={"age": self.age}, payloads={"update": update})
        rng = self._peer_generator()
        count = 0
        account = self.account()
        for number in range(merged["merged"]):
            count += account.react(number < merged["useful"], rng)
        count += account.tick(rng)
        if not peers:
            return 0
        for _ in range(count):
            self._exchange(peers[rng.integers(len(peers))], update)
        self.exchanged += count
        return count

    def _exchange(self, peer: RoleInstanceID, update: Any) -> None:
        channel = "accept-gossip" if self.mode == "push" else "exchange"
        mine: dict[str, Any] = {} if self.mode == "pull" else {"update": update}
        args = {"age": self.age} if mine else {}
        try:
            theirs = self.call(peer, channel, args, mine)
        except (*GONE, CallTimeout) as error:
            self.logger.warning("%s did not take the model: %s", peer, error)
            return
        if self.mode != "push" and theirs is not None:
            self.call(
                "aggregator",
                "accept-gossip",
                args={"age": theirs["age"], "source": str(peer)},
                payloads={"update": theirs["update"]},
            )

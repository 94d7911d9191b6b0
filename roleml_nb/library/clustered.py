"""IFCA: clients of several kinds, with a model for each kind.

Ghosh, Chung, Yin and Ramchandran, "An Efficient Framework for Clustered Federated Learning", NeurIPS 2020, algorithm 1 with
model averaging: in each round every client joins the cluster whose model has the least loss on its data,
ĵ = argmin_j F_i(θ_j), and trains that; each model becomes the mean of what its cluster returns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from roleml_nb.role import Element, RoleInstanceID, Service, Task

from .federated import FederatedCoordinator

__all__ = ["ClusteredCoordinator"]


class ClusteredCoordinator(FederatedCoordinator):
    """Runs rounds of IFCA.

    Needs what `FederatedCoordinator` needs, but takes no ``evaluator``: clients are the ones to test with.

    Elements: `models`, a list of two or more state dicts, where the clusters' models begin. They must differ, or all clients
    go to the first. The strategy of the aggregator is shared by the clusters, so it must be one without a state, as `FedAvg` is.
    """

    models: Any = Element(Sequence)

    def __init__(self) -> None:
        super().__init__()
        self._models: list[Any] = []
        self._clusters: dict[RoleInstanceID, int] = {}

    @Service(expand=True)
    def get_model(self, caller: RoleInstanceID, cluster: int = 0) -> Any:
        """Parameters of a cluster's model after the last round; clusters are numbered from 0."""
        self.require(self._models, f"{self.id} has no model yet: call its task 'run' first")
        self.require(0 <= cluster < len(self._models), f"cluster must be from 0 to {len(self._models) - 1}, got {cluster!r}")
        return self._models[cluster]

    @Service(expand=True)
    def get_clusters(self, caller: RoleInstanceID) -> dict[RoleInstanceID, int]:
        """The cluster of each client that has taken part."""
        return self._clusters

    @Task(expand=True)
    def run(  # type: ignore[override]
        self, caller: RoleInstanceID, num_rounds: int, num_epochs: int = 1, options: dict[str, Any] | None = None,
        distribute: bool = False,
    ) -> dict[str, Any]:
        """Do `num_rounds` rounds; with `distribute`, every client gets the last model of its cluster.

        After each round, ``round-completed`` carries "round" (from 1), "clients", "moved" (how many of them are in another
        cluster than before), "clusters" (how many have clients) and "loss" (the mean of the clients' least losses, before the
        training of the round).

        Returns
        -------
        dict
            "rounds", "loss" of the last round, and "sizes" (clients per cluster).
        """
        self.require(num_rounds >= 1, f"num_rounds must be 1 or more, got {num_rounds!r}")
        clients = self._clients()
        self._models = self._models or list(self.models())
        self.require(len(self._models) > 1, f"element 'models' of {self.id} must have two models or more, "
                                            f"got {len(self._models)}")
        loss = 0.0
        for number in range(1, num_rounds + 1):
            self.before_round()
            chosen = self._select(clients, number)
            before = dict(self._clusters)
            loss = self._assign(chosen)
            self._train({"num_epochs": num_epochs, "options": options}, chosen)
            moved = sum(client in before and before[client] != self._clusters[client] for client in chosen)
            self.round_completed.emit(args={"round": number, "clients": len(chosen), "moved": moved, "loss": loss,
                                            "clusters": len({self._clusters[client] for client in chosen})})
        if distribute:
            self._assign([client for client in clients if client not in self._clusters])
            for cluster, update in enumerate(self._models):
                self.call_group(self._members(clients, cluster), "apply-update", payloads={"update": update})
        sizes = [len(self._members(self._clusters, cluster)) for cluster in range(len(self._models))]
        return {"rounds": num_rounds, "loss": loss, "sizes": sizes}

    def _assign(self, clients: Sequence[RoleInstanceID]) -> float:
        """Put each client into the cluster with the least loss; the mean of these losses."""
        asked = [self.call_task_group(clients, "evaluate", payloads={"update": update}) for update in self._models]
        losses = [[invocation.result()["loss"] for _, invocation in invocations] for invocations in asked]
        least = [min(of_client) for of_client in zip(*losses, strict=True)]
        for client, of_client in zip(clients, zip(*losses, strict=True), strict=True):
            self._clusters[client] = of_client.index(min(of_client))
        return sum(least) / len(least) if least else 0.0

    def _train(self, training: dict[str, Any], chosen: list[RoleInstanceID]) -> None:
        rounds = {}
        for cluster, update in enumerate(self._models):
            if members := self._members(chosen, cluster):
                rounds[cluster] = self.call_task("aggregator", "aggregate", args={**training, "clients": members},
                                                 payloads={"update": update})
        for cluster, invocation in rounds.items():
            self._models[cluster] = invocation.result()["update"]

    def _members(self, clients: Any, cluster: int) -> list[RoleInstanceID]:
        return [client for client in clients if self._clusters.get(client) == cluster]

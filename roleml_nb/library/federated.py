"""Federated averaging.

McMahan, Moore, Ramage, Hampson and Agüera y Arcas, "Communication-Efficient Learning of Deep Networks from
Decentralized Data", AISTATS 2017 (algorithm FedAvg).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from roleml_nb.role import Event, Role, RoleInstanceID, Service, Task

from .addresses import in_order
from .mergers import average

__all__ = ["ClientSelector", "FedAvgAggregator", "FederatedCoordinator"]


class ClientSelector(Role):
    """Chooses the clients of a round at random (McMahan et al. 2017, the fraction C).

    Parameters
    ----------
    fraction : float
        Share of the clients, more than 0, at most 1; at least one client is chosen.
    seed : int
        The choice depends on the seed, the round and the candidates, and on nothing else.
    """

    def __init__(self, fraction: float = 1.0, seed: int = 0):
        super().__init__()
        if not 0 < fraction <= 1:
            raise ValueError(f"fraction must be more than 0 and at most 1, got {fraction!r}")
        self.fraction = fraction
        self.seed = seed

    @Service(expand=True)
    def select_clients(self, caller: RoleInstanceID, candidates: list, round: int) -> list[RoleInstanceID]:  # noqa: A002
        """Some of `candidates`, in natural order."""
        clients = in_order(candidates)
        self.require(clients, "there are no candidates to select from")
        count = max(1, int(self.fraction * len(clients) + 0.5))
        chosen = np.random.default_rng([self.seed, round]).choice(len(clients), count, replace=False)
        return [clients[index] for index in sorted(chosen)]


class FedAvgAggregator(Role):
    """Sends the model to clients, has them train it, and averages what comes back (McMahan et al. 2017).

    A client is a role with the channels of `EpochTrainer`. Its data size, which is its weight, is asked for once.
    Updates are averaged in the natural order of the clients, whichever comes first, so the result is deterministic.
    """

    aggregation_completed = Event()

    def __init__(self) -> None:
        super().__init__()
        self._data_sizes: dict[RoleInstanceID, int] = {}

    @Task(expand=True)
    def aggregate(
        self, caller: RoleInstanceID, clients: list, update: Any, num_epochs: int = 1,
        options: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Do one round.

        Parameters
        ----------
        clients : list of RoleInstanceID or of "node/role"
            Who takes part.
        update : state dict
            The model to start from.
        num_epochs : int
            Local epochs.
        options : dict, optional
            Further arguments of the clients' ``train``, e.g. ``{"lr": 0.05}``.

        Returns
        -------
        dict
            "update" (the average), "data_size" (samples in total) and "clients" (how many).
        """
        group = in_order(clients)
        self.require(group, "there are no clients to aggregate from")
        self.call_group(group, "apply-update", payloads={"update": update})
        merged = self._train(group, num_epochs, options)
        return {"update": merged, "data_size": sum(self._sizes(group)), "clients": len(group)}

    def _train(self, group: list[RoleInstanceID], num_epochs: int, options: dict[str, Any] | None) -> dict[str, Any]:
        """Have the group train, and average."""
        trainings = self.call_task_group(group, "train", args={**(options or {}), "num_epochs": num_epochs})
        updates = [invocation.result() for _, invocation in trainings]
        sizes = self._sizes(group)
        self.require(sum(sizes) > 0, "none of the clients has any data, so their models have no weight")
        merged = average(updates, sizes)
        self.aggregation_completed.emit(args={"clients": len(group), "data_size": sum(sizes)})
        return merged

    def _sizes(self, group: list[RoleInstanceID]) -> list[int]:
        unknown = [client for client in group if client not in self._data_sizes]
        if unknown:
            self._data_sizes.update(self.call_group(unknown, "get-data-size"))
        return [self._data_sizes[client] for client in group]


class FederatedCoordinator(Role):
    """Runs rounds of federated training (McMahan et al. 2017).

    Needs the relationship ``trainer`` (the clients) and an ``aggregator``; takes a ``client-selector`` and an
    ``evaluator`` (a `ModelMaintainer` with test data) if there are any. Each of these three is a relationship or a
    role on the same node.
    """

    round_completed = Event()

    def __init__(self) -> None:
        super().__init__()
        self._update: Any = None

    @Service(expand=True)
    def get_model(self, caller: RoleInstanceID) -> Any:
        """Parameters of the global model after the last round."""
        self.require(self._update is not None, f"{self.id} has no model yet: call its task 'run' first")
        return self._update

    @Task(expand=True)
    def run(
        self, caller: RoleInstanceID, num_rounds: int, num_epochs: int = 1, options: dict[str, Any] | None = None,
        distribute: bool = False,
    ) -> dict[str, Any]:
        """Do `num_rounds` rounds of `num_epochs` local epochs; with `distribute`, all clients get the last model.

        The first round starts from the evaluator's model, else from that of the run before, else from that of the
        first client. After each round, ``round-completed`` carries "round" (from 1), "clients", and, with an
        evaluator, its metrics.

        Returns
        -------
        dict
            "rounds", and "accuracy" and "loss" of the last test (None without an evaluator).
        """
        self.require(num_rounds >= 1, f"num_rounds must be 1 or more, got {num_rounds!r}")
        clients = in_order(self.ctx.relationships.get_relationship_view("trainer"))
        node = self.id.actor_name
        self.require(clients, f"relationship 'trainer' of {node} is empty: relate the clients first, "
                              f"e.g. %rml relate {node} trainer=client*/trainer")
        self.require(self.has("aggregator"), f"{node} has no 'aggregator': assign one first, "
                                             f"e.g. %rml assign {node} aggregator=FedAvgAggregator")
        self._update = self._initial(clients[0])
        metrics: dict[str, Any] = {}
        for number in range(1, num_rounds + 1):
            chosen = self._select(clients, number)
            done = self.call_task(
                "aggregator", "aggregate", args={"clients": chosen, "num_epochs": num_epochs, "options": options},
                payloads={"update": self._update},
            ).result()
            self._update = done["update"]
            metrics = self._evaluate()
            self.round_completed.emit(args={**metrics, "round": number, "clients": len(chosen)})
        if distribute:
            self.call_group(clients, "apply-update", payloads={"update": self._update})
        return {"rounds": num_rounds, "accuracy": metrics.get("accuracy"), "loss": metrics.get("loss")}

    def _initial(self, first: RoleInstanceID) -> Any:
        if self.has("evaluator"):
            return self.call("evaluator", "get-model")
        return self.call(first, "get-model") if self._update is None else self._update

    def _select(self, clients: list[RoleInstanceID], number: int) -> list[RoleInstanceID]:
        if not self.has("client-selector"):
            return clients
        return self.call("client-selector", "select-clients", args={"candidates": clients, "round": number})

    def _evaluate(self) -> dict[str, Any]:
        if not self.has("evaluator"):
            return {}
        self.call("evaluator", "apply-update", payloads={"update": self._update})
        return self.call_task("evaluator", "test").result()

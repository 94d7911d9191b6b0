"""IFCA: clients of several kinds, with a model for each kind.

Ghosh, Chung, Yin and Ramchandran, "An Efficient Framework for Clustered Federated Learning",
NeurIPS 2020, algorithm 1 with model averaging: in each round every client joins the cluster whose
model has the least loss on its data, ĵ = argmin_j F_i(θ_j), and trains that; each model becomes the
mean of what its cluster returns. That mean is weighted by data size here, unless the aggregator's
strategy says otherwise; in the paper, all clients have equally much.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

from roleml_nb.library.arrivals import GRACE_S, HEDGE_DELAY_S, Arrivals, gather
from roleml_nb.library.attempts import Attempt, result_of
from roleml_nb.library.channel_numbers import count_of
from roleml_nb.library.channel_types import Options
from roleml_nb.role import (
    CallTimeout,
    Element,
    ErrorHandlingStrategy,
    Message,
    RoleInstanceID,
    RoleInteractionError,
    RoleMLError,
    Service,
    Task,
)
from roleml_nb.role.host import Host

from .federated_coordinator import FederatedCoordinator
from .rounds import Quorum

__all__ = ["ClusteredCoordinator"]


class ClusteredCoordinator(FederatedCoordinator):
    """Runs rounds of IFCA.

    Needs what `FederatedCoordinator` needs, but takes no ``evaluator``: clients are the ones to
    test with.

    Elements: `models`, a list of two or more state dicts, where the clusters' models begin. They
    must differ, or all clients go to the first. The strategy of the aggregator is shared by the
    clusters, so it must be one without a state, as `FedAvg` is.
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
        return self._models[count_of("cluster", cluster, 0, len(self._models) - 1)]

    @Service(expand=True)
    def get_clusters(self, caller: RoleInstanceID) -> dict[RoleInstanceID, int]:
        """Return the cluster of each client that has taken part."""
        return self._clusters

    @Task(expand=True)
    def run(
        self,
        caller: RoleInstanceID,
        num_rounds: int,
        num_epochs: int = 1,
        options: Options | None = None,
        distribute: bool = False,
        deadline: float | None = None,
        min_results: int | None = None,
        enough: int | None = None,
        late: str = "drop",
    ) -> dict[str, Any]:
        """Do `num_rounds` rounds; with `distribute`, every client gets the last model of its
        cluster.

        After each round, ``round-completed`` carries "round" (from 1), "clients", "moved" (how many
        of them are in another cluster than before), "clusters" (how many have clients), "loss" (the
        mean of the clients' least losses, before the training of the round), and what the
        aggregator counts, such as "arrived" and "late".

        With `deadline`, `min_results` or `enough`, a round does not wait for every client: see
        `Quorum`. It is one quorum for all clusters together. The deadline counts twice: for the
        losses by which clients choose, and for their trainings; who fails or is late with its
        losses is not trained in that round. With `enough`, late is who takes more than twice as
        long as that many of the others, and half a second.

        Returns
        -------
        dict
            "rounds", "loss" of the last round, and "sizes" (clients per cluster).
        """
        num_rounds = count_of("num_rounds", num_rounds, 1)
        num_epochs = count_of("num_epochs", num_epochs, 1)
        clients = self._clients()
        self._models = self._models or list(self.models())
        self.require(
            len(self._models) > 1,
            f"element 'models' of {self.id} must have two models or more, got {len(self._models)}",
        )
        quorum = Quorum(deadline, min_results, enough, late).checked(
            len(clients), self.id.actor_name
        )
        training: dict[str, Any] = {"num_epochs": num_epochs, "options": options}
        self._quorum = quorum
        attempt = self._begin_attempt()
        if quorum.tolerant:
            training["attempt"] = attempt
        loss, self._busy = 0.0, self._busy if quorum.tolerant else []
        for number in range(1, num_rounds + 1):
            self.before_round()
            chosen = self._select_clients(clients, number, quorum)
            before = dict(self._clusters)
            loss, able, failed = self._assign(chosen, quorum)
            try:
                counts = self._train({**training, **self._inclusion}, able, quorum)
            except BaseException:
                self._clusters = before
                raise
            counts |= {
                "selected": len(chosen),
                "failed": counts.get("failed", 0) + failed,
                "late": counts.get("late", 0) + len(chosen) - len(able) - failed,
            }
            moved = sum(
                client in before and before[client] != self._clusters[client] for client in able
            )
            self.round_completed.emit(
                args={
                    **counts,
                    "round": number,
                    "clients": len(chosen),
                    "moved": moved,
                    "loss": loss,
                    "clusters": len({self._clusters[client] for client in able}),
                }
            )
        if distribute:
            self._distribute(clients, quorum)
        self._attempt = attempt
        sizes = [
            len(self._members_of(self._clusters, cluster)) for cluster in range(len(self._models))
        ]
        return {"rounds": num_rounds, "loss": loss, "sizes": sizes}

    def _assign(
        self, clients: Sequence[RoleInstanceID], quorum: Quorum
    ) -> tuple[float, list[RoleInstanceID], int]:
        """Put each client into the cluster with the least loss.

        The mean of these losses, the clients that told them, and how many failed; the rest was
        late.
        """
        reported, failed = self._collect_losses(clients, quorum)
        least = []
        for client, losses in reported.items():
            comparable = [math.inf if math.isnan(loss) else loss for loss in losses]
            self._clusters[client] = comparable.index(min(comparable))
            least.append(losses[self._clusters[client]])
        return (sum(least) / len(least) if least else 0.0), list(reported), failed

    def _collect_losses(
        self, clients: Sequence[RoleInstanceID], quorum: Quorum
    ) -> tuple[dict[RoleInstanceID, list[float]], int]:
        """Of each client, in their order, the loss of each model, and how many failed.

        Without a quorum, an error of one is an error.
        """
        if not quorum.tolerant:
            with Attempt() as attempt:
                asked = [
                    attempt.add(
                        self.call_task_group(clients, "evaluate", payloads={"update": update})
                    )
                    for update in self._models
                ]
                losses = zip(
                    *(
                        [invocation.result()["loss"] for _, invocation in of_model]
                        for of_model in asked
                    ),
                    strict=True,
                )
                return dict(zip(clients, map(list, losses), strict=True)), 0
        arrivals, host, calls = Arrivals(), self.base.host, []
        for cluster, update in enumerate(self._models):
            calls += self.call_task_group(
                clients,
                "evaluate",
                payloads={"update": update},
                on_call_error=ErrorHandlingStrategy.KEEP,
                on_result=partial(arrivals.put, cluster),
            )
        try:
            return self._gather_losses(clients, quorum, arrivals, host)
        finally:
            for _, call in calls:  # who is late trains sooner without
                call.cancel()

    def _gather_losses(
        self, clients: Sequence[RoleInstanceID], quorum: Quorum, arrivals: Arrivals, host: Host
    ) -> tuple[dict[RoleInstanceID, list[float]], int]:
        reported: dict[RoleInstanceID, dict[int, float]] = {client: {} for client in clients}
        failed: dict[RoleInstanceID, Exception] = {}
        began = host.clock.now()
        ends = float("inf") if quorum.deadline is None else began + quorum.deadline
        while left := [
            one for one in clients if one not in failed and len(reported[one]) < len(self._models)
        ]:
            known, now = len(clients) - len(failed) - len(left), host.clock.now()
            if quorum.enough is not None and known >= quorum.enough:
                # the others get as long again, for they may be the faster to train
                ends = min(ends, now + (now - began) + GRACE_S)
            remaining = ends - now
            if remaining <= 0 and known >= quorum.least:
                break
            arrived = arrivals.collect(
                remaining if 0 < remaining < float("inf") else host.call_timeout
            )
            if not arrived and not 0 < remaining < float("inf"):
                raise CallTimeout(
                    f"{', '.join(map(str, left))} told no losses for {host.call_timeout:.1f} s"
                )
            for cluster, client, invocation in arrived:
                try:
                    reported[client][cluster] = invocation.result(0)["loss"]
                except RoleMLError as error:
                    self.logger.warning("%s told no losses, and is left out: %s", client, error)
                    failed[client] = error
        able = [
            client
            for client in clients
            if client not in failed and len(reported[client]) == len(self._models)
        ]
        if len(able) < quorum.least:
            first = next(iter(failed.values()), None)
            raise RoleInteractionError(
                f"{len(able)} clients told their losses, and {quorum.least} are needed; the first"
                f" error: {first}"
            ) from first
        return {
            client: [reported[client][cluster] for cluster in range(len(self._models))]
            for client in able
        }, len(failed)

    def _train(
        self, training: dict[str, Any], chosen: list[RoleInstanceID], quorum: Quorum
    ) -> dict[str, int]:
        """Have each cluster train its model; what was counted."""
        members = [self._members_of(chosen, cluster) for cluster in range(len(self._models))]
        if quorum.tolerant:
            able = quorum._replace(enough=quorum.enough and min(quorum.enough, len(chosen)))
            done = result_of(
                self.call_task(
                    "aggregator",
                    "aggregate-clusters",
                    payloads={"updates": self._models},
                    args={**training, "clusters": members, "quorum": able._asdict()},
                )
            )
            self._models, self._results, self._busy = done["updates"], done["results"], done["busy"]
            return done["counts"]
        with Attempt() as attempt:
            rounds = attempt.add(
                (
                    cluster,
                    self.call_task(
                        "aggregator",
                        "aggregate",
                        args={**training, "clients": group},
                        payloads={"update": self._models[cluster]},
                    ),
                )
                for cluster, group in enumerate(members)
                if group
            )
            done_of = {cluster: invocation.result() for cluster, invocation in rounds}
        counts: dict[str, int] = {}  # all have ended: the models of a round are renewed together
        self._results = {}
        for cluster, done in done_of.items():
            self._models[cluster] = done["update"]
            self._results |= done.get("results", {})
            counts = {
                name: counts.get(name, 0) + count for name, count in done.get("counts", {}).items()
            }
        return counts

    def _distribute(self, clients: list[RoleInstanceID], quorum: Quorum) -> None:
        free = [client for client in clients if client not in self._busy]
        new = [client for client in free if client not in self._clusters]
        if new:
            deadline = quorum.deadline or (HEDGE_DELAY_S if quorum.enough else None)
            self._assign(new, Quorum(deadline, min_results=0) if quorum.tolerant else quorum)
        if quorum.tolerant:
            messages = [Message({}, {"update": update}) for update in self._models]
            known = {
                client: messages[self._clusters[client]]
                for client in free
                if client in self._clusters
            }
            gather(
                self,
                list(known),
                "service",
                "apply-update",
                messages=known,
                deadline=quorum.deadline,
                enough=quorum.enough,
            )
            return
        for cluster, update in enumerate(self._models):
            self.call_group(
                self._members_of(free, cluster), "apply-update", payloads={"update": update}
            )

    def _members_of(self, clients: Any, cluster: int) -> list[RoleInstanceID]:
        return [client for client in clients if self._clusters.get(client) == cluster]

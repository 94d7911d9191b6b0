"""IFCA: clients of several kinds, with a model for each kind.

Ghosh, Chung, Yin and Ramchandran, "An Efficient Framework for Clustered Federated Learning",
NeurIPS 2020, algorithm 1 with model averaging: in each round every client joins the cluster whose
model has the least loss on its data, ĵ = argmin_j F_i(θ_j), and trains that; each model becomes the
mean of the models of its cluster. That mean is weighted by data size here, unless the aggregator's
strategy says otherwise; in the paper, all clients have equally much.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from roleml_nb.library.arrivals import GRACE_S, HEDGE_DELAY_S, Arrivals, gather
from roleml_nb.library.attempts import Attempt, result_of
from roleml_nb.library.channel_numbers import count_of
from roleml_nb.library.channel_types import Options
from roleml_nb.library.ordering import without
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
    TaskInvocation,
)

from .federated_coordinator import FederatedCoordinator
from .rounds import Quorum

__all__ = ["ClusteredCoordinator"]


class ClusteredCoordinator(FederatedCoordinator):
    """Runs rounds of IFCA.

    Needs the relationships of `FederatedCoordinator`, except an ``evaluator``: models are tested on
    the clients.

    Element: `models`, a list of two or more state dicts, the clusters' first models. They must
    differ, or all clients join the first cluster. The clusters share the strategy of the
    aggregator, so it must be one without a state, as `FedAvg` is.
    """

    models: Any = Element(Sequence)

    def __init__(self) -> None:
        super().__init__()
        self._models: list[Any] = []
        self._clusters: dict[RoleInstanceID, int] = {}

    @Service(expand=True)
    def get_model(self, caller: RoleInstanceID, cluster: int = 0) -> Any:
        """Return the parameters of a cluster's model (0, 1, …) after the last round."""
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
        """Run `num_rounds` rounds; with `distribute`, clients get the last model of their cluster.

        After each round, ``round-completed`` carries "round" (from 1), "clients", "moved" (how many
        of them are in another cluster than before), "clusters" (how many have clients), "loss" (the
        mean of the clients' least losses, before the training of the round), and the aggregator's
        counts, such as "arrived" and "late".

        With `deadline`, `min_results` or `enough`, a round does not wait for every client: see
        `Quorum`. It is one quorum for all clusters together. The deadline holds twice: for the
        losses by which clients choose, and for their trainings; a client that fails or is late with
        its losses does not train in that round. With `enough`, a client is late if it takes half a
        second more than twice the time of that many others.

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
        loss = 0.0
        self._busy = self._busy if quorum.tolerant else []
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
            moved = sum(before.get(one, self._clusters[one]) != self._clusters[one] for one in able)
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
        sizes = list(map(len, self._members_by_cluster(self._clusters)))
        return {"rounds": num_rounds, "loss": loss, "sizes": sizes}

    def _assign(
        self, clients: Sequence[RoleInstanceID], quorum: Quorum
    ) -> tuple[float, list[RoleInstanceID], int]:
        """Put each client into the cluster with the least loss.

        Return the mean of these losses, the clients that reported theirs, and the number of those
        that failed; the others are late.
        """
        reported, failed = self._collect_losses(clients, quorum)
        least: list[float] = []
        for client, losses in reported.items():
            comparable = [math.inf if math.isnan(loss) else loss for loss in losses]
            self._clusters[client] = comparable.index(min(comparable))
            least.append(losses[self._clusters[client]])
        return (sum(least) / len(least) if least else 0.0), list(reported), failed

    def _collect_losses(
        self, clients: Sequence[RoleInstanceID], quorum: Quorum
    ) -> tuple[dict[RoleInstanceID, list[float]], int]:
        """Return the losses of all models for each client, and the number of clients that failed.

        Without a quorum, an error of one is an error.
        """
        if not quorum.tolerant:
            return self._losses_of_all(clients), 0
        arrivals = Arrivals()
        calls: list[tuple[RoleInstanceID, TaskInvocation]] = []
        for cluster, update in enumerate(self._models):
            calls += self.call_task_group(
                clients,
                "evaluate",
                payloads={"update": update},
                on_call_error=ErrorHandlingStrategy.KEEP,
                on_result=partial(arrivals.put, cluster),
            )
        try:
            return self._gather_losses(clients, quorum, arrivals)
        finally:
            for _, call in calls:  # late clients can train sooner then
                call.cancel()

    def _losses_of_all(
        self, clients: Sequence[RoleInstanceID]
    ) -> dict[RoleInstanceID, list[float]]:
        losses: dict[RoleInstanceID, list[float]] = {client: [] for client in clients}
        with Attempt() as attempt:
            asked: list[list[tuple[RoleInstanceID, TaskInvocation]]] = []
            for update in self._models:
                calls = self.call_task_group(clients, "evaluate", payloads={"update": update})
                asked.append(attempt.add(calls))
            for calls in asked:
                for client, invocation in calls:
                    losses[client].append(invocation.result()["loss"])
        return losses

    def _gather_losses(
        self, clients: Sequence[RoleInstanceID], quorum: Quorum, arrivals: Arrivals
    ) -> tuple[dict[RoleInstanceID, list[float]], int]:
        """Wait for losses until the quorum ends this, and return those of clients that have all."""
        host = self.base.host
        reported: dict[RoleInstanceID, dict[int, float]] = {client: {} for client in clients}
        failed: dict[RoleInstanceID, Exception] = {}
        began = host.clock.now()
        ends = float("inf") if quorum.deadline is None else began + quorum.deadline

        def incomplete(client: RoleInstanceID) -> bool:
            return client not in failed and len(reported[client]) < len(self._models)

        while left := list(filter(incomplete, clients)):
            known = len(clients) - len(failed) - len(left)
            now = host.clock.now()
            if quorum.enough is not None and known >= quorum.enough:
                # the others get the same time once more: they may be faster in training
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
        able = without(clients, {*left, *failed})
        if len(able) < quorum.least:
            first = next(iter(failed.values()), None)
            raise RoleInteractionError(
                f"{len(able)} clients told their losses, and {quorum.least} are needed; the first"
                f" error: {first}"
            ) from first
        losses: dict[RoleInstanceID, list[float]] = {}
        for client in able:
            losses[client] = [loss for _, loss in sorted(reported[client].items())]
        return losses, len(failed)

    def _train(
        self, training: dict[str, Any], chosen: list[RoleInstanceID], quorum: Quorum
    ) -> dict[str, int]:
        """Have each cluster train its model; return the aggregator's counts."""
        members = self._members_by_cluster(chosen)
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
            self._models = done["updates"]
            self._results = done["results"]
            self._busy = done["busy"]
            return done["counts"]
        rounds: list[tuple[int, TaskInvocation]] = []
        with Attempt() as attempt:
            for cluster, group in enumerate(members):
                if group:
                    call = self.call_task(
                        "aggregator",
                        "aggregate",
                        args={**training, "clients": group},
                        payloads={"update": self._models[cluster]},
                    )
                    rounds += attempt.add([(cluster, call)])
            done_of = {cluster: invocation.result() for cluster, invocation in rounds}
        # all have ended: the models of a round are renewed together
        counts: dict[str, int] = {}
        self._results = {}
        for cluster, done in done_of.items():
            self._models[cluster] = done["update"]
            self._results |= done.get("results", {})
            for name, count in done.get("counts", {}).items():
                counts[name] = counts.get(name, 0) + count
        return counts

    def _distribute(self, clients: list[RoleInstanceID], quorum: Quorum) -> None:
        free = without(clients, self._busy)
        new = without(free, self._clusters)
        if new:
            deadline = quorum.deadline or (HEDGE_DELAY_S if quorum.enough else None)
            self._assign(new, Quorum(deadline, min_results=0) if quorum.tolerant else quorum)
        if quorum.tolerant:
            messages = [Message({}, {"update": update}) for update in self._models]
            known: dict[RoleInstanceID, Message] = {}
            for client in free:
                if client in self._clusters:
                    known[client] = messages[self._clusters[client]]
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
        members = self._members_by_cluster(free)
        for group, update in zip(members, self._models, strict=True):
            self.call_group(group, "apply-update", payloads={"update": update})

    def _members_by_cluster(self, clients: Iterable[RoleInstanceID]) -> list[list[RoleInstanceID]]:
        members: list[list[RoleInstanceID]] = [[] for _ in self._models]
        for client in clients:
            if client in self._clusters:
                members[self._clusters[client]].append(client)
        return members

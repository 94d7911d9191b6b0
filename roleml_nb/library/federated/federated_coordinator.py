"""Federated learning in rounds.

McMahan, Moore, Ramage, Hampson and Agüera y Arcas, "Communication-Efficient Learning of Deep
Networks from Decentralized Data", AISTATS 2017 (algorithm FedAvg).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from roleml_nb.library.arrivals import gather
from roleml_nb.library.attempts import result_of
from roleml_nb.library.channel_numbers import count_of
from roleml_nb.library.channel_types import Options
from roleml_nb.library.ordering import without
from roleml_nb.role import ChannelNotFoundError, Message, RoleInstanceID, Service, Task
from roleml_nb.role.checks.entry_names import difference_of_names

from .coordinator import Coordinator
from .rounds import WAIT_FOR_ALL, Quorum

__all__ = ["FederatedCoordinator"]


class FederatedCoordinator(Coordinator):
    """Runs rounds of federated training (McMahan et al. 2017).

    Needs the relationship ``trainer`` (the clients) and an ``aggregator``; uses a
    ``client-selector`` and an ``evaluator`` (a `ModelMaintainer` with test data) if there are any.
    Each of these three is a relationship or a role on the same node.
    """

    def __init__(self) -> None:
        super().__init__()
        self._results: dict[RoleInstanceID, dict[str, Any]] = {}
        self._inclusion: dict[str, dict[RoleInstanceID, float]] = {}
        """The aggregator's argument "inclusion", unless all clients were equally likely."""
        self._busy: list[RoleInstanceID] = []
        self._attempt = ""

    @Service(expand=True)
    def get_results(self, caller: RoleInstanceID) -> dict[RoleInstanceID, dict[str, Any]]:
        """Return "data_size", "seconds" and training metrics per client of the last round.

        Metrics are there if the strategy asks for them.
        """
        return self._results

    @Service(expand=True)
    def get_quorum(self, caller: RoleInstanceID) -> dict[str, Any]:
        """Return the fields of the `Quorum` of this run, by which selectors wait for clients."""
        return self._quorum._asdict()

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
        first_round: int = 1,
        fresh: bool = False,
    ) -> dict[str, Any]:
        """Run `num_rounds` rounds of `num_epochs` local epochs.

        With `distribute`, all clients get the last model, except those that are still busy with a
        round that did not wait for them.

        The first round starts from the evaluator's model, else from that of the run before, else
        from that of the first client; the log and the result say when it goes on from earlier
        rounds. With `fresh`, for clients that were assigned anew, it starts from that of the first
        client, and with a new strategy.

        After each round, ``round-completed`` carries "round" (counted from `first_round`),
        "clients" (how many were selected), the aggregator's counts, such as "arrived" and "late",
        and, with an evaluator, its metrics. Random draws of a round depend on its number: after
        five rounds, continue with ``first_round=6`` to repeat a run of ten.

        With `deadline`, `min_results` or `enough`, a round does not wait for every client: see
        `Quorum`, which explains `late`, too. Its result then depends on the order of arrival;
        without them, it is deterministic.

        Returns
        -------
        dict
            "rounds", and "accuracy" and "loss" of the last test (None without an evaluator);
            "went_on_after", the number of rounds that the first model had seen, if it had seen any.

        Raises
        ------
        CallerError
            When a role is missing, a number is out of range, or `min_results` or `enough` exceeds
            the number of clients.
        """
        num_rounds = count_of("num_rounds", num_rounds, 1)
        num_epochs = count_of("num_epochs", num_epochs, 1)
        first_round = count_of("first_round", first_round, 1)
        clients = self._clients()
        quorum = Quorum(deadline, min_results, enough, late).checked(
            len(clients), self.id.actor_name
        )
        training: dict[str, Any] = {"num_epochs": num_epochs, "options": options}
        self._quorum = quorum
        tolerant = quorum.tolerant
        attempt = self._begin_attempt(fresh)
        if tolerant:
            training |= {"quorum": quorum._asdict(), "attempt": attempt}
        self._update, before = self._initial_model(clients, fresh)
        self._busy = self._busy if tolerant else []
        if fresh:
            self.call("aggregator", "begin-anew")
        metrics: dict[str, Any] = {}
        for number in range(first_round, first_round + num_rounds):
            self.before_round()
            chosen = self._select_clients(clients, number, quorum)
            done = result_of(
                self.call_task(
                    "aggregator",
                    "aggregate",
                    args={**training, **self._inclusion, "clients": chosen},
                    payloads={"update": self._update},
                )
            )
            self._check_entries(done["update"])
            self._rounds_seen += 1
            self._update = done["update"]
            self._results = done.get("results", {})
            self._busy = done.get("busy", [])
            metrics = self._evaluate()
            self.round_completed.emit(
                args={**metrics, **done.get("counts", {}), "round": number, "clients": len(chosen)}
            )
        if distribute:
            free = without(clients, self._busy)
            self._distribute_model(free, quorum)
        self._attempt = attempt
        return {
            "rounds": num_rounds,
            "accuracy": metrics.get("accuracy"),
            "loss": metrics.get("loss"),
            **before,
        }

    def _distribute_model(self, clients: list[RoleInstanceID], quorum: Quorum) -> None:
        message = Message({}, {"update": self._update})
        if quorum.tolerant:
            gather(
                self,
                clients,
                "service",
                "apply-update",
                message,
                deadline=quorum.deadline,
                enough=quorum.enough,
            )
        else:
            self.call_group(clients, "apply-update", message=message)

    def _check_entries(self, update: Mapping[str, Any]) -> None:
        problem = difference_of_names(update, self._update) if self.has("evaluator") else None
        self.require(
            problem is None,
            f"the clients of {self.id} return models whose entries are not those of its"
            f" evaluator's: {problem}; give it the same model, and the option 'local' that they"
            " have",
        )

    def _begin_attempt(self, fresh: bool = False) -> str:
        """Return the name of this run: that of the run before if it continues one that succeeded.

        Late results count if they belong to it.
        """
        attempt = "" if fresh else self._attempt
        self._attempt = ""
        return attempt or uuid4().hex

    def _clients(self) -> list[RoleInstanceID]:
        clients = super()._clients()
        node = self.id.actor_name
        self.require(
            self.has("aggregator"),
            f"{node} has no 'aggregator': assign one first, "
            f"e.g. %rml assign {node} aggregator=FedAvgAggregator",
        )
        return clients

    def _select_clients(
        self, clients: list[RoleInstanceID], number: int, quorum: Quorum = WAIT_FOR_ALL
    ) -> list[RoleInstanceID]:
        """Return the clients of a round, without those still busy if there are enough others."""
        free = without(clients, self._busy)
        candidates = free if len(free) >= max(quorum.least, quorum.enough or 1) else clients
        self._inclusion = {}
        if not self.has("client-selector"):
            return candidates
        chosen = self.call(
            "client-selector", "select-clients", args={"candidates": candidates, "round": number}
        )
        needed = max(quorum.least, quorum.enough or 1)
        self.require(
            len(chosen) >= needed,
            f"the client-selector chose {len(chosen)} of {len(candidates)} clients for round "
            f"{number}, and min_results or enough ask for {needed}: have it choose more",
        )
        try:
            inclusion = self.call("client-selector", "get-inclusion")
        except ChannelNotFoundError:  # selectors of other classes need not have it
            inclusion = {}
        self._inclusion = {"inclusion": inclusion} if inclusion else {}
        return chosen

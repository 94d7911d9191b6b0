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
from roleml_nb.role import ChannelNotFoundError, Message, RoleInstanceID, Service, Task
from roleml_nb.role.checks.entry_names import difference_of_names

from .coordinator import Coordinator
from .rounds import WAIT_FOR_ALL, Quorum

__all__ = ["FederatedCoordinator"]


class FederatedCoordinator(Coordinator):
    """Runs rounds of federated training (McMahan et al. 2017).

    Needs the relationship ``trainer`` (the clients) and an ``aggregator``; takes a
    ``client-selector`` and an ``evaluator`` (a `ModelMaintainer` with test data) if there are any.
    Each of these three is a relationship or a role on the same node.
    """

    def __init__(self) -> None:
        super().__init__()
        self._results: dict[RoleInstanceID, dict[str, Any]] = {}
        self._inclusion: dict[str, dict[RoleInstanceID, float]] = {}
        """The argument of that name, for the clients of the round, unless they were all as likely
        to be selected.
        """
        self._busy: list[RoleInstanceID] = []
        self._attempt = ""

    @Service(expand=True)
    def get_results(self, caller: RoleInstanceID) -> dict[RoleInstanceID, dict[str, Any]]:
        """Per client of the last round: "data_size", "seconds" and, if the strategy asks for them,
        training metrics.
        """
        return self._results

    @Service(expand=True)
    def get_quorum(self, caller: RoleInstanceID) -> dict[str, Any]:
        """Return the conditions of the rounds of this run, as the fields of a `Quorum`: how long a
        selector waits for clients.
        """
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
        """Do `num_rounds` rounds of `num_epochs` local epochs; with `distribute`, all clients get
        the last model, except those that are still busy with a round that did not wait for them.

        The first round starts from the evaluator's model, else from that of the run before, else
        from that of the first client; the log and the result say when it goes on from earlier
        rounds. With `fresh`, it starts from that of the first client, and so does the strategy: for
        clients that were assigned anew.

        After each round, ``round-completed`` carries "round" (counted from `first_round`),
        "clients" (how many were selected), what the aggregator counts, such as "arrived" and
        "late", and, with an evaluator, its metrics. What is drawn in a round depends on its number:
        after five rounds, go on with ``first_round=6`` to have what ten would have.

        With `deadline`, `min_results` or `enough`, a round does not wait for every client: see
        `Quorum`, which has `late` too. What it brings then depends on who is first, and is not
        deterministic; without them, it is.

        Returns
        -------
        dict
            "rounds", and "accuracy" and "loss" of the last test (None without an evaluator);
            "went_on_after", how many rounds the model had seen that the first one started from, if
            it had seen any.

        Raises
        ------
        CallerError
            When something is missing or out of range, or `min_results` or `enough` are more than
            there are clients.
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
        tolerant, attempt = quorum.tolerant, self._begin_attempt(fresh)
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
            self._update, self._results, self._busy = (
                done["update"],
                done.get("results", {}),
                done.get("busy", []),
            )
            metrics = self._evaluate()
            self.round_completed.emit(
                args={**metrics, **done.get("counts", {}), "round": number, "clients": len(chosen)}
            )
        if distribute:
            done_with = [client for client in clients if client not in self._busy]
            if tolerant:
                gather(
                    self,
                    done_with,
                    "service",
                    "apply-update",
                    Message({}, {"update": self._update}),
                    deadline=quorum.deadline,
                    enough=quorum.enough,
                )
            else:
                self.call_group(done_with, "apply-update", payloads={"update": self._update})
        self._attempt = attempt
        return {
            "rounds": num_rounds,
            "accuracy": metrics.get("accuracy"),
            "loss": metrics.get("loss"),
            **before,
        }

    def _check_entries(self, update: Mapping[str, Any]) -> None:
        problem = difference_of_names(update, self._update) if self.has("evaluator") else None
        self.require(
            problem is None,
            f"the clients of {self.id} return models whose entries are not those of its"
            f" evaluator's: {problem}; give it the same model, and the option 'local' that they"
            " have",
        )

    def _begin_attempt(self, fresh: bool = False) -> str:
        """What late results must belong to: that of the run before if that has not failed, and this
        one goes on from it.
        """
        attempt, self._attempt = "" if fresh else self._attempt, ""
        return attempt or uuid4().hex

    def _clients(self) -> list[RoleInstanceID]:
        clients, node = super()._clients(), self.id.actor_name
        self.require(
            self.has("aggregator"),
            f"{node} has no 'aggregator': assign one first, "
            f"e.g. %rml assign {node} aggregator=FedAvgAggregator",
        )
        return clients

    def _select_clients(
        self, clients: list[RoleInstanceID], number: int, quorum: Quorum = WAIT_FOR_ALL
    ) -> list[RoleInstanceID]:
        """Return the clients of a round, not those who are busy with an earlier one as long as
        there are enough others.
        """
        free = [client for client in clients if client not in self._busy]
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
        except ChannelNotFoundError:  # a selector of another kind, which need not have it
            inclusion = {}
        self._inclusion = {"inclusion": inclusion} if inclusion else {}
        return chosen

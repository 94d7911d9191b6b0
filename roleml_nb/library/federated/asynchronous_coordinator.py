"""The server of asynchronous federated learning."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from roleml_nb.library.aggregation.contributions import emit_contributions
from roleml_nb.library.aggregation.same_entries import EntriesDiffer, check_entries
from roleml_nb.library.arrivals import call_each
from roleml_nb.library.channel_numbers import count_of
from roleml_nb.library.channel_types import Options
from roleml_nb.library.training.finite import Diverged, check_finite
from roleml_nb.role import (
    ArgumentError,
    CallTimeout,
    Element,
    Event,
    Message,
    RoleInstanceID,
    RoleInteractionError,
    RoleMLError,
    Task,
)
from roleml_nb.role.checks.numbers import as_count

from .asynchronous import AsynchronousStrategy, FedBuff
from .coordinator import Coordinator
from .rounds import Quorum
from .trainings import EndedTraining, Training, Trainings, Work

__all__ = ["AsynchronousCoordinator"]


class AsynchronousCoordinator(Coordinator):
    """Keeps clients at work all the time, and takes each result in as it comes: FedAsync, FedBuff.

    Needs the relationship ``trainer`` (the clients); takes an ``evaluator``, as
    `FederatedCoordinator` does. What is done with a result is the element `strategy`, an
    `AsynchronousStrategy`; `FedBuff` when not given. Who is asked next is drawn among the clients
    that are idle. A client that fails is left out from then on.

    Results depend on who is first, so runs are not deterministic. Each time that the model is
    renewed, ``contributions`` carries the "weight" of each result in it (what is missing to 1 is
    that of the model before), how "stale" it was, in versions, and who "failed"; in the last one of
    a run, also who was at work in vain ("dropped"). The trace has a table of them.

    Parameters
    ----------
    concurrency : int, optional
        How many clients train at the same time, 1 or more; all of them when not given.
    """

    strategy: Any = Element(AsynchronousStrategy, default_constructor=FedBuff)
    contributions = Event()

    def __init__(self, concurrency: int | None = None) -> None:
        super().__init__()
        concurrency = None if concurrency is None else as_count("concurrency", concurrency)
        if concurrency is not None and concurrency < 1:
            raise ArgumentError(f"concurrency must be 1 or more, got {concurrency!r}")
        self.concurrency = concurrency
        self._trainings = Trainings()
        self._quorum = Quorum(min_results=1)  # whoever does not answer is not waited for

    @Task(expand=True)
    def run(
        self,
        caller: RoleInstanceID,
        num_rounds: int,
        num_epochs: int = 1,
        options: Options | None = None,
        distribute: bool = False,
        fresh: bool = False,
    ) -> dict[str, Any]:
        """Go on until the server's model has been renewed `num_rounds` times; `options` go to the
        clients' training.

        After each renewal, ``round-completed`` carries "round" (from 1, the version of the model),
        "arrived" (results since the one before), "staleness" (their mean) and "max_staleness",
        "failed" (clients left out so far) and, with an evaluator, its metrics. What is under way
        when the run ends is dropped; with `distribute`, it is waited for, and then all clients get
        the last model.

        Returns
        -------
        dict
            "rounds", "results" (how many were merged), and "accuracy" and "loss" of the last
            test; "went_on_after" as of `FederatedCoordinator`, which has `fresh`, too.
        """
        num_rounds = count_of("num_rounds", num_rounds, 1)
        num_epochs = count_of("num_epochs", num_epochs, 1)
        clients = self._clients()
        self._update, before = self._initial_model(clients, fresh)
        if fresh and self.strategy.constructible:
            self.strategy.reset()
        self.strategy().begin()
        with _ClientPool(
            self, self._trainings, clients, {**(options or {}), "num_epochs": num_epochs}
        ) as pool:
            metrics = self._run_rounds(pool, num_rounds)
            if distribute:
                pool.wait()
                able = [client for client in clients if client not in pool.failed]
                call_each(self, able, "apply-update", self._update)
        return {
            "rounds": num_rounds,
            "results": pool.merged,
            "accuracy": metrics.get("accuracy"),
            "loss": metrics.get("loss"),
            **before,
        }

    def _run_rounds(self, pool: _ClientPool, num_rounds: int) -> dict[str, Any]:
        """Take results in until the model has been renewed so often; the last metrics."""
        metrics: dict[str, Any] = {}
        for number in range(1, num_rounds + 1):
            self.before_round()
            merged: list[tuple[RoleInstanceID, int]] = []
            failed, renewed = set(pool.failed), None
            while renewed is None:
                client, result, base, age = pool.next_result(self._update, number - 1)
                merged.append((client, age))
                renewed = self.strategy().receive(self._update, result, base, age)
            self._rounds_seen += 1
            self._update, ages = renewed, [age for _, age in merged]
            emit_contributions(
                self.contributions,
                [(client, self.strategy().share(age)) for client, age in merged],
                stale=merged,
                failed=[client for client in pool.failed if client not in failed],
                dropped=pool.pending_clients() if number == num_rounds else [],
            )
            metrics = self._evaluate()
            self.round_completed.emit(
                args={
                    **metrics,
                    "round": number,
                    "arrived": len(ages),
                    "staleness": sum(ages) / len(ages),
                    "max_staleness": max(ages),
                    "failed": len(pool.failed),
                }
            )
        return metrics


class _ClientPool:
    """The clients of one run: who is idle, who is at work since which version, and who has
    failed.
    """

    def __init__(
        self,
        role: AsynchronousCoordinator,
        trainings: Trainings,
        clients: list[RoleInstanceID],
        args: dict[str, Any],
    ):
        self._role, self._trainings, self._clients, self._message = (
            role,
            trainings,
            clients,
            Message(args),
        )
        self._random = role.rng("clients")
        self._attempt = uuid4().hex
        self._ready: list[EndedTraining] = []
        self.failed: dict[RoleInstanceID, Exception] = {}
        self.merged = 0

    def __enter__(self) -> _ClientPool:
        return self

    def __exit__(self, *_: object) -> None:
        """What is under way is for nothing.

        Who is at it is asked again when it has ended, and takes it back first.
        """
        self._trainings.cancel(self._belongs_to_run)

    def pending_clients(self) -> list[RoleInstanceID]:
        """Clients whose results were not merged yet."""
        return [*self._training_clients(), *(one.client for one in self._ready)]

    def next_result(self, update: Any, version: int) -> tuple[RoleInstanceID, Any, Any, int]:
        """Whose result comes next, the result, the model that it began with, and how many versions
        ago that was.
        """
        self._start_idle_clients(update, version)
        while not self._ready:
            self._collect()
            self._start_idle_clients(update, version)
        client, training, result, *_ = self._ready.pop(0)
        self._trainings.unmerged.discard(client)
        self.merged += 1
        return client, result, training.update, version - training.number

    def wait(self) -> None:
        """Return when no client is at work any more."""
        while self._trainings.under_way:
            self._collect()

    def _belongs_to_run(self, training: Training) -> bool:
        return training.work.attempt == self._attempt

    def _training_clients(self) -> list[RoleInstanceID]:
        return [
            client
            for client, training in self._trainings.under_way.items()
            if self._belongs_to_run(training)
        ]

    def _start_idle_clients(self, update: Any, version: int) -> None:
        """Send the model to idle clients and have them train, up to the concurrency."""
        under_way = self._trainings.under_way
        limit = self._role.concurrency or len(self._clients)
        idle = [one for one in self._clients if one not in under_way and one not in self.failed]
        wanted = min(limit - len(under_way) - len(self._ready), len(idle))
        if wanted > 0:
            chosen = [
                idle[index]
                for index in sorted(self._random.choice(len(idle), wanted, replace=False))
            ]
            work = Work(version, [update], "train2", self._message, self._attempt)
            self._trainings.begin(self._role, work, dict.fromkeys(chosen, 0))
        if not under_way and not self._ready:
            first = next(iter(self.failed.values()))
            raise RoleInteractionError(
                f"no client is left: {', '.join(map(str, self.failed))} failed; the first error: "
                f"{first}"
            ) from first

    def _collect(self) -> None:
        """Take in what comes next; what an earlier run had begun is dropped."""
        limit = self._role.base.host.call_timeout
        came, ended = self._trainings.collect(self._role, limit, self._belongs_to_run)
        if not came:
            raise CallTimeout(
                f"none of {', '.join(map(str, self._trainings.under_way))} has returned a result"
                f" for {limit:.1f} s"
            )
        for each in ended:
            if not self._belongs_to_run(each.training):
                continue
            error: RoleMLError | None = each.error
            if error is None:
                try:
                    check_entries(
                        each.client, each.result["update"], each.training.update, "the server"
                    )
                    check_finite(each.client, each.result["update"], each.training.update)
                except (Diverged, EntriesDiffer) as problem:
                    error = problem
            if error is None:
                self._ready.append(each)
            else:
                self._role.logger.warning("%s is left out: %s", each.client, error)
                self.failed[each.client] = error

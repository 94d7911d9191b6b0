"""The server of asynchronous federated learning."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from roleml_nb.library.aggregation.contributions import emit_contributions
from roleml_nb.library.aggregation.same_entries import EntriesDiffer, check_entries
from roleml_nb.library.arrivals import call_each
from roleml_nb.library.channel_numbers import count_of
from roleml_nb.library.channel_types import Options
from roleml_nb.library.ordering import items_at, without
from roleml_nb.library.training.finite import Diverged, check_finite
from roleml_nb.role import (
    CallTimeout,
    Element,
    Event,
    Message,
    RoleInstanceID,
    RoleInteractionError,
    RoleMLError,
    Task,
)
from roleml_nb.role.checks.numbers import check_count

from .asynchronous import AsynchronousStrategy, FedBuff
from .coordinator import Coordinator
from .rounds import Quorum
from .trainings import EndedTraining, Training, Trainings, Work

__all__ = ["AsynchronousCoordinator"]


class AsynchronousCoordinator(Coordinator):
    """Keeps clients training all the time, and merges each result when it comes: FedAsync, FedBuff.

    Needs the relationship ``trainer`` (the clients); uses an ``evaluator``, as
    `FederatedCoordinator` does. Element: `strategy`, an `AsynchronousStrategy`, which merges
    results; `FedBuff` when not given. The next client is drawn among those that are idle. A client
    that fails is left out from then on.

    Results depend on the order of arrival, so runs are not deterministic. Each time that the model
    is renewed, ``contributions`` carries the "weight" of each result in it (the rest to 1 is that
    of the model before), how "stale" it was, in versions, and the clients that "failed"; at the end
    of a run, also those whose trainings are "dropped". The trace shows them as a table.

    Parameters
    ----------
    concurrency : int, optional
        The number of clients that train at the same time, 1 or more; all when not given.
    """

    strategy: Any = Element(AsynchronousStrategy, default_constructor=FedBuff)
    contributions = Event()

    def __init__(self, concurrency: int | None = None) -> None:
        super().__init__()
        self.concurrency = (
            None if concurrency is None else check_count("concurrency", concurrency, 1)
        )
        self._trainings = Trainings()
        self._quorum = Quorum(min_results=1)  # no client need answer

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
        """Train until the server's model has been renewed `num_rounds` times.

        `options` go to the clients' training. After each renewal, ``round-completed`` carries
        "round" (from 1, the version of the model), "arrived" (results since the one before),
        "staleness" (their mean) and "max_staleness", "failed" (clients left out so far) and, with
        an evaluator, its metrics. Trainings under way when the run ends are dropped; with
        `distribute`, they are waited for, and then all clients get the last model.

        Returns
        -------
        dict
            "rounds", "results" (the number of merged ones), and "accuracy" and "loss" of the last
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
                call_each(self, without(clients, pool.failed), "apply-update", self._update)
        return {
            "rounds": num_rounds,
            "results": pool.merged,
            "accuracy": metrics.get("accuracy"),
            "loss": metrics.get("loss"),
            **before,
        }

    def _run_rounds(self, pool: _ClientPool, num_rounds: int) -> dict[str, Any]:
        """Merge results until the model has been renewed so often; return the last metrics."""
        metrics: dict[str, Any] = {}
        for number in range(1, num_rounds + 1):
            self.before_round()
            merged: list[tuple[RoleInstanceID, int]] = []
            failed = set(pool.failed)
            renewed = None
            while renewed is None:
                client, result, base, age = pool.next_result(self._update, number - 1)
                merged.append((client, age))
                renewed = self.strategy().receive(self._update, result, base, age)
            self._rounds_seen += 1
            self._update = renewed
            self._emit_contributions(
                merged,
                failed=without(pool.failed, failed),
                dropped=pool.pending_clients() if number == num_rounds else [],
            )
            ages = [age for _, age in merged]
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

    def _emit_contributions(
        self,
        merged: list[tuple[RoleInstanceID, int]],
        failed: list[RoleInstanceID],
        dropped: list[RoleInstanceID],
    ) -> None:
        strategy = self.strategy()
        emit_contributions(
            self.contributions,
            [(client, strategy.share(age)) for client, age in merged],
            stale=merged,
            failed=failed,
            dropped=dropped,
        )


class _ClientPool:
    """The clients of one run: idle, training, with a result, or failed."""

    def __init__(
        self,
        role: AsynchronousCoordinator,
        trainings: Trainings,
        clients: list[RoleInstanceID],
        args: dict[str, Any],
    ):
        self._role = role
        self._trainings = trainings
        self._clients = clients
        self._message = Message(args)
        self._random = role.rng("clients")
        self._attempt = uuid4().hex
        self._ready: list[EndedTraining] = []
        self.failed: dict[RoleInstanceID, Exception] = {}
        self.merged = 0

    def __enter__(self) -> _ClientPool:
        return self

    def __exit__(self, *_: object) -> None:
        """Cancel the trainings of the run; clients undo them before their next training."""
        self._trainings.cancel(self._belongs_to_run)

    def pending_clients(self) -> list[RoleInstanceID]:
        """Return the clients whose results are not merged yet."""
        ready = [ended.client for ended in self._ready]
        return [*self._training_clients(), *ready]

    def next_result(self, update: Any, version: int) -> tuple[RoleInstanceID, Any, Any, int]:
        """Return a client, its result, the model that it began with, and the age of that model.

        The age is in versions of the server's model.
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
        """Wait until no client trains any more."""
        while self._trainings.under_way:
            self._collect()

    def _belongs_to_run(self, training: Training) -> bool:
        return training.work.attempt == self._attempt

    def _training_clients(self) -> list[RoleInstanceID]:
        clients: list[RoleInstanceID] = []
        for client, training in self._trainings.under_way.items():
            if self._belongs_to_run(training):
                clients.append(client)
        return clients

    def _start_idle_clients(self, update: Any, version: int) -> None:
        """Have idle clients train with the model, up to the concurrency."""
        under_way = self._trainings.under_way
        limit = self._role.concurrency or len(self._clients)
        idle = without(self._clients, {**under_way, **self.failed})
        wanted = min(limit - len(under_way) - len(self._ready), len(idle))
        if wanted > 0:
            drawn = sorted(self._random.choice(len(idle), wanted, replace=False))
            chosen = items_at(idle, drawn)
            work = Work(version, [update], "train2", self._message, self._attempt)
            self._trainings.begin(self._role, work, dict.fromkeys(chosen, 0))
        if not under_way and not self._ready:
            first = next(iter(self.failed.values()))
            raise RoleInteractionError(
                f"no client is left: {', '.join(map(str, self.failed))} failed; the first error: "
                f"{first}"
            ) from first

    def _collect(self) -> None:
        """Collect the next results of this run; drop those of earlier runs."""
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
            error = each.error or _problem(each)
            if error is None:
                self._ready.append(each)
            else:
                self._role.logger.warning("%s is left out: %s", each.client, error)
                self.failed[each.client] = error


def _problem(ended: EndedTraining) -> RoleMLError | None:
    """Return an error if the model has diverged, or has other entries than the server's."""
    update = ended.result["update"]
    base = ended.training.update
    try:
        check_entries(ended.client, update, base, "the server")
        check_finite(ended.client, update, base)
    except (Diverged, EntriesDiffer) as error:
        return error
    return None

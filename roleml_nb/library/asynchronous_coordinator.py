"""The server of asynchronous federated learning."""

from __future__ import annotations

from functools import partial
from typing import Any

from roleml_nb.role import (
    CallTimeout,
    Element,
    ErrorHandlingStrategy,
    Event,
    RoleInstanceID,
    RoleInteractionError,
    RoleMLError,
    Task,
)

from .asynchronous import AsynchronousStrategy, FedBuff
from .contributions import tell
from .coordinator import Coordinator
from .finite import check_finite
from .rounds import Arrivals, Training, reach

__all__ = ["AsynchronousCoordinator"]


class AsynchronousCoordinator(Coordinator):
    """Keeps clients at work all the time, and takes each result in as it comes: FedAsync, FedBuff.

    Needs the relationship ``trainer`` (the clients); takes an ``evaluator``, as `FederatedCoordinator` does. What is done
    with a result is the element `strategy`, an `AsynchronousStrategy`; `FedBuff` when not given. Who is asked next is drawn
    among the clients that are idle. A client that fails is left out from then on.

    Results depend on who is first, so runs are not deterministic. Each time that the model is renewed, ``contributions``
    carries the "weight" of each result in it (what is missing to 1 is that of the model before), how "stale" it was, in
    versions, and who "failed"; in the last one of a run, also who was at work in vain ("dropped"). The trace has a table of them.

    Parameters
    ----------
    concurrency : int, optional
        How many clients train at the same time, 1 or more; all of them when not given.
    """

    strategy: Any = Element(AsynchronousStrategy, default_constructor=FedBuff)
    contributions = Event()

    def __init__(self, concurrency: int | None = None) -> None:
        super().__init__()
        if concurrency is not None and concurrency < 1:
            raise ValueError(f"concurrency must be 1 or more, got {concurrency!r}")
        self.concurrency = concurrency

    @Task(expand=True)
    def run(
        self, caller: RoleInstanceID, num_rounds: int, num_epochs: int = 1, options: dict[str, Any] | None = None,
        distribute: bool = False, fresh: bool = False,
    ) -> dict[str, Any]:
        """Go on until the server's model has been renewed `num_rounds` times; `options` go to the clients' training.

        After each renewal, ``round-completed`` carries "round" (from 1, the version of the model), "arrived" (results since
        the one before), "staleness" (their mean) and "max_staleness", "failed" (clients left out so far) and, with an
        evaluator, its metrics. What is under way when the run ends is dropped; with `distribute`, it is waited for, and then all
        clients get the last model.

        Returns
        -------
        dict
            "rounds", "results" (how many were taken in), and "accuracy" and "loss" of the last test; "went_on_after" as of
            `FederatedCoordinator`, which has `fresh`, too.
        """
        self.require(num_rounds >= 1, f"num_rounds must be 1 or more, got {num_rounds!r}")
        clients = self._clients()
        self._update, before = self._initial(clients, fresh)
        if fresh and self.strategy.constructible:
            self.strategy.reset()
        server = _Server(self, clients, {**(options or {}), "num_epochs": num_epochs})
        metrics: dict[str, Any] = {}
        for number in range(1, num_rounds + 1):
            self.before_round()
            taken: list[tuple[RoleInstanceID, int]] = []
            failed, renewed = set(server.failed), None
            while renewed is None:
                client, result, base, age = server.next_result(self._update, number - 1)
                taken.append((client, age))
                renewed = self.strategy().receive(self._update, result, base, age)
            self._rounds_seen += 1
            self._update, ages = renewed, [age for _, age in taken]
            tell(self.contributions, [(client, self.strategy().share(age)) for client, age in taken], stale=taken,
                 failed=[client for client in server.failed if client not in failed],
                 dropped=server.at_work() if number == num_rounds else [])
            metrics = self._evaluate()
            self.round_completed.emit(args={
                **metrics, "round": number, "arrived": len(ages), "staleness": sum(ages) / len(ages),
                "max_staleness": max(ages), "failed": len(server.failed)})
        if distribute:
            server.wait()
            self.call_group([client for client in clients if client not in server.failed], "apply-update",
                            payloads={"update": self._update})
        return {"rounds": num_rounds, "results": server.taken, "accuracy": metrics.get("accuracy"), "loss": metrics.get("loss"),
                **before}


class _Server:
    """The clients of one run: who is idle, who is at work since which version, and who has failed."""

    def __init__(self, role: AsynchronousCoordinator, clients: list[RoleInstanceID], args: dict[str, Any]):
        self._role, self._clients, self._args = role, clients, args
        self._random = role.rng("clients")
        self._working: dict[RoleInstanceID, Training] = {}
        self._arrivals = Arrivals()
        self._waiting: list[tuple[RoleInstanceID, Any, Training]] = []
        self.failed: dict[RoleInstanceID, Exception] = {}
        self.taken = 0

    def at_work(self) -> list[RoleInstanceID]:
        """Clients whose results were not taken in yet."""
        return [*self._working, *(client for client, _, _ in self._waiting)]

    def next_result(self, update: Any, version: int) -> tuple[RoleInstanceID, Any, Any, int]:
        """Whose result comes next, the result, the model that it began with, and how many versions ago that was."""
        self._employ(update, version)
        while not self._waiting:
            for client, result in self._collect():
                training = self._working.pop(client)
                self._waiting.append((client, result, training))
            self._employ(update, version)
        client, result, training = self._waiting.pop(0)
        self.taken += 1
        return client, result, training.update, version - training.number

    def wait(self) -> None:
        """Return when no client is at work any more."""
        while self._working:
            for client, _ in self._collect():
                del self._working[client]

    def _employ(self, update: Any, version: int) -> None:
        """Send the model to idle clients and have them train, up to the concurrency."""
        limit = self._role.concurrency or len(self._clients)
        waiting = len(self._waiting)
        while True:
            idle = [one for one in self._clients if one not in self._working and one not in self.failed]
            wanted = min(limit - len(self._working) - waiting, len(idle))
            if wanted <= 0:
                break
            chosen = [idle[index] for index in sorted(self._random.choice(len(idle), wanted, replace=False))]
            reached, errors = reach(self._role, chosen, "apply-update", [update])
            self.failed.update(errors)
            now = self._role.base.host.clock.now()
            self._working.update({client: Training(version, update, now) for client in reached})
            self._role.call_task_group(list(reached), "train2", self._args, on_call_error=ErrorHandlingStrategy.KEEP,
                                       on_result=partial(self._arrivals.put, version))
        if not self._working and not self._waiting:
            first = next(iter(self.failed.values()))
            raise RoleInteractionError(f"no client is left: {', '.join(map(str, self.failed))} failed; the first error: "
                                       f"{first}") from first

    def _collect(self) -> list[tuple[RoleInstanceID, Any]]:
        limit = self._role.base.host.call_timeout
        arrived = self._arrivals.take(limit)
        if not arrived:
            raise CallTimeout(f"none of {', '.join(map(str, self._working))} has returned a result for {limit:.1f} s")
        results = []
        for _, client, invocation in arrived:
            try:
                result = invocation.result(0)
                check_finite(client, result["update"], self._working[client].update)
                results.append((client, result))
            except RoleMLError as error:
                self._role.logger.warning("%s is left out: %s", client, error)
                self.failed[client] = error
                del self._working[client]
        return results

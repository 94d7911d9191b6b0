"""Rounds that do not wait for everyone: the conditions of a round, and trainings that are under way over several of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import Any, NamedTuple

from roleml_nb.role import CallTimeout, ErrorHandlingStrategy, Message, Role, RoleInstanceID, RoleInteractionError, RoleMLError
from roleml_nb.role.running import wait

__all__ = ["Arrivals", "Outcome", "Quorum", "Training", "Trainings", "reach"]

Arrival = tuple[int, RoleInstanceID, Any]


class Quorum(NamedTuple):
    """When a round is over before all clients have answered, and what becomes of those who answer later.

    Parameters
    ----------
    deadline : float, optional
        Seconds, counted from when the clients have the model. Then the round is over, if `min_results` are there, or else as
        soon as they are.
    min_results : int, optional
        How many results a round must have; clients that fail, or whose node is lost, are left out as long as there are so
        many. 1 when not given.
    enough : int, optional
        The round is over when so many results are there. With more clients selected than that, it is over-selection
        (Bonawitz et al., "Towards Federated Learning at Scale: System Design", MLSys 2019).
    late : {"drop", "stale"}
        A result that comes when its round is over is dropped, or counts in the round during which it comes, as the step
        that the client made, with a weight that is smaller by 1 / √(1 + rounds that it is late).
    """

    deadline: float | None = None
    min_results: int | None = None
    enough: int | None = None
    late: str = "drop"

    @property
    def least(self) -> int:
        return 1 if self.min_results is None else self.min_results

    @property
    def tolerant(self) -> bool:
        """Whether a round may be over before all have answered."""
        return (self.deadline, self.min_results, self.enough) != (None, None, None)

    def problem(self, clients: int, node: str) -> str | None:
        """What makes it impossible, in one line; None when it can be met with so many clients."""
        for name in ("min_results", "enough"):
            count = getattr(self, name)
            if count is not None and not 1 <= count <= clients:
                return (f"{name} is {count!r}, but {node} has {clients} {'client' if clients == 1 else 'clients'}: "
                        f"it must be from 1 to {clients}")
        if self.enough is not None and self.enough < self.least:
            return f"enough={self.enough} is less than min_results={self.min_results}: a round could never be over"
        if self.deadline is not None and not self.deadline > 0:
            return f"deadline must be more than 0 seconds, got {self.deadline!r}"
        if self.late not in ("drop", "stale"):
            return f"late must be 'drop' or 'stale', got {self.late!r}"
        return None


class Arrivals:
    """Trainings that have ended, and a wait for the next one, which leaves the worker to others meanwhile."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._arrived: list[Arrival] = []
        self._bell: Future[None] = Future()

    def put(self, number: int, client: RoleInstanceID, invocation: Any) -> None:
        """Called on any thread when a training of round `number` has ended."""
        with self._lock:
            self._arrived.append((number, client, invocation))
            bell = self._bell
            if not bell.done():
                bell.set_result(None)

    def take(self, timeout: float) -> list[Arrival]:
        """All that have arrived since; waits up to `timeout` seconds for the first one."""
        with self._lock:
            if not self._arrived:
                self._bell = Future()
            bell = self._bell
        try:
            if not self._arrived:
                wait(bell, max(0.0, timeout))
        except TimeoutError:
            pass
        with self._lock:
            arrived, self._arrived = self._arrived, []
            return arrived


class Training(NamedTuple):
    """One that was asked for in round `number`, which began with the model `update`, that of a `cluster`, at `began` seconds."""

    number: int
    update: Any
    began: float
    cluster: int = 0


@dataclass
class Outcome:
    """What has come of a round so far."""

    results: list[tuple[RoleInstanceID, Any, Training, float]] = field(default_factory=list)
    """Client, what it returned, its training, and the seconds that it took."""
    failed: dict[RoleInstanceID, Exception] = field(default_factory=dict)
    late: list[RoleInstanceID] = field(default_factory=list)
    """Clients that were asked in this round and had not answered when it was over."""
    busy: list[RoleInstanceID] = field(default_factory=list)
    """Clients that were not asked, because they are not done with an earlier round."""
    dropped: list[RoleInstanceID] = field(default_factory=list)
    """Clients whose answer came after the round in which they were asked."""
    told: Mapping[RoleInstanceID, Any] = field(default_factory=dict)
    """What clients said when they got the model."""


class Trainings:
    """Trainings that are under way, over several rounds; who is busy is not asked again before it is done."""

    def __init__(self) -> None:
        self.number = 0
        self.under_way: dict[RoleInstanceID, Training] = {}
        """What each busy client is at."""
        self._arrivals = Arrivals()

    def round(
        self, role: Role, group: list[RoleInstanceID], updates: Sequence[Any], channel: str, args: Mapping[str, Any],
        payloads: Mapping[str, Any], quorum: Quorum, clusters: Mapping[RoleInstanceID, int] | None = None,
    ) -> Outcome:
        """Send each of the group the update of its cluster (the first unless told otherwise), have it train, and return when
        `quorum` says that the round is over.

        Raises
        ------
        RoleInteractionError
            When too few results can come. CallTimeout when too few have come, and none for as long as calls may take.
        """
        self.number += 1
        outcome, host = Outcome(), role.base.host
        while self.under_way and sum(client not in self.under_way for client in group) < quorum.least:
            if not self._take(role, outcome, quorum, host.call_timeout):
                raise CallTimeout(f"round {self.number} needs {quorum.least} clients, and {', '.join(map(str, self.under_way))} "
                                  f"did not end an earlier training for {host.call_timeout:.1f} s")
        outcome.busy = [client for client in group if client in self.under_way]
        free = [client for client in group if client not in self.under_way]
        places = {client: (clusters or {}).get(client, 0) for client in free}
        reached, outcome.failed = reach(role, free, "apply-update", updates, places)
        outcome.told = reached
        began = host.clock.now()
        self.under_way.update({
            client: Training(self.number, updates[places[client]], began, places[client]) for client in reached})
        role.call_task_group(list(reached), channel, args, payloads, on_call_error=ErrorHandlingStrategy.KEEP,
                             on_result=partial(self._arrivals.put, self.number))
        deadline = float("inf") if quorum.deadline is None else began + quorum.deadline
        while not self._is_over(quorum, outcome, host.clock.now() >= deadline):
            left = deadline - host.clock.now()
            timed = 0 < left < float("inf")
            if not self._take(role, outcome, quorum, left if timed else host.call_timeout) and not timed:
                raise CallTimeout(f"{self._lack(quorum, outcome)}, and none came for {host.call_timeout:.1f} s")
        outcome.late = self._of_round(self.number)
        if len(outcome.results) < quorum.least:
            first = next(iter(outcome.failed.values()), None)
            raise RoleInteractionError(f"{self._lack(quorum, outcome)}; the first error: {first}") from first
        return outcome

    def _is_over(self, quorum: Quorum, outcome: Outcome, over_time: bool) -> bool:
        results = len(outcome.results)
        if (quorum.enough is not None and results >= quorum.enough) or (over_time and results >= quorum.least):
            return True
        stale_can_help = quorum.late == "stale" and results < quorum.least
        return not (self.under_way if stale_can_help else self._of_round(self.number))

    def _take(self, role: Role, outcome: Outcome, quorum: Quorum, timeout: float) -> bool:
        """Take in what arrives within `timeout` seconds; False when nothing does."""
        arrived = self._arrivals.take(timeout)
        for number, client, invocation in arrived:
            training = self.under_way.pop(client)
            try:
                result = invocation.result(0)
            except RoleMLError as error:
                role.logger.warning("%s is left out of round %s: %s", client, number, error)
                outcome.failed[client] = error
                continue
            if number < self.number and quorum.late == "drop":
                outcome.dropped.append(client)
            else:
                outcome.results.append((client, result, training, role.base.host.clock.now() - training.began))
        return bool(arrived)

    def _of_round(self, number: int) -> list[RoleInstanceID]:
        return [client for client, training in self.under_way.items() if training.number == number]

    def _lack(self, quorum: Quorum, outcome: Outcome) -> str:
        failed = f", {', '.join(map(str, outcome.failed))} failed" if outcome.failed else ""
        return f"round {self.number} has {len(outcome.results)} of the {quorum.least} results that it needs{failed}"

    def __getstate__(self) -> dict[str, Any]:
        return {"number": self.number}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__()  # type: ignore[misc]
        self.number = state["number"]


def reach(
    role: Role, group: list[RoleInstanceID], channel: str, updates: Sequence[Any],
    places: Mapping[RoleInstanceID, int] | None = None,
) -> tuple[dict[RoleInstanceID, Any], dict[RoleInstanceID, Exception]]:
    """Call a service of many, each of which may fail: what they returned, and the errors of the others.

    Each gets the one of `updates` that `places` says, or else the first.

    Who has not answered within the testbed's limit for calls has failed, too, with a CallTimeout.
    """
    answers: dict[RoleInstanceID, Any] = {}
    errors: dict[RoleInstanceID, Exception] = {}
    messages = [Message({}, {"update": update}) for update in updates]  # one object per update: it crosses each link once

    def note(client: RoleInstanceID, result: Any) -> None:
        (errors if isinstance(result, RoleMLError) else answers)[client] = result

    try:
        role.call_group(group, channel, message_map={client: messages[(places or {}).get(client, 0)] for client in group},
                        on_result=note, on_error=ErrorHandlingStrategy.KEEP)
    except CallTimeout as error:
        errors.update({client: error for client in group if client not in answers and client not in errors})
    for client, why in errors.items():
        role.logger.warning("%s is left out: %s", client, why)
    return {client: answers[client] for client in group if client in answers}, errors

"""Rounds of trainings: those that wait for all clients, and those that a quorum ends."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from roleml_nb.library.aggregation.mergers import RunningAverage
from roleml_nb.library.aggregation.same_entries import check_entries
from roleml_nb.library.attempts import Attempt
from roleml_nb.library.ordering import without
from roleml_nb.library.training.finite import check_finite
from roleml_nb.role import (
    ArgumentError,
    CallCancelled,
    CallerError,
    CallTimeout,
    Message,
    Role,
    RoleInstanceID,
    RoleInteractionError,
    natural_key,
)
from roleml_nb.role.checks.numbers import as_count, as_number, short

from .trainings import EndedTraining, Training, Trainings, Work

__all__ = ["WAIT_FOR_ALL", "Outcome", "Quorum", "do_round", "train_all"]

MAX_BYTES_IN_FLIGHT = 64 * 1024 * 1024
"""Bytes of models that come back at the same time to an aggregator which keeps none of them."""
DEADLINE_ADVICE = (
    "deadline must be less than 1e8 seconds, which is three years, or None for no deadline"
)


class Quorum(NamedTuple):
    """Conditions that end a round before all clients have answered, and the use of late answers.

    Parameters
    ----------
    deadline : float, optional
        Seconds after the model is handed out, which include its transfer. The round then ends if
        `min_results` are there, or else as soon as they are.
    min_results : int, optional
        The least number of results; clients that fail, or whose node is lost, are left out as long
        as there are so many. 1 when not given.
    enough : int, optional
        The round ends when so many results are there. With more clients selected than that, it is
        over-selection (Bonawitz et al., "Towards Federated Learning at Scale: System Design", MLSys
        2019).
    late : {"drop", "stale"}
        A result that comes after the end of its round is dropped, or counts in the round during
        which it comes: as the step that the client made, with a weight that is smaller by 1 / √(1 +
        rounds that it is late).
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
        """True if a round may end before all clients have answered."""
        return (self.deadline, self.min_results, self.enough) != (None, None, None)

    def checked(self, clients: int, node: str) -> Quorum:
        """Return the quorum in plain numbers; raise CallerError if the clients cannot meet it."""
        try:
            plain = Quorum(
                None if self.deadline is None else as_number("deadline", self.deadline),
                None if self.min_results is None else as_count("min_results", self.min_results),
                None if self.enough is None else as_count("enough", self.enough),
                self.late,
            )
        except ArgumentError as error:
            raise CallerError(str(error)) from None
        problem = plain._problem(clients, node, self.deadline)
        if problem is not None:
            raise CallerError(problem)
        return plain

    def _problem(self, clients: int, node: str, given: Any) -> str | None:
        """Say in one line why the quorum cannot be met; None when it can.

        `given` is the deadline as the caller gave it.
        """
        for name in ("min_results", "enough"):
            count = getattr(self, name)
            if count is not None and not 1 <= count <= clients:
                return (
                    f"{name} is {count!r}, but {node} has {clients}"
                    f" {'client' if clients == 1 else 'clients'}: it must be from 1 to {clients}"
                )
        if self.enough is not None and self.enough < self.least:
            return (
                f"enough={self.enough} is less than min_results={self.min_results}: a round could"
                " never be over"
            )
        if self.deadline is not None and not self.deadline > 0:
            return f"deadline must be more than 0 seconds, got {short(given)}"
        # 10 ** 400 is not infinite
        if self.deadline is not None and self.deadline > 1e8 and given != float("inf"):
            return f"{DEADLINE_ADVICE}, got {short(given)}"
        if self.late not in ("drop", "stale"):
            return f"late must be 'drop' or 'stale', got {self.late!r}"
        return None


WAIT_FOR_ALL = Quorum()
"""Every client is waited for."""


@dataclass
class Outcome:
    """Results of a round, and the clients without one."""

    results: list[tuple[RoleInstanceID, Any, Training, float]] = field(default_factory=list)
    """Client, its answer, its training, and the seconds that it took."""
    failed: dict[RoleInstanceID, Exception] = field(default_factory=dict)
    late: list[RoleInstanceID] = field(default_factory=list)
    """Clients that were asked in this round and had not answered when it was over."""
    busy: list[RoleInstanceID] = field(default_factory=list)
    """Clients that were not asked, because they are busy with an earlier round."""
    dropped: list[RoleInstanceID] = field(default_factory=list)
    """Clients whose answer came after the round in which they were asked, or after its attempt."""

    def in_order(self) -> list[tuple[RoleInstanceID, Any, Training, float]]:
        """Return the results in the natural order of the clients."""
        return sorted(self.results, key=lambda one: natural_key(str(one[0])))


def train_all(
    trainings: Trainings,
    role: Role,
    group: list[RoleInstanceID],
    update: Any,
    channel: str,
    message: Message,
    mean: RunningAverage | None,
) -> Outcome:
    """Have all clients of a group train, and wait for them in their order.

    With `mean`, models are added to it and not kept, and the number of trainings under way is
    limited by memory.
    """
    outcome = Outcome()
    training = Training(Work(trainings.number, [update]))
    at_once = len(group) if mean is None else _max_in_flight(role, group, update)
    left = list(group)
    under_way = deque[tuple[RoleInstanceID, Any]]()
    first: RoleInstanceID | None = None
    names: list[str] = []
    trainings.unmerged.update(group)
    with Attempt() as attempt:
        while left or under_way:
            count = at_once - len(under_way)
            if left and count:
                calls = role.call_task_group(left[:count], channel, message=message)
                under_way.extend(attempt.add(calls))
                del left[:count]
            client, invocation = under_way.popleft()  # the invocation holds its result
            answer = invocation.result()
            model = answer if channel == "train" else answer["update"]
            if first is None:
                first = client
                names = list(model)
            check_entries(client, model, names, str(first))
            check_finite(client, model, update)
            if mean is not None:
                mean.add(answer)
                answer = {}
            outcome.results.append((client, answer, training, 0.0))
    return outcome


def _max_in_flight(role: Role, group: list[RoleInstanceID], update: Mapping[str, Any]) -> int:
    """Return the number of models that may be on their way at the same time.

    They take `MAX_BYTES_IN_FLIGHT` bytes, or more so that no host has to wait.
    """
    hosts = set()
    for client in group:
        hosts.add(role.ctx.contacts.get_actor_profile(client.actor_name).address)
    size = sum(getattr(entry, "nbytes", 0) for entry in update.values())
    return max(len(hosts) + 1, MAX_BYTES_IN_FLIGHT // max(size, 1))


def do_round(
    trainings: Trainings,
    role: Role,
    group: list[RoleInstanceID],
    updates: Sequence[Any],
    channel: str,
    message: Message,
    quorum: Quorum,
    clusters: Mapping[RoleInstanceID, int] | None = None,
    sizes: dict[RoleInstanceID, int] | None = None,
    attempt: str = "",
) -> Outcome:
    """Hand out models, have clients train, and return when `quorum` ends the round.

    Trainings of an earlier attempt, such as a run that has failed, are cancelled, and their results
    dropped.

    Parameters
    ----------
    trainings : Trainings
        Trainings of earlier rounds, which may be under way.
    updates, clusters
        Each client gets the update of its cluster, or else the first.
    channel, message, sizes, attempt
        As in `Work`.

    Raises
    ------
    RoleInteractionError
        When too few results can come. CallTimeout when too few have come, and none within the
        limit for calls.
    """
    trainings.number += 1
    work = Work(trainings.number, updates, channel, message, attempt, sizes)
    one = _Round(trainings, role, work, quorum)
    trainings.cancel(lambda training: training.work.attempt != attempt)
    try:
        one.wait_for_clients(group)
        one.begin(group, clusters or {})
        return one.gather()
    except BaseException:
        trainings.cancel(lambda training: training.number == trainings.number)
        raise


@dataclass
class _Round:
    trainings: Trainings
    role: Role
    work: Work
    quorum: Quorum
    outcome: Outcome = field(default_factory=Outcome)
    began: float = 0.0

    @property
    def _limit(self) -> float:
        return self.role.base.host.call_timeout

    def wait_for_clients(self, group: list[RoleInstanceID]) -> None:
        """Wait until the least number of clients is free of earlier rounds."""
        under_way = self.trainings.under_way
        needed = self.quorum.least
        self._collect(0)
        while under_way and len(without(group, under_way)) < needed:
            if not self._collect(self._limit):
                raise CallTimeout(
                    f"round {self.work.number} needs {needed} clients, and"
                    f" {', '.join(map(str, under_way))} did not end an earlier training for"
                    f" {self._limit:.1f} s"
                )

    def begin(self, group: list[RoleInstanceID], clusters: Mapping[RoleInstanceID, int]) -> None:
        """Have all free clients train."""
        under_way = self.trainings.under_way
        self.outcome.busy = [client for client in group if client in under_way]
        self.began = self.role.base.host.clock.now()
        free = {client: clusters.get(client, 0) for client in without(group, under_way)}
        self.trainings.begin(self.role, self.work, free)

    def gather(self) -> Outcome:
        """Collect results until the round is over."""
        clock = self.role.base.host.clock
        outcome = self.outcome
        quorum = self.quorum
        deadline = float("inf") if quorum.deadline is None else self.began + quorum.deadline
        while not self._is_over(clock.now() >= deadline):
            left = deadline - clock.now()
            timed = 0 < left < float("inf")
            if not self._collect(left if timed else self._limit) and not timed:
                raise CallTimeout(
                    f"{self._describe_shortfall()}, and none came for {self._limit:.1f} s"
                )
        outcome.late = self.trainings.of_round(self.work.number)
        if len(outcome.results) < quorum.least:
            first = next(iter(outcome.failed.values()), None)
            raise RoleInteractionError(
                f"{self._describe_shortfall()}; the first error: {first}"
            ) from first
        return outcome

    def _is_over(self, over_time: bool) -> bool:
        quorum = self.quorum
        results = len(self.outcome.results)
        if quorum.enough is not None and results >= quorum.enough:
            return True
        if over_time and results >= quorum.least:
            return True
        # results of earlier rounds count, too, while some are missing
        if quorum.late == "stale" and results < quorum.least:
            return not any(map(self._belongs_to_round, self.trainings.under_way.values()))
        return not self.trainings.of_round(self.work.number)

    def _collect(self, timeout: float) -> bool:
        """Record what ends within `timeout` seconds; return False when nothing happens."""
        came, ended = self.trainings.collect(
            self.role, timeout, lambda training: training.work is self.work
        )
        for each in ended:
            self._record_ended(each)
        return came

    def _record_ended(self, ended: EndedTraining) -> None:
        client, training, result, error, begun = ended
        if error is not None and not isinstance(error, CallCancelled):
            self.role.logger.warning(
                "%s is left out of round %s: %s", client, training.number, error
            )
            self.outcome.failed[client] = error
        elif training.before or not begun:
            return  # the training has not begun
        elif error is not None or not self._belongs_to_round(training):
            self.outcome.dropped.append(client)
        else:
            seconds = self.role.base.host.clock.now() - training.began
            self.outcome.results.append((client, result, training, seconds))

    def _belongs_to_round(self, training: Training) -> bool:
        """Return True if the result of a training counts in this round."""
        return (
            training.work is self.work
            or self.quorum.late == "stale"
            and training.work.attempt == self.work.attempt
        )

    def _describe_shortfall(self) -> str:
        failed = self.outcome.failed
        lost = f", {', '.join(map(str, failed))} failed" if failed else ""
        return (
            f"round {self.work.number} has {len(self.outcome.results)} of the {self.quorum.least}"
            f" results that it needs{lost}"
        )

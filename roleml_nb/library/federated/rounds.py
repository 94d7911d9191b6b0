"""Rounds that do not wait for everyone: their conditions, and what comes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from roleml_nb.role import (
    ArgumentError,
    CallCancelled,
    CallerError,
    CallTimeout,
    Message,
    Role,
    RoleInstanceID,
    RoleInteractionError,
)
from roleml_nb.role.checks.numbers import as_count, as_number, short

from .trainings import EndedTraining, Training, Trainings, Work

__all__ = ["WAIT_FOR_ALL", "Outcome", "Quorum", "do_round"]

DEADLINE_ADVICE = (
    "deadline must be less than 1e8 seconds, which is three years, or None for no deadline"
)


class Quorum(NamedTuple):
    """When a round is over before all clients have answered, and what becomes of those who answer
    later.

    Parameters
    ----------
    deadline : float, optional
        Seconds, counted from when the model is handed out, so that a client that does not even take
        it holds up nothing. Then the round is over, if `min_results` are there, or else as soon as
        they are.
    min_results : int, optional
        How many results a round must have; clients that fail, or whose node is lost, are left out
        as long as there are so many. 1 when not given.
    enough : int, optional
        The round is over when so many results are there. With more clients selected than that, it
        is over-selection (Bonawitz et al., "Towards Federated Learning at Scale: System Design",
        MLSys 2019).
    late : {"drop", "stale"}
        A result that comes when its round is over is dropped, or counts in the round during which
        it comes, as the step that the client made, with a weight that is smaller by 1 / √(1 +
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
        """Whether a round may be over before all have answered."""
        return (self.deadline, self.min_results, self.enough) != (None, None, None)

    def checked(self, clients: int, node: str) -> Quorum:
        """Return it with plain numbers, if it can be met with so many clients; CallerError
        otherwise.
        """
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
        """Return why it cannot be met, in one line; None when it can.

        `given` is the deadline as it was given.
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
"""Wait for everyone."""


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
    """Clients whose answer came after the round in which they were asked, or after its attempt."""


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
    """Hand out models, have clients train, and return when `quorum` says that the round is over.

    Trainings of an earlier attempt, such as a run that has failed, are cancelled, and what comes of
    them is dropped.

    Parameters
    ----------
    trainings : Trainings
        Those of earlier rounds, which may be under way.
    updates, clusters
        Each client gets the update of its cluster (the first unless told otherwise).
    channel, message, sizes, attempt
        As in `Work`.

    Raises
    ------
    RoleInteractionError
        When too few results can come. CallTimeout when too few have come, and none for as long as
        calls may take.
    """
    trainings.number += 1
    one = _Round(
        trainings, role, Work(trainings.number, updates, channel, message, attempt, sizes), quorum
    )
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
        """Wait until as many clients as are needed are done with earlier rounds."""
        under_way, needed = self.trainings.under_way, self.quorum.least
        self._collect(0)
        while under_way and sum(client not in under_way for client in group) < needed:
            if not self._collect(self._limit):
                raise CallTimeout(
                    f"round {self.work.number} needs {needed} clients, and"
                    f" {', '.join(map(str, under_way))} did not end an earlier training for"
                    f" {self._limit:.1f} s"
                )

    def begin(self, group: list[RoleInstanceID], clusters: Mapping[RoleInstanceID, int]) -> None:
        """Ask all who are free."""
        under_way = self.trainings.under_way
        self.outcome.busy = [client for client in group if client in under_way]
        self.began = self.role.base.host.clock.now()
        free = {client: clusters.get(client, 0) for client in group if client not in under_way}
        self.trainings.begin(self.role, self.work, free)

    def gather(self) -> Outcome:
        """Take in what comes until the round is over."""
        clock, outcome, quorum = self.role.base.host.clock, self.outcome, self.quorum
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
        results, quorum = len(self.outcome.results), self.quorum
        if (quorum.enough is not None and results >= quorum.enough) or (
            over_time and results >= quorum.least
        ):
            return True
        # then one of an earlier round can help
        if quorum.late == "stale" and results < quorum.least:
            return not any(
                self._belongs_to_round(training) for training in self.trainings.under_way.values()
            )
        return not self.trainings.of_round(self.work.number)

    def _collect(self, timeout: float) -> bool:
        """Take in what comes within `timeout` seconds; False when nothing does."""
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
        elif training.before or not begun:  # there was no training
            return
        elif error is not None or not self._belongs_to_round(training):
            self.outcome.dropped.append(client)
        else:
            seconds = self.role.base.host.clock.now() - training.began
            self.outcome.results.append((client, result, training, seconds))

    def _belongs_to_round(self, training: Training) -> bool:
        """Return True if its result would be part of this round."""
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

"""Trainings of many clients, each at its own pace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from roleml_nb.library.arrivals import Arrivals
from roleml_nb.role import (
    ChannelNotFoundError,
    ErrorHandlingStrategy,
    Message,
    Role,
    RoleInstanceID,
    RoleMLError,
    TaskInvocation,
)

__all__ = ["EndedTraining", "Training", "Trainings", "Work"]

HAND_OUT, ASK_SIZE, TAKE_BACK = "apply-update", "get-data-size", "take-back"
"""Services of a client that are called before its training."""


@dataclass
class Work:
    """What trainings have in common that are asked for at the same time."""

    number: int
    """Of the round, or the version of the model."""
    updates: Sequence[Any]
    """Models to begin with; a training has one of them."""
    channel: str = "train"
    """The task of the clients, and what it is called with."""
    message: Message = field(default_factory=Message)
    attempt: str = ""
    """What they are asked for, for example a run."""
    sizes: dict[RoleInstanceID, int] | None = None
    """Data sizes, of which note is taken: what a client says when it is handed a model, or else,
    for "train", when asked.
    """

    def __post_init__(self) -> None:
        # each crosses each link once
        self.models = [Message({}, {"update": update}) for update in self.updates]


@dataclass
class Training:
    """One that a client was asked for."""

    work: Work
    cluster: int = 0
    """Which of the models it begins with."""
    began: float = 0.0
    """When the client was called to train, in seconds."""
    before: list[str] = field(default_factory=list)
    """Services of the client that are called before the training, the one that is under way first.
    """
    call: TaskInvocation | None = None
    """What is under way."""

    @property
    def number(self) -> int:
        return self.work.number

    @property
    def update(self) -> Any:
        return self.work.updates[self.cluster]

    def cancel(self) -> None:
        if self.call is not None:
            self.call.cancel()


class EndedTraining(NamedTuple):
    """A training that has ended: with a result, with an error, or, without any of both, before it
    began.
    """

    client: RoleInstanceID
    training: Training
    result: Any = None
    error: RoleMLError | None = None
    begun: bool = True
    """False when the client was handed the model, and not asked to train with it any more."""


class Trainings:
    """Trainings that are under way, over several rounds; who is busy is not asked again before it
    is done.

    A client is handed the model, and trains as soon as it has that: none waits for another.
    """

    def __init__(self) -> None:
        self.number = 0
        self.under_way: dict[RoleInstanceID, Training] = {}
        """What each busy client is at."""
        self.unmerged: set[RoleInstanceID] = set()
        """Clients whose last training, begun or done, has not become a part of any model: they take
        it back first.
        """
        self._arrivals = Arrivals()

    def of_round(self, number: int) -> list[RoleInstanceID]:
        return [client for client, training in self.under_way.items() if training.number == number]

    def cancel(self, which: Callable[[Training], bool]) -> None:
        """Cancel some of those under way. They stay busy until they have answered."""
        for training in self.under_way.values():
            if which(training):
                training.cancel()

    def begin(self, role: Role, work: Work, clients: Mapping[RoleInstanceID, int]) -> None:
        """Ask clients, each for a training that begins with the model of its cluster."""
        for client, cluster in clients.items():
            take_back = [TAKE_BACK] if client in self.unmerged else []
            self.under_way[client] = Training(work, cluster, before=[*take_back, HAND_OUT])
        try:
            self._call_next(role, work, list(clients))
        # such as of options that cannot be sent: who was not called is not busy
        except BaseException:
            for client in clients:
                if self.under_way[client].call is None:
                    del self.under_way[client]
            raise

    def collect(
        self, role: Role, timeout: float, wanted: Callable[[Training], bool]
    ) -> tuple[bool, list[EndedTraining]]:
        """Wait up to `timeout` seconds for something to happen.

        Returns whether something did, and the trainings that have ended. One that has not begun
        ends if it is not `wanted`.
        """
        arrived = self._arrivals.collect(timeout)
        ready: dict[int, tuple[Work, list[RoleInstanceID]]] = {}
        ended = []
        for _, client, call in arrived:
            training = self.under_way[client]
            end = self._record_answer(client, training, call)
            if end is None and wanted(training):
                ready.setdefault(id(training.work), (training.work, []))[1].append(client)
            else:
                del self.under_way[client]
                ended.append(end or EndedTraining(client, training, begun=False))
        for work, clients in ready.values():
            self._call_next(role, work, clients)
        return bool(arrived), ended

    def _record_answer(
        self, client: RoleInstanceID, training: Training, call: TaskInvocation
    ) -> EndedTraining | None:
        """Take in what a client has answered; None when it has something to do still."""
        try:
            result = call.result(0)
        except ChannelNotFoundError as error:
            if training.before[:1] != [TAKE_BACK]:  # which not every trainer can do
                return EndedTraining(client, training, error=error)
            result = None
        except RoleMLError as error:
            return EndedTraining(client, training, error=error)
        if not training.before:
            return EndedTraining(client, training, result)
        step, sizes = training.before.pop(0), training.work.sizes
        if sizes is not None and step != TAKE_BACK:
            if isinstance(result, int):
                sizes[client] = result
            else:
                sizes.pop(client, None)
            if client not in sizes and step == HAND_OUT and training.work.channel == "train":
                training.before.append(ASK_SIZE)
        return None

    def _call_next(self, role: Role, work: Work, clients: list[RoleInstanceID]) -> None:
        """Call clients for what they are to do next, all that do the same at the same time."""
        empty, now = Message(), role.base.host.clock.now()
        for channel in (TAKE_BACK, HAND_OUT, ASK_SIZE):
            group = [client for client in clients if self.under_way[client].before[:1] == [channel]]
            self._call(
                role,
                "service",
                channel,
                {
                    client: work.models[self.under_way[client].cluster]
                    if channel == HAND_OUT
                    else empty
                    for client in group
                },
            )
        group = [client for client in clients if not self.under_way[client].before]
        for client in group:
            self.under_way[client].began = now
        self.unmerged.update(group)
        self._call(role, "task", work.channel, dict.fromkeys(group, work.message))

    def _call(
        self, role: Role, kind: str, channel: str, messages: dict[RoleInstanceID, Message]
    ) -> None:
        if messages:
            calls = role.base.call_task_group(
                role.name,
                messages,
                channel,
                message=Message(),
                message_map=messages,
                kind=kind,
                on_call_error=ErrorHandlingStrategy.KEEP,
            )
            for client, call in calls:
                self.under_way[client].call = call
                call.add_done_callback(partial(self._arrivals.put, 0, client))

    def __getstate__(self) -> dict[str, Any]:
        return {"number": self.number, "unmerged": self.unmerged | set(self.under_way)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__()  # type: ignore[misc]
        if "untaken" in state:  # as checkpoints of earlier versions say it
            state["unmerged"] = state.pop("untaken")
        self.__dict__.update(state)

"""Trainings of many clients, each of which trains at its own pace."""

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

# Services of a client that are called before its training.
HAND_OUT = "apply-update"
ASK_SIZE = "get-data-size"
TAKE_BACK = "take-back"


@dataclass
class Work:
    """The common part of trainings that are requested at the same time."""

    number: int
    """The number of the round, or the version of the model."""
    updates: Sequence[Any]
    """Models to begin with; each training has one of them."""
    channel: str = "train"
    """The task of the clients."""
    message: Message = field(default_factory=Message)
    """The arguments of that task."""
    attempt: str = ""
    """The name of the run that requests the trainings."""
    sizes: dict[RoleInstanceID, int] | None = None
    """Data sizes, which are recorded here: clients return them when they receive a model, or else,
    for "train", when they are asked.
    """

    def __post_init__(self) -> None:
        # one message for all clients: each crosses a link once
        self.models = [Message({}, {"update": update}) for update in self.updates]


@dataclass
class Training:
    """A training of one client."""

    work: Work
    cluster: int = 0
    """The index of the model that it begins with."""
    began: float = 0.0
    """The time at which the task was called, in seconds."""
    before: list[str] = field(default_factory=list)
    """Services of the client to call before the task; the first one is under way."""
    call: TaskInvocation | None = None
    """The call that is under way."""

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
    """A training that has ended with a result or an error, or, without either, before it began."""

    client: RoleInstanceID
    training: Training
    result: Any = None
    error: RoleMLError | None = None
    begun: bool = True
    """False when the client received the model, but was not called to train any more."""


class Trainings:
    """Trainings under way over several rounds; a busy client gets no other one before it has ended.

    A client trains as soon as it has received the model: none waits for another.
    """

    def __init__(self) -> None:
        self.number = 0
        self.under_way: dict[RoleInstanceID, Training] = {}
        """The training of each busy client."""
        self.unmerged: set[RoleInstanceID] = set()
        """Clients whose last training was not merged into a model: they undo it before the next."""
        self._arrivals = Arrivals()

    def of_round(self, number: int) -> list[RoleInstanceID]:
        return [client for client, training in self.under_way.items() if training.number == number]

    def cancel(self, which: Callable[[Training], bool]) -> None:
        """Cancel some of the trainings; their clients stay busy until they have answered."""
        for training in self.under_way.values():
            if which(training):
                training.cancel()

    def begin(self, role: Role, work: Work, clients: Mapping[RoleInstanceID, int]) -> None:
        """Have clients train, each with the model of its cluster."""
        for client, cluster in clients.items():
            take_back = [TAKE_BACK] if client in self.unmerged else []
            self.under_way[client] = Training(work, cluster, before=[*take_back, HAND_OUT])
        try:
            self._call_next(role, work, list(clients))
        except BaseException:
            # for example of options that cannot be sent: clients that were not called are not busy
            for client in clients:
                if self.under_way[client].call is None:
                    del self.under_way[client]
            raise

    def collect(
        self, role: Role, timeout: float, wanted: Callable[[Training], bool]
    ) -> tuple[bool, list[EndedTraining]]:
        """Wait up to `timeout` seconds for answers; go on with the trainings they belong to.

        Return True if there were any, and the trainings that have ended. One that has not begun
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
        """Record an answer of a client; return None if its training goes on."""
        try:
            result = call.result(0)
        except ChannelNotFoundError as error:
            if training.before[:1] != [TAKE_BACK]:  # trainers of other classes need not have it
                return EndedTraining(client, training, error=error)
            result = None
        except RoleMLError as error:
            return EndedTraining(client, training, error=error)
        if not training.before:
            return EndedTraining(client, training, result)
        step = training.before.pop(0)
        sizes = training.work.sizes
        if sizes is not None and step != TAKE_BACK:
            if isinstance(result, int):
                sizes[client] = result
            else:
                sizes.pop(client, None)
            if client not in sizes and step == HAND_OUT and training.work.channel == "train":
                training.before.append(ASK_SIZE)
        return None

    def _call_next(self, role: Role, work: Work, clients: list[RoleInstanceID]) -> None:
        """Call the next service or task of clients, each channel for all its clients at once."""
        empty = Message()
        now = role.base.host.clock.now()
        for channel in (TAKE_BACK, HAND_OUT, ASK_SIZE):
            messages: dict[RoleInstanceID, Message] = {}
            for client in clients:
                training = self.under_way[client]
                if training.before[:1] == [channel]:
                    hand_out = channel == HAND_OUT
                    messages[client] = work.models[training.cluster] if hand_out else empty
            self._call(role, "service", channel, messages)
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

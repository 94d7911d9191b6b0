"""The base class of nodes of synchronous decentralised methods."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from copy import copy
from typing import Any

from roleml_nb.library.aggregation.contributions import emit_contributions
from roleml_nb.library.attempts import restore_trainer, result_of, save_trainer
from roleml_nb.library.channel_numbers import count_of
from roleml_nb.library.channel_types import Options, Roles
from roleml_nb.library.locking import GuardedRole
from roleml_nb.library.members import drop_lost
from roleml_nb.library.ordering import in_order, without
from roleml_nb.role import ErrorHandlingStrategy, Event, RoleInstanceID, Service, Task

__all__ = ["Mixer", "Received", "updates_of"]


Received = dict[RoleInstanceID, dict[str, Any]]
"""Sender → entries of its message, and its "degree"."""


def updates_of(received: Received) -> list[Any]:
    """Return the entry "update" of each message."""
    return [message["update"] for message in received.values()]


class Mixer(GuardedRole):
    """A node that trains, sends to its neighbours, and mixes its model with theirs, in rounds.

    A `DecentralisedCoordinator` starts each step, and sees neither models nor weights: they go from
    node to node. Needs a ``trainer``, a relationship or a role on the same node, and the
    relationship ``peer``: the mixers that it sends to.

    A subclass is a method of learning: it defines `combine`, and, if it sends anything but the
    model, `sent`. If it defines `weights`, the role emits ``contributions`` after each mixing: the
    "weight" of each model, and the neighbours that "failed" to send theirs. The trace shows them
    as a table.
    """

    contributions = Event()

    directed = False
    """True if a node may send to one that does not send back."""
    keeps_before = False
    """True if `trained` needs the model before the training."""
    parts: tuple[str, ...] = ()
    """Names that each message must contain; a mixer of another method is refused that way."""
    goes_on: tuple[str, ...] = ()
    """Attributes that a method carries from round to round; restored when a round is given up."""

    def __init__(self) -> None:
        super().__init__()
        self.own: Any = None
        """This node's model after the training of the round."""
        self.degree = 0
        """The number of nodes that it sends to in the round."""
        self._inbox: dict[str, Received] = {}
        """Received messages, by attempt."""
        self._attempt = ""
        self._before: tuple[Any, dict[str, Any]] | None = None
        """State before this attempt: that of the trainer, and the attributes of `goes_on`."""
        self._receivers: list[RoleInstanceID] = []

    # The method of learning, which subclasses define.

    @abstractmethod
    def combine(self, received: Received) -> Any:
        """Return the new model (a state dict) of `own` and the messages, in natural order."""
        raise NotImplementedError(
            f"{type(self).__name__} does not say how models are mixed: assign a mixer with"
            " combine(), such as DPsgdMixer"
        )

    def weights(self, received: Received) -> list[float] | None:
        """Return the weights of the own model and of the received ones in the next `combine`.

        None unless overridden; then no ``contributions`` are emitted.
        """
        return None

    def begin_anew(self) -> None:
        """Reset the state that depends on lost nodes; called before the next training."""

    def trained(self, before: Any, after: Any, round: int) -> None:
        """Receive the model (a state dict) before and after the training of a round."""
        self.own = after

    def sent(
        self, receivers: list[RoleInstanceID]
    ) -> Iterable[tuple[list[RoleInstanceID], dict[str, Any]]]:
        """Yield groups of receivers, each with the message that they get."""
        yield receivers, {"update": self.own}

    def delivered(self, receivers: list[RoleInstanceID]) -> None:
        """Receive the list of the receivers that accepted their message."""

    def takes(self, sender: RoleInstanceID, message: dict[str, Any]) -> bool:
        """Return False for a message that is of no use here; to its sender, it is undelivered."""
        return True

    def peers(self, round: int) -> list[RoleInstanceID]:
        """Return the members of ``peer`` that get a message in this round (0: in any round)."""
        return self.known()

    def known(self) -> list[RoleInstanceID]:
        """Return the members of ``peer``, without itself, in natural order."""
        return in_order({*self.ctx.relationships.get_relationship_view("peer")} - {self.id})

    # Channels.

    @Service(expand=True)
    def get_peers(self, caller: RoleInstanceID, round: int = 0) -> dict[str, Any]:
        """Return the "peers" that this node sends to in a round, and "directed" of its method."""
        return {"peers": self.peers(count_of("round", round)), "directed": self.directed}

    @Service(expand=True)
    def accept(
        self, caller: RoleInstanceID, degree: int, attempt: str = "", **message: Any
    ) -> bool:
        """Keep the message of a neighbour that sends to `degree` nodes; return False if useless."""
        degree = count_of("degree", degree)
        missing = [part for part in self.parts if part not in message]
        self.require(
            not missing,
            f"a {type(self).__name__} is sent {', '.join(self.parts)}, and this message has no "
            f"{', '.join(missing)}: give all nodes the same mixer",
        )
        if not self.takes(caller, message):
            return False
        with self.lock:
            self._inbox.setdefault(attempt, {})[caller] = {**message, "degree": degree}
        return True

    @Task(expand=True)
    def train(
        self,
        caller: RoleInstanceID,
        receivers: Roles,
        round: int,
        num_epochs: int = 1,
        options: Options | None = None,
        attempt: str = "",
        anew: bool = False,
    ) -> None:
        """Train for `num_epochs` epochs (0: not at all), and send to `receivers`, except lost ones.

        With an `attempt`, a unique name of this round, `forget` can undo it. `anew`: nodes were
        lost since the last round, see `begin_anew`.
        """
        round = count_of("round", round)
        num_epochs = count_of("num_epochs", num_epochs)
        group = in_order(receivers)
        self._begin(attempt)
        if anew:
            self.begin_anew()
        before = self.call("trainer", "get-model") if self.keeps_before or not num_epochs else None
        after = before
        if num_epochs:
            training = {**(options or {}), "num_epochs": num_epochs}
            after = result_of(self.call_task("trainer", "train", args=training))
        self.degree = len(group)
        self._receivers = group
        self.trained(before, after, round)
        reached: list[RoleInstanceID] = []
        for some, message in list(self.sent(group)):
            if some:
                reached += self._send(some, message, attempt)
        self.delivered(reached)

    def _send(
        self, receivers: list[RoleInstanceID], message: dict[str, Any], attempt: str
    ) -> list[RoleInstanceID]:
        """Send a message; return the receivers that accepted it."""
        answers = self.call_group(
            receivers,
            "accept",
            args={"degree": self.degree, "attempt": attempt},
            payloads=message,
            on_error=ErrorHandlingStrategy.KEEP,
        )
        reached: list[RoleInstanceID] = []
        for receiver, accepted in drop_lost(self, answers, set()).items():
            if accepted is False:
                self.logger.info("%s can make nothing of the message of this round", receiver)
            else:
                reached.append(receiver)
        return reached

    @Task(expand=True)
    def mix(self, caller: RoleInstanceID, attempt: str = "") -> None:
        """Mix the own model with the received ones, and give the trainer the result."""
        with self.lock:
            inbox = self._inbox.pop(attempt, {})
            self._inbox = {}  # other messages belong to rounds that were given up
        received = {sender: inbox[sender] for sender in in_order(inbox)}
        weights = self.weights(received)
        self.call("trainer", "apply-update", payloads={"update": self.combine(received)})
        if weights is not None:
            missing: list[RoleInstanceID] = []
            if not self.directed:
                missing = without(self._receivers, received)
            emit_contributions(
                self.contributions, zip([self.id, *received], weights, strict=True), failed=missing
            )

    @Task(expand=True)
    def test(self, caller: RoleInstanceID) -> dict[str, Any]:
        """Return the trainer's test metrics."""
        return result_of(self.call_task("trainer", "test"))

    @Service(expand=True)
    def forget(self, caller: RoleInstanceID, attempt: str = "") -> None:
        """Undo a round that was given up: discard its messages, and restore the trainer."""
        with self.lock:
            self._inbox = {}
            if self._before is not None and self._attempt == attempt:
                saved, attributes = self._before
                restore_trainer(self, saved)
                self.__dict__.update(attributes)
                self._before = None

    def _begin(self, attempt: str) -> None:
        """Save the state that `forget` restores."""
        if not attempt:
            return
        with self.lock:
            self._attempt = attempt
            self._before = None  # in case the trainer cannot be saved
            attributes = {name: copy(getattr(self, name)) for name in self.goes_on}
            self._before = (save_trainer(self), attributes)

    @Service(expand=True)
    def get_model(self, caller: RoleInstanceID) -> Any:
        """Return the trainer's model."""
        return self.call("trainer", "get-model")

"""What all nodes of a synchronous decentralised method have in common."""

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
from roleml_nb.library.ordering import in_order
from roleml_nb.role import (
    ErrorHandlingStrategy,
    Event,
    RoleInstanceID,
    Service,
    Task,
)
from roleml_nb.role.errors import GONE

__all__ = ["Mixer"]


Received = dict[RoleInstanceID, dict[str, Any]]


class Mixer(GuardedRole):
    """A node that trains, sends to its neighbours, and mixes what its neighbours sent, in rounds.

    A `DecentralisedCoordinator` says when, and sees neither models nor weights: they go from node
    to node. Needs a ``trainer``, a relationship or a role on the same node, and the relationship
    ``peer``: the mixers that it sends to.

    Subclasses are the methods: they give `combine`, and where they send other things than the
    model, `sent`. With `weights`, the role says after each mixing, in ``contributions``, the
    "weight" of each model in it, and which neighbours "failed" to send theirs; the trace has a
    table of them.
    """

    contributions = Event()

    directed = False
    """Whether a node may send to one that does not send back."""
    keeps_before = False
    """Whether `trained` needs the model before the training."""
    parts: tuple[str, ...] = ()
    """What each message of a neighbour must have; one without is refused, as from a mixer of
    another method.
    """
    goes_on: tuple[str, ...] = ()
    """Attributes that a method carries from round to round: they become what they were when a round
    is given up.
    """

    def __init__(self) -> None:
        super().__init__()
        self.own: Any = None
        """This node's model after the training of the round."""
        self.degree = 0
        """To how many nodes it sends in the round."""
        self._inbox: dict[str, Received] = {}
        """What has come in, by attempt."""
        self._attempt = ""
        self._before: tuple[Any, dict[str, Any]] | None = None
        """What the round of this attempt is taken back with: of the trainer, and the attributes
        that go on.
        """
        self._receivers: list[RoleInstanceID] = []

    # the method

    @abstractmethod
    def combine(self, received: Received) -> Any:
        """The new model (a state dict), of `own` and what came in: {sender: its message and its
        "degree"}, in order.
        """
        raise NotImplementedError(
            f"{type(self).__name__} does not say how models are mixed: assign a mixer with"
            " combine(), such as DPsgdMixer"
        )

    def weights(self, received: Received) -> list[float] | None:
        """By how much its own model, and, in their order, those that came in, will count in what
        `combine` makes of them.

        None, and nothing is told of it, unless overridden.
        """
        return None

    def begin_anew(self) -> None:
        """Go on without nodes that were lost, and with them what they had been sent; before the
        next training.
        """

    def trained(self, before: Any, after: Any, round: int) -> None:
        """Take the model (a state dict) before and after the training of a round into account."""
        self.own = after

    def sent(
        self, receivers: list[RoleInstanceID]
    ) -> Iterable[tuple[list[RoleInstanceID], dict[str, Any]]]:
        """What goes to whom."""
        yield receivers, {"update": self.own}

    def delivered(self, receivers: list[RoleInstanceID]) -> None:
        """Who has got what was sent."""

    def takes(self, sender: RoleInstanceID, message: dict[str, Any]) -> bool:
        """Return False for a message that this node cannot make anything of; its sender counts it
        as not delivered.
        """
        return True

    def peers(self, round: int) -> list[RoleInstanceID]:
        """Whom this node sends to in a round, of those in ``peer``; in round 0, all whom it ever
        may.
        """
        return self.known()

    def known(self) -> list[RoleInstanceID]:
        """Return the members of ``peer``, without itself, in natural order."""
        return in_order(
            peer for peer in self.ctx.relationships.get_relationship_view("peer") if peer != self.id
        )

    # its channels

    @Service(expand=True)
    def get_peers(self, caller: RoleInstanceID, round: int = 0) -> dict[str, Any]:
        """Return the "peers" that this node sends to in a round, and whether it may be one way
        ("directed").
        """
        return {"peers": self.peers(count_of("round", round)), "directed": self.directed}

    @Service(expand=True)
    def accept(
        self, caller: RoleInstanceID, degree: int, attempt: str = "", **message: Any
    ) -> bool:
        """Take what a neighbour sends, or return False; `degree` is the number of nodes that it
        sends to.
        """
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
        """Train for `num_epochs` epochs (0: not at all), and send to `receivers`; those that are
        gone are left out.

        With an `attempt`, a name for this round that no other has, `forget` can take it back.
        `anew`: nodes were lost since the last round, see `begin_anew`.
        """
        round, num_epochs = count_of("round", round), count_of("num_epochs", num_epochs)
        group = in_order(receivers)
        self._begin(attempt)
        if anew:
            self.begin_anew()
        before = self.call("trainer", "get-model") if self.keeps_before or not num_epochs else None
        after = before
        if num_epochs:
            after = result_of(
                self.call_task(
                    "trainer", "train", args={**(options or {}), "num_epochs": num_epochs}
                )
            )
        self.degree, self._receivers = len(group), group
        self.trained(before, after, round)
        reached: list[RoleInstanceID] = []
        for some, message in list(self.sent(group)):
            answers = (
                self.call_group(
                    some,
                    "accept",
                    args={"degree": self.degree, "attempt": attempt},
                    payloads=message,
                    on_error=ErrorHandlingStrategy.KEEP,
                )
                if some
                else []
            )
            for receiver, answer in answers:
                if isinstance(answer, GONE):
                    self.logger.warning("%s did not take the model: %s", receiver, answer)
                elif isinstance(answer, Exception):
                    raise answer
                elif answer is False:
                    self.logger.info("%s can make nothing of the message of this round", receiver)
                else:
                    reached.append(receiver)
        self.delivered(reached)

    @Task(expand=True)
    def mix(self, caller: RoleInstanceID, attempt: str = "") -> None:
        """Mix what has come in, and give the trainer the result."""
        with self.lock:
            come = self._inbox.pop(attempt, {})
            self._inbox = {}  # what else there is belongs to rounds that were given up
        received = {sender: come[sender] for sender in in_order(come)}
        weights = self.weights(received)
        self.call("trainer", "apply-update", payloads={"update": self.combine(received)})
        if weights is not None:
            missing = (
                [] if self.directed else [one for one in self._receivers if one not in received]
            )
            emit_contributions(
                self.contributions, zip([self.id, *received], weights, strict=True), failed=missing
            )

    @Task(expand=True)
    def test(self, caller: RoleInstanceID) -> dict[str, Any]:
        """Return the trainer's test metrics."""
        return result_of(self.call_task("trainer", "test"))

    @Service(expand=True)
    def forget(self, caller: RoleInstanceID, attempt: str = "") -> None:
        """A round was given up: throw away what has come in, and go back to what was before its
        training.
        """
        with self.lock:
            self._inbox = {}
            if self._before is not None and self._attempt == attempt:
                saved, attributes = self._before
                restore_trainer(self, saved)
                self.__dict__.update(attributes)
                self._before = None

    def _begin(self, attempt: str) -> None:
        """Keep what this round is taken back with."""
        if not attempt:
            return
        with self.lock:
            self._attempt, self._before = attempt, None
            self._before = (
                save_trainer(self),
                {name: copy(getattr(self, name)) for name in self.goes_on},
            )

    @Service(expand=True)
    def get_model(self, caller: RoleInstanceID) -> Any:
        """Return the trainer's model."""
        return self.call("trainer", "get-model")

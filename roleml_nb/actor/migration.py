"""Roles that move from node to node, with their state, while others go on calling them.

The old node leads. It pauses the role, sends its state to the new node, has emitters send the
role's events there, has every node replace the old address by the new one, and lets the role
go on over there. Calls that came meanwhile have waited, and now follow the role. A failure
before that undoes all steps, and the role goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from threading import Condition
from typing import TYPE_CHECKING, Any, ParamSpec

from roleml_nb.messaging.permissions import Sender
from roleml_nb.messaging.requests import NodeRequest, node_request
from roleml_nb.role import (
    NATIVE,
    CallerError,
    NodeLost,
    RoleInstanceID,
    RoleMLError,
    StatusError,
)

from .events.emissions import Emissions
from .snapshot import (
    PREDEFINED,
    Activity,
    Emitted,
    Events,
    RoleSnapshot,
    capture,
    discard,
    restore,
    restore_events,
    waiting_events,
)

if TYPE_CHECKING:
    from .actor import Actor

__all__ = ["Migration", "check_relationships"]

P = ParamSpec("P")

Names = dict[str, dict[str, list[RoleInstanceID]]]
"""{node: {relationship: members}}."""

STEP_TIMEOUT_S = 60.0
"""Seconds that other nodes get for each step."""


@dataclass
class _Arrival:
    """A role that comes from another node."""

    old: RoleInstanceID
    activity: Activity
    announced: bool = False
    """True when nodes have been told of its new address."""
    at_work: bool = False


class Migration:
    """One actor's part in migrations, of roles that leave, arrive, or pass between others."""

    def __init__(self, actor: Actor):
        self._actor = actor
        self._arrivals: dict[str, _Arrival] = {}
        """Roles that have arrived, by their name here."""
        self._leaving: set[str] = set()
        self._settled = Condition()
        self.listeners: list[Callable[[RoleInstanceID, RoleInstanceID, Names, Names], None]] = []
        """Called with the old address, the new one, and the relationships added to and removed from
        on its account.
        """

    # leaving

    def move(
        self, name: str, to: RoleInstanceID, conflicts: str, timeout: float | None
    ) -> RoleInstanceID:
        """Move a role of ours; return its address when it is at work there. See
        `Testbed.migrate`.
        """
        actor, old = self._actor, self._actor.roles.instance(name)
        if to == old:
            raise CallerError(f"{old} is there already")
        with ExitStack() as undo:
            activity = actor.halt_role(name, timeout)
            undo.callback(actor.resume_role, name, activity)
            undo.callback(self._settle, name)
            snapshot = capture(actor, name, "move", conflicts, activity)
            snapshot.events = []  # they follow, with those that come meanwhile
            added = self._send(snapshot, to, undo)
            undo.pop_all()
        self._finish_departure(name, to)
        self._settle(name)
        self._repoint(old, to, added, {})
        return to

    def wait_until_settled(self, name: str) -> None:
        """Wait until a role is not about to move: a subscription must not fall in between."""
        with self._settled:
            self._settled.wait_for(lambda: name not in self._leaving, STEP_TIMEOUT_S)

    def _settle(self, name: str) -> None:
        with self._settled:
            self._leaving.discard(name)
            self._settled.notify_all()

    def _send(self, snapshot: RoleSnapshot, to: RoleInstanceID, undo: ExitStack) -> Names:
        """Take the steps of a migration; put into `undo` what takes each back."""
        actor, old = self._actor, snapshot.old
        away, name = to.actor_name, old.instance_name
        waiting: dict[tuple[RoleInstanceID, str], int] = {}
        undo.callback(self._requeue, old, to, waiting)
        added: Names = {to.actor_name: {}}
        for relationship in self._ask(
            Migration.adopt, away, name=to.instance_name, snapshot=snapshot
        ):
            added[to.actor_name][relationship] = snapshot.relationships[relationship]
        for (_, emitter, channel), inbox in actor.subscriptions.of_role(name).items():
            with suppress(NodeLost):  # an emitter that is gone sends nothing, here or there
                self._resubscribe(emitter, channel, old, to)
            # all that came here before: links keep the order
            waiting[emitter, channel] = len(inbox)
        if not actor.ctx.relationships.members(name):
            added[actor.name] = {name: [to]}
        undo.callback(self._announce, to, old, {}, added)
        self._announce(old, to, added, {})
        with self._settled:
            self._leaving.add(name)
        self._ask(
            Migration.adopted,
            away,
            name=to.instance_name,
            old=old,
            events=waiting_events(actor, name),
            emissions=actor.emissions.of_role(name),
        )
        return added

    def _resubscribe(
        self, emitter: RoleInstanceID, channel: str, old: RoleInstanceID, new: RoleInstanceID
    ) -> None:
        """Have an emitter send the events of one of its channels to another address."""
        self._actor.ask_role(
            Emissions.resubscribe, NATIVE, emitter, channel, old=old, new=new
        ).result(STEP_TIMEOUT_S)

    def _ask(self, request: NodeRequest[P], node: str, *args: P.args, **arguments: P.kwargs) -> Any:
        return self._actor.ask_node(request, node, *args, **arguments).result(STEP_TIMEOUT_S)

    def _announce(
        self, old: RoleInstanceID, new: RoleInstanceID, added: Names, removed: Names
    ) -> None:
        """Announce a new address to every other node."""
        actor, clock = self._actor, self._actor.host.clock
        names = [name for name in actor.ctx.contacts.all_actor_names() if name != actor.name]
        asked = actor.caller.ask_nodes(
            Migration.repoint, names, old=old, new=new, added=added, removed=removed
        )
        deadline = clock.now() + STEP_TIMEOUT_S
        for name, answer in zip(names, asked, strict=True):
            try:
                answer.result(max(0.0, deadline - clock.now()))
            except Exception as error:  # a node that is gone needs no new address
                answer.stop_waiting()
                actor.logger.info("%s was not told of a new address: %s", name, error)

    def _requeue(
        self,
        old: RoleInstanceID,
        to: RoleInstanceID,
        waiting: dict[tuple[RoleInstanceID, str], int],
    ) -> None:
        """Have the new node give the role up; put events that went there in vain between those
        that came here before and after.
        """
        try:
            events = self._ask(Migration.abandon, to.actor_name, name=to.instance_name, old=old)
        except RoleMLError as error:  # it is gone, and the events with it
            self._actor.logger.warning("undoing a migration: %s", error)
            return
        inboxes = self._actor.subscriptions.of_role(old.instance_name)
        for emitter, channel, contents in events:
            inbox = inboxes.get((old.instance_name, emitter, channel))
            if inbox is not None:
                inbox.insert(waiting.get((emitter, channel), len(inbox)), contents)

    def _finish_departure(self, name: str, to: RoleInstanceID) -> None:
        actor = self._actor
        for element in actor.roles[name].__dict__["_elements"].values():
            element.release()
        actor.roles.moved[name] = to
        lifecycle = actor.roles.lifecycle(name)
        discard(actor, name)
        self._arrivals.pop(name, None)
        lifecycle.offloaded(to)

    # arriving

    @node_request("adopt", Sender.NODE, about=("snapshot.old",))
    def adopt(self, *, name: str, snapshot: RoleSnapshot) -> list[str]:
        """Build the role here, paused; returns the relationships that it needs and that mean
        nothing here yet.
        """
        actor = self._actor
        if name in actor.roles:
            raise CallerError(
                f"node '{actor.name}' already has a role '{name}'; move it to"
                f" '{actor.name}/other-name'"
            )
        new = self._new_relationships(snapshot)
        restore(actor, name, snapshot)
        self._arrivals[name] = _Arrival(snapshot.old, snapshot.activity)
        self.host_lost()  # the one that it comes from may be, by now
        return new

    def _new_relationships(self, snapshot: RoleSnapshot) -> list[str]:
        """Return the relationships that have no members here yet; CallerError for those with other
        members.
        """
        actor, new, other = self._actor, [], []
        for relationship, members in snapshot.relationships.items():
            here = actor.ctx.relationships.members(relationship) or (
                [actor.roles.instance(relationship)] if relationship in actor.roles else []
            )
            if not here:
                new.append(relationship)
            elif set(here) != set(members):
                other.append(relationship)
        if other and snapshot.conflicts == "refuse":
            names = ", ".join(f"'{item}'" for item in sorted(other))
            raise CallerError(
                f"{snapshot.old} speaks of {names}, which on node '{actor.name}' means other roles"
                f" than on '{snapshot.old.actor_name}'; move it elsewhere, or say conflicts='keep'"
                f" to have it use those of '{actor.name}'"
            )
        return new

    @node_request("adopted", Sender.NODE, about=("old",))
    def adopted(
        self,
        *,
        name: str,
        old: RoleInstanceID,
        events: Events,
        emissions: Emitted,
    ) -> None:
        """Resume the role: every node knows its new address."""
        arrival = self._arrivals.get(name)
        if arrival is None or arrival.old != old:
            raise StatusError(f"node '{self._actor.name}' does not expect {old}")
        restore_events(self._actor, name, events)
        self._actor.emissions.adopt(name, emissions)
        self._set_to_work(name, arrival)

    @node_request("abandon", Sender.NODE, about=("old",))
    def abandon(self, *, name: str, old: RoleInstanceID) -> list:
        """Discard the role, which goes on where it was; return the events that came here for it."""
        new = self._actor.roles.instance(name)
        arrival = self._arrivals.pop(name, None)
        if arrival is None or arrival.old != old:
            return []
        try:
            for _, emitter, event in self._actor.subscriptions.of_role(name):
                with suppress(NodeLost):
                    self._resubscribe(emitter, event, new, old)
            return waiting_events(self._actor, name)
        finally:
            discard(self._actor, name)

    def _set_to_work(self, name: str, arrival: _Arrival) -> None:
        arrival.at_work = True
        self._actor.resume_role(name, arrival.activity)

    def host_lost(self) -> None:
        """Settle arrivals from a host that was lost in the middle of them.

        A role goes on here when others know it here; else it is given up.
        """
        lost = self._actor.host.router.lost
        hosts = {item.name: item.address for item in self._actor.ctx.contacts.all_actors()}
        for name, arrival in list(self._arrivals.items()):
            place = hosts.get(arrival.old.actor_name)
            if arrival.at_work or place is not None and place not in lost:
                continue
            if arrival.announced:
                self._set_to_work(name, arrival)
            else:
                del self._arrivals[name]
                discard(self._actor, name)

    # for everybody

    @node_request("repoint", Sender.NODE, about=("old", "new"))
    def repoint(
        self, *, old: RoleInstanceID, new: RoleInstanceID, added: Names, removed: Names
    ) -> None:
        """Replace the address of a role by its new one."""
        check_relationships((old.actor_name, new.actor_name), added, removed)
        arrival = self._arrivals.get(new.instance_name)
        if arrival is not None and (arrival.old, self._actor.name) == (old, new.actor_name):
            arrival.announced = True
        self._repoint(old, new, added, removed)

    def _repoint(
        self, old: RoleInstanceID, new: RoleInstanceID, added: Names, removed: Names
    ) -> None:
        actor = self._actor
        actor.subscriptions.repoint(old, new)
        actor.ctx.relationships.replace(old, new)
        for relationship, members in added.get(actor.name, {}).items():
            actor.ctx.relationships.add_to_relationship(relationship, *members)
        for relationship, members in removed.get(actor.name, {}).items():
            actor.ctx.relationships.remove_from_relationship(relationship, *members)
        for listener in self.listeners:
            listener(old, new, added, removed)


def check_relationships(nodes: tuple[str, str], *changes: Names) -> None:
    """Raise CallerError for changes of relationships that a move between two nodes cannot need."""
    for change in changes:
        for node, names in change.items():
            if node not in nodes or set(PREDEFINED) & set(names):
                raise CallerError(
                    f"a move between {nodes[0]} and {nodes[1]} changes no relationship "
                    f"{', '.join(names)} of {node}"
                )

"""Roles on nodes: assigned, updated, related, moved and ended by what the notebook asks the nodes' native roles for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from roleml_nb.role import (
    NATIVE,
    Message,
    Role,
    RoleInstanceID,
    RoleMLError,
    SerializationError,
    TestbedError,
    check_name,
    standard_name,
)

from .assignment import check_role_name, check_sendable, plan_assignment
from .calls import Calls
from .config.spec import named
from .config.values import encode
from .deployment import implementation
from .failures import fold
from .fleet import Fleet
from .nodes import Nodes
from .roster import Roster
from .startup import share_paths
from .versions import Versions, check_code

__all__ = ["Roles"]


class Roles:
    """What `Testbed` promises of roles and relationships; roster and versions are written after each success.

    `select` gives the nodes of a pattern.
    """

    def __init__(self, fleet: Fleet, calls: Calls, roster: Roster, versions: Versions, select: Callable[[Any], Nodes]):
        self._fleet, self._calls, self._roster, self._versions, self._select = fleet, calls, roster, versions, select

    def _ask(self, kind: str, nodes: Iterable[str], channel: str, message: Message) -> list[tuple[RoleInstanceID, Any]]:
        """Call the native role of each node; an error takes the place of its result."""
        group = [RoleInstanceID(node, NATIVE) for node in nodes]
        return self._calls.group(kind, group, channel, dict.fromkeys(group, message))

    def assign(
        self, nodes: Nodes, name: str, role: type[Role], options: Mapping[str, Any], elements: Mapping[str, Any]
    ) -> Nodes:
        """See `Testbed.assign`."""
        given = {standard_name(key): value for key, value in elements.items()}
        plans = plan_assignment(nodes.names, name, role, options, given)
        messages = {}
        for node in plans:
            messages[RoleInstanceID(node, NATIVE)] = Message(
                {"name": name}, {"cls": role, "options": plans[node][0],
                                 "elements": {key: implementation(value) for key, value in plans[node][1].items()}})
        share_paths(self._fleet)
        try:
            results = self._calls.group("task", list(messages), "assign-role", messages)
        except SerializationError:
            for node, given_here in plans.items():
                check_sendable(f"assign {name}={role.__name__} on {node}", *given_here)
            raise
        turn = next(self._roster.turns)
        for (node, _), result in results:
            if not isinstance(result, Exception):
                self._roster.assigned(node, name, {"class": named(role), "options": encode(plans[node][0]),
                                                   "elements": encode(plans[node][1]), "turn": turn})
                self._versions.assigned(RoleInstanceID(node, name), role, *plans[node])
            elif name in self._roster.roles.get(node, {}) and not self._is_there(node, name):
                self._gone(node, name)  # it was to be replaced, and has ended
        fold(results, f"assign {name}={role.__name__}")
        return nodes

    def _is_there(self, node: str, name: str) -> bool:
        try:
            return name in self._calls.roles_of(node)
        except RoleMLError:  # a lost node's roles stay in the spec
            return True

    def _gone(self, node: str, name: str) -> None:
        self._roster.terminated(node, name)
        self._versions.terminated(RoleInstanceID(node, name))

    def update(self, role: type[Role], fresh: bool) -> list[RoleInstanceID]:
        """See `Testbed.update`."""
        outdated = self._versions.outdated(role)
        if outdated:
            check_code(f"role {role.__name__}", role)
        if fresh:
            return self._begin_anew(role, outdated)
        names: dict[RoleInstanceID, list[str]] = {}
        for node, name in outdated:
            names.setdefault(RoleInstanceID(node, NATIVE), []).append(name)
        messages = {native: Message({"names": group}, {"cls": role}) for native, group in names.items()}
        results = self._calls.group("task", list(messages), "update-roles", messages)
        for native, result in results:
            for name in [] if isinstance(result, Exception) else names[native]:
                self._versions.updated(RoleInstanceID(native.actor_name, name), role)
                self._roster.updated(native.actor_name, name)
        fold(results, f"update {role.__name__}")
        return outdated

    def _begin_anew(
        self, role: type[Role], outdated: list[RoleInstanceID]
    ) -> list[RoleInstanceID]:
        """Assign roles as they were assigned before; none, where one of them cannot be."""
        given = {}
        for instance in outdated:
            if instance not in self._versions.given:
                raise TestbedError(
                    f"{instance} was assigned by another kernel, which alone had its options and "
                    "elements; assign it anew"
                )
            options, before = self._versions.given[instance]
            elements = {key: value for key, value in before.items() if key in role.elements}
            plan_assignment([instance.actor_name], instance.instance_name, role, options, elements)
            given[instance] = options, elements
        for (node, name), (options, elements) in given.items():
            self.assign(self._select(node), name, role, options, elements)
        return outdated

    def terminate(self, nodes: Nodes, name: str) -> Nodes:
        """See `Testbed.terminate`."""
        self._roster.instances([f"{node}/{name}" for node in nodes])
        results = self._ask("task", nodes, "terminate-role", Message({"name": name}))
        for (node, _), result in results:
            if not isinstance(result, Exception):
                self._gone(node, name)
        fold(results, f"terminate {name}")
        return nodes

    def relate(self, nodes: Nodes, relationship: str, instances: Any, remove: bool) -> Nodes:
        """See `Testbed.relate`."""
        if not remove:
            check_name("relationship", relationship)
        members = self._roster.instances(instances, relationship)
        message = Message({"relationship_name": relationship, "op": "remove" if remove else "add"},
                          {"instances": [tuple(item) for item in members]})
        results = self._ask("service", nodes, "update-relationship", message)
        for (node, _), result in results:
            if not isinstance(result, Exception):
                self._roster.related(node, relationship, members, remove=remove)
        fold(results, f"relate {relationship}")
        return nodes

    def link(self, nodes: Nodes, alias: str, relationship: str) -> Nodes:
        """See `Testbed.link_relationship`."""
        check_name("relationship", alias)
        check_name("relationship", relationship)
        message = Message({"from_relationship_name": alias, "to_relationship_name": relationship})
        results = self._ask("service", nodes, "add-relationship-link", message)
        for (node, _), result in results:
            if not isinstance(result, Exception):
                self._roster.linked(node, alias, relationship)
        fold(results, f"link {alias}")
        return nodes

    def migrate(self, role: str | RoleInstanceID, to: str, conflicts: str, timeout: float) -> RoleInstanceID:
        """See `Testbed.migrate`."""
        instances = self._roster.instances(role)
        if len(instances) != 1:
            raise TestbedError(f"{role!r} names {len(instances)} roles; migrate takes one")
        (instance,) = instances
        node, slash, name = to.partition("/")
        if slash:
            check_role_name(name)
        targets = self._select(node).names
        if len(targets) != 1:
            raise TestbedError(f"{to!r} names {len(targets)} nodes, and a role moves to one")
        results = self._ask("task", [instance.actor_name], "migrate-role", Message(
            {"name": instance.instance_name, "to": f"{targets[0]}/{name or instance.instance_name}",
             "conflicts": conflicts, "timeout": timeout}))
        fold(results, f"migrate {instance}")
        return RoleInstanceID(*results[0][1])

"""Roles on nodes: assigned, updated, related, moved and ended by what the notebook asks the nodes'
native roles for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from roleml_nb.messaging.modules.source_modules import source_modules
from roleml_nb.role import (
    NATIVE,
    NOTEBOOK,
    Message,
    Role,
    RoleInstanceID,
    RoleMLError,
    SerializationError,
    TestbedError,
    check_name,
    did_you_mean,
    standard_name,
)
from roleml_nb.spec.per_node import implementation
from roleml_nb.spec.spec import named
from roleml_nb.spec.values import encode
from roleml_nb.testbed.calls.calls import Calls
from roleml_nb.testbed.calls.failures import raise_combined
from roleml_nb.testbed.cluster.fleet import Fleet
from roleml_nb.testbed.cluster.startup import share_paths
from roleml_nb.testbed.nodes import Nodes
from roleml_nb.testbed.registry.code_changes import (
    CodeChanges,
    check_not_stale,
    current,
    current_values,
    newest_class,
    newest_values,
)
from roleml_nb.testbed.registry.registry import Registry
from roleml_nb.testbed.registry.versions import Versions, check_code, digests_of

from .assignment import check_role_name, check_sendable, plan_assignment

__all__ = ["Roles"]


class Roles:
    """What `Testbed` promises of roles and relationships; registry and versions are written after
    each success.

    `select` gives the nodes of a pattern.
    """

    def __init__(
        self,
        fleet: Fleet,
        calls: Calls,
        registry: Registry,
        versions: Versions,
        changes: CodeChanges,
        select: Callable[[Any], Nodes],
    ):
        self._fleet, self._calls, self._registry, self._select = fleet, calls, registry, select
        self._versions, self._changes = versions, changes

    def _ask(
        self, kind: str, nodes: Iterable[str], channel: str, message: Message
    ) -> list[tuple[RoleInstanceID, Any]]:
        """Call the native role of each node; an error takes the place of its result."""
        group = [RoleInstanceID(node, NATIVE) for node in nodes]
        return self._calls.group(kind, group, channel, dict.fromkeys(group, message))

    def assign(
        self,
        nodes: Nodes,
        name: str,
        role: type[Role],
        options: Mapping[str, Any],
        elements: Mapping[str, Any],
    ) -> Nodes:
        """See `Testbed.assign`."""
        self._changes.refresh()
        role = current(role, "role")
        options = current_values(options, "option")
        given = current_values(
            {standard_name(key): value for key, value in elements.items()}, "element"
        )
        plans = plan_assignment(nodes.names, name, role, options, given)
        self._check_known(nodes, role, options, given)
        messages = {}
        for node in plans:
            messages[RoleInstanceID(node, NATIVE)] = Message(
                {"name": name},
                {
                    "cls": role,
                    "options": plans[node][0],
                    "elements": {
                        key: implementation(value) for key, value in plans[node][1].items()
                    },
                },
            )
        share_paths(self._fleet)
        try:
            results = self._calls.group("task", list(messages), "assign-role", messages)
        except SerializationError:
            for node, given_here in plans.items():
                check_sendable(f"assign {name}={role.__name__} on {node}", *given_here)
            raise
        turn = next(self._registry.assignment_counter)
        for (node, _), result in results:
            if not isinstance(result, Exception):
                self._registry.assigned(
                    node,
                    name,
                    {
                        "class": named(role),
                        "options": encode(plans[node][0]),
                        "elements": encode(plans[node][1]),
                        "turn": turn,
                    },
                )
                self._versions.assigned(RoleInstanceID(node, name), role, *plans[node])
            elif name in self._registry.roles.get(node, {}) and not self._is_there(node, name):
                self._gone(node, name)  # it was to be replaced, and has ended
        raise_combined(results, f"assign {name}={role.__name__}")
        return nodes

    def _check_known(
        self,
        nodes: Iterable[str],
        role: type[Role],
        options: dict[str, Any],
        elements: dict[str, Any],
    ) -> None:
        """Check that nodes can have the code of own modules, and share it with the engines;
        TestbedError if not.
        """
        modules = digests_of(role, options, elements)
        here = any(self._registry.places.get(node) == NOTEBOOK for node in nodes)
        check_not_stale(role, (*options.values(), *elements.values()), modules, here)
        unknown = source_modules.unknown(modules)
        if unknown and not here:
            raise TestbedError(
                f"{unknown[0]} was edited after this kernel had imported it, before anybody looked,"
                " so that engines cannot have the same: load it with"
                f" importlib.reload({unknown[0]}), as %autoreload 2 does from the next edit on"
            )
        self._changes.refresh()  # what is imported within functions is found by then

    def _is_there(self, node: str, name: str) -> bool:
        try:
            return name in self._calls.roles_of(node)
        except RoleMLError:  # a lost node's roles stay in the spec
            return True

    def _gone(self, node: str, name: str) -> None:
        self._registry.terminated(node, name)
        self._versions.terminated(RoleInstanceID(node, name))

    def update(
        self, role: type[Role] | Sequence[type[Role]] | None, fresh: bool, was: str | None
    ) -> list[RoleInstanceID]:
        """See `Testbed.update`."""
        self._changes.refresh()
        outdated: dict[RoleInstanceID, type[Role]] = {}
        if role is None:
            for instance in self._versions.behind():
                outdated[instance] = newest_class(self._versions.classes[instance], instance)
        for cls in () if role is None else [role] if isinstance(role, type) else role:
            cls = current(cls, "role")
            if was is not None and not self._versions.of_class(was):
                known = {name.rpartition(".")[2] for name, _ in self._versions.running.values()}
                raise TestbedError(f"no role is of a class {was!r}; {did_you_mean(was, known)}")
            outdated |= dict.fromkeys(self._versions.outdated(cls, was), cls)
        by_class = {
            cls: [instance for instance, each in outdated.items() if each is cls]
            for cls in outdated.values()
        }
        for cls, instances in by_class.items():
            check_code(f"role {cls.__name__}", cls)
            self._check_known((instance.actor_name for instance in instances), cls, {}, {})
        if fresh:
            self._begin_anew(outdated)
            return list(outdated)
        if len(outdated) > 1:
            for cls, instances in by_class.items():
                raise_combined(
                    self._ask_to_take_up(cls, instances, only_check=True), f"update {cls.__name__}"
                )
        for cls, instances in by_class.items():
            self._take_up(cls, instances)
        self._changes.report_kept_elements(outdated)
        return list(outdated)

    def _begin_anew(self, outdated: dict[RoleInstanceID, type[Role]]) -> None:
        """Assign roles as they were assigned before; none, where one of them cannot be."""
        given = {}
        for instance, cls in outdated.items():
            if instance not in self._versions.given:
                raise TestbedError(
                    f"{instance} was assigned by another kernel, which alone had its options and "
                    "elements; assign it anew"
                )
            options, before = map(newest_values, self._versions.given[instance])
            elements = {key: value for key, value in before.items() if key in cls.elements}
            plan_assignment([instance.actor_name], instance.instance_name, cls, options, elements)
            given[instance] = cls, options, elements
        for (node, name), (cls, options, elements) in given.items():
            self.assign(self._select(node), name, cls, options, elements)

    def _take_up(self, cls: type[Role], outdated: list[RoleInstanceID]) -> None:
        results = self._ask_to_take_up(cls, outdated)
        failed = {native.actor_name for native, result in results if isinstance(result, Exception)}
        for node, name in outdated:
            if node not in failed:
                self._versions.updated(RoleInstanceID(node, name), cls)
                self._registry.updated(node, name, named(cls))
        raise_combined(results, f"update {cls.__name__}")

    def _ask_to_take_up(
        self, cls: type[Role], outdated: list[RoleInstanceID], *, only_check: bool = False
    ) -> list[tuple[RoleInstanceID, Any]]:
        """Ask the native roles of the nodes to update theirs, or whether they would."""
        names: dict[RoleInstanceID, list[str]] = {}
        for node, name in outdated:
            names.setdefault(RoleInstanceID(node, NATIVE), []).append(name)
        messages = {}
        for native, group in names.items():
            given = {
                name: self._versions.given.get(RoleInstanceID(native.actor_name, name))
                for name in group
            }
            options = {
                name: newest_values(known[0]) for name, known in given.items() if known is not None
            }
            messages[native] = Message(
                {"names": group, "only_check": only_check}, {"cls": cls, "options": options}
            )
        return self._calls.group("task", list(messages), "update-roles", messages)

    def terminate(self, nodes: Nodes, name: str) -> Nodes:
        """See `Testbed.terminate`."""
        self._registry.instances([f"{node}/{name}" for node in nodes])
        results = self._ask("task", nodes, "terminate-role", Message({"name": name}))
        for (node, _), result in results:
            if not isinstance(result, Exception):
                self._gone(node, name)
        raise_combined(results, f"terminate {name}")
        return nodes

    def relate(self, nodes: Nodes, relationship: str, instances: Any, remove: bool) -> Nodes:
        """See `Testbed.relate`."""
        if not remove:
            check_name("relationship", relationship)
        members = self._registry.instances(instances, relationship)
        message = Message(
            {"relationship_name": relationship, "op": "remove" if remove else "add"},
            {"instances": [tuple(item) for item in members]},
        )
        results = self._ask("service", nodes, "update-relationship", message)
        for (node, _), result in results:
            if not isinstance(result, Exception):
                self._registry.related(node, relationship, members, remove=remove)
        raise_combined(results, f"relate {relationship}")
        return nodes

    def link(self, nodes: Nodes, alias: str, relationship: str) -> Nodes:
        """See `Testbed.link_relationship`."""
        check_name("relationship", alias)
        check_name("relationship", relationship)
        message = Message({"from_relationship_name": alias, "to_relationship_name": relationship})
        results = self._ask("service", nodes, "add-relationship-link", message)
        for (node, _), result in results:
            if not isinstance(result, Exception):
                self._registry.linked(node, alias, relationship)
        raise_combined(results, f"link {alias}")
        return nodes

    def migrate(
        self, role: str | RoleInstanceID, to: str, conflicts: str, timeout: float
    ) -> RoleInstanceID:
        """See `Testbed.migrate`."""
        instances = self._registry.instances(role)
        if len(instances) != 1:
            raise TestbedError(f"{role!r} names {len(instances)} roles; migrate takes one")
        (instance,) = instances
        node, slash, name = to.partition("/")
        if slash:
            check_role_name(name)
        targets = self._select(node).names
        if len(targets) != 1:
            raise TestbedError(f"{to!r} names {len(targets)} nodes, and a role moves to one")
        results = self._ask(
            "task",
            [instance.actor_name],
            "migrate-role",
            Message(
                {
                    "name": instance.instance_name,
                    "to": f"{targets[0]}/{name or instance.instance_name}",
                    "conflicts": conflicts,
                    "timeout": timeout,
                }
            ),
        )
        raise_combined(results, f"migrate {instance}")
        return RoleInstanceID(*results[0][1])

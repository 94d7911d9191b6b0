"""Carrying out a plan on a testbed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from roleml_nb.role import NATIVE, NOTEBOOK, HandlerError, Message, RoleInstanceID, RoleMLError
from roleml_nb.spec.entry import Entry
from roleml_nb.spec.per_node import Each
from roleml_nb.spec.plan import Plan, RolePlan
from roleml_nb.testbed.calls.failures import raise_combined

if TYPE_CHECKING:
    from roleml_nb.testbed.testbed import Testbed

__all__ = ["deploy", "undo_deployment", "update_relationship"]

Members = dict[str, list[RoleInstanceID]]
Batch = tuple[str, dict[str, RolePlan]]


def deploy(bed: Testbed, plan: Plan) -> None:
    """Make the nodes, tell them of their relationships, then assign the roles.

    When something fails, what was assigned and related here is taken back; the nodes stay.
    """
    _spawn(bed, plan)
    roles = {node: dict(given) for node, given in bed.registry.roles.items()}
    related = bed.registry.copy_relationships()
    try:
        _relate(bed, plan)
        _link(bed, plan)
        for name, batch in _batches(plan):
            _assign(bed, name, batch)
    except BaseException:
        undo_deployment(bed, roles, related)
        raise


def _spawn(bed: Testbed, plan: Plan) -> None:
    """Spawn the plan's nodes on its engines, if the testbed has as many, else spread over all."""
    hosts = {*bed.fleet.alive, NOTEBOOK}
    exact = plan.engines == bed.engines and all(
        node.place in (None, *hosts) for node in plan.nodes.values()
    )
    groups: dict[tuple, list[str]] = {}
    for name, node in plan.nodes.items():
        if name != NOTEBOOK:
            groups.setdefault((node.place if exact else None, *node.context.items()), []).append(
                name
            )
    for (place, *context), names in groups.items():
        bed.spawn(*names, on=place, **dict(context))
    if bed.registry.board_layout is None:
        bed.registry.board_layout = plan.board_layout
    bed.registry.arranged(
        {name: node.at for name, node in plan.nodes.items() if node.at is not None}
    )


def _relate(bed: Testbed, plan: Plan) -> None:
    """Relate nodes before there are roles: a role that runs by itself may need its relationships at
    once.
    """
    wanted: dict[str, Members] = {}
    for node, given in plan.nodes.items():
        for relationship, members in given.relationships.items():
            if members:
                wanted.setdefault(relationship, {})[node] = [member for member, _ in members]
    for relationship, by_node in wanted.items():
        update_relationship(bed, relationship, by_node, "add")


def update_relationship(bed: Testbed, relationship: str, members: Members, operation: str) -> None:
    """Add to, or remove from, a relationship that nodes know: {node: members}."""
    messages = {
        RoleInstanceID(node, NATIVE): Message(
            {"relationship_name": relationship, "op": operation},
            {"instances": [tuple(item) for item in given]},
        )
        for node, given in members.items()
    }
    results = bed._calls.group("service", list(messages), "update-relationship", messages)
    for target, result in results:
        if not isinstance(result, Exception):
            bed.registry.related(
                target.actor_name,
                relationship,
                members[target.actor_name],
                remove=operation == "remove",
            )
    raise_combined(results, f"relate {relationship}")


def _link(bed: Testbed, plan: Plan) -> None:
    links: dict[tuple[str, str], dict[str, Entry]] = {}
    for node, given in plan.nodes.items():
        for alias, target in given.links.items():
            if bed.registry.links.get(node, {}).get(alias) != target.value:
                links.setdefault((alias, target.value), {})[node] = target
    for (alias, relationship), nodes in links.items():
        try:
            bed.link_relationship(list(nodes), alias, relationship)
        except RoleMLError as error:
            _point(error, next(iter(nodes.values())))
            raise


def _batches(plan: Plan) -> Iterator[Batch]:
    """Yield the roles that are assigned at the same time: {node: role} of one name, one class and
    the same keys.

    First those that have a turn. Then the nodes in `first`, one by one, each with its roles in
    their order. Then the others together, all with their first role, then all with their second
    one.
    """
    steps: dict[tuple[int, int, int], dict[tuple, dict[str, RolePlan]]] = {}
    for node, given in plan.nodes.items():
        for position, (name, role) in enumerate(given.roles.items()):
            if role.turn is not None:
                step = (0, role.turn, 0)
            elif node in plan.first:
                step = (1, plan.first.index(node), position)
            else:
                step = (2, position, 0)
            alike = (name, role.cls, *role.options, None, *role.elements)
            steps.setdefault(step, {}).setdefault(alike, {})[node] = role
    for step in sorted(steps):
        for (name, *_), batch in steps[step].items():
            yield name, batch


def _assign(bed: Testbed, name: str, batch: dict[str, RolePlan]) -> None:
    roles = list(batch.values())
    try:
        bed.assign(
            list(batch),
            name,
            roles[0].cls,
            options={key: Each([role.options[key] for role in roles]) for key in roles[0].options},
            elements={
                key: Each([role.elements[key] for role in roles]) for key in roles[0].elements
            },
        )
    except RoleMLError as error:
        node = error.where.get("node", "") if isinstance(error, HandlerError) else ""
        _point(error, batch.get(node, roles[0]).entry)
        raise


def _point(error: RoleMLError, entry: Entry) -> None:
    """Have an error begin with the place of what was asked for."""
    error.args = (f"{entry.where}: {error.args[0]}", *error.args[1:])


def undo_deployment(
    bed: Testbed, roles: dict[str, dict], related: dict[str, dict[str, list[str]]]
) -> None:
    """Bring roles and relationships back to what they were.

    What fails is noted: the first failure is the one to tell.
    """
    for node, given in list(bed.registry.roles.items()):
        for name, role in list(given.items()):
            if roles.get(node, {}).get(name) is not role:
                _attempt(bed, partial(bed.terminate, node, name))
    for node, known in list(bed.registry.relationships.items()):
        for relationship, members in list(known.items()):
            before = related.get(node, {}).get(relationship, [])
            new = [RoleInstanceID.of(member) for member in members if member not in before]
            if new:
                _attempt(
                    bed, partial(update_relationship, bed, relationship, {node: new}, "remove")
                )


def _attempt(bed: Testbed, action: Callable[[], Any]) -> None:
    try:
        action()
    except RoleMLError as error:
        bed.errors.append(error)

"""Deploy a plan on a testbed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

from roleml_nb.role import NOTEBOOK, HandlerError, RoleInstanceID, RoleMLError
from roleml_nb.spec.entry import Entry
from roleml_nb.spec.per_node import Each
from roleml_nb.spec.plan import Plan, RolePlan

from .assign import assign
from .deployment import Deployment
from .relate import link_relationship, update_relationship
from .snapshot import Snapshot
from .spawn import spawn

__all__ = ["deploy"]

Members = dict[str, list[RoleInstanceID]]
Batch = dict[str, RolePlan]
"""{node: role} of one name, one class and the same keys: assigned at the same time."""


def deploy(deployment: Deployment, plan: Plan) -> None:
    """Make the nodes, tell them of their relationships, then assign the roles.

    When something fails, roles and relationships made here are taken back; the nodes stay.
    """
    _spawn(deployment, plan)
    before = Snapshot(deployment)
    try:
        _relate(deployment, plan)
        _link(deployment, plan)
        for name, batch in _batches(plan):
            _assign(deployment, name, batch)
    except BaseException:
        before.undo_additions()
        raise


def _spawn(deployment: Deployment, plan: Plan) -> None:
    """Spawn the plan's nodes on its engines, if the testbed has as many, else spread over all."""
    alive, registry = deployment.fleet.alive, deployment.registry
    hosts = {None, *alive, NOTEBOOK}
    exact = plan.engines == len(alive) and all(node.place in hosts for node in plan.nodes.values())
    groups: dict[tuple, list[str]] = {}
    positions = {}
    for name, node in plan.nodes.items():
        if name != NOTEBOOK:
            alike = (node.place if exact else None, *node.context.items())
            groups.setdefault(alike, []).append(name)
        if node.at is not None:
            positions[name] = node.at
    for (place, *context), names in groups.items():
        spawn(deployment, names, place, dict(context))
    if registry.board_layout is None:
        registry.board_layout = plan.board_layout
    registry.arranged(positions)


def _relate(deployment: Deployment, plan: Plan) -> None:
    """Relate nodes before there are roles: a role that runs by itself may need its relationships at
    once.
    """
    wanted: dict[str, Members] = {}
    for node, given in plan.nodes.items():
        for relationship, members in given.relationships.items():
            if members:
                wanted.setdefault(relationship, {})[node] = list(map(itemgetter(0), members))
    for relationship, members_by_node in wanted.items():
        update_relationship(deployment, relationship, members_by_node, "add")


def _link(deployment: Deployment, plan: Plan) -> None:
    links: dict[tuple[str, str], dict[str, Entry]] = {}
    for node, given in plan.nodes.items():
        known = deployment.registry.links.get(node, {})
        for alias, target in given.links.items():
            if known.get(alias) != target.value:
                links.setdefault((alias, target.value), {})[node] = target
    for (alias, relationship), entries in links.items():
        try:
            link_relationship(deployment, list(entries), alias, relationship)
        except RoleMLError as error:
            _point(error, next(iter(entries.values())))
            raise


def _batches(plan: Plan) -> Iterator[tuple[str, Batch]]:
    """Yield the name of a role and the nodes that get one of that name at the same time.

    First those that have a turn. Then the nodes in `first`, one by one, each with its roles in
    their order. Then the others together, all with their first role, then all with their second
    one.
    """
    steps: dict[tuple[int, int, int], dict[tuple, Batch]] = {}
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


def _assign(deployment: Deployment, name: str, batch: Batch) -> None:
    roles = list(batch.values())
    options = _by_key([role.options for role in roles])
    elements = _by_key([role.elements for role in roles])
    try:
        assign(deployment, list(batch), name, roles[0].cls, options, elements)
    except RoleMLError as error:
        node = error.where.get("node", "") if isinstance(error, HandlerError) else ""
        _point(error, batch.get(node, roles[0]).entry)
        raise
    deployment.code_changes.report_changes()


def _by_key(values: Sequence[Mapping[str, Any]]) -> dict[str, Each]:
    """Return {key: the values of all nodes}, for nodes with the same keys."""
    return {key: Each(map(itemgetter(key), values)) for key in values[0]}


def _point(error: RoleMLError, entry: Entry) -> None:
    """Have an error begin with the place of the request."""
    error.args = (f"{entry.where}: {error.args[0]}", *error.args[1:])

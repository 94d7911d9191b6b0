"""Reattach: a detached testbed persists its state, and its next kernel restores it.

Nodes, roles, relationships and links are read from the engines. State that only the
kernel had, such as the arguments of elements, is plain data in a file beside the sockets, written a
moment after each change.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from itertools import count, starmap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roleml_nb.actor.state_requests import StateRequests
from roleml_nb.role import NOTEBOOK, RoleInstanceID, RoleMLError, TestbedError
from roleml_nb.spec.board_layout import BoardLayout
from roleml_nb.spec.spec import class_reference
from roleml_nb.testbed.cluster.preflight import explain
from roleml_nb.testbed.cluster.runtime_files import FORMAT, RuntimeFile, read_all
from roleml_nb.testbed.cluster.startup import share_paths

if TYPE_CHECKING:
    from roleml_nb.testbed.cluster.fleet import Fleet
    from roleml_nb.testbed.registry.registry import Registry

    from .deployment import Deployment

__all__ = ["begin_persisting", "persist", "restore", "select_detached", "write_registry"]

FILE = "registry.json"
POLL_INTERVAL_S = 0.1
"""Seconds between two checks for changes of the registry."""
STEP_TIMEOUT_S = 60.0
TABLES = ("places", "roles", "relationships", "links", "contexts", "positions")


def select_detached(testbed_id: str | None) -> RuntimeFile:
    """Return the detached testbed of that name, or the only one there is; TestbedError when there
    is none, several, or it is in use.
    """
    found = []
    for file in read_all():
        if file.detached and testbed_id in (None, file.testbed_id) and file.processes():
            found.append(file)
    if not found:
        name = "" if testbed_id is None else f"{testbed_id!r} "
        raise TestbedError(
            f"no testbed {name}is detached on this machine; begin one that stays with %rml start"
            " --detach, or Testbed(detached=True)"
        )
    ready = [file for file in found if not file.abandoned]
    if not ready:
        raise TestbedError(
            f"testbed {found[0].testbed_id} was not ready when its kernel ended; %rml clean ends"
            " what is left of it"
        )
    free = [file for file in ready if file.owner.ended]
    if not free:
        raise TestbedError(
            f"testbed {ready[0].testbed_id} is in use by process {ready[0].owner.pid}: detach it"
            " there with bed.detach(), or end that kernel"
        )
    if len(free) > 1:
        names = ", ".join(file.testbed_id for file in free)
        raise TestbedError(f"{len(free)} testbeds are detached; name one: {names}")
    if free[0].format != FORMAT:
        raise TestbedError(
            f"testbed {free[0].testbed_id} was started by another version of roleml_nb, which this"
            " one does not understand; %rml clean --detached ends it"
        )
    return free[0]


def check_links(fleet: Fleet) -> None:
    """Check that no link between engines needs the relay, which ends with the kernel."""
    for (sender, receiver), (kind, why) in fleet.links.items():
        if kind == "relay" and NOTEBOOK not in (sender, receiver):
            raise TestbedError(
                f"this testbed cannot be detached: {sender} → {receiver} goes through this kernel"
                f" ({why})"
            )


# writing


def begin_persisting(fleet: Fleet, registry: Registry, attach_info: dict[str, Any]) -> None:
    """Persist the data that another process needs to attach, and the registry from now on;
    TestbedError when the testbed cannot be detached.
    """
    check_links(fleet)
    assert fleet.engines is not None and fleet.engines.runtime_file is not None
    fleet.engines.runtime_file.attach_info = attach_info
    try:
        fleet.engines.runtime_file.write()
    except OSError as error:
        raise TestbedError(f"the testbed cannot be detached: {explain(error)}") from error
    fleet.engines.outlive_kernel()
    fleet.home.run_in_background(partial(persist, fleet, registry), "registry")


def persist(fleet: Fleet, registry: Registry) -> None:
    """Write the registry whenever it has changed, until the fleet stops.

    Runs on a thread of its own.
    """
    written = None
    while not fleet.stopping:
        if registry.revision != written:
            written = registry.revision
            write_registry(fleet, registry)
        fleet.home.clock.sleep(POLL_INTERVAL_S)


def write_registry(fleet: Fleet, registry: Registry) -> None:
    """Write the registry to a file beside the sockets, for `restore`."""
    content: dict[str, Any] = {name: getattr(registry, name) for name in TABLES}
    content["roles"] = registry.copy_roles()
    layout = registry.board_layout
    content["drawn"] = layout and layout.to_dict(registry.places)
    target = Path(fleet.engines.directory) / FILE  # type: ignore[union-attr]
    beside = target.with_suffix(".new")
    try:
        beside.write_text(json.dumps(content), encoding="utf-8")
        beside.replace(target)
    # it changed under our hands, and will be written again; or the disk is full
    except (OSError, RuntimeError) as error:
        fleet.home.logger.warning("the registry was not written: %s", error)
        registry.revision += 1


# finding back


def restore(deployment: Deployment) -> None:
    """Restore the notebook's registry from the nodes, and from the file."""
    registry, fleet = deployment.registry, deployment.fleet
    written = _written(Path(fleet.engines.directory) / FILE)  # type: ignore[union-attr]
    share_paths(fleet)
    for host_id, names in fleet.on_hosts(_nodes).items():
        registry.places.update(dict.fromkeys(names, host_id))
    fleet.update_directory(registry.places)
    for node in registry.places:
        if node in written["contexts"]:
            registry.contexts[node] = written["contexts"][node]
        if node in written["positions"]:
            registry.positions[node] = tuple(written["positions"][node])
        if node != NOTEBOOK:
            _restore_node(deployment, node, written["roles"].get(node, {}))
    registry.board_layout = written["drawn"]
    registry.assignment_counter = count(max(registry.assigned_turns(), default=-1) + 1)
    registry.revision += 1


def _written(file: Path) -> dict[str, Any]:
    """Return the valid part of a file that `write_registry` has written."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):  # the kernel ended at once
        content = None
    kept: dict[str, Any] = {}
    for name in TABLES:
        known = content.get(name) if isinstance(content, dict) else None
        kept[name] = known if isinstance(known, dict) else {}
    _drop_invalid(kept["contexts"], lambda given: isinstance(given, dict))
    _drop_invalid(kept["positions"], _is_position)
    _drop_invalid(kept["roles"], lambda roles: isinstance(roles, dict))
    for roles in kept["roles"].values():
        _drop_invalid(roles, _is_role)
    try:
        kept["drawn"] = BoardLayout.from_dict(content["drawn"]) if content["drawn"] else None
    except (TestbedError, TypeError, ValueError, KeyError, AttributeError):
        kept["drawn"] = None
    return kept


def _drop_invalid(table: dict[str, Any], is_valid: Callable[[Any], bool]) -> None:
    for key, value in list(table.items()):
        if not is_valid(value):
            del table[key]


def _is_position(at: Any) -> bool:
    return isinstance(at, list) and list(map(type, at)) == [int, int]


def _is_role(role: Any) -> bool:
    return (
        isinstance(role, dict)
        and role.keys() >= {"class", "options", "elements", "turn"}
        and type(role["turn"]) is int
        and isinstance(role["options"], dict)
        and isinstance(role["elements"], dict)
    )


def _restore_node(deployment: Deployment, node: str, written: dict[str, Any]) -> None:
    actor = deployment.fleet.home.actors[NOTEBOOK]
    try:
        classes, relationships, links, contents = actor.ask_node(
            StateRequests.describe, node
        ).result(STEP_TIMEOUT_S)
    except RoleMLError as error:  # it shows as lost, or its engine as busy; others are there
        actor.logger.warning("%s does not say what is there: %s", node, error)
        return
    for name, cls in classes.items():
        unknown = {"class": class_reference(cls), "options": {}, "elements": {}, "turn": 0}
        deployment.registry.assigned(node, name, written.get(name, unknown))
        deployment.versions.updated(RoleInstanceID(node, name), cls)
        if contents[name]:  # which may be older than the classes of this kernel
            deployment.versions.contents[RoleInstanceID(node, name)] = contents[name]
    for relationship, members in relationships.items():
        instances = list(starmap(RoleInstanceID, members))
        deployment.registry.related(node, relationship, instances)
    for alias, target in links.items():
        deployment.registry.linked(node, alias, target)


def _nodes(host: Any) -> list[str]:
    return [] if host.host_id == NOTEBOOK else list(host.actors)

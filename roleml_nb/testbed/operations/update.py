"""Update roles to another version of their class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from roleml_nb.role import Message, Role, RoleInstanceID, TestbedError, did_you_mean
from roleml_nb.spec.spec import class_reference
from roleml_nb.testbed.calls.failures import raise_combined
from roleml_nb.testbed.registry.code_changes import current, newest_class, newest_values
from roleml_nb.testbed.registry.versions import Versions, check_code

from .assign import as_assigned, assign, plan_assignment, share_code
from .deployment import Deployment

__all__ = ["update"]

Outdated = dict[RoleInstanceID, type[Role]]
"""{instance: the class that it is to take up}."""


def update(
    deployment: Deployment,
    role: type[Role] | Sequence[type[Role]] | None,
    fresh: bool,
    former_name: str | None,
) -> list[RoleInstanceID]:
    """See `Testbed.update`."""
    deployment.code_changes.refresh()
    if role is None:
        outdated = _behind(deployment.versions)
    else:
        classes = [role] if isinstance(role, type) else role
        outdated = _outdated(deployment.versions, classes, former_name)
    by_class: dict[type[Role], list[RoleInstanceID]] = {}
    for instance, cls in outdated.items():
        by_class.setdefault(cls, []).append(instance)
    for cls, instances in by_class.items():
        check_code(f"role {cls.__name__}", cls)
        share_code(deployment, [node for node, _ in instances], cls, {}, {})
    if fresh:
        _assign_anew(deployment, outdated)
        return list(outdated)
    if len(outdated) > 1:
        for cls, instances in by_class.items():
            results = _ask_to_take_up(deployment, cls, instances, only_check=True)
            raise_combined(results, f"update {cls.__name__}")
    for cls, instances in by_class.items():
        _take_up(deployment, cls, instances)
    deployment.code_changes.report_kept_elements(outdated)
    return list(outdated)


def _behind(versions: Versions) -> Outdated:
    """Return the roles whose own modules have changed, with their classes as these are now."""
    outdated: Outdated = {}
    for instance in versions.behind():
        outdated[instance] = newest_class(versions.classes[instance], instance)
    return outdated


def _outdated(
    versions: Versions, classes: Sequence[type[Role]], former_name: str | None
) -> Outdated:
    """Return the roles that have another version of the classes, or a class of the former name."""
    outdated: Outdated = {}
    for cls in classes:
        cls = current(cls, "role")
        if former_name is not None and not versions.of_class(former_name):
            known = dict.fromkeys(name.rpartition(".")[2] for name, _ in versions.running.values())
            raise TestbedError(
                f"no role is of a class {former_name!r}; {did_you_mean(former_name, known)}"
            )
        outdated |= dict.fromkeys(versions.outdated(cls, former_name), cls)
    return outdated


def _assign_anew(deployment: Deployment, outdated: Outdated) -> None:
    """Assign roles as they were assigned before; none, where one of them cannot be."""
    plans = {}
    for instance, cls in outdated.items():
        options, elements = as_assigned(deployment, instance, cls)
        plan_assignment([instance.actor_name], instance.instance_name, cls, options, elements)
        plans[instance] = cls, options, elements
    for (node, name), plan in plans.items():
        assign(deployment, [node], name, *plan)


def _take_up(deployment: Deployment, cls: type[Role], outdated: list[RoleInstanceID]) -> None:
    results = _ask_to_take_up(deployment, cls, outdated)
    failed = {native.actor_name for native, result in results if isinstance(result, Exception)}
    for node, name in outdated:
        if node not in failed:
            deployment.versions.updated(RoleInstanceID(node, name), cls)
            deployment.registry.updated(node, name, class_reference(cls))
    raise_combined(results, f"update {cls.__name__}")


def _ask_to_take_up(
    deployment: Deployment,
    cls: type[Role],
    outdated: list[RoleInstanceID],
    *,
    only_check: bool = False,
) -> list[tuple[RoleInstanceID, Any]]:
    """Ask the nodes to update their roles, or only to check that they can."""
    names: dict[str, list[str]] = {}
    for node, name in outdated:
        names.setdefault(node, []).append(name)
    messages = {}
    for node, group in names.items():
        content = {"cls": cls, "options": _options(deployment.versions.given, node, group)}
        messages[node] = Message({"names": group, "only_check": only_check}, content)
    return deployment.calls.ask_nodes("task", "update-roles", messages)


def _options(
    given: Mapping[RoleInstanceID, tuple[dict, dict]], node: str, names: list[str]
) -> dict[str, dict[str, Any]]:
    """Return the options of a node's roles that are known, with their newest functions."""
    options = {}
    for name in names:
        known = given.get(RoleInstanceID(node, name))
        if known is not None:
            options[name] = newest_values(known[0])
    return options

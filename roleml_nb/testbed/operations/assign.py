"""Assign a role to nodes, after all that can be checked before anything is sent to a node."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from roleml_nb.messaging.modules.source_modules import source_modules
from roleml_nb.messaging.serialization.codec import encode as encode_value
from roleml_nb.role import (
    NOTEBOOK,
    ElementInstance,
    Message,
    Role,
    RoleInstanceID,
    RoleMLError,
    SerializationError,
    TestbedError,
    did_you_mean,
    standard_name,
)
from roleml_nb.spec.per_node import Each, Impl, implementation, resolve
from roleml_nb.spec.role_checks import check_role_name, wrong_element, wrong_option
from roleml_nb.spec.spec import class_reference
from roleml_nb.spec.values import encode
from roleml_nb.testbed.calls.failures import raise_combined
from roleml_nb.testbed.cluster.startup import share_paths
from roleml_nb.testbed.registry.code_changes import (
    check_not_stale,
    current,
    current_values,
    newest_values,
)
from roleml_nb.testbed.registry.versions import check_code, digests_of

from .deployment import Deployment

__all__ = ["as_assigned", "assign", "check_sendable", "plan_assignment", "share_code"]

Given = tuple[dict[str, Any], dict[str, Any]]
"""Options and elements of one node's role."""


def as_assigned(deployment: Deployment, instance: RoleInstanceID, cls: type[Role]) -> Given:
    """Return the options and elements that a role was assigned with, with their newest functions,
    for it to be assigned anew as `cls`, which may have fewer elements.

    TestbedError where they are not known.
    """
    given = deployment.versions.given.get(instance)
    if given is None:
        raise TestbedError(
            f"{instance} was assigned by another kernel, which alone had its options and "
            "elements; assign it anew"
        )
    options, before = map(newest_values, given)
    return options, {key: value for key, value in before.items() if key in cls.elements}


def assign(
    deployment: Deployment,
    nodes: Sequence[str],
    name: str,
    role: type[Role],
    options: Mapping[str, Any],
    elements: Mapping[str, Any],
) -> None:
    """See `Testbed.assign`."""
    deployment.code_changes.refresh()
    role = current(role, "role")
    options = current_values(options, "option")
    standard = {standard_name(key): value for key, value in elements.items()}
    elements = current_values(standard, "element")
    plans = plan_assignment(nodes, name, role, options, elements)
    share_code(deployment, nodes, role, options, elements)
    messages = _messages(name, role, plans)
    share_paths(deployment.fleet)
    what = f"assign {name}={role.__name__}"
    try:
        results = deployment.calls.ask_nodes("task", "assign-role", messages)
    except SerializationError:
        for node, given in plans.items():
            check_sendable(f"{what} on {node}", *given)
        raise
    turn = next(deployment.registry.assignment_counter)
    for (node, _), result in results:
        if not isinstance(result, Exception):
            _record(deployment, RoleInstanceID(node, name), role, plans[node], turn)
        elif _was_replaced(deployment, node, name):
            deployment.record_termination(node, name)
    raise_combined(results, what)


def plan_assignment(
    nodes: Sequence[str],
    name: str,
    role: Any,
    options: Mapping[str, Any],
    elements: Mapping[str, Any],
) -> dict[str, Given]:
    """Return {node: (options, elements)}, with the values of each node.

    `elements` have their standard names. RoleMLError when the role cannot be assigned so.
    """
    check_role_name(name)
    if not (isinstance(role, type) and issubclass(role, Role)):
        raise TestbedError(f"assign takes a Role class, not {role!r}")
    check_code(f"role {role.__name__}", role)
    what = f"assign {name}={role.__name__}"
    if wrong := wrong_option(role, options):
        raise TestbedError(f"{what}: {wrong[1]}")
    for element, value in elements.items():
        for item in value.values if isinstance(value, Each) else [value]:
            check_code(f"element {element!r}", item.function if isinstance(item, Impl) else item)
            if isinstance(item, Impl):
                _check_call(element, item)
    if wrong := wrong_element(role, elements):
        key, text = wrong
        if key in role.elements:
            text = (
                f"{nodes[0]}/{name}: {text};"
                f" give it with elements={{{key!r}: …}} or --element {key}=…"
            )
        raise TestbedError(text)
    plans: dict[str, Given] = {}
    for index, node in enumerate(nodes):
        try:
            own_options = _resolve_all(options, index, len(nodes))
            own_elements = _resolve_all(elements, index, len(nodes))
        except ValueError as error:
            raise TestbedError(f"{what}: {error}") from None
        plans[node] = own_options, own_elements
        for element, value in own_elements.items():
            declared = getattr(role, role.elements[element])
            ElementInstance(declared, implementation(value), f"{node}/{name}")  # refuses its type
    return plans


def _resolve_all(values: Mapping[str, Any], index: int, count: int) -> dict[str, Any]:
    """Return the values of the node with that index; ValueError where an `Each` has too few."""
    return {key: resolve(value, index, count) for key, value in values.items()}


def _check_call(element: str, made: Impl) -> None:
    """Check that a function takes the arguments of its call; TestbedError if not."""
    try:
        signature = inspect.signature(made.function)
    except (TypeError, ValueError):  # one that is not written in Python
        return
    try:
        signature.bind_partial(*made.args, **made.kwargs)  # tells of one too many first
        signature.bind(*made.args, **made.kwargs)
    except TypeError as error:
        called = getattr(made.function, "__name__", str(made.function))
        near = ""
        for key in made.kwargs:
            if key not in signature.parameters:
                near = f"; {did_you_mean(key, signature.parameters)}"
                break
        raise TestbedError(f"element {element!r}: {called}() {error}{near}") from None


def share_code(
    deployment: Deployment,
    nodes: Iterable[str],
    role: type[Role],
    options: dict[str, Any],
    elements: dict[str, Any],
) -> None:
    """Check that nodes can have the code of own modules, and share it with the engines;
    TestbedError if not.
    """
    modules = digests_of(role, options, elements)
    places = deployment.registry.places
    here = any(places.get(node) == NOTEBOOK for node in nodes)
    check_not_stale(role, (*options.values(), *elements.values()), modules, here)
    unknown = source_modules.unknown(modules)
    if unknown and not here:
        raise TestbedError(
            f"{unknown[0]} was edited after this kernel had imported it, before anybody looked,"
            " so that engines cannot have the same: load it with"
            f" importlib.reload({unknown[0]}), as %autoreload 2 does from the next edit on"
        )
    deployment.code_changes.refresh()  # imports within functions are found by then


def _messages(name: str, role: type[Role], plans: Mapping[str, Given]) -> dict[str, Message]:
    messages = {}
    for node, (options, elements) in plans.items():
        made = {key: implementation(value) for key, value in elements.items()}
        content = {"cls": role, "options": options, "elements": made}
        messages[node] = Message({"name": name}, content)
    return messages


def _record(
    deployment: Deployment, instance: RoleInstanceID, role: type[Role], given: Given, turn: int
) -> None:
    options, elements = given
    entry = {
        "class": class_reference(role),
        "options": encode(options),
        "elements": encode(elements),
        "turn": turn,
    }
    deployment.registry.assigned(instance.actor_name, instance.instance_name, entry)
    deployment.versions.assigned(instance, role, options, elements)


def _was_replaced(deployment: Deployment, node: str, name: str) -> bool:
    """Return True if a failed assignment has ended the role that it was to replace."""
    if name not in deployment.registry.roles.get(node, {}):
        return False
    try:
        return name not in deployment.calls.roles_of(node)
    except RoleMLError:  # a lost node's roles stay in the spec
        return False


def check_sendable(what: str, options: Mapping[str, Any], elements: Mapping[str, Any]) -> None:
    """Check that all values can be sent; TestbedError names the option or element that cannot."""
    for kind, values in (("option", options), ("element", elements)):
        for key, value in values.items():
            sent = implementation(value) if kind == "element" else value
            try:
                encode_value(sent, f"{kind} {key!r}")
            except SerializationError as error:
                raise TestbedError(f"{what}: {error}") from None

"""An assignment, checked as far as can be before anything is sent to a node."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from roleml_nb.messaging.serialization.codec import encode as encode_value
from roleml_nb.role import (
    ElementInstance,
    Role,
    SerializationError,
    TestbedError,
    did_you_mean,
)
from roleml_nb.spec.per_node import Each, Impl, implementation, resolve
from roleml_nb.spec.role_checks import check_role_name, wrong_option
from roleml_nb.testbed.registry.versions import check_code

__all__ = ["check_sendable", "plan_assignment"]

Given = tuple[dict[str, Any], dict[str, Any]]


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
        for one in value.values if isinstance(value, Each) else [value]:
            check_code(f"element {element!r}", one.function if isinstance(one, Impl) else one)
            if isinstance(one, Impl):
                _check_call(element, one)
    _check_elements(nodes[0], name, role, elements)
    plans: dict[str, Given] = {}
    for index, node in enumerate(nodes):
        try:
            plans[node] = (
                {key: resolve(value, index, len(nodes)) for key, value in options.items()},
                {key: resolve(value, index, len(nodes)) for key, value in elements.items()},
            )
        except ValueError as error:
            raise TestbedError(f"{what}: {error}") from None
        for element, value in plans[node][1].items():
            declared = getattr(role, role.elements[element])
            ElementInstance(declared, implementation(value), f"{node}/{name}")  # refuses its type
    return plans


def _check_elements(node: str, name: str, role: type[Role], given: Mapping[str, Any]) -> None:
    for element in given:
        if element not in role.elements:
            near = did_you_mean(element, role.elements)
            raise TestbedError(f"{role.__name__} has no element {element!r}; {near}")
    for element, attribute in role.elements.items():
        declared = getattr(role, attribute)
        if element not in given and not declared.optional and not declared.has_default:
            raise TestbedError(
                f"{node}/{name}: element {element!r} of {role.__name__} is not implemented; "
                f"give it with elements={{{element!r}: …}} or --element {element}=…"
            )


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
        unknown = [key for key in made.kwargs if key not in signature.parameters]
        near = f"; {did_you_mean(unknown[0], signature.parameters)}" if unknown else ""
        raise TestbedError(f"element {element!r}: {called}() {error}{near}") from None


def check_sendable(what: str, options: Mapping[str, Any], elements: Mapping[str, Any]) -> None:
    """Check that all values can be sent; TestbedError names the option or element that cannot."""
    for kind, values in (("option", options), ("element", elements)):
        for key, value in values.items():
            sent = implementation(value) if kind == "element" else value
            try:
                encode_value(sent, f"{kind} {key!r}")
            except SerializationError as error:
                raise TestbedError(f"{what}: {error}") from None

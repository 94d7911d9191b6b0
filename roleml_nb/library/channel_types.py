"""Checked types of arguments of the library's channels, with the words that error texts use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from roleml_nb.role.checks.annotations import Constraint

__all__ = ["ByRole", "Groups", "Models", "Options", "QuorumFields", "Roles", "Params"]


def _is_state_dict(value: Any) -> bool:
    return all(isinstance(name, str) and _is_entry(entry) for name, entry in value.items())


def _are_state_dicts(value: Any) -> bool:
    return all(isinstance(one, Mapping) and _is_state_dict(one) for one in value)


def _is_entry(value: Any) -> bool:
    return hasattr(value, "shape") or isinstance(value, int | float | complex | list | tuple)


def _is_named(value: Any) -> bool:
    return all(isinstance(name, str) for name in value)


def _are_roles(value: Any) -> bool:
    return not isinstance(value, str | bytes) and all(map(_is_role, value))


def _are_groups(value: Any) -> bool:
    return not isinstance(value, str | bytes) and all(map(_is_group, value))


def _is_group(value: Any) -> bool:
    return isinstance(value, Iterable) and _are_roles(value)


def _is_role(value: Any) -> bool:
    names = value.split("/") if isinstance(value, str) else value
    return (
        isinstance(names, list | tuple)
        and len(names) == 2
        and all(isinstance(name, str) and name for name in names)
    )


Params = Annotated[
    Mapping[str, Any],
    Constraint("a state dict: a mapping of names to arrays, tensors or numbers", _is_state_dict),
]
Models = Annotated[
    list[Any],
    Constraint("a list of state dicts", _are_state_dicts),
]
Roles = Annotated[
    list[Any], Constraint("a list of roles, each a RoleInstanceID or 'node/role'", _are_roles)
]
Groups = Annotated[
    list[Any],
    Constraint(
        "a list of lists of roles, each a RoleInstanceID or 'node/role'",
        _are_groups,
    ),
]
ByRole = Annotated[
    dict[Any, Any],
    Constraint("a mapping of roles, each a RoleInstanceID or 'node/role', to numbers", _are_roles),
]
Options = Annotated[
    dict[str, Any],
    Constraint("a dict of options of the training by name, such as {'lr': 0.05}", _is_named),
]
QuorumFields = Annotated[
    dict[str, Any],
    Constraint(
        "a dict of the fields of a Quorum, such as {'deadline': 2.0, 'min_results': 3}", _is_named
    ),
]

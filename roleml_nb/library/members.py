"""Members of a relationship that are still there, and their answers."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from roleml_nb.role import Role, RoleInstanceID
from roleml_nb.role.errors import GONE

from .ordering import in_order

__all__ = ["drop_lost", "members_of"]


def members_of(
    role: Role,
    relationship: str,
    meaning: str,
    example: str,
    lost: Collection[RoleInstanceID] = (),
) -> list[RoleInstanceID]:
    """Return the members of a role's relationship that are not lost, in natural order.

    Where there are none, the error calls them by `meaning`, and relates those of `example`.
    """
    known = role.ctx.relationships.get_relationship_view(relationship)
    members = in_order(set(known).difference(lost))
    node = role.id.actor_name
    role.require(
        members or not known,
        f"all nodes of relationship {relationship!r} of {node} are lost:"
        f" {', '.join(map(str, in_order(known)))}; make them anew with bed.respawn(), or relate"
        " others",
    )
    role.require(
        members,
        f"relationship {relationship!r} of {node} is empty: relate {meaning} first, "
        f"e.g. %rml relate {node} {relationship}={example}",
    )
    return members


def drop_lost(
    role: Role, answers: Iterable[tuple[RoleInstanceID, Any]], lost: set[RoleInstanceID]
) -> dict[RoleInstanceID, Any]:
    """Return the answers of a group's members; add those that are gone to `lost`.

    The first other error is raised, when all that are gone are known.
    """
    left: dict[RoleInstanceID, Any] = {}
    errors: list[Exception] = []
    for member, answer in answers:
        if isinstance(answer, GONE):
            role.logger.warning("%s is left out: %s", member, answer)
            lost.add(member)
        elif isinstance(answer, Exception):
            errors.append(answer)
        else:
            left[member] = answer
    if errors:
        raise errors[0]
    return left

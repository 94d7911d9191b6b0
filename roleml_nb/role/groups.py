"""Groups of role instances: the targets of group calls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from .errors import RoleMLError
from .identity import RoleInstanceID
from .running import running_role

if TYPE_CHECKING:
    from .context import Context

__all__ = ["ActorGroup", "Relationship", "RoleInstances"]


class ActorGroup(ABC):
    """Role instances to call together; accepted wherever an iterable of `RoleInstanceID` is."""

    @property
    @abstractmethod
    def targets(self) -> Iterable[RoleInstanceID]:
        """The instances, as they are now."""

    def __iter__(self) -> Iterator[RoleInstanceID]:
        return iter(self.targets)

    def __len__(self) -> int:
        return len(list(self.targets))


class Relationship(ActorGroup):
    """The members of a relationship; each iteration gives the present ones.

    Parameters
    ----------
    name : str
        The relationship.
    context : Context, optional
        The context that has the relationship. When not given: that of the role whose handler makes
        the group, or else of the role whose handler uses it; RoleMLError when the group is used
        outside of any handler.
    """

    def __init__(self, name: str, context: Context | None = None):
        role = running_role()
        self.name = name
        self._context = context if context is not None or role is None else role.ctx

    @property
    def targets(self) -> frozenset[RoleInstanceID]:
        return frozenset(self)

    def __iter__(self) -> Iterator[RoleInstanceID]:
        """Iterate in the order in which the members were added to the relationship."""
        context = self._context
        if context is None:
            role = running_role()
            if role is None:
                raise RoleMLError(
                    f"Relationship({self.name!r}) is known to the handlers of a role only;"
                    f" elsewhere say whose it is: Relationship({self.name!r}, role.ctx)"
                )
            context = role.ctx
        return iter(context.relationships.members(self.name))

    def __getstate__(self) -> dict[str, Any]:
        # where it arrives, it is the relationship of the role that uses it there
        return {"name": self.name, "_context": None}

    def __repr__(self) -> str:
        return f"Relationship({self.name!r})"


class RoleInstances(ActorGroup):
    """The given instances without repetitions.

    Plain pairs, such as those in data read from JSON, become `RoleInstanceID`.
    """

    def __init__(self, instances: Iterable[tuple[str, str]]):
        self._instances = dict.fromkeys(map(RoleInstanceID._make, instances))

    @property
    def instances(self) -> frozenset[RoleInstanceID]:
        return frozenset(self._instances)

    targets = instances

    def __iter__(self) -> Iterator[RoleInstanceID]:
        """Iterate in the given order."""
        return iter(self._instances)

    def __repr__(self) -> str:
        return f"RoleInstances({list(map(str, self))})"

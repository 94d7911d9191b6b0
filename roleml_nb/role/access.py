"""Restrict channels to callers of a relationship."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from .errors import RoleDefinitionError
from .identity import RoleInstanceID

__all__ = ["require_relationship"]


def require_relationship(name: str, message: str = "") -> Callable[[Callable], Callable]:
    """Let only members of a relationship call the handler; all others get a CallerError.

    Place it above or below ``@Service``, ``@Task`` and ``@EventHandler``. In `message`,
    ``{sender}`` stands for the caller.
    """

    def decorate(handler: Callable) -> Callable:
        if hasattr(handler, "__self__"):
            raise RoleDefinitionError(
                "require_relationship decorates a method in the class of the role, "
                f"not the bound method {handler!r}"
            )

        @wraps(handler)
        def guarded(self: Any, caller: RoleInstanceID, *args: Any, **kwargs: Any) -> Any:
            self.require(
                self.ctx.relationships.instance_belongs_to_relationship(caller, name),
                message.format(sender=caller)
                or f"{caller} is not in the relationship '{name}' of {self.id}",
            )
            return handler(self, caller, *args, **kwargs)

        return guarded

    return decorate

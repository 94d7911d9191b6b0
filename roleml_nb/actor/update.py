"""Roles take up a new version of their class while they are at work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roleml_nb.role import ElementError, ElementInstance, Lifecycle, Role
from roleml_nb.role.running import running

if TYPE_CHECKING:
    from .actor import Actor

__all__ = ["update_role"]


def update_role(actor: Actor, name: str, cls: type[Role]) -> None:
    """Have a role go on as an instance of `cls`: attributes and elements stay, the next message meets the new handlers.

    Handlers that run end on the old code: the object they know as ``self`` keeps its class, and shares its state with the
    new one. ElementError, before anything is changed, for an element that is new and has no default.
    """
    lifecycle, old = actor.lifecycle(name), actor.roles[name]
    elements = _elements(actor, lifecycle, old, cls)
    gone = [element for key, element in old.__dict__["_elements"].items() if key not in elements]
    new = cls.__new__(cls)
    new.__dict__ = old.__dict__
    new.__dict__["_elements"] = elements
    actor.roles[name] = new
    for key, element in elements.items():
        element.element = getattr(cls, cls.elements[key])
        with running(new):
            element.prepare()
    for element in gone:
        element.finalize()
    actor.subscriptions.update_role(name)
    actor.emissions.add_role(name)


def _elements(actor: Actor, lifecycle: Lifecycle, old: Role, cls: type[Role]) -> dict[str, ElementInstance]:
    known: dict[str, ElementInstance] = old.__dict__["_elements"]
    found = {}
    for key, attribute in cls.elements.items():
        declared = getattr(cls, attribute)
        found[key] = known.get(key) or ElementInstance(declared, None, lifecycle.where, actor.ctx.workdir)
        if not (found[key].implemented or declared.optional):
            raise ElementError(f"{lifecycle.where}: the new {cls.__name__} has an element {key!r}, for which nothing is given; "
                               "give it a default, or assign the role anew")
    return found

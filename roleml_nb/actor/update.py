"""Roles take up a new version of their class while they are at work."""

from __future__ import annotations

import dis
import inspect
import types
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from roleml_nb.messaging.modules.module_versions import newest
from roleml_nb.role import CallerError, ElementError, ElementInstance, Lifecycle, Role
from roleml_nb.role.running import running

from .renewal import Renewal

if TYPE_CHECKING:
    from .actor import Actor

__all__ = ["check_update", "new_attributes", "update_role"]


def update_role(
    actor: Actor, name: str, cls: type[Role], options: Mapping[str, Any] | None = None
) -> None:
    """Have a role go on as an instance of `cls`: attributes and elements stay, the next message
    meets the new handlers.

    Handlers that run end on the old code: the object they know as ``self`` keeps its class, and
    shares its state with the new one. Attributes that the new ``__init__`` sets and the role lacks
    are taken from a role that is made of `cls` with the former `options`, and thrown away.
    Functions and objects of classes of the user's modules are renewed (`Renewal`).

    ElementError or CallerError, before anything is changed, for an element that is new and has no
    default, and for an ``__init__`` that cannot be called so.
    """
    old = actor.roles[name]
    elements, added = check_update(actor, name, cls, options)
    gone = [element for key, element in old.__dict__["_elements"].items() if key not in elements]
    new = cls.__new__(cls)
    new.__dict__ = old.__dict__
    new.__dict__.update(added)
    new.__dict__["_elements"] = elements
    actor.roles[name] = new
    renewal = Renewal()
    for attribute, value in Role.__getstate__(new).items():
        renewed = renewal(value)
        if renewed is not value:
            new.__dict__[attribute] = renewed
    for key, element in elements.items():
        element.update(getattr(cls, cls.elements[key]), renewal)
        with running(new):
            element.prepare()
    for element in gone:
        element.finalize()
    actor.subscriptions.update_role(name)
    actor.emissions.add_role(name)


def check_update(
    actor: Actor, name: str, cls: type[Role], options: Mapping[str, Any] | None = None
) -> tuple[dict[str, ElementInstance], dict[str, Any]]:
    """Raise the errors that `update_role` would raise before it changes anything.

    Returns the elements of the role in its new version, and its new attributes.
    """
    lifecycle, old = actor.roles.lifecycle(name), actor.roles[name]
    elements = _elements(actor, lifecycle, old, cls)
    added = new_attributes(lifecycle.where, cls, old.__dict__, options)
    _load_newest(elements)
    return elements, added


def _elements(
    actor: Actor, lifecycle: Lifecycle, old: Role, cls: type[Role]
) -> dict[str, ElementInstance]:
    known: dict[str, ElementInstance] = old.__dict__["_elements"]
    found = {}
    for key, attribute in cls.elements.items():
        declared = getattr(cls, attribute)
        found[key] = known.get(key) or ElementInstance(
            declared, None, lifecycle.where, actor.ctx.workdir
        )
        if not (found[key].implemented or declared.optional):
            raise ElementError(
                f"{lifecycle.where}: the new {cls.__name__} has an element {key!r}, for which"
                " nothing is given; give it a default, or assign the role anew"
            )
    return found


def _load_newest(elements: dict[str, ElementInstance]) -> None:
    """Execute the modules that the elements need, which may fail, before anything is changed."""
    for element in elements.values():
        for item in fields(element.given):
            newest(getattr(element.given, item.name))


def new_attributes(
    where: str, cls: type[Role], state: Mapping[str, Any], options: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the attributes that ``__init__`` of `cls` sets and the state of a role lacks, as it is
    of an older version.

    They are taken from a role that is made with the former `options`; none where these are not
    known. CallerError when no role can be made so.
    """
    if options is None or not set(_set_by_init(cls)) - state.keys():
        return {}
    try:
        made = cls(**options)
    except Exception as error:  # whatever somebody's code raises
        raise CallerError(
            f"{where}: the new {cls.__name__} cannot be made with the options that the role was"
            f" given ({type(error).__name__}: {error}), which its new attributes need; give new"
            " options a default, or assign the role anew"
        ) from None
    return {name: value for name, value in made.__dict__.items() if name not in state}


def _set_by_init(cls: type[Role]) -> Iterator[str]:
    """Yield the attributes that ``__init__``, and the methods of the class that it
    names, may set.
    """
    bases = [base for base in cls.__mro__ if issubclass(base, Role) and base is not Role]
    left, seen = ["__init__"], {"__init__"}
    while left:
        name = left.pop()
        for base in bases:
            code = getattr(inspect.unwrap(vars(base).get(name, name)), "__code__", None)
            if not isinstance(code, types.CodeType):
                continue
            for item in dis.get_instructions(code):
                if item.opname == "STORE_ATTR":
                    yield item.argval
            for other in code.co_names:
                if other not in seen and any(other in vars(base) for base in bases):
                    seen.add(other)
                    left.append(other)

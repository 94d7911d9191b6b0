"""The sub-commands of ``%rml``, in modules of this folder; see `Subcommand` for adding one."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from functools import cache

from .subcommand import Subcommand

__all__ = ["Subcommand", "subcommands"]

ORDER = (
    "start attach load spawn assign relate wire board call runs wait status roles traffic metrics"
    " trace logs errors debug update terminate unrelate remove rename move migrate respawn links"
    " waiting doctor save export record checkpoint restore detach stop clean"
).split()
"""The order in which one needs them; those that are not named here come last."""


@cache
def subcommands() -> dict[str, Subcommand]:
    """Return all sub-commands by name, in the order in which one needs them."""
    found: dict[str, Subcommand] = {}
    for module in pkgutil.iter_modules(__path__):
        for member in vars(importlib.import_module(f"{__name__}.{module.name}")).values():
            if _is_subcommand(member):
                _add(found, member())
    return {name: found[name] for name in sorted(found, key=_rank)}


def _is_subcommand(member: object) -> bool:
    return (
        inspect.isclass(member)
        and issubclass(member, Subcommand)
        and not inspect.isabstract(member)
    )


def _add(found: dict[str, Subcommand], added: Subcommand) -> None:
    """Add a sub-command; TypeError, with its file, when it has no name, or that of another one."""
    cls = type(added)
    name = getattr(added, "name", None)
    if name is None:
        raise TypeError(f"{cls.__module__}.{cls.__name__} has no name: the word after %rml")
    other = type(found.setdefault(name, added))
    if other is not cls:
        raise TypeError(f"{other.__module__} and {cls.__module__} both define %rml {name}")


def _rank(name: str) -> tuple[int, str]:
    return (ORDER.index(name) if name in ORDER else len(ORDER)), name

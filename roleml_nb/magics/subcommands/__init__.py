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
    found = {}
    for module in pkgutil.iter_modules(__path__):
        members = vars(importlib.import_module(f"{__name__}.{module.name}")).values()
        for member in members:
            if (
                inspect.isclass(member)
                and issubclass(member, Subcommand)
                and not inspect.isabstract(member)
            ):
                found[member.name] = member()
    return {name: found[name] for name in sorted(found, key=_rank)}


def _rank(name: str) -> tuple[int, str]:
    return (ORDER.index(name) if name in ORDER else len(ORDER)), name

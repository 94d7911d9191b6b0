"""Sub-commands of %rml that have a module of their own here; a module is found by being here.

Such a module has

``OVERVIEW``
    its lines in what ``%rml`` alone prints, if any: what to type, and from column 55 on what it
    does,
``add(add)``
    which declares its commands: ``add(name, about)`` returns the parser to give arguments to,
``run(magics, given)``
    which carries one out: `given.command` is its name, ``magics.running()`` the testbed, and it
    prints plain text,
``complete(bed, command, words)``
    which offers words for what comes after `words`, if it can.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from types import ModuleType

__all__ = ["modules"]


@cache
def modules() -> list[ModuleType]:
    """All of them, by name."""
    return [
        importlib.import_module(f"{__name__}.{found.name}")
        for found in sorted(pkgutil.iter_modules(__path__), key=lambda found: found.name)
    ]

"""Readers of configurations: one for each form that files and plain data may have.

Rooms above register theirs by the name of a module, which is imported when something is read.
"""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module
from typing import Any

from .entry import Entry
from .plan import Plan
from .scope import Scope

__all__ = ["Reader", "register", "registered"]

_modules = ["roleml_nb.spec.spec"]


class Reader:
    """Reads configurations of one form as plans."""

    key = ""
    """The key that such a configuration is known by."""
    form = ""
    """Its name, for errors."""

    def reads(self, keys: Collection[str]) -> bool:
        """Return True for the keys of a configuration of this form."""
        return self.key in keys

    def sources(self, entry: Entry, scope: Scope) -> list[str]:
        """Return the folders of the modules that a configuration names, unless on sys.path."""
        return []

    def plan(self, entries: list[Entry], scope: Scope, seed: int | None, usual_seed: int) -> Plan:
        """Return the plan of all configurations of this form; seeds are as those of `read`."""
        raise NotImplementedError

    def expand(self, entry: Entry, seed: int | None, trust: bool) -> Any:
        """Return a configuration as plain data, with all that it abbreviates written out."""
        raise entry.fail(f"{self.form} has no patterns, rules or templates to write out")


def register(module: str) -> None:
    """Have the readers that a module lists as ``READERS`` asked, after those that are known."""
    if module not in _modules:
        _modules.append(module)


def registered() -> list[Reader]:
    """Return all readers."""
    found: list[Reader] = []
    for module in _modules:
        found += import_module(module).READERS
    return found

"""Startup of engines: the code that each runs first, and the paths of its modules."""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from roleml_nb.host.host import Host

    from .fleet import Fleet

__all__ = ["joined", "on_every_engine", "run", "share_paths"]

Function = Callable[[], Any]

_functions: list[Function] = []
_fleets: weakref.WeakKeyDictionary[Fleet, list[str]] = weakref.WeakKeyDictionary()
"""Fleets with engines, and the paths of modules that they know."""


def on_every_engine(function: Function) -> None:
    """Have `function()` run on every engine, now and in future.

    It must be importable there; TestbedError if it fails.
    """
    if function not in _functions:
        _functions.append(function)
        for fleet in list(_fleets):
            if not fleet.stopping:
                fleet.run_on_all(run, (function,))


def joined(fleet: Fleet) -> None:
    """Prepare the engines of a fleet that have just started."""
    _fleets[fleet] = []
    if _functions:
        fleet.run_on_all(run, tuple(_functions))


def run(host: Host, functions: tuple[Function, ...]) -> None:
    """Run the functions on an engine."""
    for function in functions:
        function()


def share_paths(fleet: Fleet) -> None:
    """Let the fleet's engines find modules where this process does, as far as they see the same
    folders.
    """
    paths = list(map(os.path.abspath, sys.path))
    if fleet in _fleets and _fleets[fleet] != paths:
        fleet.run_on_all(_add_paths, paths)
        _fleets[fleet] = paths


def _add_paths(host: Host, paths: list[str]) -> None:
    for path in paths:
        if path not in sys.path and os.path.exists(path):
            sys.path.append(path)

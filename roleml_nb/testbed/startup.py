"""What every engine runs before anything else arrives there: of testbeds that run already, and of those to come."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .fleet import Fleet

__all__ = ["joined", "on_every_engine", "run"]

Function = Callable[[], Any]

_functions: list[Function] = []
_fleets: weakref.WeakSet[Fleet] = weakref.WeakSet()


def on_every_engine(function: Function) -> None:
    """Have `function()` run on every engine, now and in future. It must be importable there; TestbedError if it fails."""
    if function not in _functions:
        _functions.append(function)
        for fleet in [fleet for fleet in _fleets if not fleet.stopping]:
            fleet.run_on_all(run, (function,))


def joined(fleet: Fleet) -> None:
    """The fleet's engines have just started."""
    _fleets.add(fleet)
    if _functions:
        fleet.run_on_all(run, tuple(_functions))


def run(testbed: str, functions: tuple[Function, ...]) -> None:
    """On an engine: run what is to be run there."""
    for function in functions:
        function()

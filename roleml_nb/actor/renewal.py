"""What a role holds, in new versions of the user's modules: functions, classes, and objects of these classes.

An object keeps its state and becomes one of the class that bears its class's name now, as with IPython's autoreload. What
is looked through: containers, objects of own classes and of classes of a notebook, and torch modules.
"""

from __future__ import annotations

import dataclasses
import sys
import types
from typing import Any

from roleml_nb.messaging.module_versions import module_versions, newest
from roleml_nb.messaging.source_modules import source_modules

__all__ = ["Renewal"]

ATOMS = (type(None), bool, int, float, complex, str, bytes)


class Renewal:
    """One pass over what a role holds. Each object is looked at once."""

    def __init__(self) -> None:
        self._seen: dict[int, Any] = {}

    def __call__(self, value: Any) -> Any:
        """Return what is to stand in the place of `value`, which is changed in place where it can be."""
        kind = type(value)
        if kind in ATOMS or id(value) in self._seen:
            return value
        if isinstance(value, type | types.FunctionType):
            return newest(value)
        self._seen[id(value)] = value  # kept, so that no other object gets its id
        if kind is dict or kind is list or kind is set:
            self._fill(value)
        elif kind is tuple:
            items = tuple(map(self, value))
            return value if all(map(_same, items, value)) else items
        elif _is_own(kind) or _is_torch_module(value):
            self._renew_object(value, kind)
        return value

    def _fill(self, container: Any) -> None:
        if isinstance(container, set):
            items = [self(item) for item in container]
            if not all(map(_same, items, container)):
                container.clear()
                container.update(items)
            return
        places = list(container.items()) if isinstance(container, dict) else list(enumerate(container))
        for place, item in places:
            new = self(item)
            if new is not item:
                container[place] = new

    def _renew_object(self, value: Any, kind: type) -> None:
        cls = newest(kind)
        if cls is not kind:
            try:
                object.__setattr__(value, "__class__", cls)
            except TypeError:  # another layout, as of other __slots__: it stays what it is
                return
            _add_fields(value, cls)
        self(vars(value) if hasattr(value, "__dict__") else None)


def _add_fields(value: Any, cls: type) -> None:
    """Give an object of a data class the fields that are new there and have a default factory."""
    for item in dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ():
        if item.default_factory is not dataclasses.MISSING and not hasattr(value, item.name):
            object.__setattr__(value, item.name, item.default_factory())


def _same(one: Any, other: Any) -> bool:
    return one is other


def _is_own(kind: type) -> bool:
    name = kind.__module__
    return name == "__main__" or name in module_versions.loaded or source_modules.is_own(name)


def _is_torch_module(value: Any) -> bool:
    torch = sys.modules.get("torch.nn")
    return torch is not None and isinstance(value, torch.Module)

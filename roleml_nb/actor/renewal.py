"""Renewal of a role's values in new versions of the user's modules: functions, classes, and objects
of these classes.

An object keeps its state and becomes one of the class that bears its class's name now, as with
IPython's autoreload. It searches containers, objects of own classes and of classes of a
notebook, partial functions and methods, and objects of libraries that hold others,
such as torch modules. Code that was sent by value, as that of cells, has its globals renewed.
"""

from __future__ import annotations

import dataclasses
import functools
import types
from typing import Any

from roleml_nb.messaging.modules.module_versions import module_versions, newest
from roleml_nb.messaging.modules.source_modules import source_modules

__all__ = ["Renewal"]

ATOMS = (type(None), bool, int, float, complex, str, bytes)
HOLDERS = (
    "roleml_nb.library",
    "roleml_nb.workload",
    "sklearn.",
    "torch.nn",
    "torch.utils.data",
    "torchvision.",
)
"""Modules of classes whose objects are searched, besides those of the user."""


class Renewal:
    """One pass over the values of a role. Each object is visited once."""

    def __init__(self) -> None:
        self._seen: dict[int, Any] = {}
        self._made: dict[int, Any] = {}
        """Substitutes of objects, by the id of the object."""

    def __call__(self, value: Any) -> Any:
        """Return the substitute of `value`, which is changed in place where that is possible."""
        kind = type(value)
        if kind in ATOMS:
            return value
        if isinstance(value, type | types.FunctionType | types.ModuleType):
            new = newest(value)
            if new is value and not isinstance(value, types.ModuleType):
                self._renew_code(value)
            return new
        if id(value) in self._seen:
            return self._made.get(id(value), value)
        self._seen[id(value)] = value  # kept, so that no other object gets its id
        if kind is dict or kind is list or kind is set:
            self._fill(value)
        elif kind in (tuple, functools.partial, types.MethodType):
            self._made[id(value)] = self._anew(value)
        elif _is_own(kind) or any(base.__module__.startswith(HOLDERS) for base in kind.__mro__):
            self._renew_object(value, kind)
        return self._made.get(id(value), value)

    def _anew(self, value: Any) -> Any:
        """Return a new object in place of one that cannot be changed, where something
        in it is new.
        """
        if isinstance(value, tuple):
            items = tuple(map(self, value))
            return value if all(map(_same, items, value)) else items
        if isinstance(value, types.MethodType):
            owner, method = self(value.__self__), self(value.__func__)
            return (
                value
                if owner is value.__self__ and method is value.__func__
                else types.MethodType(method, owner)
            )
        function, args = self(value.func), self(value.args)
        self(value.keywords)
        if function is value.func and args is value.args:
            return value
        made = functools.partial(function, *args, **value.keywords)
        made.__dict__.update(value.__dict__)
        return made

    def _renew_code(self, obj: Any) -> None:
        """Have code that came by value, whose globals are its own, use the newest objects of the
        names in it.
        """
        if not module_versions.latest or id(obj) in self._seen:
            return
        self._seen[id(obj)] = obj
        if isinstance(obj, type):
            for base in (base for base in obj.__mro__ if _is_own(base)):
                for member in list(vars(base).values()):
                    function = getattr(member, "__func__", getattr(member, "fget", member))
                    if isinstance(function, types.FunctionType):
                        self._renew_code(function)
        # that of a module has one
        elif isinstance(obj, types.FunctionType) and "__spec__" not in obj.__globals__:
            for name, item in list(obj.__globals__.items()):
                if not name.startswith("__"):
                    obj.__globals__[name] = self(item)
            for cell in obj.__closure__ or ():
                try:
                    cell.cell_contents = self(cell.cell_contents)
                except ValueError:  # it is empty
                    continue
            obj.__defaults__ = self(obj.__defaults__)
            self(obj.__kwdefaults__)

    def _fill(self, container: Any) -> None:
        if isinstance(container, set):
            items = [self(item) for item in container]
            if not all(map(_same, items, container)):
                container.clear()
                container.update(items)
            return
        places = (
            list(container.items()) if isinstance(container, dict) else list(enumerate(container))
        )
        for place, item in places:
            new = self(item)
            if new is not item:
                container[place] = new

    def _renew_object(self, value: Any, kind: type) -> None:
        cls = newest(kind)
        if cls is not kind:
            try:
                object.__setattr__(value, "__class__", cls)
            except TypeError:  # another layout, as of other __slots__: it stays as it is
                return
            _add_fields(value, cls)
        else:
            self._renew_code(kind)
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

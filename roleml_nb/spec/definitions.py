"""Definitions by dotted name: the classes and functions that a configuration speaks of."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from roleml_nb.role import did_you_mean

__all__ = [
    "COMPAT",
    "UPSTREAM",
    "Deferred",
    "Names",
    "add_sources",
    "dotted_name",
    "find",
    "import_module",
    "lead_upstream_here",
    "public_name",
    "names_upstream",
]

OURS = "roleml_nb"
UPSTREAM = "roleml"
COMPAT = "roleml_nb.compat"
Names = Mapping[str, Any]
"""The names under ``__main__``: those that notebook cells defined."""


class Deferred:
    """A callable that ``make(**options)`` makes on the node, at the first call."""

    def __init__(self, make: Callable[..., Any], options: Mapping[str, Any]):
        self.make = make
        self.options = dict(options)
        self._made: Callable[..., Any] | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._made is None:
            self._made = self.make(**self.options)
        return self._made(*args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        return {"make": self.make, "options": self.options, "_made": None}


def find(path: str, names: Names | None = None) -> Any:
    """Return the object of a dotted name.

    ``__main__.Trainer`` is looked up in `names`, or else in the main module. ``roleml.…`` is looked
    up in `roleml_nb.compat`; a module that imports ``roleml`` gets that, too, unless the package is
    installed.

    Raises
    ------
    LookupError
        There is no such object; the message names the nearest ones.
    """
    head, _, rest = path.partition(".")
    if not rest or not all(map(str.isidentifier, path.split("."))):
        raise LookupError(
            f"{path!r} is not a dotted name such as package.module.Class{_hint(path, names)}"
        )
    if head == "__main__":
        known = vars(sys.modules["__main__"]) if names is None else names
        first, _, rest = rest.partition(".")
        if first not in known:
            ours = []
            for name, value in known.items():
                if getattr(value, "__module__", None) == "__main__":
                    ours.append(name)
            raise LookupError(
                f"the notebook defines no {first!r}: run the cell that does, then load again; "
                + did_you_mean(first, ours)
            )
        return _walk(known[first], rest, f"__main__.{first}")
    if head != UPSTREAM:
        return _import(path)
    try:
        return _import(f"{COMPAT}.{rest}")
    except LookupError as error:
        raise LookupError(error.args[0].replace(COMPAT, UPSTREAM)) from None


def _import(path: str) -> Any:
    parts = path.split(".")
    for count in range(len(parts) - 1, 0, -1):
        module_name = ".".join(parts[:count])
        try:
            module = import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
                raise LookupError(f"importing {module_name} failed: {error}") from error
            if not str(error).startswith("No module named"):  # its finder says why
                raise LookupError(str(error)) from None
            continue
        except Exception as error:  # a module may raise any while it is imported
            raise LookupError(
                f"importing {module_name} failed: {type(error).__name__}: {error}"
            ) from error
        return _walk(module, ".".join(parts[count:]), module_name)
    raise LookupError(
        f"there is no module {parts[0]!r}; is its folder on sys.path, or named by the key 'src'?"
    )


def names_upstream(value: Any) -> bool:
    """Return True if plain data holds a dotted name under ``roleml.``."""
    if isinstance(value, Mapping):
        return any(map(names_upstream, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(names_upstream, value))
    return isinstance(value, str) and value.startswith(f"{UPSTREAM}.")


def lead_upstream_here() -> None:
    """Make ``import roleml`` lead to `roleml_nb.compat`, here and on all engines."""
    importlib.import_module(COMPAT).install()


def import_module(name: str) -> Any:
    """Import a module; ``import roleml`` in it leads to `roleml_nb.compat`, unless installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != UPSTREAM or name.startswith(UPSTREAM):
            raise
    lead_upstream_here()
    return importlib.import_module(name)


def _walk(found: Any, rest: str, where: str) -> Any:
    for name in rest.split(".") if rest else []:
        try:
            found = getattr(found, name)
        except AttributeError:
            raise LookupError(
                f"{where} has no {name!r}; {did_you_mean(name, _public(found))}"
            ) from None
        where = f"{where}.{name}"
    return found


def _public(found: Any) -> list[str]:
    names = getattr(found, "__all__", None) or dir(found)
    return [name for name in names if not name.startswith("_")]


def _hint(name: str, names: Names | None) -> str:
    known = vars(sys.modules["__main__"]) if names is None else names
    return f"; for what a notebook cell defined write __main__.{name}" if name in known else ""


def public_name(value: Any) -> str:
    """Return the shortest name of a class or function: ``roleml_nb.library.EpochTrainer``.

    That is its name in the outermost package of ours whose ``__all__`` has it, or else in the
    module that defines it.
    """
    module, name = value.__module__, value.__qualname__
    parts = module.split(".")
    outermost, _, inner = name.partition(".")
    for count in range(2, len(parts)) if parts[0] == OURS else ():
        package = sys.modules.get(".".join(parts[:count]))
        if outermost in getattr(package, "__all__", ()):
            found = getattr(package, outermost, None)
            if found is value or inner and getattr(found, "__module__", None) == module:
                return f"{'.'.join(parts[:count])}.{name}"
    return f"{module}.{name}"


def dotted_name(value: Any) -> str | None:
    """Return the shortest name under which `find` finds a class or function again, if any."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str) or "<" in name:
        return None
    path = public_name(value)
    if module == "__main__":
        return path
    try:
        return path if find(path) is value else None
    except LookupError:
        return None


@contextmanager
def add_sources(folders: Iterable[str]) -> Iterator[None]:
    """Add folders that a configuration names to sys.path, for good unless the block fails.

    Engines do the same.
    """
    new = [folder for folder in dict.fromkeys(folders) if folder not in sys.path]
    sys.path.extend(new)
    try:
        yield
    except BaseException:
        for folder in new:
            sys.path.remove(folder)
        raise

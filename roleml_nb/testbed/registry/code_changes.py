"""Own modules that were edited or reloaded while roles are at work: noticed before each run, and
told once, in one line.
"""

from __future__ import annotations

import os
import sys
import types
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from functools import partial
from itertools import chain
from typing import Any
from weakref import WeakKeyDictionary

from roleml_nb.messaging.modules.loaded_code import has_same_code, lost_imports
from roleml_nb.messaging.modules.module_versions import is_stale, member_now
from roleml_nb.messaging.modules.source_modules import source_modules
from roleml_nb.messaging.serialization.code import is_dynamic, stale_code
from roleml_nb.role import (
    ElementImplementation,
    Role,
    RoleInstanceID,
    TestbedError,
    did_you_mean,
    natural_key,
)
from roleml_nb.spec.per_node import Each, Impl
from roleml_nb.testbed.cluster.fleet import Fleet

from .shared_modules import share_modules
from .versions import Versions

__all__ = [
    "CodeChanges",
    "check_not_stale",
    "current",
    "current_values",
    "newest_class",
    "newest_values",
]

TABLES = ("services", "tasks", "events", "subscriptions", "elements", "plugin_attributes")
"""Attributes in which `Role` keeps the channels and elements of a class."""
_declared: WeakKeyDictionary[type, str] = WeakKeyDictionary()
"""Classes whose tables are right, and as of which key of their modules."""
MAX_NAMES = 3
"""Roles that a line names; of more it gives the number."""


class CodeChanges:
    """Looks at the own modules for one testbed."""

    def __init__(self, fleet: Fleet, versions: Versions) -> None:
        self._fleet, self._versions = fleet, versions
        self._seen = (-1, -1)
        self._reported: set[Any] = set()
        self._edited_before = source_modules.refresh_elsewhere()
        self.report: Callable[[str], None] = _warn
        """Reports a line: as a warning, or as a notebook's magics do."""

    def refresh(self) -> None:
        """Refresh the modules, and send engines their present texts."""
        source_modules.refresh()
        share_modules(self._fleet)

    def unreported(self) -> list[str]:
        """Look, and return a line for each change that has not been told: files that are not
        loaded, roles that are behind.
        """
        self.refresh()
        seen = source_modules.seen, self._versions.revision
        if self._seen == seen:
            return []
        self._seen = seen
        found = {**self._changes_not_loaded(), **self._changes_elsewhere(), **self._roles_behind()}
        lines = []
        for change, line in found.items():
            if change not in self._reported:
                lines.append(line)
        self._reported = set(found)  # an edit that is undone, and made again, is told again
        return lines

    def not_loaded(self) -> list[str]:
        """Return a line for each file that roles use, was edited and is not loaded."""
        return list(self._changes_not_loaded().values())

    def _changes_not_loaded(self) -> dict[Any, str]:
        """Return a line for each edit of a file that roles use and that is not loaded."""
        used = set().union(*list(self._versions.contents.values()))
        changes: dict[Any, str] = {}
        for name, (filename, digest) in source_modules.behind.items():
            if name in used:
                changes[name, digest] = _not_loaded(name, filename)
        return changes

    def _changes_elsewhere(self) -> dict[Any, str]:
        """Return a line for each edit of a file that engines import themselves."""
        changes: dict[Any, str] = {}
        if self._fleet.engines is None or not source_modules.edited_elsewhere:
            return changes
        new = source_modules.edited_elsewhere.items() - self._edited_before.items()
        for name, (filename, stamp) in new:
            changes[name, stamp] = (
                f"{filename} was edited, and is of no module of the notebook's folder or"
                " project, so that engines import it themselves, once: those that have it go"
                " on with the code from before, until the testbed is started again"
            )
        return changes

    def _roles_behind(self) -> dict[Any, str]:
        """Return a line for all roles that are behind on account of the same modules."""
        groups: dict[tuple[str, ...], list[RoleInstanceID]] = {}
        for instance, names in self._versions.behind().items():
            groups.setdefault(tuple(sorted(names)), []).append(instance)
        changes: dict[Any, str] = {}
        for modules, instances in groups.items():
            digests = tuple(source_modules.digests(modules).items())
            changes[digests, tuple(sorted(instances))] = (
                f"{' and '.join(modules)} {'has' if len(modules) == 1 else 'have'} changed"
                f" since {_roles(instances)} took up"
                f" {'its' if len(instances) == 1 else 'their'} code; %rml update, or"
                " bed.update(), has all take up the new one"
            )
        return changes

    def report_changes(self) -> None:
        """Report the lines of `unreported`, if another refresh is due."""
        if source_modules.due:
            for line in self.unreported():
                self.report(line)

    def report_kept_elements(self, updated: Iterable[RoleInstanceID]) -> None:
        """Tell of elements that roles keep, though the function that has built them was edited."""
        kept: dict[str, list[RoleInstanceID]] = {}
        for instance in updated:
            for element in self._versions.built_before(instance):
                kept.setdefault(element, []).append(instance)
        for element, instances in kept.items():
            self.report(
                f"element {element!r} of {_roles(instances)} stays what the function built before"
                " it was edited; assign the role once more to have it built anew"
            )


def _not_loaded(name: str, filename: str) -> str:
    obstacle = source_modules.obstacle(name) or (
        f"load it with importlib.reload({name}), as %autoreload 2 does from the next edit on"
    )
    return (
        f"{os.path.basename(filename)} was edited, and this kernel has not loaded it: the notebook"
        f" and its roles go on with the code from before; {obstacle}"
    )


def _warn(line: str) -> None:
    """Warn, at the line of the user that has called us."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("roleml_nb."):
        level, frame = level + 1, frame.f_back
    warnings.warn(line, stacklevel=level)


def _roles(instances: list[RoleInstanceID]) -> str:
    names = sorted(map(str, instances), key=natural_key)
    if len(names) <= MAX_NAMES:
        return ", ".join(names)
    return f"{len(names)} roles ({names[0]} … {names[-1]})"


def current(obj: Any, what: str) -> Any:
    """Return a class or function of an own module as the module has it now: an equal one, which a
    reload has made.

    TestbedError if the module has another one, since then `obj` is older than the reload.
    """
    found = member_now(obj)
    if found is not None and _is_gone(found):
        raise TestbedError(
            f"{what} is the {obj.__qualname__} that {obj.__module__} does not have any more: it was"
            " removed or renamed"
        )
    if found is None or found is obj or has_same_code(found, obj):
        return declared(found or obj)
    name = obj.__module__
    raise TestbedError(
        f"{what} is the {obj.__qualname__} from before {name} was reloaded; give"
        f" {name}.{obj.__qualname__}, or run 'from {name} import"
        f" {obj.__qualname__.partition('.')[0]}' again"
    )


def current_values(values: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return options or elements with their functions and classes as `current` returns them."""
    found = {}
    for key, value in values.items():
        found[key] = _each(value, partial(current, what=f"{kind} {key!r}"))
    return found


def newest_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return options or elements, with the functions and classes of own modules as these have them
    now.
    """
    return {key: _each(value, _newest) for key, value in values.items()}


def _newest(obj: Any) -> Any:
    return member_now(obj) or obj


def _each(value: Any, change: Callable[[Any], Any]) -> Any:
    """Change the functions and classes that are given by a value."""
    change_each = partial(_each, change=change)
    if isinstance(value, Impl):
        kwargs = {name: change_each(item) for name, item in value.kwargs.items()}
        return Impl(change(value.function), tuple(map(change_each, value.args)), kwargs)
    if isinstance(value, Each):
        return Each(map(change_each, value.values))
    if isinstance(value, ElementImplementation):
        changed = {}
        for item in fields(value):
            changed[item.name] = change(getattr(value, item.name))
        return replace(value, **changed)
    return change(value)


def check_not_stale(cls: type, values: Iterable[Any], modules: Iterable[str], here: bool) -> None:
    """Check that code uses no function or class from before its module was reloaded; TestbedError
    if so.

    A cell may do so that has imported it by name, and, for nodes of this process (`here`), any of
    the own `modules`.
    """
    for obj in (cls, *chain.from_iterable(map(_given_by, values))):
        if isinstance(obj, type | types.FunctionType) and is_dynamic(obj):
            _check_dynamic(obj)
    for name in modules:
        if name in sys.modules:
            _check_imports(name, here)
            if here:
                _check_members(name)


def _check_dynamic(obj: type | types.FunctionType) -> None:
    """Check a class or function of a cell."""
    for stale in stale_code(obj):
        raise TestbedError(
            f"{obj.__qualname__} uses the {stale.__qualname__} from before {stale.__module__}"
            f" was reloaded; run 'from {stale.__module__} import"
            f" {stale.__qualname__.partition('.')[0]}' again"
        )


def _check_imports(name: str, here: bool) -> None:
    """Check the names that an own module has imported from others."""
    outline = source_modules.outline(name)
    if not outline:
        return
    for member, source, is_gone in lost_imports(sys.modules[name], outline, source_modules.outline):
        if is_gone:
            raise TestbedError(
                f"{name} imports {member!r} from {source}, which does not have it any more: it"
                f" was removed or renamed; mend {name}"
            )
        if here:
            raise TestbedError(
                f"{name} uses the {member} from before {source} was reloaded, and so would"
                f" roles in this process: importlib.reload({name}), too"
            )


def _check_members(name: str) -> None:
    """Check the members of an own module, and the bases of its classes."""
    for member in list(vars(sys.modules[name]).values()):
        is_own = isinstance(member, type) and member.__module__ == name
        for stale in filter(is_stale, member.__mro__ if is_own else (member,)):
            raise TestbedError(
                f"{name} uses the {stale.__qualname__} from before {stale.__module__} was"
                f" reloaded, and so would roles in this process: importlib.reload({name}), too,"
                " or have %autoreload 2 do so"
            )


def _given_by(value: Any) -> list[Any]:
    """Return the functions and classes that are given by a value."""
    found: list[Any] = []

    def collect(item: Any) -> Any:
        found.append(item)
        return item

    _each(value, collect)
    return found


def newest_class(cls: type, instance: RoleInstanceID) -> type:
    """Return a role's class as its module has it now, however it has changed; TestbedError if it is
    gone.
    """
    name = cls.__module__
    if not source_modules.is_own(name) or "<locals>" in cls.__qualname__:
        return cls
    found = member_now(cls)
    if found is None or _is_gone(found):
        classes = []
        for member, value in vars(sys.modules[name]).items():
            if isinstance(value, type) and value.__module__ == name and value is not found:
                classes.append(member)
        raise TestbedError(
            f"{name} has no class {cls.__qualname__} any more, which {instance} is of;"
            f" {did_you_mean(cls.__qualname__, classes)}; if it was renamed: %rml update NewName"
            f" --was {cls.__qualname__}, or bed.update(NewName, was={cls.__qualname__!r})"
        )
    return declared(found)


def _is_gone(obj: Any) -> bool:
    """Return True if it stands in memory only, as `%autoreload` leaves classes there that a module
    has no more.
    """
    outline = source_modules.outline(obj.__module__) if isinstance(obj, type) else None
    if outline is None or outline.fixed.keys() & {tuple(obj.__qualname__.split("."))}:
        return False
    name = obj.__qualname__.partition(".")[0]
    return (name,) not in outline.names and not any(
        repr(name) in statement for statement in outline.fixed[()]
    )


def declared(obj: Any) -> Any:
    """Return it; a role class of an own module with the channels and elements that it has now.

    ``%autoreload`` puts methods into a class that is there, or takes some out, and nothing tells
    the class.
    """
    if not (
        isinstance(obj, type) and issubclass(obj, Role) and source_modules.is_own(obj.__module__)
    ):
        return obj
    key = source_modules.key(obj.__module__)
    if _declared.get(obj) != key:
        for base in obj.__bases__:
            declared(base)
        body = dict(vars(obj))
        for name in (*TABLES, "__dict__", "__weakref__"):
            body.pop(name, None)
        again: Any = type(obj)(obj.__name__, obj.__bases__, body)  # type: ignore[misc]
        for table in TABLES:
            setattr(obj, table, getattr(again, table))
        _declared[obj] = key
    return obj

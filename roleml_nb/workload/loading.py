"""Loads workload objects that configurations name by path, by alias, or by type and options."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from roleml_nb.role import ArgumentError, ArgumentTypeError

__all__ = ["load"]


def load(
    target: Any,
    expected: Any,
    *,
    args: tuple[Any, ...] = (),
    options: Mapping[str, Any] | None = None,
    aliases: Mapping[str, Any] | None = None,
) -> Any:
    """Return the object that `target` names, makes or is.

    Parameters
    ----------
    target
        The object itself; a class or a function that makes it, called with `args` and `options`;
        the dotted path or the alias of one of these; or a mapping ``{"type": one of these,
        "options": {...}}``, which is always called.
    expected
        Class or protocol of the object.

    Raises
    ------
    TypeError
        When the object is no `expected`.
    ValueError
        When there is nothing at the dotted path.
    """
    keywords = dict(options or {})
    make = isinstance(target, Mapping) and "type" in target and set(target) <= {"type", "options"}
    if make:
        keywords = {**target.get("options", {}), **keywords}
        target = target["type"]
    found = _find(target, aliases or {}) if isinstance(target, str) else target
    fits = isinstance(found, expected) and not isinstance(found, type)
    if callable(found) and (make or not fits):
        found = found(*args, **keywords)
        fits = isinstance(found, expected)
    if not fits:
        raise ArgumentTypeError(
            f"expected {expected.__name__}, got {type(found).__name__} from {target!r}"
        )
    return found


def _find(name: str, aliases: Mapping[str, Any]) -> Any:
    if name in aliases:
        return aliases[name]
    module, _, attribute = name.rpartition(".")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        known = f"; known names: {', '.join(aliases)}" if aliases else ""
        raise ArgumentError(f"there is nothing named {name!r} ({error}){known}") from error

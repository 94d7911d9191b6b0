"""The names that `roleml_nb.spec` had before: each still works, and warns."""

from __future__ import annotations

import warnings
from typing import Any

NEW_NAMES = {
    "ConfigError": "roleml_nb.spec.ConfigError",
    "Source": "roleml_nb.spec.Source",
    "expand": "roleml_nb.spec.expand",
    "load": "Testbed.from_spec, or Testbed.load on a testbed that runs",
    "read": "roleml_nb.spec.read",
    "save": "Testbed.save_spec",
}
__all__ = [*NEW_NAMES]


def _save(bed: Any, path: Any) -> None:
    bed.save_spec(path)


def __getattr__(name: str) -> Any:
    if name not in NEW_NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(
        f"roleml_nb.testbed.config.{name} is called {NEW_NAMES[name]} now",
        DeprecationWarning,
        stacklevel=2,
    )
    if name == "save":
        return _save
    if name == "load":
        from .operations.load import load

        return load
    from roleml_nb import spec

    return getattr(spec, name)

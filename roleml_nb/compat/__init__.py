"""The import paths of programs written for RoleML, leading to our own objects.

``from roleml_nb.compat.core.role.base import Role`` imports the same class as ``from roleml_nb
import Role``: only the import lines of a program need to change. After `install` not even those:
``import roleml.…`` works then, here and on every engine.
"""

from importlib import import_module
from typing import Any

from .finder import install
from .table import PACKAGES

__all__ = ["install"]


def __getattr__(name: str) -> Any:
    if name in PACKAGES[""]:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, *PACKAGES[""]]

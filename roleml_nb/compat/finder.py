"""Import of the table's modules: under ``roleml_nb.compat``, and, once installed, as ``roleml``."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from roleml_nb.role import RoleMLError
from roleml_nb.testbed.cluster.startup import on_every_engine

from .table import MODULES, PACKAGES, REPLACED

__all__ = ["Finder", "install"]


class Finder(MetaPathFinder, Loader):
    """Finds ``<prefix>.core.role.base`` and the like.

    A module imports its sources when it is imported itself.
    """

    def __init__(self, prefix: str):
        self.prefix = prefix

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self.prefix and not fullname.startswith(f"{self.prefix}."):
            return None
        name = self._name(fullname)
        if name in PACKAGES or name in MODULES:
            return ModuleSpec(
                fullname, self, origin="roleml_nb.compat", is_package=name in PACKAGES
            )
        for replaced, instead in REPLACED.items():
            if name == replaced or name.startswith(f"{replaced}."):
                raise ModuleNotFoundError(f"roleml_nb has no {fullname}: {instead}", name=fullname)
        return None

    def _name(self, fullname: str) -> str:
        return fullname[len(self.prefix) + 1 :]

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Define the table's names in the module; import children of a package on access."""
        name = self._name(module.__name__)
        names: dict[str, Any] = {}
        for source, words in MODULES.get(name, {}).items():
            found = importlib.import_module(source)
            for word in words.split():
                here, _, there = word.partition("=")
                names[here] = getattr(found, there or here)
        children = PACKAGES.get(name, ())

        def get_child(attribute: str) -> Any:
            if attribute in children:
                return importlib.import_module(f"{module.__name__}.{attribute}")
            raise AttributeError(f"module {module.__name__!r} has no attribute {attribute!r}")

        module.__dict__.update(
            names,
            __all__=sorted(names),
            __doc__=f"The names of RoleML's roleml{'.' * bool(name)}{name}: objects of roleml_nb.",
            __getattr__=get_child,
            __dir__=lambda: sorted({*module.__dict__, *children}),
        )


def install() -> None:
    """Redirect ``import roleml…`` to roleml_nb, here and on all engines, present and future.

    RoleMLError when the package ``roleml`` itself is installed, here or on an engine.
    """
    _install_here()
    on_every_engine(_install_here)


def _install_here() -> None:
    if any(isinstance(finder, Finder) and finder.prefix == "roleml" for finder in sys.meta_path):
        return
    real = importlib.util.find_spec("roleml")
    if real is not None:
        raise RoleMLError(
            f"'import roleml' finds the package in {real.origin}; uninstall it (pip uninstall"
            " roleml-ai), or write roleml_nb.compat instead of roleml in the import lines"
        )
    sys.meta_path.append(Finder("roleml"))


sys.meta_path.append(Finder("roleml_nb.compat"))

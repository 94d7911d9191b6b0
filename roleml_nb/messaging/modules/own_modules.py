"""The user's own modules: all of the notebook's folder and of its project, but for installed
packages.

A project is the nearest folder above the notebook's that is a git repository, or else a Python
package: so `notebooks/` and `src/` side by side are of one.
"""

from __future__ import annotations

import functools
import os
import site
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

__all__ = ["folders", "is_below", "is_installed", "is_of_project", "is_own_file", "project_of"]


def _here() -> str:
    try:
        return os.path.realpath(os.getcwd())
    except OSError:  # it was removed
        return os.path.sep


STARTED = _here()
MARKS = ((".git",), ("pyproject.toml", "setup.py"))
"""Files that mark the folder of a project; the first one found counts."""


def folders() -> list[str]:
    """Return the folders whose modules are own: where the notebook was started, where it is, or
    where the script lies.
    """
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    found = [STARTED, _here(), *([os.path.dirname(os.path.realpath(main))] if main else [])]
    return [path for path in dict.fromkeys(found) if path != os.path.sep]


@functools.lru_cache(maxsize=64)
def project_of(folder: str) -> str | None:
    """Return the folder of the project that a folder is in; None if it is in none, or a user's
    whole home is one.
    """
    homes = {Path.home(), *Path.home().parents, Path(os.path.sep)}
    above = [path for path in (Path(folder), *Path(folder).parents) if path not in homes]
    for names in MARKS:
        for path in above:
            if any((path / name).exists() for name in names):
                return str(path)
    return None


def is_below(path: str | os.PathLike[str], roots: Iterable[str]) -> bool:
    """Return True when a file lies below one of some folders, with all links resolved."""
    return _is_in(os.path.realpath(path), roots)


def _is_in(path: str, roots: Iterable[str]) -> bool:
    return any(
        path == root or path.startswith(root.rstrip(os.path.sep) + os.path.sep) for root in roots
    )


def is_own_file(file: object) -> bool:
    """Return True when a module's file lies in the notebook's folders, and is not of an installed
    package.
    """
    return isinstance(file, str) and not is_installed(file) and is_below(file, folders())


def is_of_project(file: object) -> bool:
    """Return True for a file as of `is_own_file`, one of the project, and one that a link within
    these leads to.
    """
    if not isinstance(file, str) or is_installed(file):
        return False
    roots = folders()
    roots += [project for root in roots if (project := project_of(root)) is not None]
    return is_below(file, roots) or _is_in(os.path.normpath(file), roots)


def is_installed(file: str) -> bool:
    """Return True when a module's file is of an installed package, or the module is built in."""
    if not os.path.isabs(file) or is_below(file, _installed()):
        return True
    return bool({"site-packages", "dist-packages"} & set(Path(os.path.realpath(file)).parts))


@functools.cache
def _installed() -> list[str]:
    paths = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    ours = str(Path(__file__).parents[2])
    return [os.path.realpath(path) for path in (*paths, site.getusersitepackages(), ours) if path]

"""Which modules are the user's own: those that lie below the notebook's folder, but for installed packages."""

from __future__ import annotations

import functools
import os
import site
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

__all__ = ["folders", "is_below", "is_own_file"]


def _here() -> str:
    try:
        return os.path.realpath(os.getcwd())
    except OSError:  # it was removed
        return os.path.sep


STARTED = _here()


def folders() -> list[str]:
    """Return the folders whose modules are own: where the notebook was started, where it is, or where the script lies."""
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    found = [STARTED, _here(), *([os.path.dirname(os.path.realpath(main))] if main else [])]
    return [path for path in dict.fromkeys(found) if path != os.path.sep]


def is_below(path: str | os.PathLike[str], roots: Iterable[str]) -> bool:
    """Whether a file lies below one of some folders, wherever links on its way lead."""
    real = os.path.realpath(path)
    return any(real == root or real.startswith(root.rstrip(os.path.sep) + os.path.sep) for root in roots)


def is_own_file(file: object) -> bool:
    """Whether a module's file is the user's own, and not of an installed package."""
    if not isinstance(file, str) or not os.path.isabs(file):  # what is built in has none
        return False
    if not is_below(file, folders()) or is_below(file, _installed()):
        return False
    return not {"site-packages", "dist-packages"} & set(Path(os.path.realpath(file)).parts)


@functools.cache
def _installed() -> list[str]:
    paths = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    ours = str(Path(__file__).parents[1])
    return [os.path.realpath(path) for path in (*paths, site.getusersitepackages(), ours) if path]

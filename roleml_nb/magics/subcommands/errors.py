"""``%rml errors``: what failed where nobody waited for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from roleml_nb.role.errors import in_cells

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from ..rml import RoleMagics

__all__ = ["OVERVIEW", "add", "run"]

OVERVIEW = """\
%rml errors                                           failures that nobody waited for; --clear
"""


def add(add: Callable[[str, str], ArgumentParser]) -> None:
    errors = add(
        "errors",
        "Print the errors that nobody waited for, equal ones once: of event handlers, Runnables,"
        " callbacks.",
    )
    errors.add_argument("--clear", action="store_true", help="forget them once they are printed")


def run(magics: RoleMagics, given: Any) -> None:
    bed = magics.running()
    bed.fleet.flush_hosts()
    bed.errors.report()
    print(in_cells(str(bed.errors)))
    if given.clear:
        bed.errors.clear()

"""``%rml debug``: a handler that failed elsewhere fails again here, where ``%debug`` can look at
it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from roleml_nb.magics.parsing import BadLine
from roleml_nb.role import HandlerError, TestbedError
from roleml_nb.testbed import Testbed
from roleml_nb.trace.errors import Failure

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from ..rml import RoleMagics

__all__ = ["OVERVIEW", "add", "complete", "run"]

OVERVIEW = """\
%rml debug                                            let the last failure fail here; then %debug
"""


def add(add: Callable[[str, str], ArgumentParser]) -> None:
    debug = add(
        "debug",
        "Play a handler that failed again in this process, on copies of its message and of its role"
        " as it is now; %debug then looks at its frames. The calls that it makes are made; its"
        " events go nowhere.",
    )
    debug.add_argument(
        "error",
        nargs="?",
        type=int,
        default=None,
        metavar="N",
        help=(
            "its number in %%rml errors (default: the error that a cell has just shown, else the"
            " last one)"
        ),
    )


def run(magics: RoleMagics, given: Any) -> None:
    __tracebackhide__ = True
    bed = magics.running()
    played = bed.replay(_latest(bed) if given.error is None else given.error)
    print(f"{played.name}, here")
    try:
        result = played.run()
    except TestbedError:
        raise
    except Exception as fault:
        magics.replayed_error = fault  # the user's, to be seen with its frames
        raise
    print(f"it does not fail here; it returns {result!r:.200}")


def complete(bed: Testbed | None, command: str, words: list[str]) -> list[str]:
    return (
        []
        if bed is None
        else [
            str(number) for number in range(1, len(bed.errors) + 1) if bed.errors.numbered(number)
        ]
    )


def _latest(bed: Testbed) -> Exception | Failure:
    """The error that a cell has just shown, or the last one that nobody waited for."""
    shown = getattr(sys, "last_value", None)
    if isinstance(shown, HandlerError) and "kept" in shown.where:
        return shown
    if not len(bed.errors):
        raise BadLine("no cell has shown an error of a handler, and %rml errors has none")
    return bed.errors[-1]

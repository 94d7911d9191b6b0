"""``%rml runs`` and ``%rml wait``: what goes on in the background."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from roleml_nb.magics.formatting import print_result
from roleml_nb.magics.parsing import seconds
from roleml_nb.magics.progress import watch
from roleml_nb.testbed import Testbed

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from ..rml import RoleMagics

__all__ = ["OVERVIEW", "add", "complete", "run"]

OVERVIEW = """\
%rml runs                                             calls in the background, and how far they are
%rml wait   1                                         wait for a run, and print its result
"""


def add(add: Callable[[str, str], ArgumentParser]) -> None:
    add("runs", "Print the runs in the background, and how far they are.")
    wait = add(
        "wait",
        "Wait for a run in the background, and print its result. When interrupted, the run"
        " goes on.",
    )
    wait.add_argument(
        "run", nargs="?", type=int, default=None, metavar="N", help="its number (the last one)"
    )
    wait.add_argument("--timeout", type=seconds, default=None, metavar="SECONDS")


def run(magics: RoleMagics, given: Any) -> Any:
    runs = magics.running().runs
    if given.command == "runs":
        print(runs)
        return runs
    found = runs.last if given.run is None else runs[given.run]
    found.reported = True
    try:
        result = watch(magics.shell, found, given.timeout)
    except KeyboardInterrupt:
        print(f"run {found.number} goes on; end it with %rml stop --run")
        raise
    if not given.wanted:
        print_result(result, found.many)
    return result


def complete(bed: Testbed | None, command: str, words: list[str]) -> list[str]:
    return [str(one.number) for one in bed.runs] if bed is not None and command == "wait" else []

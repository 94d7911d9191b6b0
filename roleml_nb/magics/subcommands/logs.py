"""``%rml logs``: what nodes have logged and printed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from IPython.display import display

from roleml_nb.magics.parsing import seconds
from roleml_nb.spec.patterns import match
from roleml_nb.testbed import Testbed
from roleml_nb.trace import LogView
from roleml_nb.trace.logs import LEVELS

from ..completion import nodes_of

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from ..rml import RoleMagics

__all__ = ["OVERVIEW", "add", "complete", "run"]

OVERVIEW = """\
%rml logs   client3 --tail 20                         what nodes logged, printed; --follow, --pane
"""
POLL_INTERVAL_S = 0.1
"""Seconds between two looks at what is new."""


def add(add: Callable[[str, str], ArgumentParser]) -> None:
    logs = add(
        "logs", "Print what nodes have logged and printed; node by node, or by time with --times."
    )
    logs.add_argument(
        "nodes", nargs="*", help="which nodes, or roles: client3, client*/trainer (all)"
    )
    logs.add_argument(
        "--level",
        choices=list(LEVELS),
        default="debug",
        metavar="LEVEL",
        help=f"the least level that is shown: {', '.join(LEVELS)}",
    )
    logs.add_argument("--tail", type=int, default=None, metavar="N", help="only the last N lines")
    logs.add_argument(
        "--times", action="store_true", help="with the seconds since the start of the testbed"
    )
    logs.add_argument(
        "--follow",
        action="store_true",
        help="go on with what is new, until the cell is interrupted",
    )
    logs.add_argument(
        "--for",
        dest="seconds",
        type=seconds,
        default=None,
        metavar="SECONDS",
        help="follow for so long",
    )
    logs.add_argument(
        "--pane", action="store_true", help="a pane that follows, while other cells run"
    )


def run(magics: RoleMagics, given: Any) -> None:
    bed = magics.running()
    for pattern in given.nodes:
        match(pattern.partition("/")[0], [*bed.registry.places, *bed.fleet.numbers])
    view = bed.logs(*given.nodes, level=given.level, tail=given.tail, times=given.times)
    if given.pane:
        display(view.pane())
    elif given.follow or given.seconds is not None:
        _follow(bed, view, given.seconds)
    else:
        print(view)


def _follow(bed: Testbed, view: LogView, seconds: float | None) -> None:
    """Print lines as they come, from this thread, so that they are this cell's."""
    clock = bed.fleet.home.clock
    until = None if seconds is None else clock.now() + seconds
    try:
        bed.fleet.flush_hosts()
        lines, count = view.new(0)
        lines = sorted(lines)[-view.tail if view.tail else 0 :]
        while True:
            for line in lines:
                print(view.text_of(line))
            if until is not None and clock.now() >= until:
                return
            clock.sleep(POLL_INTERVAL_S)
            bed.fleet.drain_metrics()
            lines, count = view.new(count)
    except KeyboardInterrupt:
        return


def complete(bed: Testbed | None, command: str, words: list[str]) -> list[str]:
    if words and words[-1] == "--level":
        return list(LEVELS)
    return nodes_of(bed)

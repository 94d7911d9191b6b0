"""``%rml metrics``: curves that grow while cells run."""

from __future__ import annotations

from typing import Any

from roleml_nb.role import did_you_mean
from roleml_nb.testbed import Testbed

COMMON = ("loss", "accuracy", "rounds", "bytes")
"""Metrics that can be asked for before there is a run."""
OVERVIEW = """\
%rml metrics loss accuracy bytes                      draw metrics as they come, and the run bar"""


def add(add: Any) -> None:
    metrics = add(
        "metrics",
        "Draw metrics as they come, in panels of one figure, with a bar to pause and stop the run.",
    )
    metrics.add_argument(
        "show", nargs="*", metavar="metric", help="one panel each; also rounds and bytes"
    )
    metrics.add_argument("--nodes", metavar="PATTERN", help="which nodes: 'server peer*'")
    metrics.add_argument(
        "--against",
        choices=("round", "time"),
        default="round",
        metavar="AXIS",
        help="round or time (round)",
    )


def run(magics: Any, given: Any) -> None:
    from IPython.display import display

    bed = magics.running()
    shown = [given.show] if given.show else []
    known = {*bed.trace.metrics.names(), *COMMON}
    for name in given.show:
        if name not in known:
            print(f"no metric {name!r} so far; {did_you_mean(name, known)}")
    display(bed.metrics(*shown, nodes=given.nodes, against=given.against))


def complete(bed: Testbed | None, command: str, words: list[str]) -> list[str]:
    known = bed.trace.metrics.names() if bed is not None else []
    return sorted({*known, *COMMON})

"""``%rml traffic``: the messages, drawn as they travel."""

from __future__ import annotations

from typing import Any

OVERVIEW = """\
%rml traffic                                          show messages as they travel"""


def add(add: Any) -> None:
    add(
        "traffic",
        "Show the messages between nodes as they travel: on the graph, in time, and in total.",
    )


def run(magics: Any, given: Any) -> None:
    from IPython.display import display

    display(magics.running().traffic())

"""``%rml traffic``: the messages, drawn as they travel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from IPython.display import display

if TYPE_CHECKING:
    from ..rml import RoleMagics

__all__ = ["OVERVIEW", "add", "run"]

OVERVIEW = """\
%rml traffic                                          show messages as they travel
"""


def add(add: Any) -> None:
    add("traffic", "Show the messages between nodes as they travel: on the graph, in time, and in total.")


def run(magics: RoleMagics, given: Any) -> None:
    display(magics.running().traffic())

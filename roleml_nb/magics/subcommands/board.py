"""``%rml board`` and ``%rml arrange``: the board, and where nodes stand on it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from IPython.display import display

from ..codegen import call_code, dict_code
from ..context import Context
from ..parsing import BadLine, evaluate
from .subcommand import Subcommand

__all__ = ["Arrange", "Board"]


class Board(Subcommand):
    """Draw nodes, roles and relationships; roles are dragged onto nodes, and the board says it all
    as code.
    """

    name = "board"
    overview = {"board": "draw all that; drag roles onto nodes"}

    def run(self, context: Context, arguments: Namespace) -> None:
        display(context.running().board(names=context.shell.user_ns))

    def complete(self, context: Context, words: list[str], begun: str) -> list[str]:
        return context.nodes()


class Arrange(Subcommand):
    """Put nodes somewhere on the board; without a place, wherever the board likes."""

    name = "arrange"
    effect = "undoable"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("places", nargs="+", metavar="node=(x, y)", help="server=(200, 40)")

    def run(self, context: Context, arguments: Namespace) -> None:
        bed = context.running()
        places = {}
        for item in arguments.places:
            node, _, source = item.partition("=")
            place = evaluate(source, context.names()) if source else None
            if place is not None and not (isinstance(place, tuple) and len(place) == 2):
                raise BadLine(
                    f"{item!r}: write node=(x, y), or the node alone for wherever the board likes"
                )
            places[node] = place
        bed.arrange(places)

    def complete(self, context: Context, words: list[str], begun: str) -> list[str]:
        return [f"{node}=" for node in context.nodes()]

    def to_python(self, arguments: Namespace) -> str:
        places = {}
        for item in arguments.places:
            node, _, place = item.partition("=")
            places[node] = place or "None"
        return call_code("bed.arrange", dict_code(places))

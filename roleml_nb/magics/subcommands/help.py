"""``%rml help``: the overview."""

from __future__ import annotations

from argparse import Namespace

from ..arguments import overview
from ..context import Context
from .subcommand import Subcommand

__all__ = ["Help"]


class Help(Subcommand):
    """Print an overview."""

    name = "help"
    effect = "none"

    def run(self, context: Context, arguments: Namespace) -> None:
        print(overview())

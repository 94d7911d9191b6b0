"""``%rml errors`` and ``%rml debug``: failures that nobody waited for, and one of them here."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from roleml_nb.role import HandlerError, TestbedError
from roleml_nb.role.errors import in_cells
from roleml_nb.testbed import Testbed
from roleml_nb.trace.errors import Failure

from ..context import Context
from ..parsing import BadLine
from .subcommand import Subcommand

__all__ = ["Debug", "Errors"]


class Errors(Subcommand):
    """Print the errors that nobody waited for, equal ones once: of event handlers, Runnables,
    callbacks.
    """

    name = "errors"
    overview = {"errors": "failures that nobody waited for; --clear"}
    effect = "none"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--clear", action="store_true", help="forget them once they are printed"
        )

    def run(self, context: Context, arguments: Namespace) -> None:
        bed = context.running()
        bed.fleet.flush_hosts()
        bed.errors.report()
        print(in_cells(str(bed.errors)))
        if arguments.clear:
            bed.errors.clear()


class Debug(Subcommand):
    """Play a handler that failed again in this process, on copies of its message and of its role as
    it is now; %debug then looks at its frames. The calls that it makes are made; its events go
    nowhere.
    """

    name = "debug"
    overview = {"debug": "let the last failure fail here; then %debug"}

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "error",
            nargs="?",
            type=int,
            default=None,
            metavar="N",
            help=(
                "its number in %%rml errors (default: the error that a cell has just shown, else"
                " the last one)"
            ),
        )

    def run(self, context: Context, arguments: Namespace) -> None:
        __tracebackhide__ = True
        bed = context.running()
        replay = bed.replay(_latest(bed) if arguments.error is None else arguments.error)
        print(f"{replay.name}, here")
        try:
            result = replay.run()
        except TestbedError:
            raise
        except Exception as fault:
            context.replayed_error = fault  # the user's, to be seen with its frames
            raise
        print(f"it does not fail here; it returns {result!r:.200}")

    def complete(self, context: Context, words: list[str], begun: str) -> list[str]:
        bed = context.running_bed
        if bed is None:
            return []
        numbers = range(1, len(bed.errors) + 1)
        return [str(number) for number in numbers if bed.errors.numbered(number)]


def _latest(bed: Testbed) -> Exception | Failure:
    """Return the error that a cell has just shown, or the last one that nobody waited for."""
    shown = getattr(sys, "last_value", None)
    if isinstance(shown, HandlerError) and "kept" in shown.where:
        return shown
    if not len(bed.errors):
        raise BadLine("no cell has shown an error of a handler, and %rml errors has none")
    return bed.errors[-1]

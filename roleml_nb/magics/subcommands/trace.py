"""``%rml trace``, ``record`` and ``logs``: records in memory, on disk, and as lines."""

from __future__ import annotations

import math
from argparse import ArgumentParser, ArgumentTypeError, Namespace

from IPython.display import display

from roleml_nb.spec.patterns import match
from roleml_nb.testbed import Testbed
from roleml_nb.trace import LogView
from roleml_nb.trace.logs import LEVELS

from ..codegen import call_code
from ..context import Context
from ..parsing import file_name, files, seconds
from .subcommand import Subcommand

__all__ = ["Logs", "Record", "Trace"]

POLL_INTERVAL_S = 0.1


class Trace(Subcommand):
    """Print how many messages, metrics and lines were noted, and how much memory they take."""

    name = "trace"
    overview = {"trace --limit 500": "what was recorded; keep up to 500 MB; --clear"}

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--limit",
            type=_megabytes,
            metavar="MB",
            help="keep as much one by one; of older messages, totals (128); inf for no limit",
        )
        parser.add_argument(
            "--clear", action="store_true", help="forget all of it; what comes from now on is noted"
        )

    def run(self, context: Context, arguments: Namespace) -> None:
        trace = context.running().trace
        if arguments.limit is not None:
            trace.limit = arguments.limit * 1e6
        if arguments.clear:
            trace.clear()
        print(trace.summary())
        limit = "no limit" if trace.limit == math.inf else f"at most {trace.limit / 1e6:,.4g} MB"
        print(f"{trace.nbytes / 1e6:,.1f} MB, {limit}")


def _megabytes(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not number > 0:
        raise ArgumentTypeError(f"a number of MB, more than 0, or inf, not {text!r}")
    return number


class Record(Subcommand):
    """Write the trace so far into a folder, with the spec, seeds and versions; see
    Recording.open.
    """

    name = "record"
    overview = {"record run.parquet": "write what happened, for Recording.open"}

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "file", metavar="FILE", help="run.parquet; a recording of that name is replaced"
        )

    def run(self, context: Context, arguments: Namespace) -> None:
        bed = context.running()
        name = file_name(arguments.file)
        bed.record(name)
        gone = bed.trace.describe_gone()
        print(f"recorded {name}; {gone}" if gone else f"recorded {name}")

    def complete(self, context: Context, words: list[str], begun: str) -> list[str]:
        return files(begun)

    def to_python(self, arguments: Namespace) -> str:
        return call_code("bed.record", repr(file_name(arguments.file)))


class Logs(Subcommand):
    """Print what nodes have logged and printed; node by node, or by time with --times."""

    name = "logs"
    overview = {"logs   client3 --tail 20": "what nodes logged, printed; --follow, --pane"}
    effect = "none"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "nodes", nargs="*", help="which nodes, or roles: client3, client*/trainer (all)"
        )
        parser.add_argument(
            "--level",
            choices=list(LEVELS),
            default="debug",
            metavar="LEVEL",
            help=f"the least level that is shown: {', '.join(LEVELS)}",
        )
        parser.add_argument(
            "--tail", type=int, default=None, metavar="N", help="only the last N lines"
        )
        parser.add_argument(
            "--times", action="store_true", help="with the seconds since the start of the testbed"
        )
        parser.add_argument(
            "--follow",
            action="store_true",
            help="go on with what is new, until the cell is interrupted",
        )
        parser.add_argument(
            "--for",
            dest="seconds",
            type=seconds,
            default=None,
            metavar="SECONDS",
            help="follow for so long",
        )
        parser.add_argument(
            "--pane", action="store_true", help="a pane that follows, while other cells run"
        )

    def run(self, context: Context, arguments: Namespace) -> None:
        bed = context.running()
        known = [*bed.registry.places, *bed.fleet.numbers]
        for pattern in arguments.nodes:  # raises when it names none of them
            match(pattern.partition("/")[0], known)
        view = bed.logs(
            *arguments.nodes, level=arguments.level, tail=arguments.tail, times=arguments.times
        )
        if arguments.pane:
            display(view.pane())
        elif arguments.follow or arguments.seconds is not None:
            _follow(bed, view, arguments.seconds)
        else:
            print(view)

    def complete(self, context: Context, words: list[str], begun: str) -> list[str]:
        return list(LEVELS) if words[-1:] == ["--level"] else context.nodes()


def _follow(bed: Testbed, view: LogView, duration: float | None) -> None:
    """Print lines as they come, from this thread, so that they are this cell's."""
    clock = bed.fleet.home.clock
    until = None if duration is None else clock.now() + duration
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

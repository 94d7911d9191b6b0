"""``%rml metrics`` and ``%rml traffic``: live views of a run."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from IPython.display import display

from roleml_nb.role import did_you_mean

from ..context import Context
from .subcommand import Subcommand

__all__ = ["Metrics", "Traffic"]

COMMON_METRICS = ("loss", "accuracy", "rounds", "bytes")
"""Metrics that a line may name before there is a run."""


class Metrics(Subcommand):
    """Draw metrics as they come, in panels of one figure, with a bar to pause and stop the run."""

    name = "metrics"
    overview = {"metrics loss accuracy bytes": "draw metrics as they come, and the run bar"}

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "show", nargs="*", metavar="metric", help="one panel each; also rounds and bytes"
        )
        parser.add_argument("--nodes", metavar="PATTERN", help="which nodes: 'server peer*'")
        parser.add_argument(
            "--against",
            choices=("round", "time"),
            default="round",
            metavar="AXIS",
            help="round or time (round)",
        )

    def run(self, context: Context, arguments: Namespace) -> None:
        bed = context.running()
        shown = [arguments.show] if arguments.show else []
        known = {*bed.trace.metrics.names(), *COMMON_METRICS}
        for name in arguments.show:
            if name not in known:
                print(f"no metric {name!r} so far; {did_you_mean(name, known)}")
        display(bed.metrics(*shown, nodes=arguments.nodes, against=arguments.against))

    def complete(self, context: Context, words: list[str], begun: str) -> list[str]:
        bed = context.running_bed
        known = bed.trace.metrics.names() if bed is not None else []
        return sorted({*known, *COMMON_METRICS})


class Traffic(Subcommand):
    """Show the messages between nodes as they travel: on the graph, in time, and in total."""

    name = "traffic"
    overview = {"traffic": "show messages as they travel"}

    def run(self, context: Context, arguments: Namespace) -> None:
        display(context.running().traffic())

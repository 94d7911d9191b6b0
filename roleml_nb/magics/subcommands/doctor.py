"""``%rml doctor`` and ``%rml clean``: faults of the machine, and remains of earlier kernels."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from ..context import Context
from .subcommand import Subcommand

__all__ = ["Clean", "Doctor"]


class Doctor(Subcommand):
    """Look at versions, front end, kernel, engines, links, memory and threads; names each problem
    with its fix.
    """

    name = "doctor"
    overview = {"doctor": "each problem of the machine, with its fix"}

    def run(self, context: Context, arguments: Namespace) -> None:
        from roleml_nb.doctor import examine

        print(examine(context.bed, context.shell))


class Clean(Subcommand):
    """End engines and controllers whose kernel has ended. Testbeds whose kernel is alive are left
    alone.
    """

    name = "clean"
    overview = {"clean": "end what dead kernels left behind"}

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--detached", action="store_true", help="also those that were to outlive their kernel"
        )

    def run(self, context: Context, arguments: Namespace) -> None:
        from roleml_nb.testbed.cluster.runtime_files import clean

        print("\n".join(clean(detached=arguments.detached)) or "nothing was left behind")

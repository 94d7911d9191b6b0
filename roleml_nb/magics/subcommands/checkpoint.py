"""``%rml checkpoint`` and ``%rml restore``: the state of all roles, into a file and back."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from roleml_nb.testbed import Testbed

from ..codegen import call_code, literals
from ..context import Context
from ..parsing import BadLine, file_name, files, seconds
from .subcommand import Subcommand

__all__ = ["Checkpoint", "Restore"]


class Checkpoint(Subcommand):
    """Write the state of all roles into a file. Handlers that are at work end first."""

    name = "checkpoint"
    overview = {"checkpoint run.checkpoint": "keep the state of all roles in a file"}

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "file", metavar="FILE", help="run.checkpoint; a checkpoint of that name is replaced"
        )
        parser.add_argument(
            "--timeout",
            type=seconds,
            default=60.0,
            metavar="SECONDS",
            help="for handlers to end (60)",
        )

    def run(self, context: Context, arguments: Namespace) -> None:
        name = file_name(arguments.file)
        context.running().save(name, timeout=arguments.timeout)
        print(f"checkpoint {name} is written")

    def complete(self, context: Context, words: list[str], begun: str) -> list[str]:
        return files(begun)

    def to_python(self, arguments: Namespace) -> str:
        file = repr(file_name(arguments.file))
        return call_code("bed.save", file, timeout=repr(arguments.timeout))


class Restore(Subcommand):
    """Have all nodes be what they were at a checkpoint. Starts a testbed unless one is running."""

    name = "restore"
    overview = {"restore    run.checkpoint": "go on from there, also after a new start"}

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "file",
            metavar="FILE",
            help="run.checkpoint; it holds code: open none that you do not trust",
        )
        parser.add_argument(
            "--engines",
            type=int,
            default=None,
            metavar="N",
            help=(
                "engines to start (default: as many as there were); 0 keeps everything in this"
                " process"
            ),
        )

    def run(self, context: Context, arguments: Namespace) -> None:
        name = file_name(arguments.file)
        bed = context.running_bed
        if bed is not None:
            if arguments.engines not in (None, bed.engines):
                raise BadLine(
                    "a testbed with another number of engines is running; end it first with"
                    " %rml stop"
                )
            bed.restore(name)
        else:
            options = {} if arguments.engines is None else {"engines": arguments.engines}
            context.use(Testbed.from_checkpoint(name, **options))
            print(f"testbed ready: {context.location()}")
        print(f"restored {name}")

    def complete(self, context: Context, words: list[str], begun: str) -> list[str]:
        return files(begun)

    def to_python(self, arguments: Namespace) -> str:
        file = repr(file_name(arguments.file))
        made = call_code("Testbed.from_checkpoint", file, **literals(engines=arguments.engines))
        return (
            f"if bed is not None and bed.running:\n    bed.restore({file})\nelse:\n    bed = {made}"
        )

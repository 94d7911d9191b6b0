"""``%rml load`` and ``%rml save``: deployments from a file and into one."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from roleml_nb.testbed import Testbed
from roleml_nb.testbed.operations.load import load

from ..codegen import call_code, literals
from ..context import Context
from ..formatting import pluralize
from ..parsing import file_name, files
from .subcommand import Subcommand

__all__ = ["Load", "Save"]


class Load(Subcommand):
    """Deploy what a file says: one of %rml save, or RoleML's, of a run or of actors. Starts a
    testbed unless one is running.
    """

    name = "load"
    overview = {"load   run.yaml": "deploy it again, or RoleML's own files"}

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "files", nargs="+", metavar="FILE", help="run.yaml; several files of RoleML together"
        )
        parser.add_argument(
            "--engines",
            type=int,
            default=None,
            metavar="N",
            help=(
                "engines to start (default: as the file says, else 2); 0 keeps everything in this"
                " process"
            ),
        )
        parser.add_argument(
            "--seed",
            type=int,
            default=None,
            metavar="N",
            help="of what a run of RoleML draws at random",
        )
        parser.add_argument(
            "--trust",
            action="store_true",
            help="let it call and include anything: from who wrote it you would run a program, too",
        )
        parser.add_argument(
            "--root",
            metavar="FOLDER",
            help="what files may include from (default: each from its own folder)",
        )

    def run(self, context: Context, arguments: Namespace) -> None:
        names = list(map(file_name, arguments.files))
        options: dict[str, Any] = {
            "names": context.shell.user_ns,
            "trust": arguments.trust,
            "root": arguments.root and file_name(arguments.root),
        }
        if arguments.seed is not None:
            options["seed"] = arguments.seed
        bed = context.running_bed
        if bed is not None:
            context.require_engines(arguments.engines)
            _, plan = load(bed, names, **options)
        else:
            if arguments.engines is not None:
                options["engines"] = arguments.engines
            bed, plan = load(Testbed, names, **options)
            context.use(bed)
            print(f"testbed ready: {context.location()}")
        print(f"loaded {', '.join(names)}: {plan.size}")
        for note in plan.notes:
            print(f"note: {note}")

    def complete(self, context: Context, words: list[str], begun: str) -> list[str]:
        return files(begun)

    def to_python(self, arguments: Namespace) -> str:
        names = repr(list(map(file_name, arguments.files)))
        options = literals(
            seed=arguments.seed,
            trust=arguments.trust or None,
            root=arguments.root and repr(file_name(arguments.root)),
        )
        engines = literals(engines=arguments.engines)
        made = call_code("Testbed.from_spec", names, names="globals()", **engines, **options)
        more = call_code("bed.load", names, names="globals()", **options)
        return f"if bed is not None and bed.running:\n    {more}\nelse:\n    bed = {made}"


class Save(Subcommand):
    """Write nodes, roles, elements and relationships into a file, as YAML, or as JSON if it is
    named so.
    """

    name = "save"
    overview = {"save   run.yaml": "write down all that is deployed"}

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", help="run.yaml")

    def run(self, context: Context, arguments: Namespace) -> None:
        bed = context.running()
        name = file_name(arguments.file)
        bed.save_spec(name)
        nodes = context.nodes()
        roles = context.instances()
        print(f"saved {name}: {pluralize(len(nodes), 'node')}, {pluralize(len(roles), 'role')}")

    def complete(self, context: Context, words: list[str], begun: str) -> list[str]:
        return files(begun)

    def to_python(self, arguments: Namespace) -> str:
        return call_code("bed.save_spec", repr(file_name(arguments.file)))

"""``%rml start``, ``attach``, ``detach`` and ``stop``: the life of a testbed."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections import Counter
from typing import Any

from roleml_nb.testbed import Testbed
from roleml_nb.testbed.cluster import runtime_files

from ..codegen import call_code, literals
from ..context import Context
from ..parsing import BadLine, seconds
from .subcommand import Subcommand

__all__ = ["Attach", "Detach", "Start", "Stop"]


class Start(Subcommand):
    """Start a testbed, or join a running ipyparallel cluster. It becomes the variable `bed`."""

    name = "start"
    overview = {"start  --engines 2": "start a testbed (0: all in this process)"}

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--engines",
            type=int,
            default=None,
            metavar="N",
            help=(
                "engines to start (default 2), or of a cluster that is joined, to wait for"
                " (default: those that are there); 0 keeps everything in this process"
            ),
        )
        parser.add_argument(
            "--start-timeout",
            type=seconds,
            default=None,
            metavar="SECONDS",
            help="that engines get to come (60)",
        )
        parser.add_argument(
            "--seed", type=int, default=None, metavar="N", help="of all that is drawn at random (0)"
        )
        parser.add_argument("--profile", help="join the running cluster of this IPython profile")
        parser.add_argument("--cluster-id", help="join the running cluster of this id")
        parser.add_argument(
            "--detach",
            action="store_true",
            help="engines go on when this kernel ends, for %%rml attach",
        )
        parser.add_argument(
            "--pin",
            action="store_true",
            help=(
                "each engine keeps to one core: faster for many small models on a machine that"
                " does nothing else"
            ),
        )

    def run(self, context: Context, arguments: Namespace) -> None:
        joined = {}
        if arguments.profile:
            joined["profile"] = arguments.profile
        if arguments.cluster_id:
            joined["cluster_id"] = arguments.cluster_id
        if context.running_bed is not None:
            _require_same(context, arguments, joined)
            print(f"already running: {context.bed!r}")
            return
        options: dict[str, Any] = dict(joined)
        if arguments.start_timeout is not None:
            options["start_timeout"] = arguments.start_timeout
        bed = Testbed(
            arguments.engines,
            seed=arguments.seed or 0,
            detached=arguments.detach,
            pin=arguments.pin,
            **options,
        )
        context.use(bed, joined)
        print(f"testbed ready: {context.location()}{_machines(bed) if joined else ''}")

    def to_python(self, arguments: Namespace) -> str:
        joined = literals(profile=arguments.profile, cluster_id=arguments.cluster_id)
        engines = arguments.engines
        if engines is None and not joined:
            engines = 2
        options = literals(
            engines=engines,
            start_timeout=arguments.start_timeout,
            seed=arguments.seed,
            detached=arguments.detach or None,
            pin=arguments.pin or None,
        )
        made = call_code("Testbed", **options, **joined)
        return f"if bed is None or not bed.running:\n    bed = {made}"


def _require_same(context: Context, arguments: Namespace, joined: dict[str, str]) -> None:
    """Raise BadLine when the running testbed is another one than a line asks for."""
    bed = context.running()
    context.require_engines(arguments.engines)
    if arguments.seed not in (None, bed.seed):
        raise BadLine(f"a testbed with seed {bed.seed} is running; end it first with %rml stop")
    if arguments.detach and not (bed.fleet.engines and bed.fleet.engines.detached):
        raise BadLine(
            "a testbed that ends with this kernel is running; end it first with %rml stop"
        )
    if arguments.pin and not bed.fleet.pinned:
        raise BadLine(
            "a testbed whose engines move between cores is running; end it first with %rml stop"
        )
    if joined and joined != context.joined:
        raise BadLine("a testbed on another cluster is running; end it first with %rml stop")


def _machines(bed: Testbed) -> str:
    """Return the number of engines on each machine in words."""
    counted = Counter(bed.machines.values())
    parts = [f"{number} on {machine}" for machine, number in counted.items()]
    return f" ({', '.join(parts)})"


class Attach(Subcommand):
    """Find a testbed again that was started with %rml start --detach. It becomes the variable
    `bed`.
    """

    name = "attach"
    overview = {"attach": "find what %rml start --detach has started"}

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("id", nargs="?", help="which one, when there are several")

    def run(self, context: Context, arguments: Namespace) -> None:
        if context.running_bed is not None:
            raise BadLine(
                "a testbed is running; end it first with %rml stop, or leave it with %rml detach"
            )
        bed = Testbed.attach(arguments.id)
        context.use(bed)
        print(f"attached: {context.location()}")
        print(bed.status())

    def complete(self, context: Context, words: list[str], begun: str) -> list[str]:
        return [record.testbed_id for record in runtime_files.read_all() if record.detached]


class Detach(Subcommand):
    """Leave such a testbed to itself, for another kernel to attach to. Runs go on."""

    name = "detach"

    def run(self, context: Context, arguments: Namespace) -> None:
        print(f"detached: %rml attach {context.running().detach()}")


class Stop(Subcommand):
    """End the testbed with its nodes and engines."""

    name = "stop"
    overview = {
        "stop --run": "end what handlers do, as an interrupt does",
        "stop": "end everything that was started",
    }

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--run", action="store_true", help="only end what handlers do; nodes and roles stay"
        )

    def run(self, context: Context, arguments: Namespace) -> None:
        bed = context.running_bed
        if bed is None:
            print("no testbed is running")
        elif arguments.run:
            print(bed.stop_run())
        else:
            bed.stop()
            print("testbed stopped")

    def to_python(self, arguments: Namespace) -> str:
        return "bed.stop_run()" if arguments.run else "bed.stop()"

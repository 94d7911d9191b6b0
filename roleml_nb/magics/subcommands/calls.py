"""``%rml call``, ``runs`` and ``wait``: calls, and those that go on in the background."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from roleml_nb.role import RoleMLError, standard_name

from ..codegen import call_code, dict_code, literals, show_code
from ..context import Context
from ..formatting import print_result
from ..parsing import evaluate, pair, seconds
from ..progress import watch
from .subcommand import Subcommand

__all__ = ["Call", "Runs", "Wait"]


class Call(Subcommand):
    """Call a service or a task and print its result; a pattern calls many."""

    name = "call"
    overview = {
        "call   server/coordinator run num_rounds=20": (
            "call a service or a task, wait for its result"
        )
    }

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("target", help="server/coordinator, or client*/trainer")
        parser.add_argument("channel", help="run")
        parser.add_argument("args", nargs="*", metavar="name=value", help="num_rounds=20")
        parser.add_argument("--timeout", type=seconds, default=None, metavar="SECONDS")
        parser.add_argument(
            "--background", action="store_true", help="go on at once; see %%rml runs and %%rml wait"
        )

    def run(self, context: Context, arguments: Namespace) -> Any:
        bed = context.running()
        args = {}
        for item in arguments.args:
            name, source = pair(item, "name=value")
            args[name] = evaluate(source, context.names())
        run = bed.run(arguments.target, arguments.channel, args)
        if arguments.background:
            print(f"run {run.number}: {run.name}, in the background")
            return run
        run.reported = True
        try:
            result = watch(context, run, arguments.timeout)
        except KeyboardInterrupt as interrupt:
            print(bed.stop_run())
            raise interrupt.with_traceback(None) from None  # frames of the wait say nothing
        finally:
            bed.runs.discard(run)
        if not arguments.value_wanted:
            print_result(result, run.many)
        return result

    def complete(self, context: Context, words: list[str], begun: str) -> list[str]:
        bed = context.running_bed
        if bed is None or not words:
            return context.instances()
        if len(words) == 1:
            try:
                return bed.channels(words[0])
            except RoleMLError:  # the target is mistyped, or gone: there is nothing to offer
                return []
        names = _argument_names(context, words[0], words[1])
        return [f"{name}=" for name in names]

    def to_python(self, arguments: Namespace) -> str:
        args = dict_code(dict(item.split("=", 1) for item in arguments.args))
        given = [repr(arguments.target), repr(arguments.channel), args]
        if arguments.background:
            return call_code("bed.run", *given)
        code = call_code("bed.call", *given, **literals(timeout=arguments.timeout))
        return show_code(code, arguments.value_wanted)


def _argument_names(context: Context, target: str, channel: str) -> list[str]:
    """Return the arguments of a channel's handler; none when the notebook lacks its class."""
    registry = context.running().registry
    try:
        node, name = registry.instances(target)[0]
    except RoleMLError:
        return []
    class_name = str(registry.roles.get(node, {}).get(name, {}).get("class", ""))
    cls = context.role_classes().get(class_name.rpartition(".")[2])
    if cls is None:
        return []
    attribute = {**cls.services, **cls.tasks}.get(standard_name(channel))
    return sorted(getattr(cls, attribute).handler.names) if attribute else []


class Runs(Subcommand):
    """Print the runs in the background, and how far they are."""

    name = "runs"
    overview = {"runs": "calls in the background, and how far they are"}
    effect = "none"

    def run(self, context: Context, arguments: Namespace) -> Any:
        runs = context.running().runs
        print(runs)
        return runs

    def to_python(self, arguments: Namespace) -> str | None:
        return "bed.runs" if arguments.value_wanted else None


class Wait(Subcommand):
    """Wait for a run in the background, and print its result. When interrupted, the run goes on."""

    name = "wait"
    overview = {"wait   1": "wait for a run, and print its result"}

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "run", nargs="?", type=int, default=None, metavar="N", help="its number (the last one)"
        )
        parser.add_argument("--timeout", type=seconds, default=None, metavar="SECONDS")

    def run(self, context: Context, arguments: Namespace) -> Any:
        runs = context.running().runs
        run = runs.last if arguments.run is None else runs[arguments.run]
        run.reported = True
        try:
            result = watch(context, run, arguments.timeout)
        except KeyboardInterrupt as interrupt:
            print(f"run {run.number} goes on; end it with %rml stop --run")
            raise interrupt.with_traceback(None) from None  # as above
        if not arguments.value_wanted:
            print_result(result, run.many)
        return result

    def complete(self, context: Context, words: list[str], begun: str) -> list[str]:
        bed = context.running_bed
        return [] if bed is None else [str(run.number) for run in bed.runs]

    def to_python(self, arguments: Namespace) -> str:
        run = "bed.runs.last" if arguments.run is None else f"bed.runs[{arguments.run!r}]"
        code = call_code(f"{run}.result", **literals(timeout=arguments.timeout))
        return show_code(code, arguments.value_wanted)

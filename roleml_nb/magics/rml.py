"""``%rml`` and ``%%role``: thin words over the testbed.

Output is plain text, the same for the same input.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any

from IPython.core.magic import (
    Magics,
    cell_magic,
    line_magic,
    magics_class,
    needs_local_scope,
    no_var_expand,
)

from roleml_nb.role import Role, RoleMLError, did_you_mean, standard_name
from roleml_nb.testbed import Nodes, Testbed
from roleml_nb.testbed.expressions import ready_names, role_classes
from roleml_nb.testbed.operations.assign import check_sendable, plan_assignment
from roleml_nb.testbed.operations.load import load
from roleml_nb.testbed.registry.versions import class_name

from .arguments import HelpAsked, overview, parse, parsers
from .braces import fill
from .completion import complete
from .errors import UsageError
from .execution_count import current_execution_count
from .formatting import print_result
from .history import History
from .lines import parse_lines, run_all
from .notifications import report
from .page_notifications import PageNotifications
from .parsing import BadLine, element, evaluate, file_name, graph, pair, split
from .progress import watch
from .values import VALUE_MAGIC

__all__ = ["RoleMagics"]


@magics_class
class RoleMagics(Magics):
    """The magics of one IPython shell, and its testbed."""

    shell: Any

    def __init__(self, shell: Any):
        super().__init__(shell)
        self.bed: Testbed | None = None
        self.replayed_error: Exception | None = None
        """What a handler has raised in this process, under %rml debug."""
        self._locals: Mapping[str, Any] = {}
        """Names of the function that a line stands in."""
        self._joins: dict[str, str] = {}
        self.parsers = parsers()
        self.history = History(shell)
        self._page_notifications = PageNotifications(shell)

    @needs_local_scope
    @no_var_expand  # {1..8} and $ are the user's, not IPython's
    @line_magic
    def rml(self, line: str, local_ns: Mapping[str, Any] | None = None) -> None:
        """Steer a testbed: `%rml` alone prints an overview, `%rml COMMAND --help` explains a
        command.
        """
        __tracebackhide__ = True
        self._run(line, local_ns, wanted=False)

    @needs_local_scope
    @no_var_expand
    @line_magic(VALUE_MAGIC)  # type: ignore[arg-type]
    def rml_value(self, line: str, local_ns: Mapping[str, Any] | None = None) -> Any:
        """What `r = %rml …` means: as `%rml`, but the value is returned, and a result not
        printed.
        """
        __tracebackhide__ = True
        return self._run(line, local_ns, wanted=True)

    @no_var_expand
    @cell_magic("rml")  # type: ignore[arg-type]
    def rml_cell(self, line: str, cell: str) -> None:
        """Carry out several lines of `%rml`: all of them, or, where what was done can be taken
        back, none.
        """
        __tracebackhide__ = True
        if line.strip():
            raise UsageError(
                f"rml: {line.strip()!r}: %%rml takes nothing on its line; put each command on a"
                " line below it"
            )
        self._run(cell, None, wanted=False, several=True)

    def _run(
        self, text: str, local_ns: Mapping[str, Any] | None, *, wanted: bool, several: bool = False
    ) -> Any:
        """Carry out a line, or the lines of a cell, and return the value of a line."""
        __tracebackhide__ = True
        before, self._locals = (
            self._locals,
            {} if local_ns is None or local_ns is self.shell.user_ns else dict(local_ns),
        )
        try:
            if several:
                given = [
                    (number, self._parse(number, words)) for number, words in parse_lines(text)
                ]
                return run_all(
                    given,
                    lambda: self.bed if self.bed and self.bed.running else None,
                    self._fill_and_carry_out,
                )
            words = split(text)
            if not words or words[0] in ("help", "-h", "--help"):
                print(overview())
                return None
            return self._carry_out(parse(fill(words, self.names()), self.parsers), wanted)
        except HelpAsked as help_text:
            print(help_text)
        except BadLine as error:
            raise UsageError(f"rml: {error}") from None
        except RoleMLError as error:
            if hasattr(error, "remote_traceback") or error is self.replayed_error:
                raise
            raise UsageError(f"rml: {error}") from None
        finally:
            self._locals = before

    def _parse(self, number: int, words: list[str]) -> Any:
        """What a line of a cell says, before names have values; BadLine that tells its number."""
        try:
            given = parse(fill(words, self.names()), self.parsers)
        except BadLine as error:
            raise BadLine(f"line {number}: {error} (nothing was changed)") from None
        given.words = words
        return given

    def _fill_and_carry_out(self, given: Any) -> None:
        self._carry_out(parse(fill(given.words, self.names()), self.parsers))

    def _carry_out(self, given: Any, wanted: bool = False) -> Any:
        __tracebackhide__ = True
        given.wanted = wanted
        if "module" in given:
            return given.module.run(self, given)
        return getattr(self, f"_{given.command}")(given)

    @no_var_expand
    @cell_magic
    def role(self, line: str, cell: str) -> None:
        """Define roles: runs the cell, checks that it defines a role, and says what channels and
        elements it has.

        Roles of the testbed that have an earlier version of the class take up the new one, and keep
        their state; with `%%role --fresh` they begin anew, and with `%%role --keep` they stay as
        they are.
        """
        how = line.strip()
        if how not in ("", "--fresh", "--keep"):
            raise UsageError(
                f"role: {how!r}: %%role takes --fresh or --keep or nothing on its line; put the"
                " class below it"
            )
        before = dict(self.shell.user_ns)
        with current_execution_count(self.shell):
            # lines count as they are seen
            outcome = self.shell.run_cell(f"# %%role {line}\n{cell}", store_history=False)
        if not outcome.success:  # an error of this cell, too, so that "run all" stops here
            fault = outcome.error_before_exec or outcome.error_in_exec
            raise UsageError(f"role: the cell failed, see above: {type(fault).__name__}: {fault}")
        made = [
            value
            for name, value in self.shell.user_ns.items()
            if isinstance(value, type)
            and issubclass(value, Role)
            and value.__module__ == "__main__"
            and before.get(name) is not value
        ]
        if not made:
            raise UsageError("role: the cell defines no subclass of Role")
        taken_up: dict[str, list[str]] = {}
        if how != "--keep" and self.bed is not None and self.bed.running:
            try:
                taken_up = self._update_roles(made, how == "--fresh")
            except RoleMLError as error:
                raise UsageError(f"role: {error}") from None
        for cls in made:
            parts = [
                f"{kind} {', '.join(sorted(getattr(cls, kind)))}"
                for kind in ("services", "tasks", "events", "elements")
                if getattr(cls, kind)
            ]
            print(
                "\n".join(
                    [
                        f"role {cls.__name__}: {'; '.join(parts) or 'no channels'}",
                        *taken_up.get(class_name(cls), ()),
                    ]
                )
            )

    def _update_roles(
        self, roles: list[type[Role]] | type[Role] | None, fresh: bool, was: str | None = None
    ) -> dict[str, list[str]]:
        """Update the roles of classes, or those that are behind; return which version how many have
        taken up, by class.
        """
        bed = self.running()
        before = dict(bed.versions.running)
        updated = bed.update(roles, fresh=fresh, was=was)
        how = "begun anew" if fresh else "taken up"
        rows = Counter(
            (bed.versions.running[each], bed.versions.running[each] == before[each])
            for each in updated
        )
        lines: dict[str, list[str]] = {}
        for ((name, number), same), count in rows.items():
            with_elements = ", with what changed in its elements," if same else ""
            lines.setdefault(name, []).append(
                f"version {number} of {name.rpartition('.')[2]}{with_elements} is {how} by"
                f" {_count(count, 'role')}"
            )
        return lines

    # sub-commands

    def running(self) -> Testbed:
        """The testbed; BadLine when none is running."""
        if self.bed is None or not self.bed.running:
            raise BadLine("no testbed is running; begin with %rml start")
        return self.bed

    def use(self, bed: Testbed, joins: dict[str, str] | None = None) -> None:
        """Make it the testbed of this shell, and the notebook's variable `bed`.

        `joins`: what it has joined.
        """
        self.bed, self._joins = bed, joins or {}
        self.shell.user_ns["bed"] = bed
        bed.code_changes.report = lambda line: print(line, file=sys.stderr)
        self._page_notifications.watch(bed)

    def where(self) -> str:
        """In words, where its nodes live."""
        engines = self.running().engines
        return _count(engines, "engine") if engines else "in this process"

    def _start(self, given: Any) -> None:
        joins = {
            key: value
            for key, value in (("profile", given.profile), ("cluster_id", given.cluster_id))
            if value
        }
        if self.bed is not None and self.bed.running:
            if given.engines not in (None, self.bed.engines):
                raise BadLine(
                    f"a testbed with {_count(self.bed.engines, 'engine')} is running; end it first"
                    " with %rml stop"
                )
            if given.seed not in (None, self.bed.seed):
                raise BadLine(
                    f"a testbed with seed {self.bed.seed} is running; end it first with %rml stop"
                )
            if given.detach and not (self.bed.fleet.engines and self.bed.fleet.engines.detached):
                raise BadLine(
                    "a testbed that ends with this kernel is running; end it first with %rml stop"
                )
            if given.pin and not self.bed.fleet.pinned:
                raise BadLine(
                    "a testbed whose engines move between cores is running; end it first with %rml"
                    " stop"
                )
            if joins and joins != self._joins:
                raise BadLine(
                    "a testbed on another cluster is running; end it first with %rml stop"
                )
            print(f"already running: {self.bed!r}")
            return
        timeout = {} if given.start_timeout is None else {"start_timeout": given.start_timeout}
        self.use(
            Testbed(
                given.engines,
                seed=given.seed or 0,
                detached=given.detach,
                pin=given.pin,
                **timeout,
                **joins,
            ),
            joins,
        )
        print(f"testbed ready: {self.where()}{self._who() if joins else ''}")

    def _who(self) -> str:
        """In words, how many engines are on which machine."""
        counted = Counter(self.running().machines.values())
        return f" ({', '.join(f'{count} on {name}' for name, count in counted.items())})"

    def _load(self, given: Any) -> None:
        names = [file_name(item) for item in given.files]
        options: dict[str, Any] = {} if given.seed is None else {"seed": given.seed}
        options |= {"trust": given.trust, "root": given.root and file_name(given.root)}
        if self.bed is not None and self.bed.running:
            if given.engines not in (None, self.bed.engines):
                raise BadLine(
                    f"a testbed with {_count(self.bed.engines, 'engine')} is running; end it first"
                    " with %rml stop"
                )
            _, plan = load(self.bed, names, names=self.shell.user_ns, **options)
        else:
            if given.engines is not None:
                options["engines"] = given.engines
            bed, plan = load(Testbed, names, names=self.shell.user_ns, **options)
            self.use(bed)
            print(f"testbed ready: {self.where()}")
        print(f"loaded {', '.join(names)}: {plan.size}")
        for note in plan.notes:
            print(f"note: {note}")

    def _save(self, given: Any) -> None:
        bed, name = self.running(), file_name(given.file)
        bed.save_spec(name)
        nodes = bed.spec()["nodes"].values()
        print(
            f"saved {name}: {_count(len(nodes), 'node')},"
            f" {_count(sum(len(node['roles']) for node in nodes), 'role')}"
        )

    def _spawn(self, given: Any) -> Nodes:
        nodes = self.running().spawn(*given.nodes, on=given.on)
        print(f"{_count(len(nodes), 'node')}: {_names(nodes)}")
        return nodes

    def _assign(self, given: Any) -> None:
        bed, names = self.running(), self.names()
        nodes = bed.select(given.nodes)
        elements = {}
        for item in given.element:
            name, source = pair(item, "--element name=value")
            elements[name] = element(source, names, nodes.names)
        plans = [self._role_plan(item, nodes.names) for item in given.roles]
        given_elements = {standard_name(name): value for name, value in elements.items()}
        for name, cls, options in plans:
            for node, values in plan_assignment(
                nodes.names, name, cls, options, given_elements
            ).items():
                if len(plans) > 1:
                    check_sendable(f"assign {name}={cls.__name__} on {node}", *values)
        for name, cls, options in plans:
            nodes.assign(name, cls, options=options, elements=elements)
            print(f"{name}={cls.__name__} ready on {_count(len(nodes), 'node')}: {_names(nodes)}")

    def names(self) -> dict[str, Any]:
        """What expressions of a line may use: those of the function it stands in come first, then
        the notebook's.
        """
        return ready_names({**self.shell.user_ns, **self._locals})

    def _role_classes(self) -> dict[str, type[Role]]:
        return role_classes({**self.shell.user_ns, **self._locals})

    def _role_plan(self, item: str, nodes: list[str]) -> tuple[str, type[Role], dict[str, Any]]:
        import ast

        name, source = pair(item, "name=Class")
        class_name, _, _ = source.partition("(")
        roles = self._role_classes()
        if class_name not in roles:
            raise BadLine(f"no role class {class_name!r}; {did_you_mean(class_name, roles)}")
        options: dict[str, Any] = {}
        if "(" in source:
            try:
                made = ast.parse(source, mode="eval").body
            except SyntaxError:
                raise BadLine(f"{source!r}: write Class(option=value, …)") from None
            if (
                not isinstance(made, ast.Call)
                or made.args
                or any(word.arg is None for word in made.keywords)
            ):
                raise BadLine(f"{source!r}: name the options, as in Class(option=value)")
            options = {
                str(word.arg): evaluate(ast.unparse(word.value), self.names(), nodes)
                for word in made.keywords
            }
        return name, roles[class_name], options

    def _relate(self, given: Any) -> None:
        bed = self.running()
        nodes = bed.select(given.nodes)
        relations = [pair(item, "relationship=node/role") for item in given.relations]
        found = [
            (name, bed.registry.instances(pattern.split(","), name)) for name, pattern in relations
        ]
        for name, members in found:
            nodes.relate(name, members)
            print(f"{_names(nodes)}: {name} → {_count(len(members), 'role')}")

    def _wire(self, given: Any) -> None:
        bed = self.running()
        nodes, slash, role = given.roles.partition("/")
        if not slash or not role:
            raise BadLine(
                f"{given.roles!r} names no role; write nodes/role, as in peer*/aggregator"
            )
        source, options = graph(given.graph, self.names())
        wired = bed.wire(
            source,
            relationship=given.relationship,
            nodes=nodes,
            role=role,
            round=given.round,
            **options,
        )
        print(f"{_names(bed.select(nodes))}: {given.relationship} → neighbours")
        print(wired.report())

    def _call(self, given: Any) -> Any:
        bed = self.running()
        args = {}
        for item in given.args:
            name, source = pair(item, "name=value")
            args[name] = evaluate(source, self.names())
        run = bed.run(given.target, given.channel, args)
        if given.background:
            print(f"run {run.number}: {run.name}, in the background")
            return run
        run.reported = True
        try:
            result = watch(self.shell, run, given.timeout)
        except KeyboardInterrupt:
            print(bed.stop_run())
            raise
        finally:
            bed.runs.discard(run)
        if not given.wanted:
            print_result(result, run.many)
        return result

    def _migrate(self, given: Any) -> None:
        new = self.running().migrate(
            given.role,
            given.to,
            conflicts="keep" if given.keep else "refuse",
            timeout=given.timeout,
        )
        print(f"{given.role} → {new}")

    def _update(self, given: Any) -> None:
        roles = self._role_classes()
        if given.role is None:
            if given.was:
                raise BadLine(
                    f"--was {given.was} is for a class that was renamed: %rml update NewName --was"
                    f" {given.was}"
                )
            self._print_updates(self._update_roles(None, given.fresh), "no role is behind")
            for line in self.running().code_changes.not_loaded():
                print(line)
            return
        if given.role not in roles:
            raise BadLine(f"no role class {given.role!r}; {did_you_mean(given.role, roles)}")
        self._print_updates(
            self._update_roles(roles[given.role], given.fresh, given.was),
            f"no role has another version of {given.role}",
        )

    def _print_updates(self, lines: dict[str, list[str]], otherwise: str) -> None:
        print("\n".join([line for of_class in lines.values() for line in of_class] or [otherwise]))

    def _roles(self, given: Any) -> None:
        bed = self.running()
        bed.code_changes.refresh()
        table, behind = bed.versions.table(), bed.versions.behind()
        for name, version, instances in table:
            print(
                f"{name.removeprefix('__main__.')} version {version}:"
                f" {', '.join(map(str, instances))}"
            )
            changed = sorted(
                {module for instance in instances for module in behind.get(instance, ())}
            )
            if changed:
                print(
                    f"    behind, since {' and '.join(changed)} changed: "
                    f"{', '.join(str(instance) for instance in instances if instance in behind)}"
                )
        if not table:
            print("no roles are assigned")

    def _status(self, given: Any) -> Any:
        status = self.running().status()
        print(json.dumps(status.to_dict(), indent=1, ensure_ascii=False) if given.json else status)
        return status

    def _links(self, given: Any) -> None:
        print("\n".join(self.running().links()) or "no links: all in this process")

    def _waiting(self, given: Any) -> None:
        print("\n".join(self.running().waiting()) or "nobody waits")

    def _stop(self, given: Any) -> None:
        if self.bed is None or not self.bed.running:
            print("no testbed is running")
            return
        if given.run:
            print(self.bed.stop_run())
            return
        self.bed.stop()
        print("testbed stopped")

    def report_notifications(self, *_: Any) -> None:
        """A cell has ended: tell what failed, or ended, where nobody waited for it."""
        beds = {
            id(bed): bed
            for bed in (self.bed, self.shell.user_ns.get("bed"))
            if isinstance(bed, Testbed)
        }
        for bed in beds.values():
            report(bed)
            if bed.running:
                bed.code_changes.report_changes()
            self._page_notifications.watch(bed)  # also one that was made in Python

    def complete(self, shell: Any, event: Any) -> list[str]:
        """What may follow on a line that begins with %rml."""
        bed = self.bed if self.bed is not None and self.bed.running else None
        return complete(event.line, self.parsers, bed, self._role_classes())


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _names(nodes: Nodes) -> str:
    names = nodes.names
    return ", ".join(names) if len(names) <= 3 else f"{names[0]} … {names[-1]}"

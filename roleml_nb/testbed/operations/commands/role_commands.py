"""Commands that change roles, and what nodes know of roles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from roleml_nb.role import RoleInstanceID, TestbedError, did_you_mean
from roleml_nb.testbed.expressions import BadLine, element, evaluate, ready_names, role_classes
from roleml_nb.testbed.operations.undo import TerminatedRole, capture, restore

from .codegen import argument, pattern, source, value
from .command import Command, CompositeCommand, Names

if TYPE_CHECKING:
    from roleml_nb.testbed.testbed import Testbed

__all__ = ["Assign", "Call", "Migrate", "RestoreRole", "Relate", "Terminate", "restore_commands"]


@dataclass(frozen=True)
class Assign(Command):
    """Put a role on nodes; options and elements are expressions of the notebook, as in ``%rml
    assign``.
    """

    nodes: tuple[str, ...]
    name: str
    cls: str
    options: dict[str, str] = field(default_factory=dict)
    elements: dict[str, str] = field(default_factory=dict)

    def do(self, bed: Testbed, names: Names) -> Command:
        nodes, classes = list(self.nodes), role_classes(names)
        if self.cls not in classes:
            raise TestbedError(f"no role class {self.cls!r}; {did_you_mean(self.cls, classes)}")
        if not self.name.replace("-", "_").isidentifier():
            raise TestbedError(
                f"{self.name!r} cannot be the name of a role: letters, digits, '_' and '-', a"
                " letter first"
            )
        try:
            known = ready_names(names)
            options = {key: evaluate(text, known, nodes) for key, text in self.options.items()}
            elements = {key: element(text, known, nodes) for key, text in self.elements.items()}
        except BadLine as error:
            raise TestbedError(str(error)) from None
        there = [
            RoleInstanceID(node, self.name)
            for node in nodes
            if self.name in bed.registry.roles.get(node, {})
        ]
        with capture(bed.deployment, there) as replaced:
            bed.assign(nodes, self.name, classes[self.cls], options=options, elements=elements)
        return CompositeCommand(
            (Terminate(tuple(nodes), self.name), *restore_commands(bed, names, replaced))
        )

    def to_magic(self) -> list[str]:
        options = ", ".join(f"{key}={text.strip()}" for key, text in self.options.items())
        elements = "".join(
            f" --element {key.replace('-', '_')}={argument(text)}"
            for key, text in self.elements.items()
        )
        return [
            f"%rml assign {pattern(self.nodes)}"
            f" {self.name}={self.cls}{f'({options})' if options else ''}{elements}"
        ]

    def to_python(self) -> list[str]:
        parts = [repr(pattern(self.nodes)), repr(self.name), self.cls]
        if self.options:
            parts.append(f"options={{{_items(self.options, self.nodes)}}}")
        if self.elements:
            parts.append(f"elements={{{_items(self.elements, self.nodes, element=True)}}}")
        return [f"bed.assign({', '.join(parts)})"]


@dataclass(frozen=True)
class RestoreRole(Command):
    """Put a role that was ended there again: with its state, or, where there is none, as it was
    given.
    """

    terminated: TerminatedRole
    request: Assign

    def do(self, bed: Testbed, names: Names) -> Command:
        node, name = self.terminated.instance
        if self.terminated.state is not None:
            restore(bed.deployment, self.terminated)
        elif self.terminated.cls is not None and self.terminated.given is not None:
            options, elements = self.terminated.given
            bed.assign(node, name, self.terminated.cls, options=options, elements=elements)
        else:
            raise TestbedError(
                f"{self.terminated.instance} cannot be put back: another kernel has assigned it,"
                f" and {self.terminated.why}"
            )
        return Terminate((node,), name)

    def notes(self) -> list[str]:
        why = self.terminated.why
        return (
            [f"its state is not kept: undone, {self.terminated.instance} begins anew ({why})"]
            if why
            else []
        )

    def to_magic(self) -> list[str]:
        return self.request.to_magic()

    def to_python(self) -> list[str]:
        return self.request.to_python()


@dataclass(frozen=True)
class Terminate(Command):
    """Take a role off nodes.

    Undone, it is there again with its state, as far as that can be sent.
    """

    nodes: tuple[str, ...]
    name: str

    def do(self, bed: Testbed, names: Names) -> Command:
        with capture(
            bed.deployment, bed.registry.instances([f"{node}/{self.name}" for node in self.nodes])
        ) as kept:
            bed.terminate(list(self.nodes), self.name)
        return CompositeCommand(tuple(restore_commands(bed, names, kept)))

    def to_magic(self) -> list[str]:
        return [f"%rml terminate {pattern(self.nodes)} {self.name}"]

    def to_python(self) -> list[str]:
        return [f"bed.terminate({pattern(self.nodes)!r}, {self.name!r})"]


@dataclass(frozen=True)
class Relate(Command):
    """Let nodes know roles of other nodes, or forget them."""

    nodes: tuple[str, ...]
    relationship: str
    instances: tuple[str, ...]
    remove: bool = False

    def do(self, bed: Testbed, names: Names) -> Command:
        if not self.relationship.replace("-", "_").isidentifier():
            raise TestbedError(
                f"{self.relationship!r} cannot be the name of a relationship: letters, digits, '_'"
                " and '-'"
            )
        members = {str(item) for item in bed.registry.instances(self.instances, self.relationship)}
        changes: dict[tuple[str, ...], list[str]] = {}
        for node in self.nodes:
            known = bed.registry.relationships.get(node, {}).get(self.relationship, [])
            some = tuple(sorted(item for item in members if (item in known) is self.remove))
            if some:
                changes.setdefault(some, []).append(node)
        bed.relate(list(self.nodes), self.relationship, list(self.instances), remove=self.remove)
        return CompositeCommand(
            tuple(
                Relate(tuple(nodes), self.relationship, some, not self.remove)
                for some, nodes in changes.items()
            )
        )

    def to_magic(self) -> list[str]:
        return [
            f"%rml {'unrelate' if self.remove else 'relate'} {pattern(self.nodes)} "
            f"{self.relationship}={','.join(_instances(self.instances))}"
        ]

    def to_python(self) -> list[str]:
        members = _instances(self.instances)
        said = repr(members[0] if len(members) == 1 else members)
        return [
            f"bed.relate({pattern(self.nodes)!r}, {self.relationship!r},"
            f" {said}{', remove=True' * self.remove})"
        ]


@dataclass(frozen=True)
class Migrate(Command):
    """Move a role to another node, with its state."""

    role: str
    to: str
    conflicts: str = "refuse"

    def do(self, bed: Testbed, names: Names) -> Command:
        old, new, added = _migrate(bed, self.role, self.to, self.conflicts)
        return UndoMigrate(
            new,
            old,
            tuple(
                (node, relationship, old if member == new else member)
                for node, relationship, member in added
            ),
        )

    def to_magic(self) -> list[str]:
        return [f"%rml migrate {self.role} {self.to}{' --keep' * (self.conflicts == 'keep')}"]

    def to_python(self) -> list[str]:
        more = ', conflicts="keep"' * (self.conflicts == "keep")
        return [f"bed.migrate({self.role!r}, {self.to!r}{more})"]


@dataclass(frozen=True)
class Call(Command):
    """A call that was made; its arguments are expressions.

    Undoing takes its line out of the code, and nothing else.
    """

    address: str
    channel: str
    arguments: dict[str, str]

    def do(self, bed: Testbed, names: Names) -> Command:
        return self

    def notes(self) -> list[str]:
        return ["a call cannot be undone: its line goes from the code, and what it did stays"]

    def to_magic(self) -> list[str]:
        given = [f"{key}={argument(text)}" for key, text in self.arguments.items()]
        return [" ".join(["%rml call", self.address, self.channel, *given])]

    def to_python(self) -> list[str]:
        given = (
            f", {{{', '.join(f'{key!r}: {text}' for key, text in self.arguments.items())}}}"
            if self.arguments
            else ""
        )
        return [f"bed.call({self.address!r}, {self.channel!r}{given})"]


@dataclass(frozen=True)
class UndoMigrate(Command):
    """Move a role back, and have nodes forget what they came to know when it went, and when it
    comes back.
    """

    role: str
    to: str
    known: tuple[tuple[str, str, str], ...]

    def do(self, bed: Testbed, names: Names) -> Command:
        *_, added = _migrate(bed, self.role, self.to, "keep")
        for node, relationship, member in dict.fromkeys((*self.known, *added)):
            bed.relate(node, relationship, member, remove=True)
        return Migrate(self.to, self.role)


def _migrate(
    bed: Testbed, role: str, to: str, conflicts: str
) -> tuple[str, str, list[tuple[str, str, str]]]:
    """Move a role: its old address, its new one, and what nodes know more than before: (node,
    relationship, member).
    """
    before = bed.registry.copy_relationships()
    old = ", ".join(map(str, bed.registry.instances(role)))
    new = str(bed.migrate(role, to, conflicts=conflicts))
    added = []
    for node, relationships in bed.registry.relationships.items():
        for relationship, members in relationships.items():
            known = [
                new if item == old else item for item in before.get(node, {}).get(relationship, [])
            ]
            added += [(node, relationship, member) for member in members if member not in known]
    return old, new, added


def restore_commands(
    bed: Testbed, names: Names, kept: Sequence[TerminatedRole]
) -> list[RestoreRole]:
    """Return the commands that restore terminated roles; as code they are the assignments."""
    found = []
    for one in kept:
        node, name = one.instance
        options, elements = one.given or ({}, {})
        known = (
            source(one.cls, names) or str((one.known or {}).get("class", "...")).rpartition(".")[2]
        )
        found.append(
            RestoreRole(
                one,
                Assign(
                    (node,),
                    name,
                    known,
                    {key: source(item, names) or "..." for key, item in options.items()},
                    {key: source(item, names) or "..." for key, item in elements.items()},
                ),
            )
        )
    return found


def _instances(members: Sequence[str]) -> list[str]:
    """Return addresses in few words: those of one role name together."""
    by_role: dict[str, list[str]] = {}
    for member in members:
        node, slash, role = member.partition("/")
        by_role.setdefault(f"{slash}{role}", []).append(node)
    return [f"{pattern(nodes)}{role}" for role, nodes in by_role.items()]


def _items(texts: Mapping[str, str], nodes: Sequence[str], *, element: bool = False) -> str:
    return ", ".join(
        f"{key!r}: {value(text, nodes, element=element)}" for key, text in texts.items()
    )

"""Commands that change roles, and the relationships of nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from roleml_nb.role import RoleInstanceID, TestbedError, did_you_mean
from roleml_nb.testbed.expressions import BadLine, element, evaluate, ready_names, role_classes
from roleml_nb.testbed.operations.undo import TerminatedRole, capture, restore

from .codegen import argument, arguments, pattern, source, value
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
        present = []
        for node in nodes:
            if self.name in bed.registry.roles.get(node, {}):
                present.append(RoleInstanceID(node, self.name))
        with capture(bed.deployment, present) as replaced:
            bed.assign(nodes, self.name, classes[self.cls], options=options, elements=elements)
        return CompositeCommand(
            (Terminate(tuple(nodes), self.name), *restore_commands(bed, names, replaced))
        )

    def to_magic(self) -> list[str]:
        options = ", ".join(f"{key}={text.strip()}" for key, text in self.options.items())
        role = f"{self.name}={self.cls}{f'({options})' if options else ''}"
        words = ["%rml assign", pattern(self.nodes), role]
        for key, text in self.elements.items():
            words.append(f"--element {key.replace('-', '_')}={argument(text)}")
        return [" ".join(words)]

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
        terminated = self.terminated
        node, name = terminated.instance
        if terminated.state is not None:
            restore(bed.deployment, terminated)
        elif terminated.cls is not None and terminated.given is not None:
            options, elements = terminated.given
            bed.assign(node, name, terminated.cls, options=options, elements=elements)
        else:
            raise TestbedError(
                f"{terminated.instance} cannot be put back: another kernel has assigned it,"
                f" and {terminated.why}"
            )
        return Terminate((node,), name)

    def notes(self) -> list[str]:
        instance, why = self.terminated.instance, self.terminated.why
        if not why:
            return []
        return [f"its state is not kept: undone, {instance} begins anew ({why})"]

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
        roles = bed.registry.roles_named(self.name, self.nodes)
        with capture(bed.deployment, roles) as kept:
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
        members = set(map(str, bed.registry.instances(self.instances, self.relationship)))
        changes: dict[tuple[str, ...], list[str]] = {}
        for node in self.nodes:
            known = set(bed.registry.relationships.get(node, {}).get(self.relationship, []))
            changed = members & known if self.remove else members - known
            if changed:
                changes.setdefault(tuple(sorted(changed)), []).append(node)
        bed.relate(list(self.nodes), self.relationship, list(self.instances), remove=self.remove)
        undo = []
        for changed_members, nodes in changes.items():
            undo.append(Relate(tuple(nodes), self.relationship, changed_members, not self.remove))
        return CompositeCommand(tuple(undo))

    def to_magic(self) -> list[str]:
        verb = "unrelate" if self.remove else "relate"
        members = ",".join(_patterns(self.instances))
        return [f"%rml {verb} {pattern(self.nodes)} {self.relationship}={members}"]

    def to_python(self) -> list[str]:
        members = _patterns(self.instances)
        instances = members[0] if len(members) == 1 else members
        return [
            f"bed.relate({pattern(self.nodes)!r}, {self.relationship!r},"
            f" {instances!r}{', remove=True' * self.remove})"
        ]


@dataclass(frozen=True)
class Migrate(Command):
    """Move a role to another node, with its state."""

    role: str
    to: str
    conflicts: str = "refuse"

    def do(self, bed: Testbed, names: Names) -> Command:
        old, new, added = _migrate(bed, self.role, self.to, self.conflicts)
        known = []
        for node, relationship, member in added:
            known.append((node, relationship, old if member == new else member))
        return UndoMigrate(new, old, tuple(known))

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
        return [" ".join(["%rml call", self.address, self.channel, *arguments(self.arguments)])]

    def to_python(self) -> list[str]:
        items = [f"{key!r}: {text}" for key, text in self.arguments.items()]
        given = f", {{{', '.join(items)}}}" if items else ""
        return [f"bed.call({self.address!r}, {self.channel!r}{given})"]


@dataclass(frozen=True)
class UndoMigrate(Command):
    """Move a role back, and remove the relationships that nodes got when it went, and when it comes
    back.
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
    """Move a role: its old address, its new one, and the members that relationships got: (node,
    relationship, member).
    """
    before = bed.registry.copy_relationships()
    old = ", ".join(map(str, bed.registry.instances(role)))
    new = str(bed.migrate(role, to, conflicts=conflicts))
    added = []
    for node, relationships in bed.registry.relationships.items():
        for relationship, members in relationships.items():
            known = set(before.get(node, {}).get(relationship, []))
            if old in known:
                known.remove(old)
                known.add(new)
            for member in members:
                if member not in known:
                    added.append((node, relationship, member))
    return old, new, added


def restore_commands(
    bed: Testbed, names: Names, kept: Sequence[TerminatedRole]
) -> list[RestoreRole]:
    """Return the commands that restore terminated roles; as code they are the assignments."""
    found = []
    for terminated in kept:
        node, name = terminated.instance
        options, elements = terminated.given or ({}, {})
        cls = source(terminated.cls, names)
        if cls is None:
            cls = str((terminated.known or {}).get("class", "...")).rpartition(".")[2]
        assignment = Assign((node,), name, cls, _sources(options, names), _sources(elements, names))
        found.append(RestoreRole(terminated, assignment))
    return found


def _sources(values: Mapping[str, Any], names: Names) -> dict[str, str]:
    """Return expressions for values; "..." where there is none."""
    return {key: source(item, names) or "..." for key, item in values.items()}


def _patterns(members: Sequence[str]) -> list[str]:
    """Return addresses in few words: all of one role name together."""
    by_role: dict[str, list[str]] = {}
    for member in members:
        node, slash, role = member.partition("/")
        by_role.setdefault(f"{slash}{role}", []).append(node)
    return [f"{pattern(nodes)}{role}" for role, nodes in by_role.items()]


def _items(texts: Mapping[str, str], nodes: Sequence[str], *, element: bool = False) -> str:
    items = []
    for key, text in texts.items():
        items.append(f"{key!r}: {value(text, nodes, element=element)}")
    return ", ".join(items)

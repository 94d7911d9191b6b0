"""Gestures that change roles, and what nodes know of roles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from roleml_nb.role import RoleInstanceID, TestbedError, did_you_mean
from roleml_nb.testbed import Testbed
from roleml_nb.testbed.expressions import BadLine, element, evaluate, ready_names, role_classes

from .gesture import Gesture, Names, Several
from .saying import argument, pattern, source, value

__all__ = ["Assign", "Migrate", "Relate", "Restore", "Terminate", "as_given"]


@dataclass(frozen=True)
class Assign(Gesture):
    """Put a role on nodes; options and elements are expressions of the notebook, as in ``%rml assign``."""

    nodes: tuple[str, ...]
    name: str
    cls: str
    options: dict[str, str] = field(default_factory=dict)
    elements: dict[str, str] = field(default_factory=dict)

    def do(self, bed: Testbed, names: Names) -> Gesture:
        nodes, classes = list(self.nodes), role_classes(names)
        if self.cls not in classes:
            raise TestbedError(f"no role class {self.cls!r}; {did_you_mean(self.cls, classes)}")
        if not self.name.replace("-", "_").isidentifier():
            raise TestbedError(f"{self.name!r} cannot be the name of a role: letters, digits, '_' and '-', a letter first")
        replaced = [given for node in nodes if (given := as_given(bed, names, node, self.name)) is not None]
        kept = {node for given in replaced for node in given.nodes}
        try:
            known = ready_names(names)
            options = {key: evaluate(text, known, nodes) for key, text in self.options.items()}
            elements = {key: element(text, known, nodes) for key, text in self.elements.items()}
        except BadLine as error:
            raise TestbedError(str(error)) from None
        bed.assign(nodes, self.name, classes[self.cls], options=options, elements=elements)
        new = tuple(node for node in nodes if node not in kept)
        return Several((*([Terminate(new, self.name)] if new else []), *replaced))

    def lines(self) -> list[str]:
        options = ", ".join(f"{key}={text.strip()}" for key, text in self.options.items())
        elements = "".join(f" --element {key.replace('-', '_')}={argument(text)}" for key, text in self.elements.items())
        return [f"%rml assign {pattern(self.nodes)} {self.name}={self.cls}{f'({options})' if options else ''}{elements}"]

    def python(self) -> list[str]:
        parts = [repr(pattern(self.nodes)), repr(self.name), self.cls]
        if self.options:
            parts.append(f"options={{{_items(self.options, self.nodes)}}}")
        if self.elements:
            parts.append(f"elements={{{_items(self.elements, self.nodes, element=True)}}}")
        return [f"bed.assign({', '.join(parts)})"]


@dataclass(frozen=True)
class Restore(Gesture):
    """Put a role on a node as it was once given, by values rather than by expressions."""

    nodes: tuple[str, ...]
    name: str
    cls: type
    options: dict[str, Any]
    elements: dict[str, Any]
    said: Assign

    def do(self, bed: Testbed, names: Names) -> Gesture:
        replaced = [given for node in self.nodes if (given := as_given(bed, names, node, self.name)) is not None]
        bed.assign(list(self.nodes), self.name, self.cls, options=self.options, elements=self.elements)
        return Several(tuple(replaced)) if replaced else Terminate(self.nodes, self.name)

    def lines(self) -> list[str]:
        return self.said.lines()

    def python(self) -> list[str]:
        return self.said.python()


@dataclass(frozen=True)
class Terminate(Gesture):
    """Take a role off nodes. Undone, it is there again, and begins anew."""

    nodes: tuple[str, ...]
    name: str

    def do(self, bed: Testbed, names: Names) -> Gesture:
        back = [given for node in self.nodes if (given := as_given(bed, names, node, self.name)) is not None]
        bed.terminate(list(self.nodes), self.name)
        return Several(tuple(back))

    def lines(self) -> list[str]:
        return [f"%rml terminate {pattern(self.nodes)} {self.name}"]

    def python(self) -> list[str]:
        return [f"bed.terminate({pattern(self.nodes)!r}, {self.name!r})"]


@dataclass(frozen=True)
class Relate(Gesture):
    """Let nodes know roles of other nodes, or forget them."""

    nodes: tuple[str, ...]
    relationship: str
    instances: tuple[str, ...]
    remove: bool = False

    def do(self, bed: Testbed, names: Names) -> Gesture:
        if not self.relationship.replace("-", "_").isidentifier():
            raise TestbedError(f"{self.relationship!r} cannot be the name of a relationship: letters, digits, '_' and '-'")
        members = {str(item) for item in bed.roster.instances(self.instances, self.relationship)}
        changes: dict[tuple[str, ...], list[str]] = {}
        for node in self.nodes:
            known = bed.roster.relationships.get(node, {}).get(self.relationship, [])
            some = tuple(sorted(item for item in members if (item in known) is self.remove))
            if some:
                changes.setdefault(some, []).append(node)
        bed.relate(list(self.nodes), self.relationship, list(self.instances), remove=self.remove)
        return Several(tuple(Relate(tuple(nodes), self.relationship, some, not self.remove)
                             for some, nodes in changes.items()))

    def lines(self) -> list[str]:
        return [f"%rml {'unrelate' if self.remove else 'relate'} {pattern(self.nodes)} "
                f"{self.relationship}={','.join(_instances(self.instances))}"]

    def python(self) -> list[str]:
        members = _instances(self.instances)
        said = repr(members[0] if len(members) == 1 else members)
        return [f"bed.relate({pattern(self.nodes)!r}, {self.relationship!r}, {said}{', remove=True' * self.remove})"]


@dataclass(frozen=True)
class Migrate(Gesture):
    """Move a role to another node, with its state."""

    role: str
    to: str
    conflicts: str = "refuse"

    def do(self, bed: Testbed, names: Names) -> Gesture:
        old, new, added = _migrate(bed, self.role, self.to, self.conflicts)
        return Return(new, old, tuple((node, relationship, old if member == new else member)
                                      for node, relationship, member in added))

    def lines(self) -> list[str]:
        return [f"%rml migrate {self.role} {self.to}{' --keep' * (self.conflicts == 'keep')}"]

    def python(self) -> list[str]:
        more = ', conflicts="keep"' * (self.conflicts == "keep")
        return [f"bed.migrate({self.role!r}, {self.to!r}{more})"]


@dataclass(frozen=True)
class Return(Gesture):
    """Move a role back, and have nodes forget what they came to know when it went, and when it comes back."""

    role: str
    to: str
    known: tuple[tuple[str, str, str], ...]

    def do(self, bed: Testbed, names: Names) -> Gesture:
        *_, added = _migrate(bed, self.role, self.to, "keep")
        for node, relationship, member in dict.fromkeys((*self.known, *added)):
            bed.relate(node, relationship, member, remove=True)
        return Migrate(self.to, self.role)


def _migrate(bed: Testbed, role: str, to: str, conflicts: str) -> tuple[str, str, list[tuple[str, str, str]]]:
    """Move a role: its old address, its new one, and what nodes know more than before: (node, relationship, member)."""
    before = {node: {name: list(members) for name, members in relationships.items()}
              for node, relationships in bed.roster.relationships.items()}
    old = ", ".join(map(str, bed.roster.instances(role)))
    new = str(bed.migrate(role, to, conflicts=conflicts))
    added = []
    for node, relationships in bed.roster.relationships.items():
        for relationship, members in relationships.items():
            known = [new if item == old else item for item in before.get(node, {}).get(relationship, [])]
            added += [(node, relationship, member) for member in members if member not in known]
    return old, new, added


def as_given(bed: Testbed, names: Names, node: str, name: str) -> Restore | None:
    """What puts a role there again as it was assigned, if it was the notebook that did."""
    instance = RoleInstanceID(node, name)
    known = bed.versions.classes.get(instance)
    if known is None or instance not in bed.versions.given:
        return None
    options, elements = bed.versions.given[instance]
    said = Assign((node,), name, source(known, names) or known.__name__,
                  {key: source(item, names) or "..." for key, item in options.items()},
                  {key: source(item, names) or "..." for key, item in elements.items()})
    return Restore((node,), name, known, options, elements, said)


def _instances(members: Sequence[str]) -> list[str]:
    """Addresses in few words: those of one role name together."""
    by_role: dict[str, list[str]] = {}
    for member in members:
        node, slash, role = member.partition("/")
        by_role.setdefault(f"{slash}{role}", []).append(node)
    return [f"{pattern(nodes)}{role}" for role, nodes in by_role.items()]


def _items(texts: Mapping[str, str], nodes: Sequence[str], *, element: bool = False) -> str:
    return ", ".join(f"{key!r}: {value(text, nodes, element=element)}" for key, text in texts.items())

"""The forms of the board: their fields, and the arguments that a filled form stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

from roleml_nb.role import RoleInstanceID, TestbedError, did_you_mean
from roleml_nb.testbed import Testbed
from roleml_nb.testbed.operations.commands.codegen import pattern
from roleml_nb.testbed.operations.commands.requests import check_arguments

from .inspector import argument_names
from .needs import requirements
from .state import host_label

__all__ = ["Forms"]

Form = dict[str, Any]
REQUIRED_FIELDS = {
    "assign": ("nodes", "name", "cls"),
    "spawn": ("nodes",),
    "call": ("address", "channel", "arguments"),
}
"""{kind: fields}; commands check those of the other kinds."""
VARIED = (
    " Values may speak of i, n and node: the place in the selection, its size, the name; or be"
    " Each([…])."
)
Palette = Sequence[Mapping[str, Any]]


def field(key: str, label: str, **more: Any) -> dict[str, Any]:
    """Return a field; `more` may have value, hint, placeholder, required, choices and group."""
    return {"key": key, "label": label, **more}


class Forms:
    """Knows the forms of a testbed, and the values that were typed into them before.

    A form is plain data: title, about, action, fields.
    """

    def __init__(self, bed: Testbed):
        self._bed = bed
        self._typed: dict[tuple[str, str], str] = {}

    def form(self, kind: str, given: Mapping[str, Any], palette: Palette) -> Form:
        """Return the form of a kind: "assign", "spawn", "relate", "migrate", "rename" or "call".

        `given` names the objects that it is for.
        """
        if kind == "assign":
            return self._assign(palette=palette, **check_arguments(self._assign, given, "palette"))
        forms: dict[str, Callable[..., Form]] = {
            "spawn": self._spawn,
            "relate": self._relate,
            "migrate": self._migrate,
            "rename": self._rename,
            "call": self._call,
        }
        if kind not in forms:
            raise TestbedError(f"no form {kind!r}; {did_you_mean(kind, ['assign', *forms])}")
        return forms[kind](**check_arguments(forms[kind], given))

    def filled(
        self, kind: str, given: Mapping[str, Any], values: Mapping[str, str]
    ) -> dict[str, Any]:
        """Return the arguments of a command of that kind, from a filled form."""
        for need in REQUIRED_FIELDS.get(kind, ()):
            if need not in values and need not in given:
                raise TestbedError(f"{kind} needs {need}")
        if kind == "assign":
            return {
                "nodes": values["nodes"],
                "name": values["name"],
                "cls": given["cls"],
                "options": _group("option", values),
                "elements": _group("element", values),
            }
        if kind == "spawn":
            return {"nodes": values["nodes"], "on": self._host_of(values.get("on") or None)}
        return dict(values) if kind == "relate" else {**given, **values}

    def store(self, kind: str, given: Mapping[str, Any], values: Mapping[str, str]) -> None:
        """Store typed values for the next form of that kind."""
        about = str(given.get("cls") or given.get("channel"))
        for key, text in values.items():
            if ":" in key or kind == "call":
                self._typed[about, key] = text

    def _assign(self, cls: str, nodes: Sequence[str], palette: Palette) -> Form:
        entry = _entry(cls, palette)
        fields = [
            field(
                "nodes",
                "on nodes",
                value=self._pattern(nodes),
                required=True,
                hint="names or patterns",
                choices=self._bed.registry.nodes(),
            ),
            field(
                "name", "called", value=entry["name"], required=True, hint="the name of the role"
            ),
        ]
        for group in ("option", "element"):
            for parameter in entry[f"{group}s"]:
                fields.append(self._parameter_field(cls, group, parameter))
        return {
            "title": f"Put {cls} on {_count_of(nodes)}",
            "about": entry["about"] + (VARIED if len(nodes) > 1 else ""),
            "action": "Put",
            "fields": fields,
        }

    def _parameter_field(self, cls: str, group: str, parameter: Mapping[str, Any]) -> Form:
        key = f"{group}:{parameter['name']}"
        default = parameter["default"]
        return field(
            key,
            parameter["name"],
            group=f"{group.capitalize()}s",
            hint=parameter["type"],
            required=default is None,
            placeholder="an expression" if default is None else default,
            value=self._typed.get((cls, key)),
        )

    def _hosts(self) -> list[str]:
        return [host for host in self._bed.fleet.numbers if host not in self._bed.lost]

    def _host_of(self, name: str | None) -> str | None:
        """Return the host with that label, or the name itself."""
        for host in self._hosts():
            if host_label(host) == name:
                return host
        return name

    def _spawn(self) -> Form:
        hosts = self._hosts()
        fields = [field("nodes", "names", required=True, placeholder="client{1..8}")]
        if len(hosts) > 1:
            choices = list(map(host_label, hosts))
            fields.append(field("on", "on engine", placeholder="spread over all", choices=choices))
        return {
            "title": "New nodes",
            "about": "One name, or many at once: client{1..8}.",
            "action": "Make",
            "fields": fields,
        }

    def _relate(self, nodes: Sequence[str], role: str = "", instances: Sequence[str] = ()) -> Form:
        """Return the form to relate nodes to roles, with the names that the role there asks for."""
        registry = self._bed.registry
        target = instances[0].partition("/")[2] if instances else ""
        cls = self._bed.versions.classes.get(RoleInstanceID(nodes[0], role))
        asked = sorted(requirements(cls)) if cls else []
        if asked:
            about = f"{role} asks for {', '.join(asked)}."
        else:
            about = "A relationship is a name under which a node knows roles of other nodes."
        used = chain.from_iterable(registry.relationships.values())
        names = dict.fromkeys([*asked, *filter(None, [target]), *used])
        return {
            "title": f"{', '.join(nodes)} shall know",
            "action": "Relate",
            "about": about,
            "fields": [
                field(
                    "nodes",
                    "on nodes",
                    value=self._pattern(nodes),
                    required=True,
                    choices=registry.nodes(),
                ),
                field(
                    "instances",
                    "the roles",
                    value=" ".join(instances),
                    required=True,
                    hint="node/role; client*/trainer",
                    choices=self._addresses(),
                ),
                field(
                    "relationship",
                    "as",
                    value=target if target in asked or not asked else asked[0],
                    required=True,
                    hint="the relationship's name",
                    choices=list(names),
                ),
            ],
        }

    def _addresses(self) -> list[str]:
        addresses = []
        for node in self._bed.registry.nodes():
            for name in self._bed.registry.roles.get(node, {}):
                addresses.append(f"{node}/{name}")
        return addresses

    def _migrate(self, role: str) -> Form:
        return {
            "title": f"Move {role}",
            "about": "Its state goes along, and others go on calling it.",
            "action": "Move",
            "fields": [field("to", "to node", required=True, choices=self._bed.registry.nodes())],
        }

    def _rename(self, node: str) -> Form:
        return {
            "title": f"Rename {node}",
            "about": "Its roles go on with their state.",
            "action": "Rename",
            "fields": [field("name", "name", value=node, required=True)],
        }

    def _call(self, address: str, channel: str) -> Form:
        cls = self._bed.versions.classes.get(RoleInstanceID.of(address))
        arguments = argument_names(cls, channel) if cls else ""
        return {
            "title": f"Call {address} {channel}",
            "action": "Call",
            "about": f"It takes {arguments or 'no arguments'}. What a call does is not undone.",
            "fields": [
                field(
                    "arguments",
                    "arguments",
                    placeholder="name=value, …",
                    value=self._typed.get((channel, "arguments")),
                )
            ],
        }

    def _pattern(self, nodes: Sequence[str]) -> str:
        """Return a pattern that means these nodes in this order, or their names."""
        if len(nodes) > 1 and list(nodes) == self._bed.registry.nodes():
            return "*"
        short = pattern(nodes) if nodes else ""
        return short if ".." in short else " ".join(nodes)


def _entry(cls: str, palette: Palette) -> Mapping[str, Any]:
    for entry in palette:
        if entry["cls"] == cls:
            return entry
    raise TestbedError(f"there is no role class {cls!r} any more")


def _count_of(nodes: Sequence[str]) -> str:
    if len(nodes) == 1:
        return nodes[0]
    return f"{len(nodes)} nodes" if nodes else "nodes"


def _group(group: str, values: Mapping[str, str]) -> dict[str, str]:
    """Return the non-empty values of the fields ``group:name``, by name."""
    found = {}
    for key, text in values.items():
        kind, _, name = key.partition(":")
        if kind == group and ":" in key and text:
            found[name] = text
    return found

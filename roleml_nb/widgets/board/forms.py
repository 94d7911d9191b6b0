"""The forms of the board: what each asks for, and what that which was filled in stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from roleml_nb.role import RoleInstanceID, TestbedError, did_you_mean
from roleml_nb.testbed import Testbed
from roleml_nb.testbed.operations.commands.codegen import pattern
from roleml_nb.testbed.operations.commands.requests import check_arguments

from .inspector import takes
from .needs import asks
from .state import label

__all__ = ["Forms"]

Form = dict[str, Any]
FILLED = {
    "assign": ("nodes", "name", "cls"),
    "spawn": ("nodes",),
    "call": ("address", "channel", "arguments"),
}
"""{kind: what is filled in at least}; gestures know of the others."""
Palette = Sequence[Mapping[str, Any]]


def field(key: str, said: str, **more: Any) -> dict[str, Any]:
    """What a form asks for: key, label, and of value, hint, placeholder, required, choices and
    group what there is.
    """
    return {"key": key, "label": said, **more}


class Forms:
    """Knows the forms of a testbed, and what was typed into them before.

    A form is plain data: title, about, action, fields.
    """

    def __init__(self, bed: Testbed):
        self._bed = bed
        self._typed: dict[tuple[str, str], str] = {}

    def form(self, kind: str, given: Mapping[str, Any], palette: Palette) -> Form:
        """The form of that kind: "assign", "spawn", "relate", "migrate", "rename" or "call";
        `given` is what it is about.
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
        """What a gesture of that kind takes, out of what was filled in."""
        for need in FILLED.get(kind, ()):
            if need not in values and need not in given:
                raise TestbedError(f"{kind} needs {need}")
        if kind == "assign":
            parts = {
                group: {
                    key.partition(":")[2]: text
                    for key, text in values.items()
                    if key.startswith(f"{group}:") and text
                }
                for group in ("option", "element")
            }
            return {
                "nodes": values["nodes"],
                "name": values["name"],
                "cls": given["cls"],
                "options": parts["option"],
                "elements": parts["element"],
            }
        if kind == "spawn":
            on = values.get("on") or None
            return {
                "nodes": values["nodes"],
                "on": next((host for host in self._hosts() if label(host) == on), on),
            }
        return dict(values) if kind == "relate" else {**given, **values}

    def remember(self, kind: str, given: Mapping[str, Any], values: Mapping[str, str]) -> None:
        """What was typed stands in the next form of that kind."""
        about = str(given.get("cls") or given.get("channel"))
        for key, text in values.items():
            if ":" in key or kind == "call":
                self._typed[about, key] = text

    def _assign(self, cls: str, nodes: Sequence[str], palette: Palette) -> Form:
        entry = next((entry for entry in palette if entry["cls"] == cls), None)
        if entry is None:
            raise TestbedError(f"there is no role class {cls!r} any more")
        what = nodes[0] if len(nodes) == 1 else f"{len(nodes)} nodes" if nodes else "nodes"
        more = (
            ""
            if len(nodes) < 2
            else (
                " Values may speak of i, n and node: the place in the selection, its size, the"
                " name; or be Each([…])."
            )
        )
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
            for one in entry[f"{group}s"]:
                key, default = f"{group}:{one['name']}", one["default"]
                fields.append(
                    field(
                        key,
                        one["name"],
                        group=f"{group.capitalize()}s",
                        hint=one["type"],
                        required=default is None,
                        placeholder="an expression" if default is None else default,
                        value=self._typed.get((cls, key)),
                    )
                )
        return {
            "title": f"Put {cls} on {what}",
            "about": entry["about"] + more,
            "action": "Put",
            "fields": fields,
        }

    def _hosts(self) -> list[str]:
        return [host for host in self._bed.fleet.numbers if host not in self._bed.lost]

    def _spawn(self) -> Form:
        hosts = self._hosts()
        on = field(
            "on",
            "on engine",
            placeholder="spread over all",
            choices=[label(host) for host in hosts],
        )
        return {
            "title": "New nodes",
            "about": "One name, or many at once: client{1..8}.",
            "action": "Make",
            "fields": [
                field("nodes", "names", required=True, placeholder="client{1..8}"),
                *([on] if len(hosts) > 1 else []),
            ],
        }

    def _relate(self, nodes: Sequence[str], role: str = "", instances: Sequence[str] = ()) -> Form:
        """Nodes shall know roles: named by what the role there asks for, best first."""
        registry = self._bed.registry
        target = instances[0].partition("/")[2] if instances else ""
        cls = self._bed.versions.classes.get(RoleInstanceID(nodes[0], role))
        asked = sorted(asks(cls)) if cls else []
        used = [name for known in registry.relationships.values() for name in known]
        return {
            "title": f"{', '.join(nodes)} shall know",
            "action": "Relate",
            "about": (
                f"{role} asks for {', '.join(asked)}."
                if asked
                else "A relationship is a name under which a node knows roles of other nodes."
            ),
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
                    choices=[
                        f"{node}/{name}"
                        for node in registry.nodes()
                        for name in registry.roles.get(node, {})
                    ],
                ),
                field(
                    "relationship",
                    "as",
                    value=target if target in asked or not asked else asked[0],
                    required=True,
                    hint="the relationship's name",
                    choices=list(dict.fromkeys([*asked, *filter(None, [target]), *used])),
                ),
            ],
        }

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
        given = takes(cls, channel) if cls else ""
        return {
            "title": f"Call {address} {channel}",
            "action": "Call",
            "about": f"It takes {given or 'no arguments'}. What a call does is not undone.",
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
        """Few words for many nodes, which mean them in the same order."""
        if len(nodes) > 1 and list(nodes) == self._bed.registry.nodes():
            return "*"
        said = pattern(nodes) if nodes else ""
        return said if ".." in said else " ".join(nodes)

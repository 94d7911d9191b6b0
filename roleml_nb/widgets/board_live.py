"""What happens on the board: who is at work, who waits, and what went wrong, as plain data; and one role in detail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from roleml_nb.role import Role, RoleInstanceID, TestbedError
from roleml_nb.testbed import Testbed

from .needs import asks
from .saying import source

__all__ = ["inspect", "live"]

LINES = 30
"""Waiting calls, errors and lines of a log that are shown."""
RECENT = 4000
"""Messages that are looked through for those of one role."""
SHOWN = 12


def live(bed: Testbed) -> dict[str, Any]:
    """How it stands: of roles, those that are at something; the rest is ready."""
    if not bed.running:
        return {"status": {}, "work": {}, "waiting": [], "waits": 0, "errors": {}, "faults": []}
    rows, roles = bed.fleet.at_work()
    work: dict[str, list[int]] = {}
    for row in rows:
        if not row.call and not row.role.endswith("/actor"):
            work.setdefault(row.role, [0, 0])[row.state.startswith("queued")] += 1
    waiting = [f"{row.source} waits for {row.name}" for row in rows
               if row.call and not row.name.rpartition(".")[0].endswith("/actor")]
    failures = list(bed.errors)
    return {"status": {f"{node}/{name}": status for node, given in roles.items() for name, status in given.items()
                       if status != "ready"},
            "work": work, "waiting": sorted(waiting)[:LINES], "waits": len(waiting),
            "errors": dict(Counter(f"{one.node}/{one.role}" if one.role else one.node for one in failures)),
            "faults": [_failure(one) for one in failures[-LINES:]]}


def _failure(one: Any) -> dict[str, Any]:
    return {"where": f"{one.node}/{one.role}".strip("/"), "text": one.text, "traceback": one.remote_traceback}


def inspect(bed: Testbed, names: Mapping[str, Any], address: str) -> dict[str, Any]:
    """All that is known of a role, or of a node."""
    node, _, name = address.partition("/")
    if node not in bed.roster.places:
        raise TestbedError(f"there is no node {node!r} any more")
    own = {"address": address, "failures": [_failure(one) for one in bed.errors
                                            if one.node == node and (not name or one.role == name)][-3:],
           "known": bed.roster.relationships.get(node, {}), "log": _log(bed, address)}
    if not name:
        place = bed.roster.places[node]
        return {**own, "facts": [["lives on", place], *([["lost", bed.lost[place]]] if place in bed.lost else []),
                                 *([key, str(value)] for key, value in bed.roster.contexts.get(node, {}).items())]}
    if name not in bed.roster.roles.get(node, {}):
        raise TestbedError(f"there is no role {address} any more")
    instance = RoleInstanceID(node, name)
    cls, (_, version) = bed.versions.classes.get(instance), bed.versions.running.get(instance, ("", 0))
    options, elements = bed.versions.given.get(instance, ({}, {}))
    if cls is None:  # others than this notebook assigned it
        return {**own, "facts": [["class", str(bed.roster.roles[node][name]["class"])]], "messages": _messages(bed, address)}
    return {**own, "facts": [["class", cls.__name__ + (f", version {version}" if version > 1 else "")],
                             *([f"option {key}", source(item, names) or repr(item)[:80]] for key, item in options.items()),
                             *([f"element {key}", source(item, names) or repr(item)[:80]] for key, item in elements.items())],
            "channels": _channels(cls), "asks": {key: sorted(channels) for key, channels in asks(cls).items()},
            "knows": sorted(f"{other} as {relationship}" for other, known in bed.roster.relationships.items()
                            for relationship, members in known.items() if address in members),
            "messages": _messages(bed, address)}


def _channels(cls: type[Role]) -> list[dict[str, str]]:
    found = []
    for kind, table in (("service", cls.services), ("task", cls.tasks)):
        for channel, attribute in sorted(table.items()):
            handler = getattr(cls, attribute).handler
            takes = sorted(handler.names, key=lambda name, needed=handler.required: (name not in needed, name))  # type: ignore[misc]
            found.append({"kind": kind, "name": channel,
                          "takes": ", ".join(name if name in handler.required else f"{name}?" for name in takes)})
    found += [{"kind": "event", "name": channel, "takes": ""} for channel in sorted(cls.events)]
    return found + [{"kind": "hears", "name": f"{handler.channel} of {handler.relationship}", "takes": ""}
                    for handler in (getattr(cls, attribute).handler for attribute in sorted(cls.subscriptions))]


def _messages(bed: Testbed, address: str) -> list[str]:
    """The last messages that a role sent or got, newest first; those that steer it are left out."""
    columns = bed.trace.messages.columns
    kind, origin, target, channel, size, outcome = (columns.index(name) for name in
                                                    ("kind", "source", "target", "channel", "bytes", "outcome"))
    found = []
    sent = columns.index("sent")
    for row in sorted(bed.trace.messages.last(RECENT), key=lambda row: row[sent], reverse=True):  # hosts tell in turns
        if address in (row[origin], row[target]) and not (row[origin].endswith("/actor") and row[target].endswith("/actor")):
            way = f"to {row[target]}" if row[origin] == address else f"from {row[origin]}"
            said = f"{row[kind]} {row[channel]} {way}, {row[size]} B"
            found.append(said if row[outcome] in ("", "ok", "delivered") else f"{said}, {row[outcome]}")
            if len(found) == SHOWN:
                break
    return found


def _log(bed: Testbed, address: str) -> list[str]:
    return [f"{line.level}: {line.text}".rstrip() for line in bed.logs(address, tail=LINES)]

"""Beside the board: a role or a node in detail, what roles ask for and lack, errors, and who waits;
as plain data.

What is shown has a title, a hint beside it, and parts with a name each. A part has lines: a text;
`label` and `code`; a channel, with its `kind`; a need, with its `proposal`; an error, with its
`traceback`; or a `log`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from roleml_nb.role import Role, RoleInstanceID, TestbedError
from roleml_nb.testbed import Testbed
from roleml_nb.testbed.operations.commands.codegen import source

from .live import failure
from .needs import needs

__all__ = ["inspect", "shown", "takes"]

LINES = 30
"""Lines of a log that are shown."""
RECENT = 4000
"""Messages that are looked through for those of one role."""
SHOWN = 12
NEEDS = 60
FEW = 4

Line = dict[str, Any]


def shown(bed: Testbed, kind: str, live: Mapping[str, Any]) -> dict[str, Any]:
    """All "needs", "errors", or "waiting" calls, the last of which `live` knows."""
    if kind == "needs":
        found = needs(bed)
        return _page(
            "What roles ask for",
            "",
            (
                "",
                [{**_need(need), "role": need["role"]} for need in found[:NEEDS]]
                or [_text("All that roles ask for is there.")],
            ),
        )
    if kind == "errors":
        return _page("Errors that nobody waited for", "", ("", live["faults"][::-1]))
    more = live["waits"] - len(live["waiting"])
    waiting = [*(live["waiting"] or ["nobody"]), *([f"… and {more} more"] if more else [])]
    return _page("Who waits", "", ("", [_text(text) for text in waiting]))


def inspect(
    bed: Testbed, names: Mapping[str, Any], address: str, live: Mapping[str, Any]
) -> dict[str, Any]:
    """All that is known of a role ("node/role"), or of a node."""
    node, _, name = address.partition("/")
    registry = bed.registry
    if node not in registry.places:
        raise TestbedError(f"there is no node {node!r} any more")
    if name and name not in registry.roles.get(node, {}):
        raise TestbedError(f"there is no role {address} any more")
    errors = [
        failure(one) for one in bed.errors if one.node == node and (not name or one.role == name)
    ][-3:]
    knows = [
        _fact(
            relationship,
            ", ".join(
                members if len(members) <= FEW else [*members[: FEW - 1], f"… ({len(members)})"]
            ),
        )
        for relationship, members in registry.relationships.get(node, {}).items()
        if members
    ]
    log = "\n".join(f"{line.level}: {line.text}".rstrip() for line in bed.logs(address, tail=LINES))
    ends = (f"{node} knows", knows), ("Log", [{"log": log}] if log else [])
    if not name:
        place = registry.places[node]
        facts = [
            ["lives on", place],
            *([["lost", bed.lost[place]]] if place in bed.lost else []),
            *([key, str(value)] for key, value in registry.contexts.get(node, {}).items()),
        ]
        return _page(
            address,
            "node",
            ("Errors", errors),
            ("What it is", [_fact(*fact) for fact in facts]),
            *ends,
        )
    running, queued = live.get("work", {}).get(address, (0, 0))
    knowers = [
        _text(f"{other} as {relationship}")
        for other, known in sorted(registry.relationships.items())
        for relationship, members in known.items()
        if address in members
    ]
    cls = bed.versions.classes.get(RoleInstanceID(node, name))
    return _page(
        address,
        live.get("status", {}).get(address, "ready"),
        ("", [_text(f"{running} running, {queued} queued" if running or queued else "at rest")]),
        ("Lacks", [_need(need) for need in needs(bed) if need["role"] == address]),
        ("Errors", errors),
        ("What it is", _facts(bed, names, RoleInstanceID(node, name))),
        ("Channels", _channels(cls) if cls else []),
        ends[0],
        ("Known to", knowers[: 2 * FEW]),
        ("Last messages", _messages(bed, address)),
        ends[1],
    )


def _page(title: str, hint: str, *parts: tuple[str, list[Line]]) -> dict[str, Any]:
    return {
        "title": title,
        "hint": hint,
        "parts": [{"name": name, "lines": lines} for name, lines in parts if lines],
    }


def _text(text: str) -> Line:
    return {"text": text}


def _fact(label: str, code: str) -> Line:
    return {"label": label, "code": code}


def _need(need: Mapping[str, Any]) -> Line:
    """What is lacking, and what one click would do about it."""
    proposal = need["proposal"]
    if proposal is None:
        return {"text": need["why"], "proposal": None}
    known = proposal["instances"]
    whom = known[0] if len(known) == 1 else f"all {len(known)} as {proposal['relationship']}"
    return {
        "text": need["why"],
        "proposal": proposal,
        "offer": f"Let {proposal['nodes'][0]} know {whom}",
    }


def _facts(bed: Testbed, names: Mapping[str, Any], instance: RoleInstanceID) -> list[Line]:
    cls, (_, version) = (
        bed.versions.classes.get(instance),
        bed.versions.running.get(instance, ("", 0)),
    )
    if cls is None:  # others than this notebook assigned it
        return [
            _fact(
                "class",
                str(bed.registry.roles[instance.actor_name][instance.instance_name]["class"]),
            )
        ]
    options, elements = bed.versions.given.get(instance, ({}, {}))
    return [
        _fact("class", cls.__name__ + (f", version {version}" if version > 1 else "")),
        *(
            _fact(f"{kind} {key}", source(item, names) or repr(item)[:80])
            for kind, given in (("option", options), ("element", elements))
            for key, item in given.items()
        ),
    ]


def _channels(cls: type[Role]) -> list[Line]:
    found = [
        {"kind": kind, "name": channel, "takes": takes(cls, channel), "callable": True}
        for kind, table in (("service", cls.services), ("task", cls.tasks))
        for channel in sorted(table)
    ]
    found += [{"kind": "event", "name": channel} for channel in sorted(cls.events)]
    return found + [
        {"kind": "hears", "name": f"{handler.channel} of {handler.relationship}"}
        for handler in (getattr(cls, attribute).handler for attribute in sorted(cls.subscriptions))
    ]


def takes(cls: type[Role], channel: str) -> str:
    """The arguments of a service or a task, those that are needed first."""
    handler: Any = getattr(cls, {**cls.tasks, **cls.services}[channel]).handler
    named = sorted(handler.names, key=lambda name: (name not in handler.required, name))
    return ", ".join(name if name in handler.required else f"{name}?" for name in named)


def _messages(bed: Testbed, address: str) -> list[Line]:
    """The last messages that a role sent or got, newest first; those that steer it are left out."""
    columns = bed.trace.messages.columns
    kind, origin, target, channel, size, outcome, sent = (
        columns.index(name)
        for name in ("kind", "source", "target", "channel", "bytes", "outcome", "sent")
    )
    found = []
    # hosts tell in turns
    for row in sorted(bed.trace.messages.last(RECENT), key=lambda row: row[sent], reverse=True):
        if address in (row[origin], row[target]) and not (
            row[origin].endswith("/actor") and row[target].endswith("/actor")
        ):
            way = f"to {row[target]}" if row[origin] == address else f"from {row[origin]}"
            said = f"{row[kind]} {row[channel]} {way}, {row[size]:,}\N{NO-BREAK SPACE}B"
            found.append(
                _text(
                    said if row[outcome] in ("", "ok", "delivered") else f"{said}, {row[outcome]}"
                )
            )
            if len(found) == SHOWN:
                break
    return found

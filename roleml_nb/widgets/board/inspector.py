"""Beside the board: a role or a node in detail, and reports on needs, errors and waiting calls.

Pages are plain data with a title, a hint beside it, and parts with a name each. A part has lines: a
text; `label` and `code`; a channel, with its `kind`; a need, with its `proposal`; an error, with
its `traceback`; or a `log`.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from roleml_nb.role import Role, RoleInstanceID, TestbedError
from roleml_nb.testbed import Testbed
from roleml_nb.testbed.operations.commands.codegen import source

from .live import failure
from .needs import needs

__all__ = ["argument_names", "inspect", "report"]

MAX_LOG_LINES = 30
MAX_SEARCHED_MESSAGES = 4000
"""Messages of all roles that are searched for those of one role."""
MAX_MESSAGES = 12
MAX_NEEDS = 60
MAX_ERRORS = 3
MAX_MEMBERS = 4
MAX_KNOWERS = 8
MAX_SOURCE_LENGTH = 80

Line = dict[str, Any]
Part = tuple[str, list[Line]]


def report(bed: Testbed, kind: str, live: Mapping[str, Any]) -> dict[str, Any]:
    """Return the page on all "needs", "errors" or "waiting" calls; `live` is the board's status."""
    if kind == "needs":
        lines = [{**_need(need), "role": need["role"]} for need in needs(bed)[:MAX_NEEDS]]
        if not lines:
            lines = [_text("All that roles ask for is there.")]
        return _page("What roles ask for", "", ("", lines))
    if kind == "errors":
        return _page("Errors that nobody waited for", "", ("", live["faults"][::-1]))
    lines = list(map(_text, live["waiting"] or ["nobody"]))
    more = live["waits"] - len(live["waiting"])
    if more:
        lines.append(_text(f"… and {more} more"))
    return _page("Who waits", "", ("", lines))


def inspect(
    bed: Testbed, names: Mapping[str, Any], address: str, live: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the page on a role ("node/role") or a node."""
    node, _, name = address.partition("/")
    registry = bed.registry
    if node not in registry.places:
        raise TestbedError(f"there is no node {node!r} any more")
    if name and name not in registry.roles.get(node, {}):
        raise TestbedError(f"there is no role {address} any more")
    errors = ("Errors", _errors(bed, node, name))
    knows = (f"{node} knows", _relationships(bed, node))
    log = ("Log", _log(bed, address))
    if not name:
        return _page(address, "node", errors, ("What it is", _node_facts(bed, node)), knows, log)
    role = RoleInstanceID(node, name)
    cls = bed.versions.classes.get(role)
    return _page(
        address,
        live.get("status", {}).get(address, "ready"),
        ("", [_work(live, address)]),
        ("Lacks", _role_needs(bed, address)),
        errors,
        ("What it is", _role_facts(bed, names, role)),
        ("Channels", _channels(cls) if cls else []),
        knows,
        ("Known to", _knowers(bed, address)),
        ("Last messages", _messages(bed, address)),
        log,
    )


def _page(title: str, hint: str, *parts: Part) -> dict[str, Any]:
    filled = [{"name": name, "lines": lines} for name, lines in parts if lines]
    return {"title": title, "hint": hint, "parts": filled}


def _text(text: str) -> Line:
    return {"text": text}


def _fact(label: str, code: str) -> Line:
    return {"label": label, "code": code}


def _errors(bed: Testbed, node: str, name: str) -> list[Line]:
    """Return the last errors of a node, or of one role there."""
    found = []
    for error in bed.errors:
        if error.node == node and name in ("", error.role):
            found.append(failure(error))
    return found[-MAX_ERRORS:]


def _relationships(bed: Testbed, node: str) -> list[Line]:
    lines = []
    for relationship, members in bed.registry.relationships.get(node, {}).items():
        if len(members) > MAX_MEMBERS:
            members = [*members[: MAX_MEMBERS - 1], f"… ({len(members)})"]
        if members:
            lines.append(_fact(relationship, ", ".join(members)))
    return lines


def _log(bed: Testbed, address: str) -> list[Line]:
    texts = []
    for line in bed.logs(address, tail=MAX_LOG_LINES):
        texts.append(f"{line.level}: {line.text}".rstrip())
    log = "\n".join(texts)
    return [{"log": log}] if log else []


def _node_facts(bed: Testbed, node: str) -> list[Line]:
    place = bed.registry.places[node]
    facts = [_fact("lives on", place)]
    if place in bed.lost:
        facts.append(_fact("lost", bed.lost[place]))
    for key, value in bed.registry.contexts.get(node, {}).items():
        facts.append(_fact(key, str(value)))
    return facts


def _work(live: Mapping[str, Any], address: str) -> Line:
    running, queued = live.get("work", {}).get(address, (0, 0))
    return _text(f"{running} running, {queued} queued" if running or queued else "at rest")


def _role_needs(bed: Testbed, address: str) -> list[Line]:
    return [_need(need) for need in needs(bed) if need["role"] == address]


def _need(need: Mapping[str, Any]) -> Line:
    """Return a need, with the text of the button that would meet it."""
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


def _knowers(bed: Testbed, address: str) -> list[Line]:
    """Return the nodes that know a role, and the names of the relationships."""
    lines = []
    for node, known in sorted(bed.registry.relationships.items()):
        for relationship, members in known.items():
            if address in members:
                lines.append(_text(f"{node} as {relationship}"))
    return lines[:MAX_KNOWERS]


def _role_facts(bed: Testbed, names: Mapping[str, Any], role: RoleInstanceID) -> list[Line]:
    cls = bed.versions.classes.get(role)
    if cls is None:  # another notebook has assigned it
        entry = bed.registry.roles[role.actor_name][role.instance_name]
        return [_fact("class", str(entry["class"]))]
    _, version = bed.versions.running.get(role, ("", 0))
    facts = [_fact("class", cls.__name__ + (f", version {version}" if version > 1 else ""))]
    options, elements = bed.versions.given.get(role, ({}, {}))
    for kind, given in (("option", options), ("element", elements)):
        for key, value in given.items():
            code = source(value, names) or repr(value)[:MAX_SOURCE_LENGTH]
            facts.append(_fact(f"{kind} {key}", code))
    return facts


def _channels(cls: type[Role]) -> list[Line]:
    lines: list[Line] = []
    for kind, table in (("service", cls.services), ("task", cls.tasks)):
        for name in sorted(table):
            arguments = argument_names(cls, name)
            lines.append({"kind": kind, "name": name, "takes": arguments, "callable": True})
    for name in sorted(cls.events):
        lines.append({"kind": "event", "name": name})
    for attribute in sorted(cls.subscriptions):
        handler = getattr(cls, attribute).handler
        lines.append({"kind": "hears", "name": f"{handler.channel} of {handler.relationship}"})
    return lines


def argument_names(cls: type[Role], channel: str) -> str:
    """Return the arguments of a service or a task, required ones first, others with a "?"."""
    handler: Any = getattr(cls, {**cls.tasks, **cls.services}[channel]).handler
    required = sorted(handler.required)
    optional = sorted(set(handler.names).difference(required))
    return ", ".join([*required, *(f"{name}?" for name in optional)])


def _messages(bed: Testbed, address: str) -> list[Line]:
    """Return the last messages that a role sent or got, newest first, without control messages."""
    messages = bed.trace.messages
    place = messages.columns.index
    names = ("kind", "source", "target", "channel", "bytes", "outcome")
    fields = itemgetter(*map(place, names))
    rows = sorted(messages.last(MAX_SEARCHED_MESSAGES), key=itemgetter(place("sent")))
    lines: list[Line] = []
    for row in reversed(rows):
        kind, source, target, channel, size, outcome = fields(row)
        is_steering = source.endswith("/actor") and target.endswith("/actor")
        if address not in (source, target) or is_steering:
            continue
        way = f"to {target}" if source == address else f"from {source}"
        text = f"{kind} {channel} {way}, {size:,}\N{NO-BREAK SPACE}B"
        lines.append(_text(text if outcome in ("", "ok", "delivered") else f"{text}, {outcome}"))
        if len(lines) == MAX_MESSAGES:
            break
    return lines

"""Trace records of messages.

A host records little of each message while it travels; the rest is done for many at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from roleml_nb.role.checks.names import valid_text

__all__ = ["InternedNames", "columns"]

MAX_NAMES = 50_000
"""Names that are remembered at once."""


class InternedNames(dict):
    """Names of roles, ``node/role``, by their parts, and texts by themselves.

    Equal names are the same object, so that many of them take little memory. Characters that no
    file takes are replaced (see `valid_text`). With more than `MAX_NAMES` all are discarded.
    """

    def __missing__(self, key: str | tuple[str, ...]) -> str:
        if len(self) >= MAX_NAMES:
            self.clear()
        name = self[key] = valid_text(key if isinstance(key, str) else "/".join(key))
        return name


def columns(records: Iterable[tuple], names: InternedNames) -> list[Sequence]:
    """Return the columns of a trace: call, kind, source, target, channel, bytes, link, sent,
    received, outcome, origin.

    `records` are the router's: (envelope, target, call, bytes, link, received, outcome).
    """
    envelopes, targets, calls, sizes, links, received, outcomes = zip(*records, strict=True)
    return [
        calls,
        [names[envelope.kind] for envelope in envelopes],
        [names[envelope.source] for envelope in envelopes],
        [names[target[:2]] for target in targets],
        [names[envelope.channel] for envelope in envelopes],
        sizes,
        links,
        [envelope.sent for envelope in envelopes],
        received,
        [names[outcome] for outcome in outcomes],
        [names[envelope.call_site] for envelope in envelopes],
    ]

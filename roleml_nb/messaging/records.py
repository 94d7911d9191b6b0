"""What hosts note of messages: little at once, as it happens for each of them; the rest when many
are read together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from roleml_nb.role.checks.names import valid_text

__all__ = ["Names", "columns"]

KNOWN = 50_000
"""Names that are remembered at once."""


class Names(dict):
    """Names of roles, ``node/role``, by their parts, and texts by themselves: always the same
    object, so that many are small.

    What no file takes is replaced (see `valid_text`). Of more than `KNOWN` all are forgotten.
    """

    def __missing__(self, key: str | tuple[str, ...]) -> str:
        if len(self) >= KNOWN:
            self.clear()
        name = self[key] = valid_text(key if isinstance(key, str) else "/".join(key))
        return name


def columns(notes: Iterable[tuple], names: Names) -> list[Sequence]:
    """Columns of a trace: call, kind, source, target, channel, bytes, link, sent, received,
    outcome, origin.

    `notes` are as the router makes them: (target with the call's number, kind, source, channel,
    bytes, link, sent, received, outcome, origin).
    """
    targets, kinds, sources, channels, *sizes_to_times, outcomes, origins = zip(*notes, strict=True)
    return [
        [target[2] for target in targets],
        [names[kind] for kind in kinds],
        [names[source] for source in sources],
        [names[target[:2]] for target in targets],
        [names[channel] for channel in channels],
        *sizes_to_times,
        [names[outcome] for outcome in outcomes],
        [names[origin] for origin in origins],
    ]

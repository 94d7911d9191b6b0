"""Contributions: whose models went into which, with what weight and age, and what became of the others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from .tables import Table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CONTRIBUTIONS", "Contribution", "Contributions", "contributions"]

CONTRIBUTIONS = "contributions"
"""The event in whose args an aggregator says it: {"weight": {who: share}, "age": {who: number}, "late": {who: 1}, …}."""

OUTCOMES = ("late", "dropped", "failed", "busy")


class Contribution(NamedTuple):
    """One model, or one that did not come."""

    sent: float
    """When models were put together, in seconds since the epoch."""
    target: str
    """The role that did it: node/role."""
    step: int
    """Its how-manieth time, from 1."""
    source: str
    """Whose model: node/role."""
    weight: float | None
    """By how much it counts in the result, by the algorithm's own rule; None when it does not."""
    age: float | None
    """Of gossip, trainings that it has seen; else, rounds, or versions of the model, that it is late."""
    outcome: str
    """arrived, stale, late, dropped, failed or busy."""


def contributions(rows: Iterable[tuple]) -> list[Contribution]:
    """Contributions out of rows as of the table of metrics."""
    events: dict[tuple, dict[str, dict[str, float]]] = {}
    for sent, node, role, _, metric, value, step in rows:
        name, _, source = metric.partition(".")
        if source:
            events.setdefault((sent, f"{node}/{role}", int(step)), {}).setdefault(source, {})[name] = value
    found = []
    for (sent, target, step), sources in events.items():
        for source, told in sources.items():
            if "weight" in told:
                age, outcome = told.get("age", told.get("stale")), "stale" if told.get("stale") else "arrived"
                found.append(Contribution(sent, target, step, source, told["weight"], age, outcome))
            found += [Contribution(sent, target, step, source, None, None, outcome) for outcome in OUTCOMES if outcome in told]
    return found


class Contributions(Table):
    """Whose models went into which."""

    columns = ("sent", "node", "role", "channel", "metric", "value", "step")

    def to_pandas(self) -> pd.DataFrame:
        """One row per contribution, by time. Columns: time (seconds since the start), and those of `Contribution` but `sent`."""
        import pandas as pd

        self._refresh()
        with self._lock:
            rows = list(self.rows)
        frame = pd.DataFrame(contributions(rows), columns=list(Contribution._fields))
        frame = frame.sort_values("sent", kind="stable", ignore_index=True)
        frame.insert(0, "time", frame.pop("sent") - self._start)
        return frame

    def __repr__(self) -> str:
        return f"<Contributions: {len(self)} numbers; .to_pandas()>"

"""Contributions: models that went into an aggregate, with weight and age, or were left out."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from .metrics import Numbers

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CONTRIBUTIONS", "Contribution", "Contributions", "contributions", "is_contribution"]

CONTRIBUTIONS = "contributions"
"""The event in whose args an aggregator reports them: {"weight": {source: share}, "age":
{source: number}, "late": {source: 1}, …}.
"""

OUTCOMES = ("late", "dropped", "failed", "busy")
METRICS = frozenset(("weight", "age", "stale", *OUTCOMES))


class Contribution(NamedTuple):
    """One model, or one that did not come."""

    sent: float
    """When models were aggregated, in seconds since the epoch."""
    target: str
    """The role that aggregated: node/role."""
    step: int
    """The number of its aggregation, from 1."""
    source: str
    """The role whose model it is: node/role."""
    weight: float | None
    """The model's share of the result, by the algorithm's own rule; None when it has none."""
    age: float | None
    """Of gossip, trainings that it has seen; else, rounds, or versions of the model, that it is
    late.
    """
    outcome: str
    """arrived, stale, late, dropped, failed or busy."""


def contributions(rows: Iterable[tuple]) -> list[Contribution]:
    """Collect contributions from rows of the table of metrics."""
    events: dict[tuple, dict[str, dict[str, float]]] = {}
    for sent, node, role, _, metric, value, step in rows:
        name, _, source = metric.partition(".")
        if source:
            sources = events.setdefault((sent, f"{node}/{role}", int(step)), {})
            sources.setdefault(source, {})[name] = value
    found = []
    for (sent, target, step), sources in events.items():
        for source, given in sources.items():
            if "weight" in given:
                age = given.get("age", given.get("stale"))
                outcome = "stale" if given.get("stale") else "arrived"
                found.append(
                    Contribution(sent, target, step, source, given["weight"], age, outcome)
                )
            for outcome in OUTCOMES:
                if outcome in given:
                    found.append(Contribution(sent, target, step, source, None, None, outcome))
    return found


def is_contribution(channel: str, metric: str) -> bool:
    """Return True for a number that belongs to a contribution."""
    name, _, source = metric.partition(".")
    return channel == CONTRIBUTIONS and bool(source) and name in METRICS


class Contributions(Numbers):
    """The models that went into each aggregate."""

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per contribution, by time, and warn when some are no longer here.

        Columns: time (seconds since the start), and those of `Contribution` but `sent`.
        """
        import pandas as pd

        self._refresh()
        if self.gone:
            warnings.warn(self.describe_gone(), stacklevel=2)
        frame = pd.DataFrame(self.all(), columns=list(Contribution._fields))
        frame.insert(0, "time", frame.pop("sent") - self._start)
        return frame

    def all(self) -> list[Contribution]:
        """Return the contributions that are here, by time, without asking the hosts for more."""
        return contributions(self.new_rows({}))

    def __repr__(self) -> str:
        gone = f" ({text})" if (text := self.describe_gone()) else ""
        return f"<Contributions: {len(self)} numbers{gone}; .to_pandas()>"

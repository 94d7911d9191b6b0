"""What a role that puts models together says of it: whose they were, by how much each counts, and
who is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["emit_contributions"]


def emit_contributions(
    event: Any,
    weights: Iterable[tuple[Any, float]],
    *,
    ages: Mapping[Any, float] | None = None,
    stale: Iterable[tuple[Any, int]] = (),
    **missing: Iterable[Any],
) -> None:
    """Emit a role's ``contributions``, of which the trace has a table.

    Parameters
    ----------
    event : Event
        The channel of the role that put models together.
    weights : iterable of (RoleInstanceID or "node/role", float)
        By how much the model of each counts in the result. Of one that is named twice, the weights
        are added.
    ages : mapping, optional
        Trainings that a model has seen.
    stale : iterable of (who, int)
        Rounds, or versions of the model, that a result was late; what is 0 is left out. Of one
        named twice, the most.
    **missing
        Whose models were not taken in, under "late", "dropped", "failed" or "busy".
    """
    shares: dict[str, float] = {}
    for who, weight in weights:
        shares[str(who)] = shares.get(str(who), 0.0) + weight
    contributions: dict[str, dict[str, float]] = {"weight": shares}
    if ages is not None:
        contributions["age"] = {str(who): age for who, age in ages.items()}
    for who, rounds in stale:
        if rounds:
            late = contributions.setdefault("stale", {})
            late[str(who)] = max(rounds, late.get(str(who), 0))
    contributions.update({name: {str(who): 1 for who in group} for name, group in missing.items()})
    event.emit(args=contributions)

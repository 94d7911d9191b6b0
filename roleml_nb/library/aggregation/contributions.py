"""The event in which an aggregating role reports the models that it used, and their weights."""

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
    """Emit a role's ``contributions``, which the trace shows as a table.

    Parameters
    ----------
    event : Event
        The channel of the aggregating role.
    weights : iterable of (RoleInstanceID or "node/role", float)
        The weight of each model in the result; weights of one role that is named twice are added.
    ages : mapping, optional
        The number of trainings that each model has seen.
    stale : iterable of (who, int)
        Rounds, or versions of the model, by which a result was late. Zeros are left out; of one
        role that is named twice, the larger number counts.
    **missing
        Roles whose models were not used, under "late", "dropped", "failed" or "busy".
    """
    shares: dict[str, float] = {}
    for who, weight in weights:
        shares[str(who)] = shares.get(str(who), 0.0) + weight
    contributions: dict[str, dict[str, float]] = {"weight": shares}
    if ages is not None:
        contributions["age"] = dict(zip(map(str, ages), ages.values(), strict=True))
    for who, rounds in stale:
        if rounds:
            late = contributions.setdefault("stale", {})
            late[str(who)] = max(rounds, late.get(str(who), 0))
    for name, group in missing.items():
        contributions[name] = dict.fromkeys(map(str, group), 1)
    event.emit(args=contributions)

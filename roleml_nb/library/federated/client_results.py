"""Results of clients: made of their answers, checked, and moved to the server's present model."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any

from roleml_nb.library.aggregation.state_dicts import add_step, difference, subset
from roleml_nb.library.training.finite import Diverged, check_finite
from roleml_nb.role import Role, RoleInstanceID, RoleInteractionError
from roleml_nb.role.parameters import STEPPED, entries, like

from .rounds import Outcome, Quorum
from .strategies import ClientResult

__all__ = ["client_result", "drop_diverged", "rebase_update"]

ROUND_FIELDS = {"client", "staleness", "seconds", "inclusion"}
"""Fields of a `ClientResult` that the server knows; the client's answer has the others."""
RESULT_FIELDS = {field.name for field in fields(ClientResult)} - ROUND_FIELDS


def client_result(
    client: RoleInstanceID,
    answer: Mapping[str, Any],
    staleness: int,
    seconds: float,
    inclusion: float,
) -> ClientResult:
    """Return the result of a client whose ``train2`` returned `answer`."""
    known = {name: answer[name] for name in RESULT_FIELDS if name in answer}
    return ClientResult(client, staleness=staleness, seconds=seconds, inclusion=inclusion, **known)


def drop_diverged(role: Role, outcome: Outcome, quorum: Quorum) -> None:
    """Move results whose models have diverged to the failures of `outcome`.

    Raises
    ------
    RoleInteractionError
        When too few results are left for the quorum.
    """
    results = outcome.results
    outcome.results = []
    for result in results:
        client, answer, training, _ = result
        try:
            check_finite(client, answer.get("update", answer), training.update)
        except Diverged as error:
            role.logger.warning("%s is left out: %s", client, error)
            outcome.failed[client] = error
        else:
            outcome.results.append(result)
    if len(outcome.results) < min(quorum.least, len(results)):
        first = next(iter(outcome.failed.values()))
        raise RoleInteractionError(
            f"{len(outcome.results)} results are left of the {quorum.least} that the round"
            f" needs; the first error: {first}"
        ) from first


def rebase_update(
    update: Mapping[str, Any],
    base: Mapping[str, Any],
    onto: Mapping[str, Any],
    untrained: Collection[str],
) -> dict[str, Any]:
    """Return `update` with its step from `base` made from `onto` instead."""
    names = [name for name in entries(STEPPED, update) if name not in untrained]
    step = difference(update, base, names)
    return like({**update, **add_step(subset(onto, names), step)}, update)

"""Many failures, told once."""

from __future__ import annotations

from typing import Any

from roleml_nb.role import HandlerError, RoleInstanceID, RoleMLError, TestbedError

__all__ = ["raise_combined"]

MAX_NAMES = 4
"""Nodes that the note names."""


def raise_combined(results: list[tuple[RoleInstanceID, Any]], what: str, others: int = 0) -> None:
    """Raise the first failure among `results`, with the nodes of equal failures, and the number of
    nodes still at work.
    """
    nodes, errors = [], []
    for target, result in results:
        if isinstance(result, Exception):
            nodes.append(target.actor_name)
            errors.append(result)
    if not errors:
        return
    first = errors[0]
    notes = []
    if len(errors) > 1:
        names = ", ".join([*nodes[:MAX_NAMES], *["…"] * (len(nodes) > MAX_NAMES)])
        same = len(set(map(_kind, errors))) == 1
        notes.append(
            f"same on {len(errors)} nodes: {names}"
            if same
            else f"{len(errors)} nodes failed: {names}"
        )
    if others:
        notes.append(
            f"{others} {'others are' if others > 1 else 'other is'} still at work: end that with"
            " bed.stop_run() or %rml stop --run"
        )
    if not notes:
        raise first
    note = f" ({'; '.join(notes)})"
    if isinstance(first, HandlerError):
        raise HandlerError(first.args[0] + note, first.where, first.remote_traceback)
    if isinstance(first, RoleMLError):
        raise _again(first, f"{first}{note}")
    raise TestbedError(f"{what}: {first}{note}")


def _again(error: RoleMLError, text: str) -> RoleMLError:
    try:
        return type(error)(text)
    except TypeError:  # a class of the user's that asks for more than a text
        return RoleMLError(text)


def _kind(error: Exception) -> tuple[str, ...]:
    """Return the class of an error, and the places in the code where it was raised."""
    if isinstance(error, HandlerError):
        lines = error.remote_traceback.splitlines()
        places = [line for line in lines if line.startswith("  File ")]
        return error.where.get("error", ""), *places
    return (type(error).__name__,)

"""Many failures, told once."""

from __future__ import annotations

from typing import Any

from roleml_nb.role import HandlerError, RoleInstanceID, RoleMLError, TestbedError

__all__ = ["raise_combined"]


def raise_combined(results: list[tuple[RoleInstanceID, Any]], what: str, others: int = 0) -> None:
    """Raise the first failure among `results`, saying on which nodes the same happened, and how
    many are still at work.
    """
    failed = [
        (target.actor_name, result) for target, result in results if isinstance(result, Exception)
    ]
    if not failed:
        return
    first = failed[0][1]
    notes = []
    if len(failed) > 1:
        names = ", ".join(name for name, _ in failed[:4]) + (", …" if len(failed) > 4 else "")
        same = {_kind(error) for _, error in failed}
        notes.append(
            f"same on {len(failed)} nodes: {names}"
            if len(same) == 1
            else f"{len(failed)} nodes failed: {names}"
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
    raise (
        _again(first, f"{first}{note}")
        if isinstance(first, RoleMLError)
        else TestbedError(f"{what}: {first}{note}")
    )


def _again(error: RoleMLError, text: str) -> RoleMLError:
    try:
        return type(error)(text)
    except TypeError:  # a class of the user's that asks for more than a text
        return RoleMLError(text)


def _kind(error: Exception) -> tuple[str, ...]:
    """Return the class of an error, and the places in the code where it was raised."""
    if isinstance(error, HandlerError):
        places = [
            line for line in error.remote_traceback.splitlines() if line.startswith("  File ")
        ]
        return error.where.get("error", ""), *places
    return (type(error).__name__,)

"""From an exception in a handler to an error that tells the caller everything."""

from __future__ import annotations

import traceback
from pathlib import Path
from types import TracebackType

from roleml_nb.role import (
    CallCancelled,
    CallerError,
    ChannelNotFoundError,
    Deadlock,
    HandlerError,
    NoSuchRoleError,
    RoleInstanceID,
    RoleMLError,
    RunStopped,
    StatusError,
)
from roleml_nb.role.checks.visible import visible
from roleml_nb.role.errors import ModuleError

__all__ = ["describe", "own_frames", "remote"]

_PLUMBING = tuple(
    str(Path(__file__).parent.parent / room)
    for room in ("actor", "host", "messaging", "role", "testbed")
)


_CALLERS_FAULT = (CallerError, ChannelNotFoundError, NoSuchRoleError, StatusError, ModuleError)


def describe(error: BaseException, role: RoleInstanceID, channel: str, engine: str) -> Exception:
    """Return the error to send to the caller of ``role.channel``.

    A fault of the caller is sent as it is; any other error becomes a HandlerError that names the
    place. An error that the handler itself got from another role keeps that role's
    traceback, and names both.
    """
    if isinstance(error, (CallCancelled, Deadlock, RunStopped)):
        return error  # as it is for everyone whom it concerns
    came_from_elsewhere = getattr(error, "_is_remote", False)
    if isinstance(error, _CALLERS_FAULT) and not came_from_elsewhere:
        return _again(error, f"{role}.{channel}: {_text(error)}")
    where = {
        "node": role.actor_name,
        "role": role.instance_name,
        "channel": channel,
        "engine": engine,
        "error": type(error).__name__,
        **({"kept": error.kept} if hasattr(error, "kept") else {}),
    }
    place = f"{role}.{channel} failed on {engine}"
    if isinstance(error, HandlerError):
        return HandlerError(
            f"{place}: {error.args[0]}", {**error.where, "via": str(role)}, error.remote_traceback
        )
    text = visible("".join(_traceback(error).format()))
    return HandlerError(f"{place}: {type(error).__name__}: {_text(error)}", where, text)


def _traceback(error: BaseException) -> traceback.TracebackException:
    """Return the traceback from the handler's first line; to its last one if the error is one that
    we raise on purpose.
    """
    shown = traceback.TracebackException(type(error), error, own_frames(error.__traceback__))
    last_own = 0
    for number, frame in enumerate(shown.stack, 1):
        if not frame.filename.startswith(_PLUMBING):
            last_own = number
    if isinstance(error, RoleMLError) and last_own:
        del shown.stack[last_own:]
    return shown


def _text(error: BaseException) -> str:
    try:
        return visible(str(error))
    except Exception as fault:  # a __str__ of the user's that fails must not cost the answer
        return f"(its text cannot be had: {type(fault).__name__})"


def _again(error: Exception, text: str) -> Exception:
    """Return an error of the same class with another text; of the nearest of ours where the class
    needs more than a text.
    """
    try:
        return type(error)(text)
    except TypeError:
        return next(cls for cls in _CALLERS_FAULT if isinstance(error, cls))(text)


def remote(error: Exception) -> Exception:
    """Mark an error as received from another role."""
    error._is_remote = True  # type: ignore[attr-defined]
    return error


def own_frames(frames: TracebackType | None) -> TracebackType | None:
    """Skip the plumbing above the handler's first line; keep all when there is nothing else."""
    own = frames
    while own is not None and own.tb_frame.f_code.co_filename.startswith(_PLUMBING):
        own = own.tb_next
    return own or frames

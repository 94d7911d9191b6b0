"""Every error that roleml_nb raises, under one root.

In brackets: the built-in class that an error is as well. After a dash: the room of an error that is
defined elsewhere.

    RoleMLError
        ArgumentError [ValueError]
            ArgumentTypeError [TypeError]
        CourseError - course
            NotYet - course
        ElementError [RuntimeError]
        FilteredOut
        RecordingError - trace
        RoleDefinitionError [TypeError]
        RoleInteractionError
            ActorNotFoundError
            CallCancelled
            CallerError
                NoSuchRoleError [RuntimeError]
            ChannelNotFoundError
                NoSuchEventError
            Deadlock
            Diverged - library
            EntriesDiffer - library
            HandlerError
            InternalError
            LinkFailed
            MergingFailedError
            NodeLost
            RunStopped
            SerializationError [TypeError]
                ModuleError
            StatusError [ValueError]
            TaskResultTimeoutError [TimeoutError]
                CallTimeout
                MergerTimeoutError
        RoleMoved
        TestbedError
            CheckpointError - testbed
            ConfigError - spec
                Untrusted - spec

A magic that is misused raises IPython's UsageError instead, which is shown without a traceback.
"""

from __future__ import annotations

import builtins
import re

__all__ = [
    "GONE",
    "ActorNotFoundError",
    "ArgumentError",
    "ArgumentTypeError",
    "CallCancelled",
    "CallTimeout",
    "CallerError",
    "ChannelNotFoundError",
    "Deadlock",
    "ElementError",
    "HandlerError",
    "InternalError",
    "LinkFailed",
    "ModuleError",
    "NoSuchEventError",
    "NoSuchRoleError",
    "NodeLost",
    "RoleDefinitionError",
    "RoleInteractionError",
    "RoleMLError",
    "RoleMoved",
    "RunStopped",
    "SerializationError",
    "StatusError",
    "TaskResultTimeoutError",
    "TestbedError",
]


class RoleMLError(Exception):
    """Root of all errors of roleml_nb."""


class ArgumentError(RoleMLError, ValueError):
    """An argument of a function or class has a value that is not allowed; nothing was changed."""


class ArgumentTypeError(ArgumentError, TypeError):
    """An argument of a function or class has a type that is not allowed; nothing was changed."""


class RoleDefinitionError(RoleMLError, TypeError):
    """A role class is not well formed; raised where the class is defined."""


class TestbedError(RoleMLError):
    """The testbed cannot carry out a request; nothing was changed."""

    __test__ = False


class RoleInteractionError(RoleMLError):
    """An interaction between two roles failed: every error that a call raises is one."""


class StatusError(RoleInteractionError, ValueError):
    """The role's status does not allow the operation."""


class ElementError(RoleMLError, RuntimeError):
    """An element is not implemented, has the wrong type, or could not be built."""


class ActorNotFoundError(RoleInteractionError):
    """No actor has that name."""


class RoleMoved(RoleMLError):
    """The role is on another node now.

    Callers never see it: their calls follow the role to `to`.
    """

    def __init__(self, message: str, to: tuple[str, str] = ("", "")):
        super().__init__(message)
        self.to = to

    def __reduce__(self):
        return type(self), (self.args[0], self.to)


class LinkFailed(RoleInteractionError):
    """The link to a host could not be opened, or is closed."""


class CallerError(RoleInteractionError):
    """The caller broke the channel's contract.

    Wrong arguments, a caller that is not allowed, or a condition of ``require`` that does not hold.
    """


class NoSuchRoleError(CallerError, RuntimeError):
    """The actor has no role of that name."""


class ChannelNotFoundError(RoleInteractionError):
    """The role has no such channel."""


class NoSuchEventError(ChannelNotFoundError):
    """The role emits no such event."""


class SerializationError(RoleInteractionError, TypeError):
    """A value cannot be sent, or not be read where it arrives; the message names the entry."""


class ModuleError(SerializationError):
    """A module of the user cannot be executed on the node that a message arrives at.

    Or that node's version of the module lacks a name that the message refers to.
    """


class InternalError(RoleInteractionError):
    """roleml_nb itself has a fault."""


class NodeLost(RoleInteractionError):
    """The other node died, or was removed, before it answered."""


class Deadlock(RoleInteractionError):
    """Calls wait for each other in a circle; the message names all of them.

    Each of these calls ends with this error.
    """


class RunStopped(RoleInteractionError):
    """``bed.stop_run()`` ended the handler."""


class CallCancelled(RoleInteractionError):
    """The caller cancelled the call: it was not begun, or made no more calls."""


class TaskResultTimeoutError(RoleInteractionError, TimeoutError):
    """The result did not come within the caller's timeout."""


class CallTimeout(TaskResultTimeoutError):
    """A call was not answered in time; the message names the answers that are missing."""


class HandlerError(RoleInteractionError):
    """A handler raised an exception.

    Parameters
    ----------
    message
        One line with the place and the exception.
    where
        ``node``, ``role``, ``channel``, ``engine`` of the handler, and ``error``, the exception's
        type name.
    remote_traceback
        The traceback as text, from the handler's first line on, with the lines of notebook cells.
        Also the error's note.
    """

    def __init__(
        self, message: str, where: dict[str, str] | None = None, remote_traceback: str = ""
    ):
        super().__init__(message)
        self.where = dict(where or {})
        self.remote_traceback = remote_traceback
        if remote_traceback:
            self.add_note(remote_traceback.rstrip())  # printed where Python itself prints errors

    def __reduce__(self):
        return type(self), (self.args[0], self.where, self.remote_traceback)

    def _render_traceback_(self) -> list[str]:
        """Return the lines that IPython shows: the message and the remote traceback.

        The frames on this side, which merely waited for the answer, are left out.
        """
        return [
            f"{type(self).__name__}: {self.args[0]}",
            *in_cells(self.remote_traceback).rstrip().splitlines(),
        ]


def cell_name(filename: str) -> str | None:
    """Return ``Cell In[3]`` for the file of a cell of this IPython; None for any other file."""
    shell = getattr(builtins, "get_ipython", lambda: None)()
    name_of = getattr(getattr(shell, "compile", None), "format_code_name", lambda filename: None)
    cell = name_of(filename)
    return f"{cell[0]} {cell[1]}" if cell else None


def in_cells(text: str) -> str:
    """Replace the files of this IPython's cells in a traceback: ``Cell In[3], line 2``."""

    def name(found: re.Match[str]) -> str:
        return cell_name(found[1]) or found[0]

    return re.sub(r'(?m)(?<=^  )File "([^"\n]+)"', name, text)


GONE = (NodeLost, NoSuchRoleError, ActorNotFoundError)
"""Errors of a call whose callee, or whose callee's node, no longer exists."""

"""Every error that roleml_nb raises, under one root."""

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
    """An argument of a function or class is of a type that is not allowed; nothing was changed."""


class RoleDefinitionError(RoleMLError, TypeError):
    """A role class is not well formed; raised where the class is defined."""


class TestbedError(RoleMLError):
    """The testbed was asked for something that it cannot do; nothing was changed."""

    __test__ = False


class RoleInteractionError(RoleMLError):
    """An interaction between two roles did not succeed: whatever a call raises is one."""


class StatusError(RoleInteractionError, ValueError):
    """The role is not in a status that allows what was asked."""


class ElementError(RoleMLError, RuntimeError):
    """An element is not implemented, of the wrong type, or could not be built."""


class ActorNotFoundError(RoleInteractionError):
    """No actor of that name is known."""


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
    """No link to a host could be made, or the link is closed."""


class CallerError(RoleInteractionError):
    """The caller broke the contract of the channel (wrong arguments, not allowed, ``require`` not
    met).
    """


class NoSuchRoleError(CallerError, RuntimeError):
    """The actor has no role of that name."""


class ChannelNotFoundError(RoleInteractionError):
    """The role has no such channel."""


class NoSuchEventError(ChannelNotFoundError):
    """The role emits no such event."""


class SerializationError(RoleInteractionError, TypeError):
    """Something cannot be sent, or cannot be read where it arrives; the message names the entry."""


class ModuleError(SerializationError):
    """A module of the user's own cannot be executed where a message needs it, or lacks there what
    the message asks for.
    """


class InternalError(RoleInteractionError):
    """A fault of roleml_nb itself."""


class NodeLost(RoleInteractionError):
    """The other side died, or left, before it answered."""


class Deadlock(RoleInteractionError):
    """Calls that wait for each other in a circle; the message has the names of all.

    Each of them ends with it.
    """


class RunStopped(RoleInteractionError):
    """The handler was ended by ``bed.stop_run()``."""


class CallCancelled(RoleInteractionError):
    """The caller has cancelled the call: it was not begun, or made no more calls."""


class TaskResultTimeoutError(RoleInteractionError, TimeoutError):
    """No result within the time that the caller was ready to wait."""


class CallTimeout(TaskResultTimeoutError):
    """A call was not answered in time; the message says what was waited for."""


class HandlerError(RoleInteractionError):
    """A handler raised an exception.

    Parameters
    ----------
    message
        One line: where it happened, and the exception.
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
            self.add_note(remote_traceback.rstrip())  # shown where Python itself shows the error

    def __reduce__(self):
        return type(self), (self.args[0], self.where, self.remote_traceback)

    def _render_traceback_(self) -> list[str]:
        """What IPython shows: where it happened, and the remote traceback, not the frames that
        merely waited for it.
        """
        return [
            f"{type(self).__name__}: {self.args[0]}",
            *in_cells(self.remote_traceback).rstrip().splitlines(),
        ]


def cell_name(filename: str) -> str | None:
    """``Cell In[3]`` for the file of a cell of this IPython; None for any other."""
    shell = getattr(builtins, "get_ipython", lambda: None)()
    name_of = getattr(getattr(shell, "compile", None), "format_code_name", lambda filename: None)
    cell = name_of(filename)
    return f"{cell[0]} {cell[1]}" if cell else None


def in_cells(text: str) -> str:
    """A traceback whose files that are cells of this IPython are called by their numbers: ``Cell
    In[3], line 2``.
    """

    def name(found: re.Match[str]) -> str:
        return cell_name(found[1]) or found[0]

    return re.sub(r'(?m)(?<=^  )File "([^"\n]+)"', name, text)


GONE = (NodeLost, NoSuchRoleError, ActorNotFoundError)
"""Errors of a call whose callee, or its node, is not there any more."""

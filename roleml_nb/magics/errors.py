"""The error that a refused line raises."""

from __future__ import annotations

from IPython.core import error

from roleml_nb.role.checks.visible import visible

__all__ = ["UsageError"]


class UsageError(error.UsageError):
    """A line or cell of a magic is refused: its text is all that is shown.

    IPython prints its own `UsageError` and sends no error message, so programs that run
    notebooks, such as ``pytest --nbval-lax``, take the cell for one that has worked. It makes
    that exception for the class itself, and for none that is derived.
    """

    __context__ = None
    """Hides the refused arguments: IPython sends no error with an `ExceptionGroup` behind it."""

    def __init__(self, message: str):
        super().__init__(visible(message))

    def _render_traceback_(self) -> list[str]:
        return [f"UsageError: {self}"]

"""Origins: where in the code messages are sent."""

from __future__ import annotations

import sys
from pathlib import Path
from types import CodeType

__all__ = ["Origins"]

PACKAGE = Path(__file__).resolve().parents[1]
ROOMS = tuple(f"{PACKAGE / room}/" for room in ("actor", "host", "messaging", "role", "testbed"))
"""The code that carries messages; where they come from lies outside of it."""
STEPS = 5
"""Frames between whoever calls another role, or emits, and `Origins.here`.

Exact where `Role` is called directly; else it is looked further up.
"""
KNOWN = 10_000
"""Places that are remembered at once; each keeps its code alive."""


class Origins:
    """Finds them with 0.2 µs of the sender's time. Thread-safe."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], tuple[str, CodeType]] = {}

    def here(self) -> str:
        """``module:line`` of the nearest code that does not carry messages; ``file:line`` in a
        notebook's cell or a script.

        Empty when there is none, as for what a node sends by itself. Equal ones are the same
        object.
        """
        try:
            frame = sys._getframe(STEPS)
        except ValueError:
            return ""
        while frame is not None:
            code = frame.f_code
            found = self._known.get((id(code), frame.f_lasti))
            if found is not None:
                return found[0]
            if not code.co_filename.startswith(ROOMS):
                module = frame.f_globals.get("__name__", "__main__")
                return self._remember(
                    code,
                    frame.f_lasti,
                    code.co_filename if module == "__main__" else module,
                    frame.f_lineno,
                )
            frame = frame.f_back  # type: ignore[assignment]
        return ""

    def _remember(self, code: CodeType, place: int, where: str, line: int) -> str:
        if len(self._known) >= KNOWN:
            self._known.clear()
        origin = "" if where == "threading" else sys.intern(f"{where}:{line}")
        self._known[id(code), place] = origin, code
        return origin

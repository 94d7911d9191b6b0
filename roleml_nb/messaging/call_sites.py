"""Call sites: the places in the code from which messages are sent."""

from __future__ import annotations

import sys
from pathlib import Path
from types import CodeType

__all__ = ["CallSites"]

PACKAGE = Path(__file__).resolve().parents[1]
ROOMS = tuple(f"{PACKAGE / room}/" for room in ("actor", "host", "messaging", "role", "testbed"))
"""The code that carries messages; call sites lie outside of it."""
SENDER_FRAMES = 5
"""Frames between the code that calls another role, or emits, and `CallSites.current`.

Exact where `Role` is called directly; else frames further up are searched, too.
"""
MAX_CALL_SITES = 10_000
"""Call sites that are remembered at once; each keeps its code alive."""


class CallSites:
    """Finds call sites with 0.2 µs of the sender's time. Thread-safe."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], tuple[str, CodeType]] = {}

    def current(self) -> str:
        """Return ``module:line`` of the nearest code that does not carry messages; ``file:line`` in
        a notebook's cell or a script.

        Empty when there is none, as for messages that a node sends by itself. Equal call sites are
        the same object.
        """
        try:
            frame = sys._getframe(SENDER_FRAMES)
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
        if len(self._known) >= MAX_CALL_SITES:
            self._known.clear()
        call_site = "" if where == "threading" else sys.intern(f"{where}:{line}")
        self._known[id(code), place] = call_site, code
        return call_site

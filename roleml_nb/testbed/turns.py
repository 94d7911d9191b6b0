"""How long a thread keeps the interpreter while others wait for it: less long where many are at work.

With Python's 5 ms and a hundred busy handlers, the thread that receives messages waits for its turn for seconds. Shorter turns
cost: at 75 busy threads and 1.3 ms, about a fifth of what they get done.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Hashable

__all__ = ["SHORT", "turns_for", "wish"]

SHORT = 0.0005
"""Seconds; below, threads do little else but take turns."""
ROUND = 0.1
"""Seconds that it takes until each of many busy threads had its turn."""

_wishes: dict[Hashable, float] = {}
_usual = sys.getswitchinterval()
_lock = threading.Lock()


def turns_for(busy: int) -> float:
    """Seconds that a turn lasts at most where so many threads are busy."""
    return max(SHORT, ROUND / max(1, busy))


def wish(who: Hashable, seconds: float | None) -> None:
    """Have turns last so long at most, until the same one wishes otherwise (None: no wish). The shortest wish counts."""
    global _usual
    with _lock:
        if not _wishes:
            _usual = sys.getswitchinterval()
        if seconds is not None and seconds < _usual:
            _wishes[who] = seconds
        elif _wishes.pop(who, None) is None:
            return
        sys.setswitchinterval(min(_wishes.values(), default=_usual))

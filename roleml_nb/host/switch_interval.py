"""How long a thread keeps the interpreter while others wait for it: less long where many are at
work.

With Python's 5 ms and a hundred busy handlers, the thread that receives messages waits for its turn
for seconds. Shorter turns cost: at 75 busy threads and 1.3 ms, about a fifth of what they get done.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Hashable

__all__ = ["SHORT", "hurry", "turns_for", "wish"]

SHORT = 0.0005
"""Seconds; below, threads do little else but take turns."""
SHORTEST = 0.0001
"""Seconds, in a hurry."""
ROUND = 0.1
"""Seconds that it takes until each of many busy threads had its turn."""

HURRY = 2.0
"""Seconds that a hurry lasts."""

_wishes: dict[Hashable, float] = {}
_usual = sys.getswitchinterval()
_hurried = 0.0
"""When a hurry began that lasts, or zero."""
_lock = threading.Lock()


def turns_for(busy: int) -> float:
    """Seconds that a turn lasts at most where so many threads are busy."""
    return max(SHORT, ROUND / max(1, busy))


def wish(who: Hashable, seconds: float | None) -> None:
    """Have turns last so long at most, until the same one wishes otherwise (None: no wish).

    The shortest wish counts.
    """
    global _usual, _hurried
    with _lock:
        if not _wishes and not _hurried:
            _usual = sys.getswitchinterval()
        if seconds is not None and seconds < _usual:
            _wishes[who] = seconds
        elif _wishes.pop(who, None) is None and not _hurried:
            return
        if time.monotonic() - _hurried > HURRY:
            _hurried = 0.0
        sys.setswitchinterval(SHORTEST if _hurried else min(_wishes.values(), default=_usual))


def hurry(*_: object) -> None:
    """Have turns be as short as can be until the next `wish` after two seconds.

    A handler of signals: it waits for no lock.
    """
    global _hurried
    _hurried = time.monotonic()
    sys.setswitchinterval(SHORTEST)

"""Whether a thread waits for a lock, as far as its frames tell."""

from __future__ import annotations

import dis
import threading
import time
from types import FrameType

__all__ = ["cpu_time", "waits_for_a_lock"]

_ENTERS = ("BEFORE_WITH", "LOAD_SPECIAL")
_LOOK_BACK = 8
"""Instructions between the look-up of a method and its call, at most, for a call without long arguments."""


def waits_for_a_lock(frame: FrameType) -> bool:
    """Whether the thread of that frame, its innermost, is in ``with lock:`` or ``lock.acquire()``. Looking changes nothing."""
    code = frame.f_code
    if code.co_filename == threading.__file__:  # semaphores and conditions are written in Python
        return code.co_name in ("acquire", "__enter__")
    before = [step for step in dis.get_instructions(code) if step.offset <= frame.f_lasti][-_LOOK_BACK:]
    if not before:
        return False
    if before[-1].opname in _ENTERS:
        return True
    return "CALL" in before[-1].opname and any(step.argval in ("acquire", "__enter__") for step in before)


def cpu_time(thread: int) -> float:
    """Seconds of processor time that a thread has used; 0 where the system does not tell."""
    try:
        return time.clock_gettime(time.pthread_getcpuclockid(thread))
    except (AttributeError, OSError):
        return 0.0

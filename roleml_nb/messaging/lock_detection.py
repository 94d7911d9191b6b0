"""Threads that wait for a lock, as far as their frames tell, and the processor time of threads."""

from __future__ import annotations

import dis
import sys
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from types import CodeType
from typing import NamedTuple

__all__ = ["cpu_clock", "cpu_time", "threads_waiting_for_locks"]

_ENTERING_OPCODES = ("BEFORE_WITH", "LOAD_SPECIAL")
_OWN_ROOMS = tuple(
    str(Path(__file__).parents[1] / room)
    for room in ("actor", "host", "messaging", "testbed", "trace")
)
_MAX_INSTRUCTIONS_BACK = 8
"""Instructions between the look-up of a method and its call, for a call without long arguments."""


def threads_waiting_for_locks(threads: Collection[int]) -> set[int]:
    """Return the threads that are in ``with lock:`` or ``lock.acquire()`` in their innermost frame.

    Locks of our own rooms do not count: nobody holds one while it waits for a handler. Frames are
    let go of at once: one that is kept, by a cycle above all, keeps the messages that its thread
    was at work on.
    """
    locations = _locations(threads) if threads else {}
    return {thread for thread, location in locations.items() if _is_acquiring(location)}


class _Location(NamedTuple):
    code: CodeType
    instruction: int
    owner: str
    """The file of the code that uses the lock, which may be one of Python's that are written in
    Python.
    """


def _locations(threads: Collection[int]) -> dict[int, _Location]:
    """Return the location of each thread. No frame survives the call, nor does a cycle
    of this one.
    """
    frames = sys._current_frames()  # has the frame of this function, too
    try:
        locations = {}
        for thread in threads:
            frame = frames.pop(thread, None)
            if frame is None:
                continue
            code, instruction = frame.f_code, frame.f_lasti
            while frame.f_code.co_filename == threading.__file__ and frame.f_back is not None:
                frame = frame.f_back
            locations[thread] = _Location(code, instruction, frame.f_code.co_filename)
        return locations
    finally:
        frame = None
        frames.clear()


def _is_acquiring(location: _Location) -> bool:
    code = location.code
    if location.owner.startswith(_OWN_ROOMS):
        return False
    if code.co_filename == threading.__file__:  # semaphores and conditions are written in Python
        return code.co_name in ("acquire", "__enter__")
    before = [step for step in dis.get_instructions(code) if step.offset <= location.instruction][
        -_MAX_INSTRUCTIONS_BACK:
    ]
    if not before:
        return False
    if before[-1].opname in _ENTERING_OPCODES:
        return True
    return "CALL" in before[-1].opname and any(
        step.argval in ("acquire", "__enter__") for step in before
    )


class _ThreadClock(threading.local):
    """The clock of the current thread: asking for that of a thread that may have ended is
    undefined.
    """

    def __init__(self) -> None:
        self.clock: int | None = None
        with suppress(AttributeError, OSError):  # not on macOS
            self.clock = time.pthread_getcpuclockid(threading.get_ident())


_thread_clock = _ThreadClock()


def cpu_clock() -> int | None:
    """Return the clock of the current thread's processor time, for `cpu_time`; None where there is
    none.
    """
    return _thread_clock.clock


def cpu_time(clock: int | None) -> float:
    """Return the processor time on a thread's clock, in seconds; 0 when the thread has ended, or
    the system has no such clocks.
    """
    if clock is None:
        return 0.0
    try:
        return time.clock_gettime(clock)
    except OSError:
        return 0.0

"""A worker: does one thing after the other, on a thread that is there while something is to do."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

__all__ = ["Worker"]


class Worker:
    """Runs what it is given, in order. An executor's thread stays for ever; this one's ends."""

    def __init__(self, name: str):
        self.name = name
        self._works: deque[Callable[[], Any]] = deque()
        self._lock, self._busy, self._stopped = threading.Lock(), False, False

    def submit(self, work: Callable[..., Any], *args: Any) -> None:
        """Run it soon; not at all after `stop`. What it raises is logged."""
        with self._lock:
            if self._stopped:
                return
            self._works.append(partial(work, *args))
            if not self._busy:
                self._busy = True
                threading.Thread(target=self._run, name=self.name, daemon=True).start()

    def stop(self) -> None:
        """Begin nothing any more."""
        with self._lock:
            self._stopped = True
            self._works.clear()

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._works:
                    self._busy = False
                    return
                work = self._works.popleft()
            try:
                work()
            # such as of a page's connection that is gone; what comes next is not to blame
            except Exception:
                logging.getLogger(__name__).warning("%s: not done", self.name, exc_info=True)

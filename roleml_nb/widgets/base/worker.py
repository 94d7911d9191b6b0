"""A worker: runs functions in order, on a thread that exists while there are some."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

__all__ = ["Worker"]


class Worker:
    """Runs functions in order. An executor's thread stays for ever; this one's ends."""

    def __init__(self, name: str):
        self.name = name
        self._tasks: deque[Callable[[], Any]] = deque()
        self._lock = threading.Lock()
        self._busy = False
        self._stopped = False

    def submit(self, function: Callable[..., Any], *args: Any) -> None:
        """Run a function soon; not at all after `stop`. Its errors are logged."""
        with self._lock:
            if self._stopped:
                return
            self._tasks.append(partial(function, *args))
            if not self._busy:
                self._busy = True
                threading.Thread(target=self._run, name=self.name, daemon=True).start()

    def stop(self) -> None:
        """Drop the functions that have not begun, and begin no more."""
        with self._lock:
            self._stopped = True
            self._tasks.clear()

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._tasks:
                    self._busy = False
                    return
                task = self._tasks.popleft()
            try:
                task()
            except Exception:  # such as of a page's connection that is gone; the next task goes on
                logging.getLogger(__name__).warning("%s: not done", self.name, exc_info=True)

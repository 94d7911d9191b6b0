"""Refusals of strangers: counted, and logged about once a minute for each."""

from __future__ import annotations

import logging
import time
from collections import Counter

import zmq

__all__ = ["Refusals", "stranger"]

LOG_INTERVAL_S = 60.0
"""Seconds between two log lines about the same stranger."""
MAX_SENDERS = 256
"""Senders that are counted apart."""


class Refusals:
    """The refusals of one host; used by one thread at a time."""

    def __init__(self, host_id: str, log: logging.Logger):
        self.host_id, self._log = host_id, log
        self.counts: Counter[str] = Counter()
        """{reason: number of refusals}."""
        self._logged: dict[str, float] = {}

    def add(self, reason: str, who: str) -> None:
        """Count one more refusal."""
        self.counts[reason] += 1
        if who not in self._logged and len(self._logged) >= MAX_SENDERS:
            who = "others"
        now = time.monotonic()
        if now >= self._logged.get(who, 0.0):
            self._logged[who] = now + LOG_INTERVAL_S
            self._log.warning(
                "%s refused a message from %s: %s (%d refused in all)",
                self.host_id,
                who,
                reason,
                self.counts.total(),
            )


def stranger(part: zmq.Frame) -> str:
    """Return where a message came from."""
    try:
        return str(part.get("Peer-Address")) or "a local process"
    except zmq.ZMQError:
        return "a local process"

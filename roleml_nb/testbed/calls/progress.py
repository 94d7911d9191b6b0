"""Progress of a run: the rounds that its roles have completed, out of the rounds of the call."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from itertools import starmap
from typing import Any

from roleml_nb.role import RoleInstanceID

__all__ = ["ROUND_EVENT", "Progress"]

ROUND_EVENT = "round-completed"
"""The event that coordinators emit after each round."""
RECENT_ROUNDS = 20
"""Rounds that the rate is taken from."""


class Progress:
    """Counts the ``round-completed`` events of some roles since `began` in the trace.

    Parameters
    ----------
    roles
        The called roles; with several, `done` is the number of completed rounds on average.
    total
        Rounds of the call, for each role; None when that is not known.
    began
        Seconds since the epoch: earlier events are not counted.
    drain
        Called before each reading: it has the trace pass on records that have arrived.
    now
        The clock.
    """

    def __init__(
        self,
        roles: Iterable[RoleInstanceID],
        total: int | None,
        began: float,
        drain: Callable[[], None],
        now: Callable[[], float],
    ):
        self.roles = list(starmap(RoleInstanceID, roles))
        self.total = total
        self.began = began
        self.ended: float | None = None
        """Seconds since the epoch, once it has ended."""
        self.state = "running"
        """running, done, failed or stopped."""
        self._drain, self._now = drain, now
        self._steps: dict[tuple[str, str], set[int]] = {
            (role.actor_name, role.instance_name): set() for role in self.roles
        }
        self._times: deque[float] = deque(maxlen=RECENT_ROUNDS * max(1, len(self.roles)))

    def add_metrics(self, metrics: Iterable[tuple[Any, ...]]) -> None:
        """Count rows of the table of metrics; rows of one event have the same step."""
        for sent, node, role, channel, _, _, step in metrics:
            if channel == ROUND_EVENT and sent >= self.began:
                steps = self._steps.get((node, role))
                if steps is not None and step not in steps:
                    steps.add(step)
                    self._times.append(sent)

    def end(self, state: str, last_drain: Callable[[], None]) -> None:
        """End the count in a state.

        `last_drain` is called once, before something is read next: it has the trace pass on the
        rest.
        """

        def drain() -> None:
            self._drain = lambda: None
            last_drain()

        self.state, self.ended, self._drain = state, self._now(), drain

    @property
    def by_role(self) -> dict[str, int]:
        """Rounds that each role has completed: {"node/role": rounds}."""
        self._drain()
        return {"/".join(key): len(steps) for key, steps in self._steps.items()}

    @property
    def done(self) -> int:
        """Rounds completed."""
        self._drain()
        return sum(map(len, self._steps.values())) // max(1, len(self._steps))

    @property
    def fraction(self) -> float | None:
        """From 0 to 1; None when the total is not known."""
        self._drain()
        if not self.total:
            return None
        return min(1.0, sum(map(len, self._steps.values())) / (self.total * len(self._steps)))

    @property
    def rate(self) -> float | None:
        """Rounds per second lately; None before the first one."""
        self._drain()
        times = sorted(self._times)
        if not times:
            return None
        since, count = self.began, len(times)
        if len(times) > len(self.roles):
            since, count = times[0], len(times) - 1
        return count / len(self.roles) / max(times[-1] - since, 1e-9)

    @property
    def seconds(self) -> float:
        """Seconds that it has taken so far, or took."""
        return (self._now() if self.ended is None else self.ended) - self.began

    @property
    def left(self) -> float | None:
        """Seconds that it will go on if it goes on like this; 0 when it has ended, None when nobody
        knows.
        """
        if self.state != "running":
            return 0.0
        rate, fraction = self.rate, self.fraction
        if rate is None or fraction is None or not self.total:
            return None
        return (1.0 - fraction) * self.total / rate

    @property
    def rounds(self) -> str:
        """In words: "round 5 of 20"."""
        done = self.done
        if self.total:
            return f"round {done} of {self.total}"
        return f"{done} round{'s' * (done != 1)}" if done else "no rounds yet"

    def __str__(self) -> str:
        parts = [self.state, self.rounds]
        if self.state == "running":
            rate, left = self.rate, self.left
            if rate is not None:
                parts.append(f"{rate:.3g} rounds/s")
            if left is not None:
                parts.append(f"{left:.0f} s left")
        return ", ".join(parts)

    def __repr__(self) -> str:
        return f"<Progress: {self}>"

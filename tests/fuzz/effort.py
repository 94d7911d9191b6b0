"""How much a fuzzer tries."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from signal import ITIMER_REAL, SIGALRM, setitimer, signal

from hypothesis import HealthCheck, settings

__all__ = ["FUZZ", "PROFILE", "TEST_LIMIT_S", "effort", "within"]

FUZZ = os.environ.get("FUZZ", "0") not in ("", "0")
TIMES = int(os.environ.get("FUZZ_TIMES", "40"))
"""How many times as many examples ``make fuzz`` tries."""
TEST_LIMIT_S = 3600.0 if FUZZ else 300.0
PROFILE = "fuzz" if FUZZ else "few seconds"

COMMON = dict(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=not FUZZ,
    print_blob=True,
)
settings.register_profile("few seconds", max_examples=100, **COMMON)
settings.register_profile("fuzz", max_examples=100 * TIMES, **COMMON)


def effort(examples: int) -> settings:
    """Return settings for a fuzzer that tries so many examples in a usual run, and many times that
    by ``make fuzz``.

    Without it a fuzzer tries 100. Choose the number so that a usual run takes a few seconds.
    """
    return settings(max_examples=examples * (TIMES if FUZZ else 1), **COMMON)


@contextmanager
def within(seconds: float, what: object) -> Iterator[None]:
    """Fail with `what` if the block has not ended after so many seconds.

    Choose them generously: machines are loaded.
    """

    def give_up(signum, frame):
        raise AssertionError(f"not ended after {seconds} s: {what!r}")

    before = signal(SIGALRM, give_up)
    rest, _ = setitimer(ITIMER_REAL, seconds)
    try:
        yield
    finally:
        setitimer(ITIMER_REAL, rest)
        signal(SIGALRM, before)

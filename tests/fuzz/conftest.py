"""Fuzzers: a few seconds each with the other tests, minutes with ``make fuzz``.

The profile ``fuzz`` (``FUZZ=1``, which ``make fuzz`` sets) multiplies the examples of each fuzzer and draws other ones
each time; without it the examples are the same in each run, so that a fault that was there before fails nobody's change.
"""

import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.fuzz.effort import PROFILE, TEST_LIMIT_S

USUAL = settings.get_current_profile_name()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Run the tests of this folder, and these alone, with the profile of fuzzers."""
    settings.load_profile(PROFILE)
    try:
        return (yield)
    finally:
        settings.load_profile(USUAL)


@pytest.fixture(autouse=True)
def ends() -> Iterator[None]:
    """Fail a fuzzer that does not end, with the line where it is."""
    def give_up(signum, frame):
        pytest.fail(f"not ended after {TEST_LIMIT_S} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, TEST_LIMIT_S)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)

"""Fuzzers: a few seconds each with the other tests, minutes with ``make fuzz``.

The profile ``fuzz`` (``FUZZ=1``, which ``make fuzz`` sets) multiplies the examples of each fuzzer
and draws other ones each time; without it the examples are the same in each run, so that a fault
that was there before fails nobody's change.
"""

from collections.abc import Iterator
from pathlib import Path

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the fuzzers of this folder the time that they need."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.timeout(TEST_LIMIT_S))

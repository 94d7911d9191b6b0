"""Wait for something to become true, with a deadline."""

import time
from collections.abc import Callable
from typing import Any


def until(condition: Callable[[], Any], what: str, limit: float = 20.0) -> Any:
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"not within {limit} s: {what}")

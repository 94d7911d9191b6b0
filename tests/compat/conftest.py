"""What the tests of compat share."""

import pytest


@pytest.fixture
def nodes(bed, request):
    """A maker of nodes that are named after the test, since tests share the testbed."""
    tag = request.node.name.split("[")[0].removeprefix("test_")

    def make(*names: str) -> list[str]:
        return bed.spawn(*[f"{tag}-{name}" for name in names]).names

    return make

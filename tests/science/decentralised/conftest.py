import pytest

from roleml_nb import Testbed


@pytest.fixture(scope="package")
def lab():
    """One process; tests share it, so each names its nodes after itself."""
    with Testbed(engines=0, timeout=60, preload=()) as bed:
        yield bed
        assert bed.errors == []

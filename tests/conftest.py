"""One testbed fixture: each test that asks for it runs in one process and on real engines."""

import os
import signal
from collections.abc import Iterator
from contextlib import chdir

import pytest
from hypothesis import settings
from IPython.core.interactiveshell import InteractiveShell

from roleml_nb import Testbed
from tests.shells import loaded_shell

LIMIT = 30.0


# What is started in the background of a script ignores interrupts, and so would the tests of them.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("any machine", deadline=None)  # how long a case takes is no property
settings.load_profile("any machine")


@pytest.fixture(autouse=True)
def same_folder() -> Iterator[None]:
    """Fail a test that leaves the process in another working directory: engines of later tests
    would start there.
    """
    before = os.getcwd()
    yield
    after = os.getcwd()
    os.chdir(before)
    assert after == before


@pytest.fixture(scope="session")
def testbeds() -> Iterator[dict[int, Testbed]]:
    made: dict[int, Testbed] = {}
    yield made
    for bed in made.values():
        bed.stop()


@pytest.fixture(params=[0, 2], ids=["one process", "engines"])
def bed(request, testbeds) -> Testbed:
    """A running testbed. Tests share it, so each names its nodes after itself."""
    if request.param not in testbeds:
        with chdir(request.config.rootpath):  # from where engines import what tests send by name
            testbeds[request.param] = Testbed(engines=request.param, timeout=LIMIT, preload=())
    return testbeds[request.param]


@pytest.fixture
def own_bed() -> Iterator[Testbed]:
    """Engines of the test's own, to do harm to."""
    bed = Testbed(engines=2, timeout=LIMIT, preload=())
    yield bed
    bed.stop()


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    """A shell of IPython with the magics."""
    loaded = loaded_shell()
    yield loaded
    loaded.run_line_magic("unload_ext", "roleml_nb")

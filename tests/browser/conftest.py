"""One server and one Chromium for all; each test opens a notebook of its own."""

import os
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser

from .lab import NO_CHROMIUM, Lab, Server, chromium, open_browser


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if chromium() is None:
        if os.environ.get("CI"):
            pytest.fail("no Chromium here, and CI must not go without: apt-get install chromium")
        pytest.skip(NO_CHROMIUM)
    with open_browser() as opened:
        yield opened


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    started = Server(tmp_path_factory.mktemp("lab"))
    yield started
    started.stop()


@pytest.fixture
def open_notebook(
    server: Server, browser: Browser, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Lab]]:
    """Open a notebook with these cells: ``open_notebook("from roleml_nb import Testbed", …)``.

    The test fails if the page logs an error or asks for anything outside of the server.
    """
    opened: list[Lab] = []

    def open_it(*cells: str) -> Lab:
        opened.append(Lab(server, browser, f"{request.node.name}-{len(opened)}", list(cells)))
        return opened[-1]

    yield open_it
    for lab in opened:
        lab.kernel("bed = globals().get('bed')\nif bed is not None: bed.stop()")
        lab.close()
    assert [lab.troubles for lab in opened] == [[] for _ in opened]
    assert [lab.outside for lab in opened] == [[] for _ in opened]

"""docs/architecture.md says through which files a call, an event and a record go: does it?"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
SIDES = {"In the notebook:": "notebook", "On the engine:": "engine"}
HEADINGS = {"A call": "call", "An event": "event", "A record, to a view": "record"}
FILE = re.compile(r"`((?:[a-z_0-9]+/)+[a-z_0-9]+\.(?:py|js|css))`")


@pytest.fixture(scope="module")
def entered():
    done = subprocess.run(
        [sys.executable, HERE / "journeys.py"],
        capture_output=True,
        text=True,
        timeout=200,
        env={**os.environ, "PYTHONPATH": str(HERE / "tracer")},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def listed(heading, side):
    """Return the files in the first column of a table of the page."""
    section = PAGE.partition(f"\n### {heading}\n")[2].partition("\n###")[0]
    table = section.partition(f"\n{side}\n")[2].lstrip().partition("\n\n")[0]
    return [FILE.search(row)[1] for row in table.splitlines()[2:]]


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("heading", HEADINGS)
def test_a_journey_goes_through_the_files_that_the_page_lists(entered, heading, side):
    files = listed(heading, side)
    assert len(set(files)) == len(files)
    found = entered[HEADINGS[heading]][SIDES[side]]
    assert set(files) - set(found["mostly"]) == set()
    assert set(found["always"]) - set(files) - set(entered["idle"][SIDES[side]]) == set()


def test_files_and_folders_that_the_page_names_are_there():
    folders = {f"{path.name}/" for path in (ROOT / "roleml_nb").rglob("*") if path.is_dir()}
    planned = {"scenario/", "simulation/", "interop/", "compat/config/"}
    named = set(FILE.findall(PAGE)) | set(re.findall(r"`((?:[a-z_]+/)+)`", PAGE))
    missing = [
        name
        for name in sorted(named - planned - folders)
        if not (ROOT / "roleml_nb" / name).exists() and not (ROOT / name).exists()
    ]
    assert missing == []

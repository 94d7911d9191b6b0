"""docs/library.md says what the library has."""

import inspect
import re
from pathlib import Path

import pytest

from roleml_nb import Role, library, workload
from roleml_nb.library.pausing import Pausable


def is_role(item):
    return isinstance(item, type) and issubclass(item, Role)


LIBRARY = (Path(__file__).parents[2] / "docs" / "library.md").read_text()


def test_its_example_runs():
    (code,) = re.findall(r"```python\n(.*?)```", LIBRARY, re.DOTALL)
    exec(compile(code, "docs/library.md", "exec"), {"__name__": "__main__"})


def test_it_lists_every_public_name():
    names = {*library.__all__, *workload.__all__} - {"dirichlet", "iid"}
    assert [name for name in sorted(names) if not re.search(rf"`{name}\b", LIBRARY)] == []


@pytest.mark.parametrize(
    "name", [name for name in library.__all__ if is_role(getattr(library, name))]
)
def test_it_lists_the_channels_elements_and_options_of_every_role(name):
    role = getattr(library, name)
    (row,) = [
        line
        for line in LIBRARY.splitlines()
        if line.startswith("| `") and f"`{name}`" in line.split("|")[1]
    ]
    inherited = (
        library.ModelMaintainer
        if "| + " in row
        else Pausable
        if issubclass(role, Pausable)
        else Role
    )
    said = {*re.findall(r"`([a-z0-9_-]+)`", row.partition("|")[2].partition("|")[2])}
    options = set(inspect.signature(role).parameters) - {"kwargs"}
    have = {*role.services, *role.tasks, *role.events, *role.elements, *options}
    have -= {*inherited.services, *inherited.tasks, *inherited.events, *inherited.elements}
    needs = {
        "trainer",
        "aggregator",
        "client-selector",
        "evaluator",
        "peer",
        "ring",
        "server",
        "start_impl",
        "mixer",
        "combine",
    }
    assert have <= said and said - have <= needs

"""The examples in the documents run."""

import inspect
import re
from pathlib import Path

import pytest

from roleml_nb import Role, library, workload
from tests.waiting import until

ROOT = Path(__file__).parent.parent


def test_the_role_models_example():
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "role-model.md").read_text(), re.DOTALL)
    names = {"__name__": "__main__", "until": until}
    code += ("    until(lambda: bed.call('office/alarm', 'get-alarms') == [('hall/thermometer', 40)], 'one alarm')\n")
    exec(compile(code, "docs/role-model.md", "exec"), names)


def test_the_readmes_example():
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    exec(compile(code, "README.md", "exec"), {"__name__": "__main__"})


<<<<<<< HEAD
def test_the_configurations_example(tmp_path, monkeypatch, capsys):
    """YAML blocks are files, Python blocks run, and a text block is what the block before it prints."""
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```(\w+)\n(.*?)```", (ROOT / "docs" / "configuration.md").read_text(), re.DOTALL)
    names = {"__name__": "__main__"}
    for language, block in blocks:
        if language == "yaml":
            (tmp_path / block.splitlines()[0].removeprefix("# ")).write_text(block)
        elif language == "python":
            exec(compile(block, "docs/configuration.md", "exec"), names)
        else:
            assert capsys.readouterr().out.strip() == block.strip()
    assert [language for language, _ in blocks].count("text") == 5
=======
def is_role(item):
    return isinstance(item, type) and issubclass(item, Role)


LIBRARY = (ROOT / "docs" / "library.md").read_text()


def test_the_librarys_example():
    (code,) = re.findall(r"```python\n(.*?)```", LIBRARY, re.DOTALL)
    exec(compile(code, "docs/library.md", "exec"), {"__name__": "__main__"})


def test_the_library_lists_every_public_name():
    names = {*library.__all__, *workload.__all__} - {"dirichlet", "iid"}
    assert [name for name in sorted(names) if not re.search(rf"`{name}\b", LIBRARY)] == []


@pytest.mark.parametrize("name", [name for name in library.__all__ if is_role(getattr(library, name))])
def test_the_library_lists_the_channels_elements_and_options_of_every_role(name):
    role = getattr(library, name)
    (row,) = [line for line in LIBRARY.splitlines() if line.startswith("| `") and f"`{name}`" in line.split("|")[1]]
    inherited = library.ModelMaintainer if "| + " in row else Role
    said = {*re.findall(r"`([a-z0-9_-]+)`", row.partition("|")[2].partition("|")[2])}
    options = set(inspect.signature(role).parameters) - {"kwargs"}
    have = {*role.services, *role.tasks, *role.events, *role.elements, *options}
    have -= {*inherited.services, *inherited.tasks, *inherited.events, *inherited.elements}
    needs = {"trainer", "aggregator", "client-selector", "evaluator", "peer", "ring", "server", "start_impl"}
    assert have <= said and said - have <= needs
>>>>>>> 6ee3013 (A notebook for each of the five architectures, and a list of what the library has, kept true by tests)

"""``python -m roleml_nb check``: real notebooks, saved as they are, run by real nbval."""

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest
from nbclient import NotebookClient

from roleml_nb import RoleMLError
from roleml_nb.__main__ import main
from roleml_nb.check import check
from roleml_nb.check.report import Kind

LOAD = "%load_ext roleml_nb"
GOOD = [LOAD, "%rml start --engines 0\n%rml spawn a b", "%rml status", "%rml stop"]
OLD = """
import warnings

def old():
    warnings.warn("roleml_nb.old is roleml_nb.new now", DeprecationWarning, stacklevel=1)
"""
NOTEBOOKS = {
    "good": GOOD,
    "chance": [
        "import random",
        "print(random.random())",
        "# NBVAL_IGNORE_OUTPUT\nprint(random.random())",
    ],
    "refused": [LOAD, "# NBVAL_IGNORE_OUTPUT\n%rml spwan a"],
    "hidden": ["# NBVAL_IGNORE_OUTPUT\n%rlm spawn a", "1 + 1"],
    "deprecated": ["from helper import old", "# NBVAL_IGNORE_OUTPUT\nold()"],
    "fails": ["1 / 0"],
    "below/raises": ["# NBVAL_RAISES_EXCEPTION\n1 / 0"],
    ".ipynb_checkpoints/good-checkpoint": ["1 / 0"],
}


def save(path: Path, cells: list[str]) -> nbformat.NotebookNode:
    """Write a notebook with the outputs that it has today."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    resources = {"metadata": {"path": str(path.parent)}}
    NotebookClient(made, timeout=100, allow_errors=True, resources=resources).execute()
    nbformat.write(made, path)
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("course")
    (folder / "helper.py").write_text(OLD)
    for name, cells in NOTEBOOKS.items():
        save(folder / f"{name}.ipynb", cells)
    stale = save(folder / "stale.ipynb", ["print('as it was')", "2 + 2"])
    stale.cells[0].source = "print('as it is')"
    nbformat.write(stale, folder / "stale.ipynb")
    (folder / "broken.ipynb").write_text("no notebook")
    nbformat.write(nbformat.v4.new_notebook(), folder / "empty.ipynb")
    return folder


@pytest.fixture(scope="module")
def checked(folder):
    seen = []
    report = check(folder, jobs=2, progress=seen.append)
    assert {notebook.path for notebook in seen} == {notebook.path for notebook in report.notebooks}
    return report


def found(report, folder):
    return {
        str(notebook.path.relative_to(folder).with_suffix("")): [
            (each.kind, each.cell) for each in notebook.findings
        ]
        for notebook in report.notebooks
    }


def test_each_kind_is_found(checked, folder):
    assert found(checked, folder) == {
        "below/raises": [],
        "broken": [(Kind.UNREADABLE, None)],
        "chance": [(Kind.CHANCE, 1)],
        "deprecated": [(Kind.DEPRECATED, 1)],
        "empty": [],
        "fails": [(Kind.FAILED, 0)],
        "good": [],
        "hidden": [(Kind.HIDDEN, 0)],
        "refused": [(Kind.FAILED, 1)],
        "stale": [(Kind.STALE, 0)],
    }
    assert not checked.ok
    texts = {
        notebook.path.stem: notebook.findings[0].text
        for notebook in checked.notebooks
        if notebook.findings
    }
    assert texts["deprecated"] == "roleml_nb.old is roleml_nb.new now"
    assert texts["fails"] == "ZeroDivisionError: division by zero"
    assert texts["hidden"] == "UsageError: Line magic function `%rlm` not found."
    assert texts["refused"].startswith("UsageError: rml: no command 'spwan'; did you mean 'spawn'")
    assert "as it was" in texts["stale"] and "as it is" in texts["stale"]


def test_nothing_is_written_beside_the_notebooks(checked, folder):
    left = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    expected = {f"{name}.ipynb" for name in (*NOTEBOOKS, "stale", "broken", "empty")} | {
        "helper.py"
    }
    assert {name for name in left if "__pycache__" not in name} == expected


def test_the_report_for_people_and_for_ci(checked, folder):
    lines = str(checked).splitlines()
    assert lines[-1].startswith("10 notebooks, 7 found, with roleml_nb ")
    assert f"      ok  {folder / 'good.ipynb'}  4 cells, " in str(checked)
    assert re.search(r"^ +cell 1 depends on chance: 0\.\d+ → 0\.\d+$", str(checked), re.MULTILINE)
    assert "cell 0 prints something else than is stored: as it was → as it is\n" in str(checked)
    assert "cannot be run: nbformat.reader.NotJSONError: Notebook does not appear" in str(checked)
    markdown = checked.to_markdown()
    assert f"## {folder / 'fails.ipynb'}\n\n**cell 0 fails**: mend the cell" in markdown
    root = ElementTree.fromstring(checked.to_junit())
    suites = {Path(suite.get("name")).stem: suite for suite in root}
    assert (suites["good"].get("tests"), suites["good"].get("failures")) == ("4", "0")
    assert suites["broken"].find("testcase").get("name") == "notebook"
    (failure,) = suites["chance"].iter("failure")
    assert failure.get("type") == "chance"
    assert failure.get("message").startswith("depends on chance: give a seed")


def test_once_and_lax(folder):
    once = check(folder / "chance.ipynb", twice=False)
    assert [finding.kind for finding in once.notebooks[0].findings] == [Kind.STALE]
    assert check(folder / "chance.ipynb", folder / "stale.ipynb", lax=True).ok
    assert not check(folder / "hidden.ipynb", lax=True, twice=False).ok


def test_rules_of_ones_own_are_added_to_ours(folder, tmp_path):
    rules = tmp_path / "rules.cfg"
    rules.write_text("[numbers]\nregex: 0\\.\\d+\nreplace: CHANCE\n")
    assert check(folder / "chance.ipynb", sanitize=rules).ok


def test_a_cell_that_takes_too_long(tmp_path):
    path = tmp_path / "slow.ipynb"
    save(path, ["x = 1"])
    slow = nbformat.read(path, as_version=4)
    slow.cells[0].source = "import time\ntime.sleep(60)"
    nbformat.write(slow, path)
    (notebook,) = check(path, twice=False, cell_timeout=2).notebooks
    (finding,) = notebook.findings
    assert finding.kind is Kind.FAILED and "KeyboardInterrupt" in finding.text


def test_what_cannot_be_checked_is_refused(tmp_path, capsys):
    with pytest.raises(RoleMLError, match="there is no folder and no notebook 'nowhere'"):
        check("nowhere")
    with pytest.raises(RoleMLError, match="no notebook .* in "):
        check(tmp_path)
    save(tmp_path / "one.ipynb", ["1"])
    with pytest.raises(RoleMLError, match="cannot read the sanitize file"):
        check(tmp_path, sanitize=tmp_path / "none.cfg")
    assert main(["check", str(tmp_path), "--junit", str(tmp_path / "none" / "x.xml")]) == 2
    assert "there is no folder for" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "code"), [("good", 0), ("fails", 1)])
def test_from_a_terminal(folder, tmp_path, name, code):
    junit, markdown = tmp_path / "report.xml", tmp_path / "report.md"
    words = [
        "check",
        str(folder / f"{name}.ipynb"),
        "--junit",
        str(junit),
        "--markdown",
        str(markdown),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "roleml_nb", *words], capture_output=True, text=True, timeout=200
    )
    assert (done.returncode, done.stderr) == (code, "")
    assert done.stdout.splitlines()[-1].startswith(f"1 notebooks, {code} found, with roleml_nb ")
    assert ElementTree.parse(junit).getroot()[0].get("failures") == str(code)
    assert f"{name}.ipynb" in markdown.read_text()

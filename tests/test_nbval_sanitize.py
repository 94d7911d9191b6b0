"""What ships for nbval."""

import configparser
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from roleml_nb.nbval_sanitize import main, text

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").rglob("*.ipynb"))


def sanitized(line):
    rules = configparser.RawConfigParser()
    rules.read_string(text())
    for name in rules.sections():  # as nbval does it
        line = re.sub(rules.get(name, "regex"), rules.get(name, "replace"), line)
    return line


def test_what_differs_from_run_to_run_is_rewritten():
    assert sanitized("<Trainer at 0x7f45fae4ab31>") == "<Trainer at 0xADDRESS>"
    assert sanitized("File /tmp/ipykernel_123/456.py:3, in run") == "File CELL.py:3, in run"
    assert (
        sanitized("handler running since 11.8 s, 3.4 rounds/s")
        == "handler running since N s, N rounds/s"
    )
    assert sanitized("accuracy=0.97, 20 rounds") == "accuracy=0.97, 20 rounds"


def test_it_is_printed_and_written(tmp_path, capsys):
    done = subprocess.run(
        [sys.executable, "-m", "roleml_nb.nbval_sanitize"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == text() and done.returncode == 0
    file = tmp_path / "sanitize.cfg"
    assert main([str(file)]) == 0 and file.read_text() == text()
    assert (
        capsys.readouterr().out
        == f"wrote {file}; use it with: pytest --nbval --nbval-sanitize-with {file}\n"
    )
    assert main([str(tmp_path / "missing" / "file")]) == 1
    assert capsys.readouterr().err.endswith("file: No such file or directory\n")


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_cell_whose_output_is_not_compared_says_why(notebook):
    """The lessons are checked in tests/course. No other mark, and no tag, hides anything."""
    for cell in nbformat.read(notebook, 4).cells:
        assert not [
            tag for tag in cell.metadata.get("tags", []) if "nbval" in tag or "raises" in tag
        ]
        if "NBVAL_" in cell.source:
            first, second, *_ = cell.source.splitlines()
            assert (
                first == "# NBVAL_IGNORE_OUTPUT" and second.startswith("# ") and len(second) > 20
            ), cell.source

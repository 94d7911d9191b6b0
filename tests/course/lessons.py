"""The lessons as the tests see them."""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path
from typing import Any

import nbformat

TUTORIALS = Path(__file__).parents[2] / "tutorials"
LESSONS = sorted(TUTORIALS.glob("[0-9][0-9]-*.ipynb"))


def program(name: str) -> Any:
    """One of the programs beside the lessons, as a module."""
    sys.path.insert(0, str(TUTORIALS))  # pages.py imports versions.py
    try:
        spec = importlib.util.spec_from_file_location(name, TUTORIALS / f"{name}.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(TUTORIALS))
    return module


def read(lesson: Path) -> Any:
    return nbformat.read(lesson, as_version=4)


def lesson(number: str) -> Path:
    (found,) = [path for path in LESSONS if path.name.startswith(number)]
    return found


def kind(cell: Any) -> str:
    """What nbgrader makes of a cell: "solution", "check", "manual" (graded by hand), or "" for all
    others.
    """
    meta = cell.metadata.get("nbgrader", {})
    if meta.get("solution"):
        return "manual" if meta["grade"] else "solution"
    return "check" if meta.get("grade") else ""


def split(cell: Any) -> tuple[list[str], list[str]]:
    """The source as lines of Python, and as lines that are IPython's; each has an empty line where
    the other has one.
    """
    ours, theirs, goes_on = [], [], False
    for line in cell.source.splitlines():
        goes_on = goes_on or line.lstrip().startswith(("%", "!"))
        ours.append("" if goes_on else line)
        theirs.append(line if goes_on else "")
        goes_on = goes_on and line.endswith("\\")
    return ours, theirs


def python(cell: Any) -> str:
    """The source without the lines that are IPython's, so that it can be parsed."""
    return "\n".join(split(cell)[0])


def defined(cell: Any) -> set[str]:
    """The names that a cell gives a value, at its top level."""
    names: set[str] = set()
    for node in ast.parse(python(cell)).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        for target in node.targets if isinstance(node, ast.Assign) else []:
            names |= {item.id for item in ast.walk(target) if isinstance(item, ast.Name)}
    return names


def used(cell: Any) -> set[str]:
    """The names that a cell mentions; words of a line that is IPython's count, too."""
    names = {item.id for item in ast.walk(ast.parse(python(cell))) if isinstance(item, ast.Name)}
    text = " ".join(split(cell)[1])
    return names | set(
        "".join(sign if sign.isidentifier() or sign.isdigit() else " " for sign in text).split()
    )


def answer(number: str, source: str | None = None) -> Any:
    """The answer to an exercise, of the teacher's solution, or of `source`, with what the lesson
    defines before it.
    """
    cells = read(lesson(number[:2])).cells
    place = next(
        index
        for index, cell in enumerate(cells)
        if kind(cell) == "check" and f'"{number}"' in cell.source
    )
    (name,) = {
        item.id for item in ast.walk(ast.parse(cells[place].source)) if isinstance(item, ast.Name)
    } & defined(cells[place - 1])
    names: dict[str, Any] = {"__name__": "__main__"}
    before = [
        ast.unparse(node)
        for cell in cells[: place - 1]
        if cell.cell_type == "code" and not kind(cell)
        for node in ast.parse(python(cell)).body
        if isinstance(node, ast.Import | ast.ImportFrom | ast.ClassDef | ast.FunctionDef)
    ]
    imports = [
        ast.unparse(node)
        for node in ast.parse(python(cells[place - 1])).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    exec("\n".join([*before, *imports]), names)
    exec(
        compile(
            python(cells[place - 1]) if source is None else source, f"exercise {number}", "exec"
        ),
        names,
    )
    return names[name]

"""Reports on notebooks, for people and for CI: text, Markdown, JUnit XML."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from roleml_nb.role.checks.names import shorten

__all__ = ["Cell", "Finding", "Kind", "Notebook", "Report"]

MAX_FINDING_LENGTH = 200
MIN_FENCE = 3
"""Backticks around a text in Markdown."""
UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class Kind(Enum):
    """A kind of finding, with advice to the author."""

    FAILED = "fails", "mend the cell, or mark it with NBVAL_RAISES_EXCEPTION if that is its point"
    STALE = "prints something else than is stored", "run the notebook again, and save it"
    CHANCE = (
        "depends on chance",
        "give a seed, sort what has no order, or mark the cell with NBVAL_IGNORE_OUTPUT",
    )
    HIDDEN = (
        "failed, and nbval did not see it",
        "mend the line: IPython printed an error and went on",
    )
    DEPRECATED = "uses a name that will go", "use the new name"
    UNREADABLE = "cannot be run", "see the text"

    def __init__(self, title: str, advice: str):
        self.title, self.advice = title, advice


class Finding(NamedTuple):
    """One thing that is wrong.

    `cell` counts code cells from 0, as nbval does; None for the notebook as a whole.
    """

    kind: Kind
    cell: int | None
    text: str

    def __str__(self) -> str:
        where = "" if self.cell is None else f"cell {self.cell} "
        return f"{where}{self.kind.title}: {self.summary}"

    @property
    def summary(self) -> str:
        """The text, as one line."""
        if self.kind in (Kind.STALE, Kind.CHANCE):
            stored = _first(r"^ *\+ (.+)$", self.text)
            printed = _first(r"^ *- (.+)$", self.text)
            if stored and printed:
                return f"{stored} → {printed}"
        if self.kind is Kind.UNREADABLE:
            return _first(r"(?s:.*)^E  +(\S.*)$", self.text) or _first(r"(\S.*)", self.text)
        return _first(r"(\S.*)", self.text)


@dataclass(frozen=True)
class Cell:
    """A code cell that was run; `seconds`: of its first run."""

    number: int
    source: str
    seconds: float


@dataclass(frozen=True)
class Notebook:
    """A notebook that was run."""

    path: Path
    cells: list[Cell] = field(default_factory=list)
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)

    def __str__(self) -> str:
        verdict = f"{len(self.findings)} found" if self.findings else "ok"
        lines = [f"{verdict:>8}  {self.path}  {len(self.cells)} cells, {self.seconds:.1f} s"]
        for finding in self.findings:
            lines.append(f"          {shorten(str(finding), MAX_FINDING_LENGTH)}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Report:
    """The notebooks of a folder, with the findings in each."""

    versions: str
    notebooks: list[Notebook]

    @property
    def ok(self) -> bool:
        """True when nothing is wrong with any notebook."""
        return not any(notebook.findings for notebook in self.notebooks)

    def __str__(self) -> str:
        count = sum(len(notebook.findings) for notebook in self.notebooks)
        total = f"{len(self.notebooks)} notebooks, {count} found, with {self.versions}"
        return "\n".join([*map(str, self.notebooks), total])

    def to_markdown(self) -> str:
        """Return a table of the notebooks, and a section for each that has findings."""
        lines = [
            f"Checked with {self.versions}.",
            "",
            "| notebook | cells | s | slowest cell | found |",
            "|---|---|---|---|---|",
        ]
        for notebook in self.notebooks:
            slowest = max(notebook.cells, key=lambda cell: cell.seconds, default=None)
            slow = "" if slowest is None else f"{slowest.number} ({slowest.seconds:.1f} s)"
            lines.append(
                f"| {notebook.path} | {len(notebook.cells)} | {notebook.seconds:.1f} | {slow} "
                f"| {len(notebook.findings) or ''} |"
            )
        for notebook in self.notebooks:
            if notebook.findings:
                lines += ["", f"## {notebook.path}"]
            for finding in notebook.findings:
                where = "" if finding.cell is None else f"cell {finding.cell} "
                fence = _fence(finding.text)
                lines += [
                    "",
                    f"**{where}{finding.kind.title}**: {finding.kind.advice}.",
                    "",
                    f"{fence}text",
                    finding.text,
                    fence,
                ]
        return "\n".join(lines) + "\n"

    def to_junit(self) -> str:
        """Return JUnit XML: a suite for each notebook, a case for each cell."""
        root = ElementTree.Element("testsuites")
        for notebook in self.notebooks:
            name = str(notebook.path)
            cells: list[Cell | None] = [*notebook.cells]
            if any(finding.cell is None for finding in notebook.findings):
                cells.append(None)  # a case for findings about the whole notebook
            suite = ElementTree.SubElement(
                root,
                "testsuite",
                name=name,
                tests=str(len(cells)),
                failures=str(len(notebook.findings)),
                time=f"{notebook.seconds:.3f}",
            )
            for cell in cells:
                case = ElementTree.SubElement(
                    suite,
                    "testcase",
                    classname=name,
                    name="notebook" if cell is None else f"cell {cell.number}",
                    time=f"{0.0 if cell is None else cell.seconds:.3f}",
                )
                number = None if cell is None else cell.number
                for finding in notebook.findings:
                    if finding.cell == number:
                        failure = ElementTree.SubElement(
                            case,
                            "failure",
                            type=finding.kind.name.lower(),
                            message=f"{finding.kind.title}: {finding.kind.advice}",
                        )
                        failure.text = UNPRINTABLE.sub("\ufffd", finding.text)
        ElementTree.indent(root)
        return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _fence(text: str) -> str:
    """Return a fence of more backticks than any run in the text."""
    longest_run = max(map(len, re.findall("`+", text)), default=0)
    return "`" * max(MIN_FENCE, longest_run + 1)


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    return found[1] if found else ""

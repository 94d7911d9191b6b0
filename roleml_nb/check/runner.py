"""Runs notebooks through nbval, each twice, several at a time."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib.metadata import version
from pathlib import Path
from typing import Any

from roleml_nb.role import RoleMLError

from .report import Cell, Finding, Kind, Notebook, Report

__all__ = ["CELL_TIMEOUT_S", "check", "find_notebooks"]

CELL_TIMEOUT_S = 300.0
SANITIZE_FILE = Path(__file__).parents[1] / "sanitize.cfg"
USAGE_ERROR = re.compile(r"^UsageError: .*", re.MULTILINE)
"""IPython prints this about an unknown magic, and raises no error."""
DEPRECATED = re.compile(r"DeprecationWarning: (roleml_nb\b.*)")
PYTEST_NO_TESTS = 5
PYTEST_FAILURES = {2: "pytest was interrupted", 3: "pytest failed", 4: "pytest was called wrongly"}


class NotebookProcesses:
    """The processes at work; leaving the block early ends those that still run."""

    def __init__(self) -> None:
        self._processes: set[subprocess.Popen[str]] = set()
        self._ended = False
        self._lock = threading.Lock()

    def run(self, command: list[str], **options: Any) -> int:
        """Run a process to its end; return its exit code."""
        with self._lock:
            if self._ended:
                raise KeyboardInterrupt
            process = subprocess.Popen(command, text=True, **options)
            self._processes.add(process)
        code = process.wait()
        self._processes.discard(process)
        return code

    def __enter__(self) -> NotebookProcesses:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._ended = True
            for process in self._processes:
                process.terminate()


def find_notebooks(folders: Iterable[str | Path]) -> list[Path]:
    """Return the notebooks below some folders, sorted; a name may be that of a notebook, too.

    Raises
    ------
    RoleMLError
        When a name is neither a folder nor a file, or there is no notebook.
    """
    found: set[Path] = set()
    for name in folders:
        path = Path(name)
        if path.is_file():
            found.add(path)
        elif path.is_dir():
            for notebook in path.rglob("*.ipynb"):
                if not _is_hidden(notebook.relative_to(path)):
                    found.add(notebook)
        else:
            raise RoleMLError(f"there is no folder and no notebook {str(name)!r}")
    if not found:
        raise RoleMLError(f"no notebook (.ipynb) in {', '.join(map(str, folders))}")
    return sorted(found)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)  # such as .ipynb_checkpoints


def check(
    *folders: str | Path,
    lax: bool = False,
    twice: bool = True,
    jobs: int | None = None,
    cell_timeout: float = CELL_TIMEOUT_S,
    sanitize: str | Path | None = None,
    progress: Callable[[Notebook], object] = lambda notebook: None,
) -> Report:
    """Run all notebooks of some folders, and report the problems found.

    Parameters
    ----------
    lax
        Compare only cells that are marked with NBVAL_CHECK_OUTPUT.
    twice
        Run each notebook a second time, to find outputs that depend on chance.
    jobs
        Notebooks that run at the same time; by default, one for each processor core.
    cell_timeout
        Seconds that a cell may take.
    sanitize
        A file of yours with texts that nbval rewrites, besides roleml_nb's own.
    progress
        Called with each notebook that is done.

    Raises
    ------
    RoleMLError
        When there is no notebook, or `sanitize` cannot be read.
    """
    paths = find_notebooks(folders)
    with tempfile.TemporaryDirectory(prefix="roleml_nb-check-") as name:
        folder = Path(name)
        rules = folder / "sanitize.cfg"
        rules.write_text("\n".join(_rules(sanitize)), encoding="utf-8")
        options = [
            "--nbval-lax" if lax else "--nbval",
            "--nbval-current-env",
            f"--nbval-cell-timeout={cell_timeout:g}",
            f"--nbval-sanitize-with={rules}",
        ]
        done: dict[Path, Notebook] = {}
        processes = NotebookProcesses()
        with ThreadPoolExecutor(jobs or os.cpu_count() or 1) as pool, processes:
            tasks = []
            for number, path in enumerate(paths):
                own_folder = folder / str(number)
                tasks.append(pool.submit(_examine, path, own_folder, options, twice, processes))
            for task in as_completed(tasks):
                notebook = task.result()
                done[notebook.path] = notebook
                progress(notebook)
    return Report(_versions(), [done[path] for path in paths])


def _rules(own: str | Path | None) -> Iterator[str]:
    yield SANITIZE_FILE.read_text(encoding="utf-8")
    if own is not None:
        try:
            yield Path(own).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RoleMLError(f"cannot read the sanitize file {str(own)!r}: {error}") from None


def _versions() -> str:
    package = Path(__file__).parents[1]
    return (
        f"roleml_nb {version('roleml-nb')} ({package}), nbval {version('nbval')}, "
        f"Python {platform.python_version()}"
    )


def _examine(
    path: Path, folder: Path, options: list[str], twice: bool, processes: NotebookProcesses
) -> Notebook:
    folder.mkdir()
    first = _run(path, folder / "first", options, processes)
    if isinstance(first, Finding):
        return Notebook(path, findings=[first])
    cells: list[Cell] = []
    by_chance: dict[int, str] = {}
    findings: list[Finding] = []
    if twice and first:
        compare = f"--compare-cells={folder / 'first'}"
        second = _run(path, folder / "second", [*options, compare], processes)
        if isinstance(second, Finding):
            findings.append(second)
        else:
            for each in second:
                by_chance[each["number"]] = each["differs"]
    for each in first:
        cells.append(Cell(each["number"], each["source"], each["seconds"]))
        findings += _findings(each, by_chance)
    return Notebook(path, cells, sum(cell.seconds for cell in cells), findings)


def _findings(cell: dict[str, Any], by_chance: dict[int, str]) -> Iterator[Finding]:
    """Yield the findings about a cell."""
    number = cell["number"]
    printed = "\n".join(each.get("text", "") for each in cell["outputs"])
    chance = by_chance.get(number)
    if chance:
        yield Finding(Kind.CHANCE, number, chance)
    if cell["outcome"] == "failed":
        text = cell["text"]
        if "Cell outputs differ" not in text and "Unrun reference cell" not in text:
            yield Finding(Kind.FAILED, number, _error(cell))
        elif not chance:
            yield Finding(Kind.STALE, number, _traceback(text))
    elif refused := USAGE_ERROR.search(printed):
        yield Finding(Kind.HIDDEN, number, refused[0])
    for text in dict.fromkeys(DEPRECATED.findall(printed)):
        yield Finding(Kind.DEPRECATED, number, text)


def _error(cell: dict[str, Any]) -> str:
    for each in cell["outputs"]:
        if each["output_type"] == "error":
            return f"{each['ename']}: {each['evalue']}"
    return _traceback(cell["text"])


def _traceback(text: str) -> str:
    """Return the part of a text of nbval that follows the source of the cell."""
    _, _, after = text.partition("Traceback:\n")
    return (after or text).strip()


def _run(
    path: Path, record: Path, options: list[str], processes: NotebookProcesses
) -> list[dict[str, Any]] | Finding:
    """Run a notebook in a process of its own; return its cells, or why it cannot be run."""
    command = [
        *(sys.executable, "-m", "pytest", "-q", "--color=no", "-p", "no:cacheprovider"),
        *("-p", "roleml_nb.check.plugin", "-c", os.devnull, f"--rootdir={path.resolve().parent}"),
        *(f"--record-cells={record}", *options, str(path.resolve())),
    ]
    # warnings of ours that the notebook's own modules cause are shown, too
    environment = {**os.environ, "PYTHONWARNINGS": "default:roleml_nb:DeprecationWarning"}
    # a file, not a pipe, which would stay open with a kernel that outlives pytest
    with record.with_suffix(".log").open("w+", encoding="utf-8", errors="replace") as log:
        code = processes.run(
            command,
            cwd=path.resolve().parent,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        log.seek(0)
        printed = log.read()
    if record.exists() and code in (0, 1):
        lines = record.read_text(encoding="utf-8").splitlines()
        return list(map(json.loads, lines))
    if code == PYTEST_NO_TESTS:  # there is no code cell
        return []
    why = PYTEST_FAILURES.get(code, f"exit code {code}")
    return Finding(Kind.UNREADABLE, None, f"{why}:\n{printed[-4000:].strip()}")

"""The programs by which people run notebooks without looking on, each as they call it."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nbformat

LIMIT = 150
SANITIZE = Path(__file__).parents[2] / "roleml_nb" / "sanitize.cfg"


@dataclass(frozen=True)
class Ended:
    """How a program ended, and all that it wrote."""

    code: int
    text: str


def write(path: Path, cells: list[str], **tags: str) -> Path:
    """Write a notebook of these code cells; `tags` are given by index: ``write(…,
    cell1="parameters")``.
    """
    made = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(text) for text in cells],
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}
        },
    )
    for index, tag in tags.items():
        made.cells[int(index.removeprefix("cell"))].metadata["tags"] = [tag]
    nbformat.write(made, path)
    return path


def _run(*command: str | Path) -> Ended:
    done = subprocess.run(
        [sys.executable, "-m", *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT,
        env={**os.environ, "NO_COLOR": "1"},
    )
    return Ended(done.returncode, done.stdout)


def _nbval(notebook: Path, *options: str) -> Ended:
    return _run(
        "pytest",
        *options,
        "--nbval-current-env",
        "--nbval-cell-timeout=100",
        f"--nbval-sanitize-with={SANITIZE}",
        "--rootdir",
        notebook.parent,
        "-p",
        "no:cacheprovider",
        "--color=no",
        notebook,
    )


def nbval(notebook: Path) -> Ended:
    return _nbval(notebook, "--nbval")


def nbval_lax(notebook: Path) -> Ended:
    return _nbval(notebook, "--nbval-lax")


def nbclient(notebook: Path) -> Ended:
    return _run("jupyter", "execute", "--inplace", notebook)


def papermill(notebook: Path, *parameters: str) -> Ended:
    return _run("papermill", "--no-progress-bar", notebook, notebook, *parameters)


def nbconvert(notebook: Path) -> Ended:
    return _run("nbconvert", "--execute", "--to", "notebook", "--inplace", notebook)


RUNNERS: dict[str, Callable[[Path], Ended]] = {
    "nbval": nbval,
    "nbval-lax": nbval_lax,
    "nbclient": nbclient,
    "papermill": papermill,
    "nbconvert": nbconvert,
}

"""Run the quickstart headless: executed notebook and offline HTML under build/, accuracies on the
terminal.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from roleml_nb import offline

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    source = ROOT / "notebooks" / "quickstart.ipynb"
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    print(f"running {source.relative_to(ROOT)} …", flush=True)
    notebook = nbformat.read(source, as_version=4)
    NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": str(source.parent)}}
    ).execute()
    nbformat.write(notebook, build / "quickstart.ipynb")
    offline.main(build / "quickstart.ipynb")
    lines = [
        line
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        for line in output.get("text", "").splitlines()
        if "test accuracy" in line
    ]
    print("\n".join(lines))
    print("see build/quickstart.html and build/quickstart.ipynb")


if __name__ == "__main__":
    sys.exit(main())

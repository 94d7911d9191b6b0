"""Run the quickstart headless: executed notebook and offline HTML under build/, accuracies on the terminal."""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
import plotly.io
from nbclient import NotebookClient
from nbconvert import HTMLExporter

ROOT = Path(__file__).resolve().parent.parent
PLOTLY = "application/vnd.plotly.v1+json"


def with_pictures(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Give each plotly figure an HTML form; the first brings the library along, so that the page needs no network."""
    first = True
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            figure = output.get("data", {}).get(PLOTLY)
            if figure is not None:
                output["data"]["text/html"] = plotly.io.to_html(
                    {"data": figure["data"], "layout": figure["layout"]}, full_html=False, include_plotlyjs=first)
                first = False
    return notebook


def main() -> None:
    source = ROOT / "notebooks" / "quickstart.ipynb"
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    print(f"running {source.relative_to(ROOT)} …", flush=True)
    notebook = nbformat.read(source, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(source.parent)}}).execute()
    nbformat.write(notebook, build / "quickstart.ipynb")
    exporter = HTMLExporter(require_js_url="", mathjax_url="")
    page, _ = exporter.from_notebook_node(with_pictures(notebook))
    (build / "quickstart.html").write_text(page, encoding="utf-8")
    lines = [line for cell in notebook.cells for output in cell.get("outputs", [])
             for line in output.get("text", "").splitlines() if "test accuracy" in line]
    print("\n".join(lines))
    print("see build/quickstart.html and build/quickstart.ipynb")


if __name__ == "__main__":
    sys.exit(main())

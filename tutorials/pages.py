"""Build the lessons as a site that can be browsed offline, with their stored outputs: board, traffic and curves as pictures.

    python pages.py [FOLDER]            # by default build/site, beside this file
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import nbformat
import plotly.io
import plotly.offline
from nbformat import NotebookNode
from versions import HERE, lessons

PLOTLY, WIDGET, PICTURE = "application/vnd.plotly.v1+json", "application/vnd.jupyter.widget-view+json", "image/svg+xml"


def with_pictures(notebook: NotebookNode) -> NotebookNode:
    """Give each plotly figure an HTML form, drawn by the plotly.js that lies beside the pages, and each live view its picture."""
    script: bool | str = "plotly.min.js"
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if WIDGET in data and PICTURE in data:
                output["data"] = {PICTURE: data[PICTURE]}
            figure = data.get(PLOTLY)
            if figure is not None:
                drawn = {"data": figure["data"], "layout": figure["layout"]}
                output["data"] = {"text/html": plotly.io.to_html(drawn, full_html=False, include_plotlyjs=script)}
                script = False
    return notebook


def make(site: Path) -> None:
    """Write the pages, and have mkdocs make a site of them."""
    from mkdocs.commands.build import build  # comes with the extra "course", and pictures can be made without it
    from mkdocs.config import load_config

    pages = HERE / "build" / "pages"
    pages.mkdir(parents=True, exist_ok=True)
    for lesson in lessons():
        nbformat.write(with_pictures(nbformat.read(lesson, as_version=4)), pages / lesson.name)
    (pages / "plotly.min.js").write_text(plotly.offline.get_plotlyjs(), encoding="utf-8")
    shutil.copy(HERE / "pages.css", pages)
    (pages / "index.md").write_text((HERE / "README.md").read_text(encoding="utf-8"), encoding="utf-8")
    build(load_config(str(HERE / "mkdocs.yml"), site_dir=str(site)))


if __name__ == "__main__":
    target = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else HERE / "build" / "site"
    make(target)
    print(f"see {target}/index.html")

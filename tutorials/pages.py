"""Build the lessons as a site that can be browsed offline, with their stored outputs: board,
traffic and curves as pictures.

It is as students see it: solutions, and what is said to teachers, are left out as in the student
version.

    python pages.py [FOLDER]            # by default build/site, beside this file
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Any

import nbformat
import plotly.offline
from nbgrader.preprocessors import ClearSolutions
from versions import HERE, config, lessons

from roleml_nb.offline import offline


def page(lesson: Path) -> Any:
    """A lesson as it becomes a page: without solutions; it shows without a kernel, and leads to the
    pages of other lessons.
    """
    notebook, _ = ClearSolutions(config=config()).preprocess(
        nbformat.read(lesson, as_version=4), {}
    )
    offline(notebook, "plotly.min.js")
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = re.sub(r"(\]\([\w-]+)\.ipynb\)", r"\1.html)", cell.source)
    return notebook


def make(site: Path) -> None:
    """Write the pages, and have mkdocs make a site of them."""
    # comes with the extra "course", and pictures can be made without it
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    pages = HERE / "build" / "pages"
    pages.mkdir(parents=True, exist_ok=True)
    for lesson in lessons():
        nbformat.write(page(lesson), pages / lesson.name)
    (pages / "plotly.min.js").write_text(plotly.offline.get_plotlyjs(), encoding="utf-8")
    shutil.copy(HERE / "pages.css", pages)
    guide = (HERE / "README.md").read_text(encoding="utf-8")
    (pages / "index.md").write_text(f"---\ntitle: The course\n---\n\n{guide}", encoding="utf-8")
    build(load_config(str(HERE / "mkdocs.yml"), site_dir=str(site)))
    (site / "404.html").unlink()  # for servers only


if __name__ == "__main__":
    target = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else HERE / "build" / "site"
    make(target)
    print(f"see {target}/index.html")

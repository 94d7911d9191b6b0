"""Make pages of notebooks that show everything without a kernel and without network.

python -m roleml_nb.offline run.ipynb             # writes run.html, one page
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

__all__ = ["offline"]

PLOTLY = "application/vnd.plotly.v1+json"
WIDGET = "application/vnd.jupyter.widget-view+json"
STILL = ("image/svg+xml", "image/png", "text/plain")
"""Kinds of output that are kept of a live widget."""


def offline(notebook: Any, plotly_js: bool | str = True) -> Any:
    """Remove live widgets from a notebook, make HTML of plotly's figures, and return it.

    The notebook, an executed `nbformat.NotebookNode`, is changed. The first figure includes
    plotly's script (`plotly_js` True, 5 MB), or refers to the address `plotly_js`.
    """
    import plotly.io

    script = plotly_js
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if PLOTLY in data:
                figure = {"data": data[PLOTLY]["data"], "layout": data[PLOTLY]["layout"]}
                output["data"] = {
                    "text/html": plotly.io.to_html(figure, full_html=False, include_plotlyjs=script)
                }
                script = False
            elif WIDGET in data:
                output["data"] = {kind: data[kind] for kind in STILL if kind in data}
    return notebook


def main(path: Path) -> Path:
    """Write the page beside the notebook, and return its path."""
    import nbformat
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(require_js_url="", mathjax_url="")
    page, _ = exporter.from_notebook_node(offline(nbformat.read(path, as_version=4)))
    target = path.with_suffix(".html")
    target.write_text(page, encoding="utf-8")
    return target


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("name the notebooks: python -m roleml_nb.offline run.ipynb")
    for name in sys.argv[1:]:
        print(f"see {main(Path(name))}")

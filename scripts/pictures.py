"""Draw docs/accuracy.png from build/quickstart.ipynb (after make demo) with Chromium, found by CHROMIUM or on the path."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import nbformat
import plotly.io
from demo import ROOT

from roleml_nb.offline import PLOTLY


def main() -> None:
    notebook = nbformat.read(ROOT / "build" / "quickstart.ipynb", as_version=4)
    figures = [output["data"][PLOTLY] for cell in notebook.cells for output in cell.get("outputs", [])
               if PLOTLY in output.get("data", {})]
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "figure.html"
        plotly.io.write_html({"data": figures[0]["data"], "layout": figures[0]["layout"]}, page, include_plotlyjs=True,
                             default_width="900px", config={"displayModeBar": False})
        subprocess.run([
            os.environ.get("CHROMIUM", "chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            f"--user-data-dir={folder}/profile", "--window-size=920,440", "--virtual-time-budget=5000",
            f"--screenshot={ROOT / 'docs' / 'accuracy.png'}", page.as_uri()], check=True, capture_output=True, timeout=60)


if __name__ == "__main__":
    main()

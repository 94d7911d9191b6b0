"""Notebooks that show everything without a kernel and without network."""

import base64

import nbformat
import plotly.graph_objects as go

from roleml_nb import offline
from roleml_nb.pictures import Picture


def test_views_and_figures_are_pictures_on_the_page(tmp_path):
    view = {
        offline.WIDGET: {"model_id": "0" * 32, "version_major": 2, "version_minor": 1},
        "text/html": "",
    }
    still = Picture(
        "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>", "<Board: 1 node, 0 roles>"
    ).bundle()[0]
    still["image/png"] = base64.b64encode(still["image/png"]).decode()
    bare = {offline.WIDGET: view[offline.WIDGET], "text/plain": "IntSlider(value=3)"}
    figure = {offline.PLOTLY: go.Figure(go.Scatter(y=[1, 2])).to_plotly_json()}
    outputs = [
        nbformat.v4.new_output("display_data", data) for data in (still, view, bare, figure, figure)
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=outputs)])
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    nbformat.write(notebook, tmp_path / "run.ipynb")
    page = offline.main(tmp_path / "run.ipynb").read_text()
    assert (
        'src="data:image/png;base64,' in page
        and "IntSlider(value=3)" in page
        and "widget-view" not in page
    )
    assert page.count("Plotly.newPlot(") >= 2 and 'src="http' not in page
    # the notebook itself is as it was
    assert "widgets" in nbformat.read(tmp_path / "run.ipynb", as_version=4).metadata

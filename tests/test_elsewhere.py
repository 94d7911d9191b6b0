"""The same notebook runs wherever notebooks run."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
LIMIT = 120
CELLS = [
    "%load_ext roleml_nb",
    "num_rounds = 1",
    "%rml start --engines 0\n%rml spawn server client{1..2}",
    """\
%%role
from roleml_nb import Event, Role, Service
class Counter(Role):
    counted = Event()
    @Service(expand=True)
    def count(self, caller, num_rounds):
        for number in range(num_rounds):
            self.counted.emit({"number": number})
            print("counted", number)  # into the log of the node, not into the cell
        return num_rounds""",
    "%rml assign client* counter=Counter\n%rml call client*/counter count num_rounds=num_rounds",
    "bed.trace.metrics.to_pandas().groupby('node')['value'].sum().to_dict()",
    "%rml status",
    "%rml stop",
]
STATUS = """\
testbed: in this process, 3 nodes
node     engine    roles
client1  notebook  counter=Counter ready
client2  notebook  counter=Counter ready
server   notebook  -
"""


def outputs(rounds):
    return [
        "",
        "",
        "testbed ready: in this process\n3 nodes: server, client1, client2\n",
        "role Counter: services count; events counted\n",
        (
            f"counter=Counter ready on 2 nodes: client1, client2\nclient1: {rounds}\nclient2:"
            f" {rounds}\n"
        ),
        str({f"client{number}": float(sum(range(rounds))) for number in (1, 2)}),
        STATUS,
        "testbed stopped\n",
    ]


def texts(notebook):
    return [
        "".join(output.get("text") or output["data"]["text/plain"] for output in cell.outputs)
        for cell in notebook.cells
        if "injected-parameters" not in cell.metadata.get("tags", [])
    ]


@pytest.fixture
def notebook(tmp_path, monkeypatch):
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    )
    made = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(text) for text in CELLS],
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}
        },
    )
    made.cells[1].metadata["tags"] = ["parameters"]
    nbformat.write(made, tmp_path / "small.ipynb")
    return tmp_path / "small.ipynb"


def test_jupyter_execute(notebook):
    done = subprocess.run(
        [sys.executable, "-m", "jupyter", "execute", "--inplace", str(notebook)],
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 0, done.stderr
    assert texts(nbformat.read(notebook, 4)) == outputs(1)


def test_papermill_with_parameters(notebook):
    import papermill

    done = papermill.execute_notebook(
        str(notebook),
        None,
        parameters={"num_rounds": 3},
        progress_bar=False,
        execution_timeout=LIMIT,
    )
    assert texts(done) == outputs(3)
